"""Lets virtual time pass in a simulated world."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Final

from workkit.client import Client
from workkit.core.options import near_match, shown
from workkit.core.records import Drained
from workkit.core.text import counted
from workkit.engine.handling.results import label
from workkit.errors import InvalidOption, PoolState
from workkit.simulation.assertions import Assertions
from workkit.simulation.faulting import Faulting
from workkit.simulation.machine.durations import check_seconds
from workkit.simulation.machine.handler_stack import SleepRequest
from workkit.simulation.machine.parking import current_stack
from workkit.simulation.machine.refusing import KINDS
from workkit.simulation.machine.virtual import VirtualTime
from workkit.simulation.machine.world import microseconds
from workkit.simulation.performing import Performing
from workkit.simulation.planning import PlannedCalls, answer_of
from workkit.simulation.pool import SimulatedPool
from workkit.store.calls.recount import scan_in_progress
from workkit.store.connections.links import Carrier
from workkit.store.keys import Keys

__all__ = ["NothingRan", "Running", "epoch_s"]

#: How much virtual time may pass while the world waits for something, seconds.
_WITHIN_S: Final = 86_400.0
#: The events of jobs that come into the world.
_SENT: Final = frozenset({"enqueued", "scheduled", "cron slot"})


class NothingRan(UserWarning):
    """No handler has started in a world, so a test of it may have tested nothing."""


class Running(Assertions, Faulting, PlannedCalls, Performing):
    """The part of a simulation that runs the world."""

    client: Client
    keys: Keys
    redis: Any
    #: Whether handlers have virtual time and seeded chance, and are refused real things.
    patch = True
    _virtual: VirtualTime | None = None
    #: The kinds that the server of the world needs.
    _server_needs: frozenset[str] = frozenset()
    _closed = False
    _running = False
    _has_run = False

    @property
    def now(self) -> float:
        """Seconds since the world began."""
        return self.world.now_us / 1_000_000

    @property
    def now_s(self) -> float:
        """The true time, epoch seconds."""
        return self.clock.read().epoch_ms / 1000

    def sleep(self, seconds: float, *, interruptible: bool = True) -> None:
        """Sleep in virtual time; for sync handlers and hooks.

        Args:
            seconds: How long.
            interruptible: Whether the job's timeout can end the sleep early, as it can interrupt
                Python code; False simulates a blocking call in C.

        Raises:
            PoolState: The caller is not a sync handler or hook of a simulated pool.
            JobTimeout: The job's timeout has passed.
            InvalidOption: The time is negative.
        """
        check_seconds("the time of sim.sleep", seconds)
        stack = current_stack()
        if stack is None:
            raise PoolState(
                "sim.sleep works in sync handlers and hooks; async ones await asyncio.sleep, and "
                "outside of them sim.run_for lets time pass"
            )
        stack.ask(SleepRequest(seconds, interruptible=interruptible))

    def run_for(
        self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0
    ) -> None:
        """Run the world for this much virtual time.

        Raises:
            InvalidOption: The time is negative.
            AssertionError: A handler has failed with it; see `raise_assertions`.
        """
        for each in (seconds, minutes, hours, days):
            check_seconds("the time of sim.run_for", each, ends=True)
        total_s = seconds + 60 * minutes + 3_600 * hours + 86_400 * days
        self._run(self.world.now_us + microseconds(total_s), None)

    def run_until(
        self,
        when: float | datetime.datetime | Callable[[], object],
        *,
        within: float = _WITHIN_S,
    ) -> None:
        """Run the world until a time, or until a function returns true.

        Args:
            when: Seconds since the world began, a datetime with a time zone, or a function that is
                called after every event.
            within: Give up after this many virtual seconds, if `when` is a function.

        Raises:
            AssertionError: The function has not returned true in time, or a handler has failed with
                it; see `raise_assertions`.
            InvalidOption: The time is in the past.
            InvalidHandler: The function is async.
        """
        if callable(when):
            check_seconds("within", within)
            self._start_pools()
            if not self._run(self.world.now_us + microseconds(within), partial(answer_of, when)):
                self.fail(f"{label(when)} has not become true within {within:g} s")
            return
        if isinstance(when, datetime.datetime):
            when = epoch_s(when) - self.world.start_ms / 1000
        if when == math.inf:
            check_seconds("the time of sim.run_until", when, ends=True)
        if not microseconds(when) >= self.world.now_us:
            raise InvalidOption(
                f"sim.run_until({when:g}) is in the past: {self.now:g} s have passed since the "
                "world began; for a time from now, write sim.run_for"
            )
        self._run(microseconds(when), None)

    def run_until_idle(self, *, within: float = _WITHIN_S) -> None:
        """Run the world until no job is queued, in progress, or waiting for a retry.

        It waits for the calls that were planned with `at`. Scheduled jobs and cron slots that are
        due later do not count, nor do paused queues.

        Args:
            within: Give up after this many virtual seconds.

        Raises:
            AssertionError: It takes longer, or a handler has failed with it; see
                `raise_assertions`.
        """
        check_seconds("within", within)
        self._start_pools()
        seen = (-1, -1)

        def idle() -> bool:
            nonlocal seen
            if self._calls_left or seen == (found := (self.server.writes, self._calls_left)):
                return False  # nothing has changed since the last check
            seen = found
            return self._idle()

        if not self._run(self.world.now_us + microseconds(within), idle):
            calls = counted(self._calls_left, "planned call")
            why = f"; {calls} of sim.at did not end" if self._calls_left else ""
            self.fail(f"the world is not at rest after {within:g} s{why}")

    def drain(self, pool: SimulatedPool, timeout: float | None) -> Drained:
        """Run the world until a pool has no job that could run now; see `SimulatedPool.drain`."""
        if timeout is not None:
            check_seconds("the timeout of drain", timeout)
        self._start_pools()
        seen = -1

        def drained() -> bool:
            nonlocal seen
            if pool.busy or not pool.running or seen == self.server.writes:
                return False  # nothing has changed since the last check
            seen = self.server.writes
            return pool.look().complete

        limit_s = _WITHIN_S if timeout is None else timeout
        if not self._run(self.world.now_us + microseconds(limit_s), drained) and timeout is None:
            self.fail(f"{pool.name} is not drained after {limit_s:g} s")
        return pool.look()

    def _idle(self) -> bool:
        if self.network.is_away or any(pool.busy for pool in self.pools):
            return False
        carrier: Carrier = self.redis.workkit_carrier
        if carrier.carry(iter(scan_in_progress(self.keys, 0)))[1]:
            return False
        now_s = self.now_s
        if self.client.retry_jobs().total:
            return False
        if any(job.run_at <= now_s for job in self.client.scheduled_jobs().jobs):
            return False
        return not any(queue.count and not queue.paused for queue in self.client.queues())

    def _start_pools(self) -> None:
        for pool in self.pools:
            if not pool.started:
                pool.start()

    def _run(self, until_us: int, done: Callable[[], object] | None) -> bool:
        if self._closed:
            raise PoolState("the simulation is closed")
        if self._running or current_stack() is not None:
            raise PoolState("the world is running already; in handlers use sim.sleep")
        self._start_pools()
        self._plan_faults()
        self._running = self._has_run = True
        try:
            with self.virtual_time():
                return self._step(until_us, done)
        except BaseException:
            self.asked_what_ran = True  # the test has been told why
            raise
        finally:
            self._running = False

    def _step(self, until_us: int, done: Callable[[], object] | None) -> bool:
        world, scene = self.world, self.scene
        if done is not None and done():
            return True
        while world.step(until_us):
            if scene is not None and scene.violation is not None:
                self.report(scene.violation)
            if self.assertion is not None:
                self.raise_assertion()
            if world.refused is not None:
                error, world.refused = world.refused, None
                raise error
            if done is not None and done():
                return True
        world.now_us = max(world.now_us, until_us) if done is None else until_us
        return False

    def virtual_time(self) -> AbstractContextManager[None]:
        """Return a context in which handlers have virtual time and seeded chance."""
        if not self.patch:
            return nullcontext()
        if self._virtual is None:
            self._virtual = VirtualTime(self.seed)
        return self._virtual

    @property
    def allow(self) -> frozenset[str]:
        """The kinds of real things that handlers may do.

        Raises:
            InvalidOption: There is no such kind.
        """
        return frozenset(self.world.allowed)

    @allow.setter
    def allow(self, kinds: Collection[str]) -> None:
        kinds = [kinds] if isinstance(kinds, str) else kinds
        for kind in kinds:
            if kind not in KINDS:
                names = ", ".join(map(repr, KINDS))
                raise InvalidOption(
                    f"allow: there is no kind {shown(kind)}{near_match(str(kind), KINDS)}; "
                    f"write some of {names}"
                )
        self.world.allowed = frozenset(kinds) | self._server_needs

    def why_nothing_ran(self) -> str:
        """Return why no handler has started in this world.

        Returns:
            "" if one has started, if the world has not run, if it has neither a handler nor a job,
            or if the test has asked what ran.
        """
        if not self._has_run or self.asked_what_ran:
            return ""
        if any(event.kind == "started" for event in self.trace):
            return ""
        sent = sorted({event.name for event in self.trace if event.kind in _SENT})
        known = {name for pool in self.pools for name in pool.spec.registrations}
        unknown = [name for name in sent if name not in known]
        if not sent:
            why = "no job was enqueued" if known else ""
        elif not self.pools:
            why = "it has no pool"
        elif unknown:
            why = f"no pool has a handler for {', '.join(map(repr, unknown))}"
        elif not self.trace.of(kind="enqueued") and not self.trace.of(kind="due"):
            why = f"no job was due before it ended, after {self.now:g} s"
        else:
            why = "its pools did not run, or its queues were paused"
        name = (sent or sorted(known) or ["NAME"])[0]
        right = f"if that is right, say so with sim.assert_ran({name!r}, times=0)"
        return why and f"no handler has started in this simulation: {why}; {right}"


def epoch_s(when: datetime.datetime | float) -> float:
    """Return a time as epoch seconds.

    Raises:
        InvalidOption: It is neither a number nor a datetime with a time zone.
    """
    if isinstance(when, datetime.datetime):
        if when.tzinfo is None:
            raise InvalidOption(f"{when!r} has no time zone; give it one, such as datetime.UTC")
        return when.timestamp()
    if isinstance(when, bool) or not isinstance(when, (int, float)):
        raise InvalidOption(
            f"{shown(when)} is not a time; write a datetime with a time zone, or epoch seconds"
        )
    return float(when)
