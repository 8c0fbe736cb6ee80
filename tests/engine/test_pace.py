"""How many jobs a pool holds in advance, and how it behaves while Redis is away."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.steps import FakeClock
from workkit.core.entropy import Entropy
from workkit.engine.dispatch.pace import (
    AHEAD_S,
    MAX_AHEAD,
    MOST_AHEAD_S,
    MOST_STRETCH,
    WINDOW_S,
    Pace,
)
from workkit.engine.process.outage import Outage
from workkit.errors import ServerUnavailable

STEP_S = 1 / 32


def finish(pace: Pace, clock: FakeClock, count: int, seconds: float = STEP_S) -> int:
    """Let jobs finish while time passes, and ask how many to claim while no worker is free."""
    pace.finished(count, run_s=0.0)
    clock.advance(seconds)
    return pace.ahead(clock.read(), 0)


def running_pace(concurrency: int = 20) -> tuple[Pace, FakeClock]:
    pace, clock = Pace(prefetch=True, concurrency=concurrency), FakeClock()
    pace.ahead(clock.read(), 0)
    return pace, clock


# In advance


def test_nothing_is_held_before_anything_has_finished() -> None:
    pace, clock = running_pace()
    assert finish(pace, clock, 0) == 0


def test_without_prefetch_nothing_is_held_however_fast_jobs_finish() -> None:
    pace, clock = Pace(prefetch=False, concurrency=20), FakeClock()
    assert [finish(pace, clock, 10_000) for _ in range(9)] == [0] * 9


def test_at_a_steady_rate_half_of_what_starts_within_ten_milliseconds_is_claimed_at_once() -> None:
    pace, clock = running_pace()
    for _ in range(30):
        claimed = finish(pace, clock, 200)
    assert claimed == pytest.approx(200 / STEP_S * AHEAD_S / 2, abs=1)


def test_free_workers_count_among_what_is_claimed_at_once() -> None:
    pace, clock = running_pace()
    assert finish(pace, clock, 1_000) == 80
    assert [pace.ahead(clock.read(), free) for free in (20, 80, 90)] == [60, 0, 0]


def test_what_waits_already_counts_among_what_is_held() -> None:
    pace, clock = running_pace()
    assert finish(pace, clock, 1_000) == 80
    assert [pace.ahead(clock.read(), -waiting) for waiting in (70, 100, 160, 170)] == [80, 60, 0, 0]


def test_the_rate_rises_half_way_and_falls_at_once() -> None:
    pace, clock = running_pace()
    assert [finish(pace, clock, 1_000) for _ in range(3)] == [80, 120, 140]
    assert finish(pace, clock, 10) == 2
    assert finish(pace, clock, 0) == 0


def test_workers_that_run_out_of_jobs_get_more_of_them_and_less_again_once_they_do_not() -> None:
    pace, clock = running_pace()
    steady = [finish(pace, clock, 200) for _ in range(30)][-1]
    pace.supplied(in_time=False)
    assert pace.ahead(clock.read(), 0) == pytest.approx(2 * steady, abs=1)
    for _ in range(9):
        pace.supplied(in_time=False)
    assert pace.ahead(clock.read(), 0) == pytest.approx(MOST_STRETCH * steady, abs=4)
    for _ in range(400):
        pace.supplied(in_time=True)
    assert pace.ahead(clock.read(), 0) == steady


def test_workers_that_run_out_of_jobs_get_no_more_than_they_could_start() -> None:
    pace, clock = running_pace(concurrency=10)
    for _ in range(30):
        pace.finished(200, run_s=0.001)
        pace.supplied(in_time=False)
        clock.advance(STEP_S)
        held = pace.ahead(clock.read(), 0)
    assert held == pytest.approx(10 / 0.001 * MOST_AHEAD_S / 2, abs=1)


def test_jobs_that_last_seconds_are_not_held_in_advance() -> None:
    pace, clock = running_pace()
    assert [finish(pace, clock, 20, seconds=1.0) for _ in range(9)] == [0] * 9


def test_between_two_measurements_the_rate_stays_as_it_was() -> None:
    pace, clock = running_pace()
    held = finish(pace, clock, 200)
    assert finish(pace, clock, 0, seconds=WINDOW_S / 2) == held


@given(st.lists(st.tuples(st.integers(0, 5_000), st.floats(0, 2)), max_size=30))
def test_what_is_held_is_never_negative_and_never_above_its_bound(
    course: list[tuple[int, float]],
) -> None:
    pace, clock = running_pace()
    for count, seconds in course:
        assert 0 <= finish(pace, clock, count, seconds) <= MAX_AHEAD


def test_what_waits_is_looked_through_every_fifty_milliseconds() -> None:
    pace, clock = running_pace()
    told = []
    for _ in range(20):
        told.append(pace.patience_over(clock.read()))
        clock.advance(1 / 32)
    assert told == [True, False] * 10


# Outages


def test_the_waits_of_an_outage_double_up_to_a_second_with_jitter() -> None:
    outage = Outage("the dispatcher", FakeClock(), Entropy(5))
    waits = [outage.failed(ServerUnavailable("gone")) for _ in range(12)]
    assert outage.lasting
    for attempt, wait in enumerate(waits, 1):
        ceiling = min(1.0, 0.05 * 2**attempt)
        assert ceiling / 2 <= wait <= ceiling
    assert len(set(waits)) == len(waits)


def test_an_outage_is_logged_at_its_beginning_and_at_its_end_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    outage = Outage("the dispatcher", clock, Entropy(5))
    with caplog.at_level(logging.INFO, logger="workkit"):
        outage.over()
        for _ in range(4):
            outage.failed(ServerUnavailable("no answer from Redis at h:1"))
            clock.advance(1.5)
        outage.over()
        outage.over()
    assert caplog.messages == [
        "the dispatcher: no answer from Redis at h:1; trying again until it works",
        "the dispatcher: Redis answers again after 6.0 s (4 attempts)",
    ]
    lasts_no_longer = not outage.lasting
    assert lasts_no_longer
    assert outage.failed(ServerUnavailable("again")) <= 0.1
