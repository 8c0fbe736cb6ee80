"""Calls that a test plans in a simulated world."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from workkit.core.options import shown
from workkit.engine.handling.results import discard, finished, is_done, is_value, label
from workkit.errors import InvalidHandler, InvalidOption, PoolState
from workkit.simulation.machine.durations import check_seconds
from workkit.simulation.machine.host import Host
from workkit.simulation.machine.inside import inside
from workkit.simulation.machine.loop import VirtualLoop
from workkit.simulation.machine.world import HostClock, World, microseconds
from workkit.simulation.redis.backend import is_outage
from workkit.simulation.trace import Trace

__all__ = ["PlannedCalls", "answer_of"]


class PlannedCalls:
    """The part of a simulation that calls a test's functions at their times."""

    world: World
    trace: Trace
    clock: HostClock
    #: Where planned calls run: on no pool's machine, at the true time.
    _calls_host: Host
    _calls_left = 0
    _is_calling = False
    _calls_loop: VirtualLoop | None = None

    def at(
        self, seconds: float, action: Callable[..., object], /, *args: Any, **keywords: Any
    ) -> None:
        """Call an action when this many seconds have passed since the world began.

        An awaitable result is awaited in virtual time. `run_until_idle` waits for the call, unless
        another planned call has planned it: a call may plan itself again and again.

        If Redis does not answer the action, or refuses it, the trace says so and the world goes on.

        Args:
            seconds: When, seconds since the world began.
            action: The function.
            *args: Its arguments.
            **keywords: Its keyword arguments.

        Raises:
            InvalidOption: The time is negative, infinite or in the past, or the action is not a
                function.
        """
        check_seconds("the time of sim.at", seconds, ends=True)
        given: object = action
        if not callable(given):
            if inspect.iscoroutine(given):
                given.close()
            raise InvalidOption(
                f"sim.at calls a function, not {shown(given)}; pass the function and its "
                "arguments: sim.at(90, function, argument)"
            )
        at_us = microseconds(seconds)
        if at_us < self.world.now_us:
            now_s = self.world.now_us / 1_000_000
            raise InvalidOption(
                f"sim.at({seconds!r}) is in the past: {now_s:g} s have passed since the world "
                f"began; for a time from now, write sim.at(sim.now + {seconds!r}, ...)"
            )
        counts = not self._is_calling
        self._calls_left += counts
        self.world.at(at_us, self._call, counts, partial(action, *args, **keywords), action)

    def _call(
        self, counts: bool, call: Callable[[], object], action: Callable[..., object]
    ) -> None:
        self._is_calling = True
        try:
            with inside(self._calls_host):
                result = call()
        except Exception as error:  # noqa: BLE001 - raised again, unless it is an outage
            self._called(counts, error)
            return
        finally:
            self._is_calling = False
        if is_done(result):
            self._called(counts, None)
            return
        if self._calls_loop is None:
            self._calls_loop = VirtualLoop(self._calls_host, _no_stack)
        self._calls_loop.create_task(self._awaited(result, action, counts))

    async def _awaited(self, result: object, action: Callable[..., object], counts: bool) -> None:
        """Await the result of a call; raise its error where the world runs."""
        try:
            await finished(result, action, f"sim.at({label(action)}):")
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - raised again where the world runs
            self.world.after(0, self._called, counts, error)
        else:
            self._called(counts, None)

    def _called(self, counts: bool, error: Exception | None) -> None:
        """Record that a call has ended."""
        self._calls_left -= counts
        if error is None:
            return
        if not is_outage(error):
            raise error
        self.trace.add("unanswered", error=str(error))

    def end_calls(self) -> None:
        """End the calls that still wait, once the world is over."""
        if self._calls_loop is not None:
            self._calls_loop.close()
            self._calls_loop.unwind()


def _no_stack() -> Any:
    raise PoolState("only handlers have threads of their own in a simulation")


def answer_of(when: Callable[[], object]) -> object:
    """Call the function of `run_until`; a coroutine would count as true.

    Raises:
        InvalidHandler: The function is async, or contains yield.
    """
    answer = when()
    if not is_value(answer):
        discard(answer)
        raise InvalidHandler(
            f"{label(when)} returns an awaitable or a generator; sim.run_until takes a function "
            "that returns true or false"
        )
    return answer
