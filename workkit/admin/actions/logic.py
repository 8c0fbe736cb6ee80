"""Makes, applies and undoes plans, without I/O: steps and walks.

A walk produces its progress (`BulkProgress`) and its pauses (`Pause`). Between two of them it holds
no connection.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from workkit.admin.actions import steps
from workkit.admin.actions.applying import Application, Pause
from workkit.admin.actions.editing import EditLogic
from workkit.admin.actions.outcomes import (
    BulkOutcome,
    BulkProgress,
    Each,
    Operation,
    Stopping,
    Undone,
)
from workkit.admin.actions.plan import Draft, Plan, Verb, check_verb
from workkit.admin.actions.stacks import running_stack
from workkit.admin.actions.throttle import Throttle
from workkit.admin.acts.recording import ActsLog, Began
from workkit.admin.query import Query
from workkit.admin.steps.walk import WaitingJob, batches
from workkit.admin.steps.walk import record as record_of
from workkit.core.clock import Clock
from workkit.core.entropy import Entropy
from workkit.core.job import Job
from workkit.core.options import check_time, shown
from workkit.core.records import Batch, Kind, Place
from workkit.core.stacks import RunningStack
from workkit.errors import InvalidOption, NotDeleted, NotRetried, NotUndone
from workkit.store.calls import restore
from workkit.store.calls.pages import SetName
from workkit.store.keys import Keys, check_name
from workkit.store.replies import number
from workkit.store.round_trip import Step
from workkit.store.walking import Item, Walk, advance, quietly

__all__ = ["ActionLogic", "Told"]

#: What the walks of actions produce.
Told: TypeAlias = BulkProgress | Pause

_PAGE: Final = 500
_UNDO_BATCH: Final = 200
_DONE: Final = {"delete": "deleted", "retry": "retried", "edit": "edited"}


class _Acted(NamedTuple):
    """The result for one job. `job` is None if there is no such job."""

    job: Job | None
    done: bool = False
    refused: bool = False


class ActionLogic:
    """The logic of `Actions` and `AsyncActions`; the arguments are theirs.

    Args:
        keys: The namespace.
        clock: The source of the time.
        entropy: Makes the ids of operations.
        log: Records who does what.
    """

    def __init__(self, keys: Keys, clock: Clock, entropy: Entropy, log: ActsLog) -> None:
        self._keys = keys
        self._clock = clock
        self._entropy = entropy
        self.log = log
        self.edits = EditLogic(keys, clock, entropy, log)

    def _now_s(self) -> float:
        return self._clock.read().epoch_ms / 1_000

    def stack(self, job_id: str, within_s: float) -> Walk[Told, RunningStack]:
        """Ask where a handler is; see `Actions.stack`."""
        return running_stack(self._keys, job_id, within_s)

    # Planning.

    def plan(
        self,
        verb: Verb,
        place: Place,
        query: str | Query = "",
        *,
        until: float = math.inf,
        stop: Stopping | None = None,
    ) -> Walk[Told, Plan | None]:
        """Pin the jobs that match a query; see `Actions.plan`."""
        check_verb(verb, place)
        asked = Query(query) if isinstance(query, str) else query
        draft, now_s, walk = Draft(), self._now_s(), self._walk(place)
        while isinstance(found := (yield from advance(walk)), Item):
            batch = found.value
            if stop is not None and stop.is_set():
                return None
            in_time = [record for record in batch.jobs if (record.at or 0) <= until]
            yield from self._add(draft, verb, place, list(asked.pick(in_time, now_s)))
            yield Item(BulkProgress(batch.seen, batch.total, len(draft.pins)))
            if len(in_time) < len(batch.jobs):
                break  # a set is walked in the order of its times
        return self._finished(draft, verb, place, asked.text)

    def plan_for(self, verb: Verb, place: Place, records: Iterable[WaitingJob]) -> Step[Plan]:
        """Pin the given jobs; see `Actions.plan_for`."""
        check_verb(verb, place)
        draft = Draft()
        in_order = sorted(records, key=lambda record: (record.at or 0, record.job.raw))
        yield from self._add(draft, verb, place, in_order)
        return self._finished(draft, verb, place, "")

    def _add(
        self, draft: Draft, verb: Verb, place: Place, records: Sequence[WaitingJob]
    ) -> Step[None]:
        jobs = [record.job for record in records]
        uses = (yield from steps.key_uses(self._keys, verb, place, jobs)) if jobs else []
        for record, use in zip(records, uses, strict=True):
            draft.add(record, unique=use.unique, contested=use.contested)

    def _finished(self, draft: Draft, verb: Verb, place: Place, query: str) -> Plan:
        return Plan(
            verb,
            place,
            query,
            self._now_s(),
            draft.pins,
            draft.sample,
            dict(draft.queues.most_common()),
            draft.unique,
            draft.contested,
            draft.junk,
            draft.ids,
        )

    def pick(
        self, place: Place, job_ids: Iterable[str], at: int | None
    ) -> Step[dict[str, WaitingJob]]:
        """Find jobs of a place by their ids; see `Actions.pick`."""
        wanted, found, walk = set(job_ids), dict[str, WaitingJob](), self._records(place, at)
        while isinstance(item := (yield from advance(walk)), Item):
            record = item.value
            if record.job.id in wanted and not record.job.undecodable:
                found.setdefault(record.job.id, record)
                if len(found) == len(wanted):
                    break
        return found

    def _walk(self, place: Place) -> Walk[Batch[WaitingJob], None]:
        # A queue is walked from its end: then jobs that are taken meanwhile hide no others.
        return batches(self._keys, place, _PAGE, reverse=place.kind == "queued")

    def _records(self, place: Place, at: int | None) -> Walk[WaitingJob, None]:
        if at is None:
            walk = self._walk(place)
            while isinstance(found := (yield from advance(walk)), Item):
                for record in found.value.jobs:
                    yield Item(record)
            return
        cursor, more = None, True
        while more:  # thousands of jobs may share a second
            raws, cursor = yield from steps.set_page(self._keys, place, at, at, cursor, _PAGE)
            for raw in raws:
                yield Item(record_of(place, raw, at))
            more = cursor is not None

    # Applying.

    def apply(
        self,
        plan: Plan,
        *,
        by: str = "",
        throttle: Throttle | None = None,
        each: Each | None = None,
        stop: Stopping | None = None,
    ) -> Walk[Told, BulkOutcome]:
        """Act on exactly the jobs of a plan; see `Actions.apply`."""
        application = Application(
            self._keys,
            self._clock,
            self.log,
            plan,
            operation_id=self._entropy.identifier()[:12],
            by=by,
            throttle=throttle,
            each=each,
            stop=stop,
        )
        return application.carry_out()

    # One job, and all dead ones.

    def delete_queued(self, name: str, job_id: str) -> Step[None]:
        """Delete a job from its queue; see `Client.delete_queued_job`."""
        place = Place("queued", check_name(name))
        if not (yield from self._act("delete", place, job_id)).done:
            raise NotDeleted(f"queue {name!r} holds no job {job_id}; a pool may have taken it")

    def delete(self, kind: SetName, at_s: int, job_id: str) -> Step[None]:
        """Delete a job from a set; see `Client.delete_dead_job`."""
        if not (yield from self._act("delete", Place(kind), job_id, at_s)).done:
            raise NotDeleted(f"the {kind} set holds no job {job_id} at {at_s}")

    def retry_dead(self, died_at: int, job_id: str) -> Step[None]:
        """Move a dead job to its queue; see `Client.retry_dead_job`."""
        ended = yield from self._act("retry", Place("dead"), job_id, died_at)
        if ended.job is None:
            raise NotRetried(f"the dead set holds no job {job_id} at {died_at}")
        if ended.refused:
            raise NotRetried(
                f"the key of queue {ended.job.name!r} has a wrong type; rename or delete it"
            )
        if not ended.done:
            raise NotRetried(f"job {job_id} was retried or deleted by somebody else")

    def _act(self, verb: Verb, place: Place, job_id: str, at_s: int | None = None) -> Step[_Acted]:
        if not isinstance(job_id, str):
            raise InvalidOption(f"a job's id is a string, not {shown(job_id)}")
        if at_s is not None:
            check_time("the time of a job", at_s)
        record = (yield from self.pick(place, [job_id], at_s)).get(job_id)
        if record is None:
            return _Acted(None)
        plan = yield from self.plan_for(verb, place, [record])
        outcome = yield from quietly(self.apply(plan))
        return _Acted(record.job, bool(outcome.done), bool(outcome.refused))

    def all_dead(self, verb: Verb) -> Walk[Told, int]:
        """Act on every job that is dead now; see `Client.retry_all_dead_jobs`."""
        now_s = self._clock.read().epoch_s
        plan: Plan | None = yield from self.plan(verb, Place("dead"), until=now_s)
        assert plan is not None  # noqa: S101 - nobody stops it
        outcome: BulkOutcome = yield from self.apply(plan)
        return outcome.done

    # Undoing.

    def operations(self) -> Step[list[Operation]]:
        """Return all operations that can be undone, the newest first."""
        known = yield from restore.forget_expired(self._keys, self._clock.read().epoch_s)
        rows: dict[str, Any] = {}
        if known:
            rows = yield from restore.operations(self._keys, known)
        found = [_operation(name, fields, count) for name, (fields, count) in rows.items() if count]
        return sorted(found, key=lambda each: each.at, reverse=True)

    def forget(self, operation_id: str) -> Step[None]:
        """Empty the trash of an operation; see `Actions.forget`."""
        row = yield from restore.operation(self._keys, operation_id)
        if not row:
            yield from restore.forget(self._keys, operation_id)
            return
        action = _operation(operation_id, row, 0)
        left, _ = yield from restore.entries(self._keys, operation_id, 1, newest_first=True)
        began = Began(
            "forget", place=action.place.kind, queue=action.place.queue, planned=left,
            before="in the trash", after="gone for good", undoes=operation_id,
        )  # fmt: skip
        dropping = iter(restore.forget(self._keys, operation_id))
        yield from self.log.recorded(began, dropping, lambda _: {"done": left})

    def undo(self, operation_id: str, *, stop: Stopping | None = None) -> Walk[Told, Undone]:
        """Bring back the jobs of an operation; see `Actions.undo`."""
        row = yield from restore.operation(self._keys, operation_id)
        if not row:
            raise NotUndone(
                f"cannot undo {operation_id!r}: it was already undone, or its trash has expired"
            )
        action = _operation(operation_id, row, 0)
        act_id = yield from self._begin_undo(action)
        undone: Undone = yield from self.log.ending(act_id, self._undo(action, stop))
        gone_on = f"{undone.gone_on:,} had begun and could not be taken back"
        note = gone_on if undone.gone_on else f"{undone.left:,} not reached" if undone.left else ""
        yield from self.log.end(act_id, done=undone.back, note=note)
        return undone

    def _begin_undo(self, action: Operation) -> Step[str]:
        left, _ = yield from restore.entries(self._keys, action.operation_id, 1, newest_first=True)
        began = Began(
            "undo", place=action.place.kind, queue=action.place.queue, planned=left,
            before=_DONE.get(action.verb, action.verb), after="back in place",
            undoes=action.operation_id,
        )  # fmt: skip
        return (yield from self.log.begin(began))

    def _undo(self, action: Operation, stop: Stopping | None) -> Walk[Told, Undone]:
        operation_id = action.operation_id
        back = without_key = gone_on = 0
        while True:
            # The jobs retried last have most likely not begun yet. Deleted jobs must go back to
            # their queue in their old order.
            left, found = yield from restore.entries(
                self._keys, operation_id, _UNDO_BATCH, newest_first=action.verb == "retry"
            )
            if not found:
                yield from restore.forget(self._keys, operation_id)
                return Undone(back, without_key, gone_on, 0)
            if stop is not None and stop.is_set():
                return Undone(back, without_key, gone_on, left)
            now_s = self._clock.read().epoch_s
            if action.verb == "edit":
                letters = yield from self.edits.undo(operation_id, action.place, found[0], now_s)
            else:
                letters = yield from steps.take_back(
                    self._keys, operation_id, action.verb, action.place, found, now_s
                )
            back += len(letters) - letters.count("0")
            without_key += letters.count("p")
            gone_on += letters.count("0")
            yield Item(BulkProgress(back + gone_on, back + gone_on + left - len(found)))


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
