"""Makes plans, applies them, and undoes what was done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import Event
from typing import Final

from workkit.admin.actions import steps
from workkit.admin.actions.applying import Application
from workkit.admin.actions.outcomes import (
    BulkOutcome,
    BulkProgress,
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
from workkit.core.clock import Clock
from workkit.core.entropy import Entropy
from workkit.core.records import Kind, Place
from workkit.errors import NotUndone
from workkit.store.calls import restore as trash
from workkit.store.carry import StepCarrier
from workkit.store.keys import Keys
from workkit.store.replies import number

__all__ = ["Actions"]

_UNDO_BATCH: Final = 200


def _silent(_progress: BulkProgress) -> None:
    """Report to nobody."""


class Actions:
    """Acts on many jobs at once; what `Client.actions` is.

    Args:
        keys: The namespace.
        run: Carries out a step.
        reader: Reads the same namespace.
        clock: Where times come from.
        entropy: Makes the ids of operations.

    Every method raises `ServerError` if Redis does not answer or refuses. What was done until then
    is in the trash and can be undone.
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
        report: Report = _silent,
        stop: Stop | None = None,
    ) -> Plan | None:
        """Pin the jobs of a place that a query picks now, and say what acting on them will do.

        Args:
            verb: "delete", or "retry": dead jobs begin afresh, those that wait for their time run
                now.
            place: Where the jobs are.
            query: Which of them; "" for all.
            report: Told how far it is, after each batch.
            stop: Set to give up.

        Returns:
            The plan, or None if it was stopped.

        Raises:
            InvalidOption: The verb makes no sense there.
            InvalidQuery: The query cannot be read.
        """
        check_verb(verb, place)
        asked = Query(query) if isinstance(query, str) else query
        draft, now_s = Draft(), self._reader.now_s()
        for batch in self._reader.walk(place, reverse=place.kind == "queued"):
            if stop is not None and stop.is_set():
                return None
            self._add(draft, verb, place, list(asked.pick(batch.jobs, now_s)))
            report(BulkProgress(batch.seen, batch.total, len(draft.pins)))
        return self._drawn_up(draft, verb, place, asked.text)

    def plan_for(self, verb: Verb, place: Place, records: Iterable[WaitingJob]) -> Plan:
        """Pin certain jobs, such as those that were marked.

        Args:
            verb: As for `plan`.
            place: Where they are.
            records: The jobs.

        Raises:
            InvalidOption: The verb makes no sense there.
        """
        check_verb(verb, place)
        draft = Draft()
        in_order = sorted(records, key=lambda record: (record.at or 0, record.job.raw))
        self._add(draft, verb, place, in_order)
        return self._drawn_up(draft, verb, place, "")

    def _add(self, draft: Draft, verb: Verb, place: Place, records: Sequence[WaitingJob]) -> None:
        jobs = [record.job for record in records]
        uses = self._carry(steps.key_uses(self._keys, verb, place, jobs)) if jobs else []
        for record, use in zip(records, uses, strict=True):
            draft.add(record, unique=use.unique, contested=use.contested)

    def _drawn_up(self, draft: Draft, verb: Verb, place: Place, query: str) -> Plan:
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

    # Applying.

    def apply(
        self,
        plan: Plan,
        *,
        by: str = "",
        throttle: Throttle | None = None,
        report: Report = _silent,
        stop: Stop | None = None,
    ) -> BulkOutcome:
        """Act on exactly the jobs of a plan, in bounded batches.

        Jobs that have come since are left alone, whatever they look like; those that have gone are
        counted as such.

        Args:
            plan: What to do.
            by: Who does it, for others who look at what can be undone.
            throttle: For retrying: how fast, and when to stop.
            report: Told how far it is, after each batch.
            stop: Set to stop after the current batch.
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
            stop=stop or Event(),
        )
        return application.carry_out()

    # Undoing.

    def operations(self) -> list[Operation]:
        """Return what can be undone, by anybody, the newest first."""
        known = self._carry(iter(trash.forget_expired(self._keys, self._clock.read().epoch_s)))
        rows = self._carry(iter(trash.operations(self._keys, known))) if known else {}
        found = [_operation(name, fields, count) for name, (fields, count) in rows.items() if count]
        return sorted(found, key=lambda each: each.at, reverse=True)

    def forget(self, operation_id: str) -> None:
        """Empty the trash of an operation at once; it cannot be undone any more.

        Args:
            operation_id: Which one, see `operations`.
        """
        self._carry(iter(trash.forget(self._keys, operation_id)))

    def undo(
        self, operation_id: str, *, report: Report = _silent, stop: Stop | None = None
    ) -> Undone:
        """Bring back what an operation deleted, or what it retried and has not begun.

        Args:
            operation_id: Which one, see `operations`.
            report: Told how far it is, after each batch.
            stop: Set to stop after the current batch; the rest can be undone later.

        Raises:
            NotUndone: The operation does not exist any more.
        """
        row = self._carry(iter(trash.operation(self._keys, operation_id)))
        if not row:
            raise NotUndone(
                f"no action {operation_id!r} can be undone; it was undone, or has expired"
            )
        what = _operation(operation_id, row, 0)
        back = without_key = gone_on = 0
        while True:
            # What was retried last has most likely not begun. What was deleted from a queue goes
            # back in its old order.
            entries = trash.entries(
                self._keys, operation_id, _UNDO_BATCH, newest_first=what.verb == "retry"
            )
            left, found = self._carry(iter(entries))
            if not found:
                self._carry(iter(trash.forget(self._keys, operation_id)))
                return Undone(back, without_key, gone_on, 0)
            if stop is not None and stop.is_set():
                return Undone(back, without_key, gone_on, left)
            now_s = self._clock.read().epoch_s
            said = self._carry(
                steps.take_back(self._keys, operation_id, what.verb, what.place, found, now_s)
            )
            back += len(said) - said.count("0")
            without_key += said.count("p")
            gone_on += said.count("0")
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
