"""Signs of life of a pool's loops, on a clock that the test sets."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import Any

import pytest

from tests.engine.stage import EngineStage
from workkit.engine.process.vitals import HANGS_S, STILL_S, Pulse, Vigil, Vitals
from workkit.store.connections.routine import Wait

LOOK_S = 4.0


def waiting(for_s: float, times: int = 1_000) -> Generator[Any, Any, None]:
    for _ in range(times):
        yield Wait(for_s)


def looked_at(vigil: Vigil, since_s: float, seconds: float) -> float:
    """Look every few seconds; returns how long the loop is silent at the end."""
    silent_s, now_s = 0.0, since_s
    while now_s <= since_s + seconds:
        silent_s = vigil.silent_s(now_s)
        now_s += LOOK_S
    return silent_s


def test_a_loop_that_asks_for_nothing_more_is_silent_and_one_turn_makes_it_alive() -> None:
    pulse = Pulse("loop")
    routine, vigil = pulse.of(waiting(0.0)), Vigil(pulse)
    next(routine)
    assert looked_at(vigil, 0, 60) == pytest.approx(60, abs=LOOK_S)
    routine.send(None)
    assert vigil.silent_s(64) == 0


def test_a_loop_that_said_how_long_it_rests_is_not_silent_meanwhile() -> None:
    pulse = Pulse("loop")
    routine, vigil = pulse.of(waiting(50.0)), Vigil(pulse)
    next(routine)
    assert looked_at(vigil, 0, 50) <= 0
    assert looked_at(vigil, 52, 30) > 0


def test_a_process_that_was_suspended_finds_nobody_silent() -> None:
    pulse = Pulse("loop")
    routine, vigil = pulse.of(waiting(0.0)), Vigil(pulse)
    next(routine)
    vigil.silent_s(0)
    assert vigil.silent_s(100_000) < STILL_S


def test_a_loop_that_connects_is_given_more_time() -> None:
    pulse = Pulse("loop")
    routine, vigil = pulse.of(waiting(0.0)), Vigil(pulse)
    next(routine)
    pulse.connects = lambda: True
    assert looked_at(vigil, 0, 60) < STILL_S
    assert looked_at(vigil, 64, 300) > HANGS_S


def test_a_loop_that_has_not_begun_is_not_silent() -> None:
    assert looked_at(Vigil(Pulse("loop")), 0, 1_000) == 0


def test_a_loop_that_was_ended_is_told_from_one_that_came_to_its_end() -> None:
    for routine, silent_s in ((waiting(0.0, times=1), 0.0), (waiting(0.0), float("inf"))):
        pulse = Pulse("loop")
        turning = pulse.of(routine)
        next(turning)
        with suppress(StopIteration):
            turning.send(None)
        turning.close()
        assert Vigil(pulse).silent_s(0) == silent_s


def test_a_routine_is_answered_and_told_of_errors_as_without_signs_of_life() -> None:
    def asks() -> Generator[Any, Any, str]:
        assert (yield "first") == 1
        with pytest.raises(LookupError):
            yield "second"
        return "result"

    turning = Pulse("loop").of(asks())
    assert next(turning) == "first"
    assert turning.send(1) == "second"
    with pytest.raises(StopIteration, match="result"):
        turning.throw(LookupError())


def test_the_first_failure_is_told_once_by_whoever_finds_it() -> None:
    vitals, told = Vitals(), []
    vitals.failed = lambda pulse, why: told.append((pulse.name, why))
    routine = vitals.maintenance.of(waiting(0.0))
    next(routine)
    lookouts = [vitals.lookout(), vitals.lookout()]
    for now_s in range(0, int(HANGS_S) + 20, 4):
        for lookout in lookouts:
            lookout.look(now_s)
    assert told == [("maintenance", "its maintenance has made no progress for 32 s")]


def test_the_heart_stops_with_the_dispatcher_and_beats_again_when_it_turns(
    stage: EngineStage,
) -> None:
    worker = stage.pool()
    worker.job("work", lambda job: None)
    pool = stage.stepped(worker)
    dispatching = pool.engine.vitals.dispatcher.of(waiting(0.0))

    def beats(seconds: float) -> int:
        """Let time pass; returns how many beats have arrived."""
        seen = set()
        for _ in range(int(seconds / LOOK_S)):
            stage.clock.advance(LOOK_S)
            pool.duty("heartbeat")
            seen.add(stage.client.worker_pool_heartbeats()[0].heartbeat_at)
        return len(seen)

    next(dispatching)
    assert beats(12) == 3
    beats(STILL_S)
    assert beats(60) == 1
    dispatching.send(None)
    assert beats(12) == 3
    dispatching.close()  # it has not come to its end
    assert beats(12) == 1
