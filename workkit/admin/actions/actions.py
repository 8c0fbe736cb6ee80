"""Makes, applies and undoes plans, for threads; `AsyncActions` does it for asyncio."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from threading import Event
from typing import Any, TypeVar

from workkit.admin.actions.applying import Pause
from workkit.admin.actions.editing import Edit, NewJob
from workkit.admin.actions.logic import ActionLogic, Told
from workkit.admin.actions.outcomes import (
    BulkOutcome,
    BulkProgress,
    Each,
    Operation,
    Report,
    SentJobs,
    Stop,
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
from workkit.store.carry import StepCarrier
from workkit.store.walking import Item, Walk, advance

__all__ = ["Actions", "ignore"]

R = TypeVar("R")


def ignore(_progress: BulkProgress) -> None:
    """Ignore the progress."""


class Actions:
    """Acts on jobs, one or many. `Client.actions` is one.

    Args:
        logic: The logic.
        carry: Carries out a step.

    Every method raises `ServerError` if Redis does not answer or refuses. The jobs removed until
    then are in the trash, so `undo` can bring them back.
    """

    def __init__(self, logic: ActionLogic, carry: StepCarrier) -> None:
        self.logic = logic
        self._carry = carry

    def _carry_out(self, walk: Walk[Told, R], report: Report, stop: Stop | None = None) -> R:
        """Carry out a walk: report its progress, and wait where it pauses."""
        never, answer = Event(), None
        while isinstance(found := self._carry(advance(walk, answer)), Item):
            answer = None
            if isinstance(found.value, Pause):
                answer = (stop or never).wait(found.value.for_s)
            else:
                report(found.value)
        result: R = found.result
        return result

    def plan(
        self,
        verb: Verb,
        place: Place,
        query: str | Query = "",
        *,
        until: float = math.inf,
        report: Report = ignore,
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
        return self._carry_out(
            self.logic.plan(verb, place, query, until=until, stop=stop), report, stop
        )

    def plan_for(self, verb: Verb, place: Place, records: Iterable[WaitingJob]) -> Plan:
        """Pin the given jobs, such as jobs marked by the user.

        Args:
            verb: As for `plan`.
            place: The place of the jobs.
            records: The jobs.

        Raises:
            InvalidOption: The verb is not possible in this place.
        """
        plan: Plan = self._carry(self.logic.plan_for(verb, place, records))
        return plan

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
        found: dict[str, WaitingJob] = self._carry(self.logic.pick(place, job_ids, at))
        return found

    def apply(
        self,
        plan: Plan,
        *,
        by: str = "",
        throttle: Throttle | None = None,
        report: Report = ignore,
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
        walk = self.logic.apply(plan, by=by, throttle=throttle, each=each, stop=stop)
        return self._carry_out(walk, report, stop)

    def plan_edit(
        self, place: Place, record: WaitingJob, text: str | bytes, *, insist: bool = False
    ) -> Edit:
        """Read new args for a job, and say what using them does. Nothing is changed yet.

        A dead job will run again, as if it had never failed. A job in a queue, in the scheduled or
        in the retry set will stay in its place.

        Args:
            place: Where the job is.
            record: The job.
            text: The new args: a JSON object, or null for none.
            insist: Whether to use args that do not fit the typed task of living pools.

        Raises:
            ArgsMismatch: The args do not fit what all living pools of this job take; the message
                begins with the path of the value. If pools differ, `Edit.doubts` tells it.
            InvalidArgs: The text is not such an object, or the job would be too large.
            NotEdited: The args are as they were, the payload is malformed, or another job holds the
                unique key of the new args.
        """
        edit: Edit = self._carry(self.logic.edits.plan(place, record, text, insist=insist))
        return edit

    def apply_edit(self, edit: Edit, *, by: str = "") -> str:
        """Use the new args. The job as it was can be brought back for a day, unless it has begun.

        Args:
            edit: The plan.
            by: The user's name, as for `apply`.

        Returns:
            The id of the operation, for `undo`.

        Raises:
            NotEdited: The job has run, moved or been deleted meanwhile, or its unique key has
                changed. Nothing was done.
        """
        operation_id: str = self._carry(self.logic.edits.apply(edit, by))
        return operation_id

    def stack(
        self, job_id: str, *, within_s: float = ANSWERS_S, stop: Stop | None = None
    ) -> RunningStack:
        """Ask the pool that runs a job where its handler is.

        The pool answers with its next heartbeat, within four seconds.

        Args:
            job_id: The job.
            within_s: How long to wait for the answer, seconds.
            stop: Set it to give up.

        Raises:
            NoStack: No worker runs the job, its pool cannot tell, or it has not answered.
        """
        return self._carry_out(self.logic.stack(job_id, within_s), ignore, stop)

    def signature(self, name: str) -> Signature | None:
        """Return what a typed task takes, as the living pool that started last publishes it.

        Args:
            name: The job's name.

        Returns:
            The signature; None if no living pool publishes one.

        Raises:
            InvalidName: The name is not valid.
        """
        signature: Signature | None = self._carry(self.logic.edits.signature(name))
        return signature

    def check_args(
        self, name: str, args: Mapping[str, Any] | None, *, insist: bool = False
    ) -> list[str]:
        """Check args that a person has typed against what living pools publish.

        Args:
            name: The job's name.
            args: Its args.
            insist: As for `plan_edit`.

        Returns:
            Why they may not fit the task, as sentences without a full stop.

        Raises:
            ArgsMismatch: As for `plan_edit`.
        """
        doubts: list[str] = self._carry(self.logic.edits.check(name, args, insist=insist))
        return doubts

    def new_job(self, name: str, text: str | bytes, *, insist: bool = False) -> NewJob:
        """Make a job of args that a person has typed. Nothing is sent yet.

        Args:
            name: Its name.
            text: Its args: a JSON object, or null for none.
            insist: As for `plan_edit`.

        Raises:
            InvalidName: The name is not valid.
            ArgsMismatch: As for `plan_edit`.
            InvalidArgs: The text is not such an object, or the job would be too large.
        """
        made: NewJob = self._carry(self.logic.edits.new_job(name, text, insist=insist))
        return made

    def enqueue(self, job: Job, *, by: str = "") -> None:
        """Enqueue a job of `new_job`, and record that as an act.

        Args:
            job: The job.
            by: The user's name, as for `apply`.
        """
        self._carry(self.logic.edits.enqueue(job, by))

    def record_enqueue(
        self,
        name: str,
        jobs: Iterable[Job],
        *,
        planned: int = 1,
        scheduled: bool = False,
        by: str = "",
    ) -> Iterator[Job]:
        """Record as an act that somebody enqueues jobs with an enqueuer.

        Args:
            name: Their name.
            jobs: Yields the jobs as the server accepts them; none if it refuses a unique one.
            planned: How many there will be.
            scheduled: Whether they are for later.
            by: The user's name, as for `apply`.

        Yields:
            The jobs. The act begins before the first and ends after the last.

        Raises:
            InvalidName: The name is not valid.
            WorkkitError: That of `jobs`. It is noted in the act.
        """
        edits, sent = self.logic.edits, SentJobs()
        began = edits.begin_enqueue(name, planned, scheduled=scheduled, by=by)
        act_id: str = self._carry(began)
        try:
            for job in jobs:
                sent.add(job)
                yield job
            sent.ended()
        except WorkkitError as error:
            sent.failed(error)
            raise
        finally:
            self._carry(edits.end_enqueue(act_id, sent))

    def all_dead(self, verb: Verb) -> int:
        """Act on every job that is dead now; return their number."""
        return self._carry_out(self.logic.all_dead(verb), ignore)

    def operations(self) -> list[Operation]:
        """Return all operations that can be undone, the newest first."""
        found: list[Operation] = self._carry(self.logic.operations())
        return found

    def forget(self, operation_id: str) -> None:
        """Empty the trash of an operation. Then it cannot be undone any more.

        Args:
            operation_id: Its id, see `operations`.
        """
        self._carry(self.logic.forget(operation_id))

    def undo(
        self, operation_id: str, *, report: Report = ignore, stop: Stop | None = None
    ) -> Undone:
        """Bring back the jobs that an operation deleted, or retried jobs that have not begun.

        Args:
            operation_id: Its id, see `operations`.
            report: Receives the progress after each batch.
            stop: Set it to stop after the current batch. The rest can be undone later.

        Raises:
            NotUndone: The operation is unknown: it was undone, or its trash has expired.
        """
        return self._carry_out(self.logic.undo(operation_id, stop=stop), report, stop)
