"""Reports of a simulated world to its trace and its checkers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from workkit.core.verdicts import Verdict
from workkit.engine.handling.execution import Execution
from workkit.simulation.assertions import SHOWN
from workkit.simulation.checkers import Checker, Scene, Violation
from workkit.simulation.disturbances import Disturbances
from workkit.simulation.enqueuing import WatchedEnqueuer
from workkit.simulation.machine.world import HostClock, World
from workkit.simulation.pool import SimulatedPool
from workkit.simulation.redis.server import SimulatedServer
from workkit.simulation.trace import Trace

__all__ = ["Watching"]


class Watching:
    """The part of a simulation that reports to the trace and the checkers.

    Attributes:
        scene: The contents of Redis for the checkers; None without checkers.
    """

    world: World
    trace: Trace
    clock: HostClock
    server: SimulatedServer
    pools: list[SimulatedPool]
    enqueuer: WatchedEnqueuer
    disturbances: Disturbances
    scene: Scene | None
    raise_assertions: bool
    raise_errors: bool
    asked_what_ran: bool
    #: An error of a handler or a hook that fails the test, and that the world has not raised yet.
    assertion: BaseException | None = None

    def watched_by(self, checkers: Sequence[Checker]) -> Scene:
        """Attach checkers; from now on they are told of everything."""
        scene = Scene(
            self.server, self.server.keys, checkers, clock_s=self._clock_s,
            limit_of=self._limit_of, now_s=lambda: self.world.now_us / 1_000_000,
            conditions=self.disturbances,
        )  # fmt: skip
        self.server.audience = scene
        self.enqueuer.tell(self.clock, scene.asked)
        return scene

    def _clock_s(self, pool_name: str) -> float:
        """Return the time on a pool's wall clock, epoch seconds; for "" the true time."""
        now_us = self.world.now_us
        if pool_name:
            for pool in self.pools:
                if pool.name == pool_name:
                    now_us += pool.clock.skew_us
                    break
        return (self.world.start_ms + now_us // 1000) // 1000

    def _limit_of(self, job_name: str) -> int:
        """Return the highest limit that a pool declares for a job; 0 for none."""
        known = (pool.spec.registrations.get(job_name) for pool in self.pools)
        return max((each.options.max_concurrency for each in known if each), default=0)

    def check_at_rest(self) -> None:
        """Let the checkers examine a world that should be at rest.

        Raises:
            Violation: Something is left over.
        """
        if self.scene is not None:
            self.scene.come_to_rest()
            if self.scene.violation is not None:
                self.report(self.scene.violation)

    def report(self, violation: Violation) -> NoReturn:
        """Raise a violation with the events around it.

        Raises:
            Violation: Always.
        """
        self.asked_what_ran = True  # the test is told
        violation.timeline = self.trace.timeline(job_id=violation.job_id, last=SHOWN)
        raise violation

    # Handlers and processes.

    def handler_started(self, where: str, execution: Execution) -> None:
        """Report that a handler starts."""
        payload = execution.payload
        self.trace.add("started", where, payload.name, payload.id, args=execution.job.args)
        if self.scene is not None:
            self.scene.started(where, execution)

    def handler_ended(self, where: str, execution: Execution, error: BaseException | None) -> None:
        """Report that a handler has ended."""
        payload = execution.payload
        if error is None:
            self.trace.add("succeeded", where, payload.name, payload.id)
        else:
            headline = execution.error_text.partition("\n")[0] or repr(error)
            self.trace.add("failed", where, payload.name, payload.id, error=headline)
            self.note_assertion(error)
        if self.scene is not None:
            self.scene.ended(execution, error)

    def hooks_called(self, where: str, event: str, arguments: Sequence[Any]) -> None:
        """Report that a pool calls the hooks of an event."""
        if self.scene is not None:
            self.scene.told(where, event, arguments)

    @property
    def hears_observers(self) -> bool:
        """Whether a checker wants to know what the observers of pools hear."""
        return self.scene is not None and self.scene.is_heard("heard")

    def observers_heard(self, where: str, what: str, report: Any) -> None:
        """Report what the observers of a pool hear."""
        if self.scene is not None:
            self.scene.heard(where, what, report)

    def note_assertion(self, error: BaseException) -> None:
        """Keep the error of a handler or a hook if it is to fail the test."""
        if self.assertion is not None:
            return
        is_error = isinstance(error, Exception) and not isinstance(error, Verdict)
        if (self.raise_errors and is_error) or (self.raise_assertions and _is_assertion(error)):
            self.assertion = error

    def raise_assertion(self) -> NoReturn:
        """Raise the error of a handler or a hook that fails the test.

        Raises:
            BaseException: The error.
        """
        error, self.assertion = self.assertion, None
        assert error is not None  # noqa: S101 - the caller has looked
        raise error

    def pool_stops(self, pool: SimulatedPool, timeout_s: float | None) -> None:
        """Report that a pool is asked to stop."""
        if self.scene is not None:
            self.scene.stopping(pool.name, timeout_s)

    def pool_left(self, pool: SimulatedPool) -> None:
        """Report that a pool's process has ended by itself."""
        if self.scene is not None:
            self.scene.left(pool.name)

    def pool_crashed(self, pool: SimulatedPool) -> None:
        """Report that a pool's process has crashed."""
        if self.scene is not None:
            self.scene.crashed(pool.name)


def _is_assertion(error: BaseException) -> bool:
    """Tell whether an error is a failed `assert` or comes from pytest, such as `pytest.fail`."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(_is_assertion, error.exceptions))
    kinds = type(error).__mro__
    return AssertionError in kinds or any(kind.__module__ == "_pytest.outcomes" for kind in kinds)
