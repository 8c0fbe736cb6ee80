"""Cron: registration of entries, and slots that were missed because no pool was running."""

from __future__ import annotations

import logging
from enum import Enum
from typing import Any

import pytest

from tests.engine.signals import Notes
from tests.engine.stage import EngineStage
from tests.support.handlers import nothing
from tests.support.steps import StepPool
from workkit.cron import slots
from workkit.errors import InvalidArgs, InvalidName, InvalidOption, InvalidSpec, PoolState

HOURLY = "0 0 * * * *"
HOUR_S = 3_600


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


def hourly(stage: EngineStage, spec: str = HOURLY, **options: Any) -> StepPool:
    """Start a pool that plans a job for every full hour; the clock begins at one."""
    worker = stage.pool()
    worker.job("tick", nothing)
    worker.periodically_enqueue(spec, "tick", **options)
    return stage.stepped(worker)


def due_now(stage: EngineStage, pool: StepPool) -> list[int]:
    """Plan, move and run; return for which second each job that ran was planned."""
    pool.duty("periodic")
    pool.duty("requeuer")
    return [int(execution.job.id.rpartition(":")[2]) for execution in pool.work()]


# Slots that were missed.


def test_the_newest_missed_slot_runs_once_if_it_is_not_older_than_catch_up_s(
    stage: EngineStage, caplog: pytest.LogCaptureFixture
) -> None:
    pool, other = hourly(stage), hourly(stage)
    began_s = stage.clock.now_s
    pool.duty("periodic")
    stage.clock.advance(5 * HOUR_S + 1_200)
    with caplog.at_level(logging.WARNING, "workkit"):
        assert due_now(stage, pool) == [began_s + 5 * HOUR_S]
    assert "slots were missed" in caplog.text
    assert due_now(stage, other) == due_now(stage, pool) == []


def test_two_pools_that_come_back_together_run_a_missed_slot_once(stage: EngineStage) -> None:
    pools = [hourly(stage) for _ in range(3)]
    pools[0].duty("periodic")
    stage.clock.advance(2 * HOUR_S)
    for pool in pools:
        pool.duty("periodic")
    assert sum((due_now(stage, pool) for pool in pools), []) == [stage.clock.now_s]


@pytest.mark.parametrize(("catch_up_s", "runs"), [(600, False), (1_199, False), (1_200, True)])
def test_a_missed_slot_that_is_too_old_is_left_out_and_the_log_says_so(
    stage: EngineStage, caplog: pytest.LogCaptureFixture, catch_up_s: int, *, runs: bool
) -> None:
    pool = hourly(stage, catch_up_s=catch_up_s)
    pool.duty("periodic")
    stage.clock.advance(3 * HOUR_S + 1_200)
    with caplog.at_level(logging.WARNING, "workkit"):
        assert bool(due_now(stage, pool)) is runs
    said = "the newest runs now" if runs else "older than catch_up_s and do not run"
    assert said in caplog.text


def test_catch_up_0_runs_a_missed_slot_only_in_its_own_second(stage: EngineStage) -> None:
    pool = hourly(stage, catch_up_s=0)
    pool.duty("periodic")
    stage.clock.advance(HOUR_S + 1)
    assert due_now(stage, pool) == []
    pool.duty("periodic")
    stage.clock.advance(HOUR_S - 1)
    assert due_now(stage, pool) == [stage.clock.now_s]


def test_slots_that_were_planned_run_late_rather_than_never(stage: EngineStage) -> None:
    pool = hourly(stage, "0 * * * * *", catch_up_s=HOUR_S)
    began_s = stage.clock.now_s
    pool.duty("periodic")
    stage.clock.advance(HOUR_S - 10)
    pool.duty("requeuer")
    ran = [int(execution.job.id.rpartition(":")[2]) for execution in pool.work()]
    assert ran == [began_s + 60 * n for n in (1, 2, 3, 4)]


def test_a_new_entry_catches_up_nothing(stage: EngineStage) -> None:
    stage.clock.advance(1)
    pool = hourly(stage)
    assert due_now(stage, pool) == []
    stage.clock.advance(HOUR_S - 1)
    assert due_now(stage, pool) == [stage.clock.now_s]


def test_slots_further_ahead_than_four_minutes_are_left_to_later(stage: EngineStage) -> None:
    pool = hourly(stage, "0 * * * * *")
    began_s = stage.clock.now_s
    pool.duty("periodic")
    planned = [entry.run_at for entry in stage.client.scheduled_jobs().jobs]
    assert planned == [began_s + 60 * n for n in (1, 2, 3, 4)]
    pool.duty("periodic")
    assert stage.client.scheduled_jobs().total == 4
    stage.clock.advance(60)
    pool.duty("periodic")
    assert stage.client.scheduled_jobs().total == 5


def test_a_planner_comes_back_twice_a_minute(stage: EngineStage) -> None:
    pool = hourly(stage)
    assert all(24 <= pool.duty("periodic") <= 36 for _ in range(20))


# What may be registered.


@pytest.mark.one_server
def test_the_same_spec_and_name_are_registered_once(stage: EngineStage) -> None:
    worker = stage.pool()
    worker.periodically_enqueue(HOURLY, "tick")
    for args in (None, {"n": 1}):
        with pytest.raises(PoolState, match="registered already"):
            worker.periodically_enqueue(HOURLY, "tick", args)
    worker.periodically_enqueue(HOURLY, "tock")
    worker.periodically_enqueue("30 0 * * * *", "tick")
    assert len(worker.spec.periodic) == 3


@pytest.mark.one_server
@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("", "empty"),
        ("* * * *", "fields"),
        ("* * * * * * *", "fields"),
        ("60 * * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 0 0 * *", "day of month"),
        ("0 0 * 13 *", "month"),
        ("0 0 * * 7", "day of week"),
        ("*/0 * * * *", "step"),
        ("5-1 * * * *", "5-1"),
        ("x * * * *", "'x'"),
        ("@fortnightly", "@fortnightly"),
        ("@every soon", "soon"),
        ("TZ=Mars/Base 0 * * * *", "Mars/Base"),
        ("0 0 30 2 *", "never due"),
        (", * * * *", "never due"),
        ("@every -5m", "'-5m'"),
    ],
)
def test_an_invalid_spec_is_refused_with_the_reason(
    stage: EngineStage, spec: str, reason: str
) -> None:
    worker = stage.pool()
    with pytest.raises(InvalidSpec) as raised:
        worker.periodically_enqueue(spec, "tick")
    assert reason in str(raised.value)
    assert not worker.spec.periodic


@pytest.mark.one_server
def test_an_entry_with_a_bad_name_bad_args_or_a_bad_option_is_refused(stage: EngineStage) -> None:
    worker = stage.pool()
    with pytest.raises(InvalidName, match="comma"):
        worker.periodically_enqueue(HOURLY, "a,b")
    with pytest.raises(InvalidArgs):
        worker.periodically_enqueue(HOURLY, "tick", {"x": object()})
    for catch_up_s in (-1, 86_401, 1.5):
        with pytest.raises(InvalidOption, match="catch_up_s"):
            worker.periodically_enqueue(HOURLY, "tick", catch_up_s=catch_up_s)  # type: ignore[arg-type]
    assert not worker.spec.periodic


@pytest.mark.one_server
def test_a_spec_that_does_something_else_than_it_seems_to_say_is_warned_about(
    stage: EngineStage, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "workkit"):
        stage.pool().periodically_enqueue("*/90 * * * *", "tick")
    assert "cron '*/90 * * * *' of 'tick': minute '*/90' means 0 alone" in caplog.text


@pytest.mark.one_server
def test_a_spec_from_an_enum_is_registered_by_its_value(stage: EngineStage) -> None:
    class Spec(str, Enum):  # noqa: UP042 - it prints its name, not its value
        NIGHTLY = "0 4 * * *"

    worker = stage.pool()
    worker.periodically_enqueue(Spec.NIGHTLY, "tick")
    (entry,) = worker.spec.periodic
    assert entry.slot(60)[0] == "periodic:tick:0 4 * * *:60"


# The host's zone.


@pytest.mark.one_server
def test_a_spec_that_goes_by_a_zone_of_the_host_other_than_utc_is_warned_about(
    stage: EngineStage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    with caplog.at_level(logging.WARNING, "workkit"):
        stage.pool().periodically_enqueue("0 4 * * *", "tick")
    assert "host's zone Europe/Berlin" in caplog.text
    assert "CRON_TZ=Europe/Berlin" in caplog.text


@pytest.mark.one_server
@pytest.mark.parametrize(
    ("zone", "spec"),
    [
        ("UTC", "0 4 * * *"),
        ("Etc/UTC", "@daily"),
        ("Africa/Abidjan", "0 4 * * *"),
        ("Europe/Berlin", "CRON_TZ=Europe/Berlin 0 4 * * *"),
        ("Europe/Berlin", "TZ=UTC @daily"),
        ("Europe/Berlin", "@every 5m"),
    ],
)
def test_a_spec_that_means_the_same_on_every_host_is_not_warned_about(
    stage: EngineStage,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    zone: str,
    spec: str,
) -> None:
    monkeypatch.setenv("TZ", zone)
    with caplog.at_level(logging.WARNING, "workkit"):
        stage.pool().periodically_enqueue(spec, "tick")
    assert caplog.text == ""


def test_a_spec_with_a_zone_is_due_by_that_zones_clock(stage: EngineStage) -> None:
    # 1 800 000 000 is 15 January 2027, 08:00 in UTC and 09:00 in Berlin.
    worker = stage.pool()
    worker.periodically_enqueue("TZ=Europe/Berlin 2 9 * * *", "berlin")
    worker.periodically_enqueue("TZ=UTC 2 8 * * *", "utc")
    worker.periodically_enqueue("TZ=UTC 2 9 * * *", "an hour later")
    stage.stepped(worker).duty("periodic")
    planned = {entry.job.name: entry.run_at for entry in stage.client.scheduled_jobs().jobs}
    assert planned == {"berlin": stage.clock.now_s + 120, "utc": stage.clock.now_s + 120}


def test_registering_an_entry_compares_it_with_no_other(
    stage: EngineStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, made = stage.pool(), Notes()
    for number in range(50):
        pool.periodically_enqueue("CRON_TZ=UTC 0 4 * * *", f"job_{number}")
    real = slots._field

    def noted(name: str, spec: str) -> str:
        made(name)
        return real(name, spec)

    monkeypatch.setattr(slots, "_field", noted)
    pool.periodically_enqueue("CRON_TZ=UTC 0 4 * * *", "last")
    assert set(made.items) == {"last"}
    with pytest.raises(PoolState, match="is registered already"):
        pool.periodically_enqueue("CRON_TZ=UTC 0 4 * * *", "job_7")
