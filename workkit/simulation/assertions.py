"""Assertions about a simulated world, with messages that show the timeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

from workkit.core.job import Job
from workkit.core.options import near_match
from workkit.core.records import ScheduledJob
from workkit.errors import InvalidOption
from workkit.simulation.pool import SimulatedPool
from workkit.simulation.trace import Event, Trace

__all__ = ["SHOWN", "Assertions"]

#: How many lines of the timeline a failure shows.
SHOWN: Final = 40


class Assertions:
    """The assertions of a simulation."""

    trace: Trace
    pools: list[SimulatedPool]
    seed: int | str
    #: Whether the test has asked which handlers ran, so that it may be right that none did.
    asked_what_ran = False

    def fail(self, message: str, *, name: str = "", job_id: str = "") -> NoReturn:
        """Fail with the relevant part of the timeline.

        Raises:
            AssertionError: Always.
        """
        self.asked_what_ran = True
        known = any(event.name == name for event in self.trace)
        # The timeline of an unknown name would be empty; show that of all jobs instead.
        timeline = self.trace.timeline(name=name if known else "", job_id=job_id, last=SHOWN)
        raise AssertionError(
            f"{message} (seed {self.seed!r})\n\n{timeline or '(nothing happened)'}"
        )

    def runs(self, job: Job | ScheduledJob | str) -> list[Event]:
        """Return the starts of a job's handler: of one job, or of all jobs of a name."""
        self.asked_what_ran = True
        if isinstance(job, str):
            return self.trace.of(kind="started", name=job)
        return self.trace.of(kind="started", job_id=_job(job).id)

    def retry_schedule(self, job: Job | ScheduledJob) -> list[int]:
        """Return the times of a job's tries, whole seconds since the first one."""
        starts = [event.at_us for event in self.runs(job)]
        return [round((at_us - starts[0]) / 1_000_000) for at_us in starts]

    def assert_enqueued(
        self, name: str, args: Mapping[str, Any] | None = None, *, times: int | None = None
    ) -> None:
        """Assert that a job was enqueued or scheduled at any time so far.

        Args:
            name: The job's name.
            args: Its args; None means any.
            times: How often; None means at least once.

        Raises:
            AssertionError: It was not; the message shows the timeline.
        """
        found = [
            event
            for event in self.trace.of(name=name)
            if event.kind in {"enqueued", "scheduled"}
            and (args is None or event.detail.get("args") == dict(args))
        ]
        self._count(f"{name!r}{_with(args)} was enqueued", len(found), times, name)

    def assert_ran(
        self,
        name: str,
        args: Mapping[str, Any] | None = None,
        *,
        times: int | None = None,
        at: float | None = None,
    ) -> None:
        """Assert that handlers of a job were started.

        Args:
            name: The job's name.
            args: Its args; None means any.
            times: How often; None means at least once.
            at: When, to the second, in seconds since the world began; None means at any time.

        Raises:
            AssertionError: They were not; the message shows the timeline.
            InvalidOption: `times` is 0, and no pool of the world has such a job.
        """
        if times == 0:
            self._check_known(name)
        found = [
            event
            for event in self.runs(name)
            if (args is None or event.detail.get("args") == dict(args))
            and (at is None or abs(event.at - at) < 1)
        ]
        when = "" if at is None else f" at {at:g} s"
        self._count(f"{name!r}{_with(args)} ran{when}", len(found), times, name)

    def _check_known(self, name: str) -> None:
        """Refuse a name with a typo: its handler never runs."""
        known = {job for pool in self.pools for job in pool.spec.registrations}
        if self.pools and name not in known and not self.trace.of(name=name):
            raise InvalidOption(
                f"no pool of this simulation has a job {name!r}{near_match(name, known)}, "
                "so its handler cannot run"
            )

    def _count(self, what: str, found: int, times: int | None, name: str) -> None:
        if found == times or (times is None and found):
            return
        wanted = "at least once" if times is None else _times(times)
        self.fail(f"{what} {_times(found)}, expected {wanted}", name=name)


def _job(job: Job | ScheduledJob) -> Job:
    return job.job if isinstance(job, ScheduledJob) else job


def _with(args: Mapping[str, Any] | None) -> str:
    return "" if args is None else f" with {dict(args)!r}"


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")
