"""Runs a single job in a simulated world and returns how its execution ended."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from workkit.core.call import Call, TaskCall
from workkit.core.job import Job
from workkit.engine.handling.execution import Execution, decide
from workkit.enqueuer import AsyncEnqueuer, Enqueuer
from workkit.errors import InvalidOption
from workkit.simulation.watching import Watching

if TYPE_CHECKING:
    from workkit.simulation.trace import Event
    from workkit.tasks import Tasks
    from workkit.tasks.outlet import Outlet

__all__ = ["Performed", "Performing"]

#: The events that end an execution for good, with its outcome if no handler ran.
_SETTLED: Final = {"done": "done", "retried": "retry", "died": "dead"}


@dataclass(frozen=True, slots=True)
class Performed:
    """How one execution of a job has ended.

    Attributes:
        outcome: See `workkit.core.outcomes.OUTCOMES`, such as "done", "retry" or "dead".
        job: The job as it was enqueued.
        error: The exception of the handler; None if it raised none, or did not run.
        reason: A detail of the outcome, or "", as in history.
        retry_in_s: Seconds until the next run; None if there is none.
        took_s: How long the handler ran, virtual seconds.
    """

    outcome: str
    job: Job = field(repr=False)
    error: BaseException | None = None
    reason: str = ""
    retry_in_s: int | None = None
    took_s: float = 0.0


class _WorldOutlet(NamedTuple):
    """The enqueuers of a world, in place of a registry's own."""

    enqueuer: Enqueuer
    async_enqueuer: AsyncEnqueuer


class Performing(Watching):
    """The part of a simulation that runs tasks, and single jobs."""

    async_enqueuer: AsyncEnqueuer
    #: The id of the job that is performed; "" for none.
    _performing = ""
    _end: tuple[Execution, BaseException | None] | None = None
    #: Registries, and where their tasks enqueued before.
    _outlets: Sequence[tuple[Tasks, Outlet]] = ()

    if TYPE_CHECKING:

        def pool(self, **options: Any) -> Any:
            """Add a worker pool."""

        def run_until(
            self,
            when: float | datetime.datetime | Callable[[], object],
            *,
            within: float = 86_400,
        ) -> None:
            """Run the world until a function returns true."""

    def connect_tasks(self, tasks: Tasks | None) -> None:
        """Let the tasks of a registry enqueue into this world until it ends."""
        if tasks is not None and all(each is not tasks for each, _ in self._outlets):
            self._outlets = [*self._outlets, (tasks, tasks.outlet)]
            tasks.outlet = _WorldOutlet(self.enqueuer, self.async_enqueuer)

    def release_tasks(self) -> None:
        """Let the tasks of all registries enqueue where they did before."""
        for tasks, outlet in reversed(self._outlets):
            tasks.outlet = outlet
        self._outlets = []

    def perform(self, call: Call, *, within: float = 86_400) -> Performed:
        """Enqueue a job, run the world until its execution has ended, and say how.

        A pool of the world that has its name runs it. Without one, the world gets a pool for the
        registry of the call's task. A retry is not awaited: the world runs it when time passes.

        Args:
            call: The job, such as ``send_email.call("a@example.com")``.
            within: Give up after this many virtual seconds.

        Raises:
            InvalidOption: No pool has a handler for it, and the call does not come from a task.
            InvalidArgs: Its args are not valid.
            AssertionError: It has not run in time.
        """
        if not isinstance(call, Call):
            raise InvalidOption(f"perform runs a call, such as task.call(...), not {call!r}")
        if not any(call.name in pool.spec.registrations for pool in self.pools):
            if not isinstance(call, TaskCall):
                raise InvalidOption(
                    f"no pool of this world has a handler for {call.name!r}: register one with "
                    "sim.pool(...), or make the call by task.call(...)"
                )
            self.pool(tasks=call.registry)
        seen = len(self.trace)
        job = self.enqueuer.enqueue(call)
        settled: list[Event] = []

        def the_job_has_run() -> bool:
            nonlocal seen
            for at in range(seen, len(self.trace)):
                event = self.trace[at]
                if event.job_id == job.id and event.kind in _SETTLED:
                    settled.append(event)
            seen = len(self.trace)
            return bool(settled)

        self._performing, self._end = job.id, None
        try:
            self.run_until(the_job_has_run, within=within)
        finally:
            self._performing = ""
        return _performed(job, settled[0], self._end)

    def handler_ended(self, where: str, execution: Execution, error: BaseException | None) -> None:
        """Report that a handler has ended; keep the end of a job that is performed."""
        super().handler_ended(where, execution, error)
        if execution.payload.id == self._performing:
            # After a timeout, the execution has its error in place of the cancellation.
            self._end = (execution, execution.error or error)


def _performed(
    job: Job, settled: Event, end: tuple[Execution, BaseException | None] | None
) -> Performed:
    if end is None:  # such as a job whose pool died once too often
        return Performed(_SETTLED[settled.kind], job)
    execution, error = end
    record = decide(execution).record
    retry_in_s = execution.retry_in_s if settled.kind == "retried" else None
    took_s = (record.finished_ms - record.started_ms) / 1_000
    return Performed(record.outcome, job, error, record.reason, retry_in_s, took_s)
