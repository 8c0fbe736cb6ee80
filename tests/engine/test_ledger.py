"""The ledger of a pool: the jobs that it holds, and the fate of a job that counts."""

from __future__ import annotations

from typing import Final, cast

import pytest

from tests.support.steps import FakeClock
from workkit.core import job as wire
from workkit.core.options import JobOptions
from workkit.core.outcomes import Outcome
from workkit.engine.dispatch.ledger import Ledger
from workkit.engine.handling.execution import Execution, Fate, decide, quick_fate
from workkit.engine.handling.handlers import Chain, read_handler

RAW: Final = wire.encode("mail", "0123456789abcdef01234567", 17, b'{"n":1}')


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(clock: FakeClock) -> Ledger:
    return Ledger(clock, keep_records=True)


def execution(raw: bytes = RAW) -> Execution:
    handler = read_handler(repr, "mail", has_context=False)
    return Execution(wire.read(raw), raw, "mail", Chain(handler, (), None), JobOptions(), 1.0)


def held(ledger: Ledger, raw: bytes = RAW) -> Execution:
    claimed = execution(raw)
    ledger.hold(claimed)
    return claimed


def fate_of(claimed: Execution, clock: FakeClock, outcome: str = "done") -> Fate:
    if outcome == "done":
        claimed.finish(None, clock)
        return decide(claimed)
    return quick_fate(claimed, cast("Outcome", outcome), clock.read())


def test_a_job_is_open_until_its_fate_and_held_until_redis_knows_it(
    ledger: Ledger, clock: FakeClock
) -> None:
    claimed = held(ledger)
    assert (ledger.holds(claimed), ledger.is_open(claimed)) == (True, True)
    assert (len(ledger), ledger.running, ledger.open()) == (1, 1, [claimed])

    ledger.conclude(fate := fate_of(claimed, clock))
    assert (ledger.holds(claimed), ledger.is_open(claimed)) == (True, False)
    assert (len(ledger), ledger.running, ledger.open()) == (1, 0, [])

    assert ledger.take_outbox() == [fate]
    ledger.settled([fate])
    assert not ledger.holds(claimed)
    assert (len(ledger), ledger.held(), ledger.totals["done"]) == (0, [], 1)


def test_the_first_fate_of_a_job_stands(ledger: Ledger, clock: FakeClock) -> None:
    claimed = held(ledger)
    first, second = fate_of(claimed, clock, "returned"), fate_of(claimed, clock, "done")
    ledger.conclude(first)
    ledger.conclude(second)
    ledger.conclude(first)
    assert ledger.take_outbox() == [first]
    ledger.conclude(second)
    assert ledger.take_outbox() == []
    ledger.settled([first])
    ledger.conclude(second)
    assert ledger.take_outbox() == []
    assert ledger.totals == {"returned": 1}


def test_a_job_that_was_never_held_gets_no_fate(ledger: Ledger, clock: FakeClock) -> None:
    ledger.conclude(fate_of(execution(), clock))
    assert ledger.take_outbox() == []


def test_equal_payloads_are_two_jobs(ledger: Ledger, clock: FakeClock) -> None:
    one, two = held(ledger), held(ledger)
    assert len(ledger) == 2
    ledger.conclude(fate := fate_of(one, clock))
    ledger.settled([fate])
    assert (ledger.holds(one), ledger.is_open(two)) == (False, True)
    assert ledger.held() == [two]


def test_fates_that_redis_has_not_taken_come_before_newer_ones(
    ledger: Ledger, clock: FakeClock
) -> None:
    fates = [fate_of(held(ledger), clock) for _ in range(3)]
    ledger.conclude(fates[0])
    ledger.conclude(fates[1])
    taken = ledger.take_outbox()
    ledger.conclude(fates[2])
    ledger.put_back(taken)
    assert ledger.take_outbox() == fates
    assert ledger.take_outbox() == []


@pytest.mark.parametrize("moment", ["open", "concluded", "put back"])
def test_a_job_that_somebody_else_took_over_settles_nothing(
    ledger: Ledger, clock: FakeClock, moment: str
) -> None:
    claimed, other = held(ledger), held(ledger)
    fate, others_fate = fate_of(claimed, clock), fate_of(other, clock)
    ledger.conclude(others_fate)
    taken = []
    if moment != "open":
        ledger.conclude(fate)
    if moment == "put back":
        taken = ledger.take_outbox()

    ledger.fence_off(claimed)
    ledger.conclude(fate)
    if taken:
        ledger.put_back(taken)

    assert claimed.fenced
    assert not ledger.holds(claimed)
    assert ledger.take_outbox() == [others_fate]
    assert ledger.totals == {"fenced": 1}


def test_a_fenced_job_leaves_one_record_however_often_it_is_fenced(
    ledger: Ledger, clock: FakeClock
) -> None:
    claimed = held(ledger)
    claimed.start("w1", clock)
    clock.advance(2)
    ledger.fence_off(claimed)
    ledger.fence_off(claimed)
    (record,) = ledger.records
    assert (record.job_id, record.name, record.outcome) == (claimed.job.id, "mail", "fenced")
    assert record.finished_ms - record.started_ms == 2_000
    assert record.worker_id == "w1"
    assert ledger.totals["fenced"] == 1


def test_without_history_a_fenced_job_is_counted_and_not_recorded(clock: FakeClock) -> None:
    ledger = Ledger(clock, keep_records=False)
    ledger.fence_off(held(ledger))
    assert ledger.records == []
    assert ledger.totals["fenced"] == 1


def test_a_fenced_handler_takes_a_worker_until_it_has_ended(
    ledger: Ledger, clock: FakeClock
) -> None:
    running, waiting = held(ledger), held(ledger)
    running.start("w1", clock)
    ledger.fence_off(running)
    ledger.fence_off(waiting)
    assert (len(ledger), ledger.running) == (0, 1)
    assert ledger.ghosts_gone() == []
    running.finish(None, clock)
    assert ledger.ghosts_gone() == ["mail"]
    assert (ledger.running, ledger.ghosts_gone()) == (0, [])
