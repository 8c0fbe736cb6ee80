"""Rules about what pools keep in order: they see what is wrong, and leave time to correct it."""

from __future__ import annotations

import pytest

from tests.support.handlers import nothing
from workkit.simulation import Fault, Simulation, Violation
from workkit.simulation.checkers import LimitsAreLifted, LocksAreTrue, all_checkers
from workkit.store.round_trip import Command


def test_a_lock_that_was_made_wrong_is_right_again_within_minutes() -> None:
    with Simulation(checkers=all_checkers()) as sim:
        sim.pool().job("work", nothing, takes=1)
        sim.enqueuer.enqueue("work")
        sim.run_for(10)
        sim.inject(Fault("miscount", 0))
        lock = sim.keys.queue("work", "").lock
        assert sim.server.read(("GET", lock)) != b"0"
        sim.run_for(minutes=8)
        assert sim.server.read(("GET", lock)) == b"0"
        sim.check_at_rest()


def test_a_world_without_locks_has_none_to_make_wrong() -> None:
    with Simulation() as sim:
        sim.miscount()
        assert sim.trace.of(kind="fault") == []


def test_a_lock_that_stays_wrong_is_found() -> None:
    with Simulation(checkers=[LocksAreTrue()], jump=False) as sim:
        sim.pool().job("work", nothing, takes=1)
        sim.enqueuer.enqueue("work")
        sim.run_for(10)
        sim.miscount()
        _keep_from(sim, "recount")
        with pytest.raises(Violation, match="after a while the lock of 'work' is"):
            sim.run_for(minutes=10)


def test_a_limit_that_stays_is_found() -> None:
    with Simulation(checkers=[LimitsAreLifted()], jump=False) as sim:
        sim.pool().job("work", nothing)
        former = sim.pool()
        former.job("dropped", nothing, max_concurrency=1)
        sim.run_for(10)
        former.stop()
        _keep_from(sim, "lift_limit")
        with pytest.raises(Violation, match="'dropped' for .* its limit still stands in Redis"):
            sim.run_for(minutes=10)
        sim.assert_ran("work", times=0)


def _keep_from(sim: Simulation, name: str) -> None:
    """Let the server ignore a script."""
    execute = sim.server.execute

    def without(commands: list[Command], who: object = None) -> list[object]:
        return [
            [0, 0, 0] if getattr(each[0], "name", "") == name else execute([each], who)[0]
            for each in commands
        ]

    sim.server.execute = without  # type: ignore[method-assign, assignment]
