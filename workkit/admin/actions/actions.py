"""Makes, applies and undoes plans."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from threading import Event
from typing import Final

from workkit.admin.actions import steps
from workkit.admin.actions.applying import Application
from workkit.admin.actions.outcomes import (
    BulkOutcome,
    BulkProgress,
    Each,
    Operation,
    Report,
    Stop,
    Undone,
)
from workkit.admin.actions.plan import Draft, Plan, Verb, check_verb
from workkit.admin.actions.throttle import Throttle
from workkit.admin.query import Query
from workkit.admin.reader import Reader
from workkit.admin.steps.walk import WaitingJob
from workkit.admin.steps.walk import record as record_of
from workkit.core.clock import Clock
from workkit.core.entropy import Entropy
from workkit.core.records import Batch, Kind, Place
from workkit.errors import NotUndone
from workkit.store.calls import restore
from workkit.store.carry import StepCarrier
from workkit.store.keys import Keys
from workkit.store.replies import number

__all__ = ["Actions"]

_PAGE: Final = 500
_UNDO_BATCH: Final = 200


def _ignore(_progress: BulkProgress) -> None:
    """Ignore the progress."""


class Actions:
    """Acts on jobs, one or many. `Client.actions` is one.

    Args:
        keys: The namespace.
        carry: Carries out a step.
        reader: Reads the same namespace.
        clock: The source of the time.
        entropy: Makes the ids of operations.

    Every method raises `ServerError` if Redis does not answer or refuses. The jobs removed until
    then are in the trash, so `undo` can bring them back.
    """

    def __init__(
        self, keys: Keys, carry: StepCarrier, reader: Reader, clock: Clock, entropy: Entropy
    ) -> None:
        self._keys = keys
        self._carry = carry
        self._reader = reader
        self._clock = clock
        self._entropy = entropy

    # Planning.

    def plan(
        self,
        verb: Verb,
        place: Place,
        query: str | Query = "",
        *,
        until: float = math.inf,
        report: Report = _ignore,
        stop: Stop | None = None,
    ) -> Plan | None:
        """Pin the jobs of a place that match a query now, and describe the effects of the action.

        Args:
            verb: "delete" or "retry". "retry" resets dead jobs, and runs scheduled jobs and retries
                now.
            place: The place of the jobs.
            query: Picks jobs; "" for all.
            until: In a set, only jobs whose time is not later, epoch seconds.
            report: Receives the progress after each batch.
            stop: Set it to give up.

        Returns:
            The plan, or None if it was stopped.

        Raises:
            InvalidOption: The verb is not possible in this place.
            InvalidQuery: The query is not valid.
        """
        check_verb(verb, place)
        asked = Query(query) if isinstance(query, str) else query
        draft, now_s = Draft(), self._reader.now_s()
        for batch in self._walk(place):
            if stop is not None and stop.is_set():
                return None
            in_time = [record for record in batch.jobs if (record.at or 0) <= until]
            self._add(draft, verb, place, list(asked.pick(in_time, now_s)))
            report(BulkProgress(batch.seen, batch.total, len(draft.pins)))
            if len(in_time) < len(batch.jobs):
                break  # a set is walked in the order of its times
        return self._finished(draft, verb, place, asked.text)

    def plan_for(self, verb: Verb, place: Place, records: Iterable[WaitingJob]) -> Plan:
        """Pin the given jobs, such as jobs marked by the user.

        Args:
            verb: As for `plan`.
            place: The place of the jobs.
            records: The jobs.

        Raises:
            InvalidOption: The verb is not possible in this place.
        """
        check_verb(verb, place)
        draft = Draft()
        in_order = sorted(records, key=lambda record: (record.at or 0, record.job.raw))
        self._add(draft, verb, place, in_order)
        return self._finished(draft, verb, place, "")

    def _add(self, draft: Draft, verb: Verb, place: Place, records: Sequence[WaitingJob]) -> None:
        jobs = [record.job for record in records]
        uses = self._carry(steps.key_uses(self._keys, verb, place, jobs)) if jobs else []
        for record, use in zip(records, uses, strict=True):
            draft.add(record, unique=use.unique, contested=use.contested)

    def _finished(self, draft: Draft, verb: Verb, place: Place, query: str) -> Plan:
        return Plan(
            verb,
            place,
            query,
            self._reader.now_s(),
            draft.pins,
            draft.sample,
            dict(draft.queues.most_common()),
            draft.unique,
            draft.contested,
            draft.junk,
        )

    def pick(
        self, place: Place, job_ids: Iterable[str], *, at: int | None = None
    ) -> dict[str, WaitingJob]:
        """Find jobs of a place by their ids, in one walk, for `plan_for`.

        If several jobs have the same id, the first one found is taken. Bytes that are not a job
        have no id.

        Args:
            place: Where the jobs are.
            job_ids: Their ids.
            at: Of a set: look only among the jobs with this time, epoch seconds.

        Returns:
            Id → job, for those that are there.

        Raises:
            InvalidName: The queue's name is not valid.
        """
        wanted, found = set(job_ids), dict[str, WaitingJob]()
        for record in self._records(place, at):
            if record.job.id in wanted and not record.job.undecodable:
                found.setdefault(record.job.id, record)
                if len(found) == len(wanted):
                    break
        return found

    def _walk(self, place: Place) -> Iterator[Batch[WaitingJob]]:
        # A queue is walked from its newest job: then no job is missed if pools take others
        # meanwhile.
        return self._reader.walk(place, reverse=place.kind == "queued", size=_PAGE)

    def _records(self, place: Place, at: int | None) -> Iterator[WaitingJob]:
        if at is None:
            for batch in self._walk(place):
                yield from batch.jobs
            return
        cursor, more = None, True
        while more:  # thousands of jobs may share a second
            page = steps.set_page(self._keys, place, at, at, cursor, _PAGE)
            raws, cursor = self._carry(page)
            yield from (record_of(place, raw, at) for raw in raws)
            more = cursor is not None

    # Applying.

    def apply(
        self,
        plan: Plan,
        *,
        by: str = "",
        throttle: Throttle | None = None,
        report: Report = _ignore,
        each: Each | None = None,
        stop: Stop | None = None,
    ) -> BulkOutcome:
        """Act on exactly the jobs of a plan, in bounded batches.

        Later jobs stay where they are, even if they match the query. Jobs that have left the place
        are counted as gone.

        Args:
            plan: The plan.
            by: The user's name, shown in the list of operations that can be undone.
            throttle: For retries: how fast, and when to stop.
            report: Receives the progress after each batch.
            each: Receives the id and the fate of each job: "done", "gone" or "refused". A pinned
                job without a call has gone, or was not reached.
            stop: Set it to stop after the current batch.
        """
        application = Application(
            self._keys,
            self._carry,
            self._reader,
            self._clock,
            plan,
            operation_id=self._entropy.identifier()[:12],
            by=by,
            throttle=throttle,
            report=report,
            each=each,
            stop=stop or Event(),
        )
        return application.carry_out()

    # Undoing.

    def operations(self) -> list[Operation]:
        """Return all operations that can be undone, the newest first."""
        known = self._carry(iter(restore.forget_expired(self._keys, self._clock.read().epoch_s)))
        rows = self._carry(iter(restore.operations(self._keys, known))) if known else {}
        found = [_operation(name, fields, count) for name, (fields, count) in rows.items() if count]
        return sorted(found, key=lambda each: each.at, reverse=True)

    def forget(self, operation_id: str) -> None:
        """Empty the trash of an operation. Then it cannot be undone any more.

        Args:
            operation_id: Its id, see `operations`.
        """
        self._carry(iter(restore.forget(self._keys, operation_id)))

    def undo(
        self, operation_id: str, *, report: Report = _ignore, stop: Stop | None = None
    ) -> Undone:
        """Bring back the jobs that an operation deleted, or retried jobs that have not begun.

        Args:
            operation_id: Its id, see `operations`.
            report: Receives the progress after each batch.
            stop: Set it to stop after the current batch. The rest can be undone later.

        Raises:
            NotUndone: The operation is unknown: it was undone, or its trash has expired.
        """
        row = self._carry(iter(restore.operation(self._keys, operation_id)))
        if not row:
            raise NotUndone(
                f"cannot undo {operation_id!r}: it was already undone, or its trash has expired"
            )
        action = _operation(operation_id, row, 0)
        back = without_key = gone_on = 0
        while True:
            # The jobs retried last have most likely not begun yet. Deleted jobs must go back to
            # their queue in their old order.
            entries = restore.entries(
                self._keys, operation_id, _UNDO_BATCH, newest_first=action.verb == "retry"
            )
            left, found = self._carry(iter(entries))
            if not found:
                self._carry(iter(restore.forget(self._keys, operation_id)))
                return Undone(back, without_key, gone_on, 0)
            if stop is not None and stop.is_set():
                return Undone(back, without_key, gone_on, left)
            now_s = self._clock.read().epoch_s
            letters = self._carry(
                steps.take_back(self._keys, operation_id, action.verb, action.place, found, now_s)
            )
            back += len(letters) - letters.count("0")
            without_key += letters.count("p")
            gone_on += letters.count("0")
            report(BulkProgress(back + gone_on, back + gone_on + left - len(found)))


def _operation(operation_id: str, fields: dict[str, str], undoable: int) -> Operation:
    kinds: dict[str, Kind] = {"queued": "queued", "scheduled": "scheduled", "retry": "retry"}
    kind = kinds.get(fields.get("kind", ""), "dead")
    return Operation(
        operation_id,
        fields.get("verb", ""),
        Place(kind, fields.get("queue", "") if kind == "queued" else ""),
        fields.get("query", ""),
        fields.get("by", ""),
        number(fields.get("at")) or 0,
        number(fields.get("expires_at")) or 0,
        number(fields.get("planned")) or 0,
        undoable,
    )
