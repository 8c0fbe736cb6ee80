"""Rules about cron slots, and about what callers ask for, see what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from tests.support.handlers import nothing
from workkit import Job
from workkit.core import job as wire
from workkit.cron.slots import PeriodicEntry
from workkit.engine.duties import requeuer
from workkit.enqueuer.steps import EnqueueSteps
from workkit.simulation import Simulation, Violation
from workkit.simulation.checkers import AskedIsEnqueued, SlotsAreAsDeclared, TakenSlotsReturn

_Slot = tuple[str, int, bytes]
_ARGS: Final = b'{"n":1}'


def _id(entry: PeriodicEntry, at_s: int) -> str:
    return f"periodic:{entry.name}:{entry.spec}:{at_s}"


_WRONG: Final[dict[str, Callable[[PeriodicEntry, int], _Slot]]] = {
    "args": lambda entry, at_s: (
        _id(entry, at_s), at_s, wire.encode(entry.name, _id(entry, at_s), at_s, b"null"),
    ),
    "name": lambda entry, at_s: (
        _id(entry, at_s), at_s, wire.encode("tock", _id(entry, at_s), at_s, _ARGS),
    ),
    "id": lambda entry, at_s: (
        _id(entry, 7), at_s, wire.encode(entry.name, _id(entry, 7), at_s, _ARGS),
    ),
    "time": lambda entry, at_s: (
        _id(entry, at_s), at_s, wire.encode(entry.name, _id(entry, at_s), 7, _ARGS),
    ),
    "due time": lambda entry, at_s: (
        _id(entry, at_s + 3), at_s + 3,
        wire.encode(entry.name, _id(entry, at_s + 3), at_s + 3, _ARGS),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", _WRONG)
def test_a_slot_that_is_not_what_its_entry_declares_is_found(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    with Simulation(checkers=[SlotsAreAsDeclared()]) as sim:
        pool = sim.pool()
        pool.job("tick", nothing)
        pool.periodically_enqueue("@every 100s", "tick", {"n": 1})
        monkeypatch.setattr(PeriodicEntry, "slot", _WRONG[what])
        with pytest.raises(Violation, match=f"its {what} is .*, its entry says"):
            sim.run_for(60)


def test_a_slot_that_is_taken_back_while_a_pool_declares_its_entry_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(requeuer, "RETIRED_S", 1.0)
    with Simulation(checkers=[TakenSlotsReturn()]) as sim:
        pool = sim.pool()
        pool.job("tick", nothing)
        pool.periodically_enqueue("@every 20s", "tick")
        with pytest.raises(Violation, match="pool-1 takes it back, and pool-1 declares its entry"):
            sim.run_for(minutes=10)


def test_a_slot_that_is_lost_when_its_entry_comes_back_is_found() -> None:
    with Simulation(checkers=[TakenSlotsReturn()]) as sim:
        declaring, other = sim.pool(), sim.pool()
        for pool in (declaring, other):
            pool.job("tick", nothing)
        declaring.periodically_enqueue("@every 20s", "tick")
        sim.run_for(60)
        declaring.stop()
        sim.run_for(150)
        ahead = ("HSET", sim.keys.periodic, '["tick", "@every 20s"]', int(sim.now_s) + 100)
        sim.server.execute([ahead])
        declaring.start()
        with pytest.raises(Violation, match="it was taken back, and pool-1 has not planned it"):
            sim.run_for(60)


def test_a_job_that_is_not_what_was_asked_for_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with Simulation(checkers=[AskedIsEnqueued()]) as sim:
        pool = sim.pool()
        pool.job("mail", nothing)
        enqueuer = sim.enqueuer
        sim.run_for(0.5)
        assert enqueuer.enqueue_in("mail", 3.2).run_at - sim.now_s == pytest.approx(3.5)
        assert isinstance(enqueuer.enqueue_unique("mail", until="done"), Job)
        assert enqueuer.enqueue_unique("mail", until="done") is None
        sim.run_for(1)
        after = EnqueueSteps.after
        monkeypatch.setattr(EnqueueSteps, "after", lambda self, s: after(self, s) - 1)
        enqueuer.enqueue_unique_in("mail", seconds=5, args={"n": 1})
        with pytest.raises(Violation, match=r"it is due -0\.500 s from when it was asked for"):
            sim.run_for(1)
