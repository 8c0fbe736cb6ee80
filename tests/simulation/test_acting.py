"""What operators do in a simulated world: edits, and the record of acts, while the rules watch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from workkit import Job, Place
from workkit.core import job as wire
from workkit.simulation import Simulation
from workkit.simulation.checkers import Violation, all_checkers
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.conservation import ArgsAreKept

DEAD, SCHEDULED = Place("dead"), Place("scheduled")


def boom(job: Job) -> None:
    raise ValueError(f"no {job.args}")


def world(seed: int = 1, checkers: Sequence[Checker] = ()) -> Simulation:
    sim = Simulation(seed=seed, checkers=checkers or all_checkers())
    sim.pool(concurrency=1).job("mail", boom, max_fails=1)
    return sim


def edit(sim: Simulation, place: Place, text: str) -> str:
    (record,) = sim.client.jobs(place).jobs
    return sim.client.actions.apply_edit(sim.client.actions.plan_edit(place, record, text))


def test_edited_jobs_run_with_their_new_args_and_break_no_rule() -> None:
    with world() as sim:
        sim.enqueuer.enqueue("mail", {"n": 1})
        sim.run_for(30)
        undone = sim.client.actions.undo(edit(sim, DEAD, '{"n": 2}'))
        assert undone.back == 1
        edit(sim, DEAD, '{"n": 3}')
        sim.enqueuer.enqueue_in("mail", 500, {"n": 7})
        sim.run_for(30)
        edit(sim, SCHEDULED, '{"n": 8}')
        sim.run_for(900)
        assert [dead.job.args for dead in sim.client.iter_dead_jobs()] == [{"n": 3}, {"n": 8}]


def test_args_that_change_otherwise_still_break_the_rule() -> None:
    rule = "the args of a job never change"
    with pytest.raises(Violation, match=rule), world(checkers=[ArgsAreKept()]) as sim:
        sim.enqueuer.enqueue("mail", {"n": 1})
        sim.run_for(30)
        edit(sim, DEAD, '{"n": 2}')
        sim.run_for(30)
        redis: Any = sim.redis
        (raw,) = redis.zrange(sim.keys.dead, 0, -1)
        changed = wire.splice(raw, args=msgspec.Raw(b'{"n":9}'))
        redis.zrem(sim.keys.dead, raw)
        redis.zadd(sim.keys.dead, {changed: 5})
        sim.run_for(30)


def acted(seed: int) -> list[tuple[Any, ...]]:
    with world(seed) as sim:
        sim.enqueuer.enqueue("mail", {"n": 1})
        sim.run_for(30)
        sim.client.pause("mail")
        sim.client.retry_all_dead_jobs()
        assert sim.client.verify_acts().whole
        redis: Any = sim.redis
        return list(redis.xrange(sim.keys.acts))


def test_the_record_of_acts_is_the_same_on_each_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    first = acted(1)
    monkeypatch.setenv("WORKKIT_ACTOR", "somebody@else")
    monkeypatch.setattr("sys.argv", ["another"])
    assert acted(1) == first
    assert len(first) == 3
