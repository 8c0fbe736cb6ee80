"""The loop of background duties, driven by hand."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from tests.support.steps import FakeClock
from workkit.core.clock import Instant
from workkit.core.entropy import Entropy
from workkit.engine.duties.scheduler import DutyScheduler
from workkit.engine.process.sources import Sources
from workkit.errors import ServerUnavailable
from workkit.store.connections.routine import Wait
from workkit.store.round_trip import RoundTrip, Step


class Silence:
    """An alarm that nobody raises."""

    def wake(self) -> None: ...
    def arm(self) -> None: ...
    def disarm(self) -> None: ...


class SometimesQuiet:
    """A duty that sends an exchange only in its first turn."""

    name = "some duty"
    steps = 0

    def step(self, now: Instant) -> Step[float]:
        self.steps += 1
        if self.steps == 1:
            yield from RoundTrip.one(("GET", "a key"), str)
        return 1.0


def next_commands(routine: Generator[Any, Any, None], clock: FakeClock) -> Any:
    """Answer all waits of a routine, and return the commands that it sends after them."""
    request = next(routine)
    while isinstance(request, Wait):
        clock.advance(request.for_s)
        request = routine.send(None)
    return request.commands


def test_an_outage_lasts_until_redis_answers_though_there_is_nothing_else_to_say(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, duty = FakeClock(), SometimesQuiet()
    routine = DutyScheduler([duty], Sources(clock, Entropy(1)), Silence()).routine()
    assert next_commands(routine, clock) == (("GET", "a key"),)

    assert isinstance(routine.throw(ServerUnavailable("no answer")), Wait)
    assert next_commands(routine, clock) == (("PING",),)
    assert isinstance(routine.throw(ServerUnavailable("no answer")), Wait)
    assert next_commands(routine, clock) == (("PING",),)
    assert "answers again" not in caplog.text

    assert isinstance(routine.send([b"PONG"]), Wait)
    assert "answers again" in caplog.text
    assert duty.steps == 2
