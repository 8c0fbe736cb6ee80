"""Rates and spreads that are computed from successive overviews."""

from __future__ import annotations

import pytest

from workkit.admin.steps.history import HistoryRecord
from workkit.admin.trends import Spread, Trends
from workkit.core.records import Overview


def overview(at_s: float) -> Overview:
    return Overview(at_s, [], [], 0, 0, 0, None, None, 0)


def ran(name: str, n: int, run_ms: int, wait_ms: int | None = 0) -> HistoryRecord:
    started = 1_000_000 + n * 10
    enqueued = None if wait_ms is None else started - wait_ms
    return HistoryRecord(
        f"{n}", name, 1_000, started, started + run_ms, "done", 0, "", "", "w", "", "p", "h",
        enqueued_ms=enqueued,
    )  # fmt: skip


def test_a_spread_is_of_the_last_executions_of_a_name() -> None:
    trends = Trends()
    records = [ran("mail", n, n + 1, 2 * (n + 1)) for n in range(100)]
    trends.add(overview(2_000), records[::-1])
    assert trends.spread("mail") == Spread((102, 190), (51, 95), 100)
    assert trends.spread("other") is None


def test_old_executions_leave_a_spread() -> None:
    trends = Trends()
    trends.add(overview(2_000), [ran("mail", n, 9_000) for n in range(200)][::-1])
    later = [ran("mail", 2_000 + n, 5) for n in range(200)]
    trends.add(overview(2_002), later[::-1])
    assert trends.spread("mail") == Spread((0, 0), (5, 5), 200)


def test_waits_that_are_unknown_are_left_out() -> None:
    trends = Trends()
    trends.add(overview(2_000), [ran("mail", 1, 7, None)])
    assert trends.spread("mail") == Spread(None, (7, 7), 1)


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (2, 2), (19, 19), (20, 19), (21, 20)])
def test_the_95th_percentile_is_that_of_the_nearest_rank(count: int, expected: int) -> None:
    trends = Trends()
    trends.add(overview(2_000), [ran("mail", n, n + 1) for n in range(count)][::-1])
    spread = trends.spread("mail")
    assert spread is not None
    assert spread.run_ms is not None
    assert spread.run_ms[1] == expected
