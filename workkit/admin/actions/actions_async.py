"""Makes, applies and undoes plans for asyncio; see `Actions` for threads."""

from __future__ import annotations

import asyncio
import math
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
)
from typing import Any, TypeVar

from workkit.admin.actions.actions import ignore
from workkit.admin.actions.applying import Pause
from workkit.admin.actions.editing import Edit, NewJob
from workkit.admin.actions.logic import ActionLogic, Told
from workkit.admin.actions.outcomes import (
    BulkOutcome,
    Each,
    Operation,
    Report,
    SentJobs,
    Stopping,
    Undone,
)
from workkit.admin.actions.plan import Plan, Verb
from workkit.admin.actions.stacks import ANSWERS_S
from workkit.admin.actions.throttle import Throttle
from workkit.admin.query import Query
from workkit.admin.steps.walk import WaitingJob
from workkit.core.job import Job
from workkit.core.records import Place
from workkit.core.signatures import Signature
from workkit.core.stacks import RunningStack
from workkit.errors import WorkkitError
from workkit.store.round_trip import Step
from workkit.store.walking import Item, Walk, advance

__all__ = ["AsyncActions"]

R = TypeVar("R")


class AsyncActions:
    """Acts on jobs from asyncio, with the methods of `Actions`, awaited.

    Args:
        logic: The logic.
        carry: Carries out a step.

    Where `Actions` takes a `threading.Event` to stop, an `asyncio.Event` does as well. A cancelled
    call ends after the round trip that is under way; what was removed until then can be undone.
    """

    def __init__(self, logic: ActionLogic, carry: Callable[[Step[Any]], Awaitable[Any]]) -> None:
        self.logic = logic
        self._carry = carry

    async def _carry_out(
        self, walk: Walk[Told, R], report: Report, stop: Stopping | None = None
    ) -> R:
        answer = None
        while isinstance(found := await self._carry(advance(walk, answer)), Item):
            answer = None
            if isinstance(found.value, Pause):
                await asyncio.sleep(found.value.for_s)
                answer = stop is not None and stop.is_set()
            else:
                report(found.value)
        result: R = found.result
        return result

    async def plan(
        self,
        verb: Verb,
        place: Place,
        query: str | Query = "",
        *,
        until: float = math.inf,
        report: Report = ignore,
        stop: Stopping | None = None,
    ) -> Plan | None:
        """Pin the jobs of a place that match a query now; see `Actions.plan`."""
        walk = self.logic.plan(verb, place, query, until=until, stop=stop)
        return await self._carry_out(walk, report, stop)

    async def plan_for(self, verb: Verb, place: Place, records: Iterable[WaitingJob]) -> Plan:
        """Pin the given jobs; see `Actions.plan_for`."""
        plan: Plan = await self._carry(self.logic.plan_for(verb, place, records))
        return plan

    async def pick(
        self, place: Place, job_ids: Iterable[str], *, at: int | None = None
    ) -> dict[str, WaitingJob]:
        """Find jobs of a place by their ids; see `Actions.pick`."""
        found: dict[str, WaitingJob] = await self._carry(self.logic.pick(place, job_ids, at))
        return found

    async def apply(
        self,
        plan: Plan,
        *,
        by: str = "",
        throttle: Throttle | None = None,
        report: Report = ignore,
        each: Each | None = None,
        stop: Stopping | None = None,
    ) -> BulkOutcome:
        """Act on exactly the jobs of a plan; see `Actions.apply`."""
        walk = self.logic.apply(plan, by=by, throttle=throttle, each=each, stop=stop)
        return await self._carry_out(walk, report, stop)

    async def plan_edit(
        self, place: Place, record: WaitingJob, text: str | bytes, *, insist: bool = False
    ) -> Edit:
        """Read new args for a job; see `Actions.plan_edit`."""
        edit: Edit = await self._carry(self.logic.edits.plan(place, record, text, insist=insist))
        return edit

    async def apply_edit(self, edit: Edit, *, by: str = "") -> str:
        """Use the new args; see `Actions.apply_edit`."""
        operation_id: str = await self._carry(self.logic.edits.apply(edit, by))
        return operation_id

    async def stack(
        self, job_id: str, *, within_s: float = ANSWERS_S, stop: Stopping | None = None
    ) -> RunningStack:
        """Ask the pool that runs a job where its handler is; see `Actions.stack`."""
        return await self._carry_out(self.logic.stack(job_id, within_s), ignore, stop)

    async def signature(self, name: str) -> Signature | None:
        """Return what a typed task takes; see `Actions.signature`."""
        signature: Signature | None = await self._carry(self.logic.edits.signature(name))
        return signature

    async def check_args(
        self, name: str, args: Mapping[str, Any] | None, *, insist: bool = False
    ) -> list[str]:
        """Check args that a person has typed; see `Actions.check_args`."""
        doubts: list[str] = await self._carry(self.logic.edits.check(name, args, insist=insist))
        return doubts

    async def new_job(self, name: str, text: str | bytes, *, insist: bool = False) -> NewJob:
        """Make a job of args that a person has typed; see `Actions.new_job`."""
        made: NewJob = await self._carry(self.logic.edits.new_job(name, text, insist=insist))
        return made

    async def enqueue(self, job: Job, *, by: str = "") -> None:
        """Enqueue a job of `new_job`; see `Actions.enqueue`."""
        await self._carry(self.logic.edits.enqueue(job, by))

    async def record_enqueue(
        self,
        name: str,
        jobs: AsyncIterable[Job],
        *,
        planned: int = 1,
        scheduled: bool = False,
        by: str = "",
    ) -> AsyncIterator[Job]:
        """Record as an act that somebody enqueues jobs; see `Actions.record_enqueue`."""
        edits, sent = self.logic.edits, SentJobs()
        began = edits.begin_enqueue(name, planned, scheduled=scheduled, by=by)
        act_id: str = await self._carry(began)
        try:
            async for job in jobs:
                sent.add(job)
                yield job
            sent.ended()
        except WorkkitError as error:
            sent.failed(error)
            raise
        finally:
            await self._carry(edits.end_enqueue(act_id, sent))

    async def all_dead(self, verb: Verb) -> int:
        """Act on every job that is dead now; return their number."""
        return await self._carry_out(self.logic.all_dead(verb), ignore)

    async def operations(self) -> list[Operation]:
        """Return all operations that can be undone, the newest first."""
        found: list[Operation] = await self._carry(self.logic.operations())
        return found

    async def forget(self, operation_id: str) -> None:
        """Empty the trash of an operation; see `Actions.forget`."""
        await self._carry(self.logic.forget(operation_id))

    async def undo(
        self, operation_id: str, *, report: Report = ignore, stop: Stopping | None = None
    ) -> Undone:
        """Bring back the jobs of an operation; see `Actions.undo`."""
        return await self._carry_out(self.logic.undo(operation_id, stop=stop), report, stop)
