"""What has changed between two periods, or with a version: found if it is real, and only then."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.queueing import history_of, queue
from workkit import InvalidOption, frames
from workkit.frames.delays import Repeated
from workkit.frames.schema import empty
from workkit.frames.sides import rounded

HOUR_S = 3_600.0
BEFORE, AFTER = (0, HOUR_S), (HOUR_S, 2 * HOUR_S)


def hour(
    draw: np.random.Generator,
    jobs: int,
    begin_s: float,
    *,
    wait_s: float = 0.05,
    run_s: float = 0.1,
    failing: float = 0.1,
    version: str | None = None,
    name: str = "mail",
) -> Any:
    """Jobs at random times of an hour, whose waits, runs and failures are independent."""
    ended = np.sort(draw.uniform(begin_s, begin_s + HOUR_S, jobs))
    waits, runs = draw.exponential(wait_s, jobs), draw.exponential(run_s, jobs)
    failed = draw.random(jobs) < failing
    kinds = np.array(["f1", "f2"])[draw.integers(2, size=jobs)]
    return history_of(
        ended - waits - runs,
        ended - runs,
        runs,
        job_id=[f"{name}{begin_s}.{n}" for n in range(jobs)],
        name=name,
        outcome=np.where(failed, "retry", "done"),
        fails=failed.astype(int),
        fingerprint=pd.Series(kinds).where(failed),
        version=version,
    )


def both(draw: np.random.Generator, jobs: int = 200, after: int | None = None, **now: Any) -> Any:
    """Two hours; `now` is different in the second."""
    first = hour(draw, jobs, 0)
    return pd.concat([first, hour(draw, after or jobs, HOUR_S, **now)], ignore_index=True)


def found(history: Any, measure: str) -> Any:
    told = frames.compare_periods(history, BEFORE, AFTER)
    return told[told["measure"] == measure].iloc[0]


@pytest.mark.timeout(600)
def test_random_periods_seldom_differ() -> None:
    draw = np.random.default_rng(1)
    hits = sum(
        frames.compare_periods(both(draw, 60), BEFORE, AFTER)["significant"].any()
        for _ in range(200)
    )
    assert hits <= 10


def test_waits_in_one_queue_are_alike_and_do_not_count_as_a_change() -> None:
    # The waits of neighbours are nearly equal: a test of single jobs finds a change in most runs.
    draw = np.random.default_rng(2)
    hits = 0
    for _ in range(60):
        arrivals = np.cumsum(draw.exponential(1 / 0.8, 4_000))
        runs = draw.exponential(1, 4_000)
        starts, _ = queue(arrivals, runs, 1)
        middle = arrivals[2_000]
        told = frames.compare_periods(
            history_of(arrivals, starts, runs), (None, middle), (middle, None)
        )
        hits += bool(told.loc[told["measure"].isin(["wait", "slow_wait"]), "significant"].any())
    assert hits <= 3


@pytest.mark.parametrize(
    ("measure", "jobs", "now"),
    [
        ("wait", 200, {"wait_s": 0.1}),
        ("run", 200, {"run_s": 0.2}),
        ("failed", 600, {"failing": 0.2}),
        ("jobs_per_s", 100, {"after": 200}),
    ],
)
def test_a_difference_of_two_times_is_found(measure: str, jobs: int, now: dict[str, Any]) -> None:
    draw = np.random.default_rng(3)
    rows = [found(both(draw, jobs, **now), measure) for _ in range(60)]
    assert sum(bool(row.significant) for row in rows) >= 57
    assert 1.7 < np.median([row.ratio for row in rows]) < 2.3
    assert sum(bool(row.worse) for row in rows) == (
        0 if measure == "jobs_per_s" else sum(bool(row.significant) for row in rows)
    )


def test_a_slow_tail_is_found_where_the_median_stays() -> None:
    draw = np.random.default_rng(4)
    history = both(draw, 400)
    late = (history["finished_at"] >= pd.Timestamp(HOUR_S, unit="s", tz="UTC")) & (
        history.index % 5 == 0
    )
    history.loc[late, "run"] = pd.Timedelta("5s")
    row = found(history, "slow_run")
    assert row.significant
    assert row.worse
    assert row.before < 0.05 < row.after


def test_a_new_error_is_named() -> None:
    draw = np.random.default_rng(5)
    history = both(draw, 300)
    failed = history["fingerprint"].notna() & (
        history["finished_at"] >= pd.Timestamp(HOUR_S, unit="s", tz="UTC")
    )
    kinds = history["fingerprint"].astype("str").mask(failed, "new")
    history["error"] = ("Oops: " + kinds).where(kinds.notna())
    told = frames.compare_periods(
        history.assign(fingerprint=kinds.astype("category")), BEFORE, AFTER
    )
    top = told[told["measure"] == "error"].iloc[0]
    assert (top["value"], top["before"], top["worse"]) == ("new", 0, True)
    assert top["ratio"] == np.inf
    assert top["example"] == "Oops: new"
    assert set(told.loc[told["measure"] != "error", "example"]) == {""}


def test_a_name_that_is_gone_has_a_rate_and_is_named_as_left_out() -> None:
    draw = np.random.default_rng(6)
    history = pd.concat(
        [hour(draw, 100, 0), hour(draw, 100, HOUR_S), hour(draw, 100, 0, name="gone")]
    )
    told = frames.compare_periods(history, BEFORE, AFTER)
    gone = told[told["name"] == "gone"]
    assert gone["measure"].to_list() == ["jobs_per_s"]
    assert gone["significant"].all()
    assert told.attrs["left_out"] == ["gone: 0 first tries in one of the periods, fewer than 20"]


def test_an_hour_in_which_nothing_ran_is_a_change() -> None:
    draw = np.random.default_rng(16)
    history = hour(draw, 200, 0)
    history.attrs["read"] = (0.0, 2 * HOUR_S)
    (row,) = frames.compare_periods(history, BEFORE, AFTER).itertuples()
    assert (row.measure, row.before_n, row.after_n, row.after) == ("jobs_per_s", 200, 0, 0)
    assert row.significant
    assert not row.worse


def test_time_that_was_not_read_is_no_time_without_jobs() -> None:
    draw = np.random.default_rng(19)
    history = pd.concat([hour(draw, 400, HOUR_S), hour(draw, 400, 2 * HOUR_S)])
    history.attrs["read"] = (HOUR_S, 3.0 * HOUR_S)
    for before, after in (
        ((0, 2 * HOUR_S), (2 * HOUR_S, 3 * HOUR_S)),
        ((HOUR_S, 2 * HOUR_S), (2 * HOUR_S, 24 * HOUR_S)),
    ):
        told = frames.compare_periods(history, before, after)
        (rate,) = told[told["measure"] == "jobs_per_s"].itertuples()
        assert rate.ratio == pytest.approx(1, rel=0.01)
        assert not rate.significant


def test_what_was_trimmed_is_no_time_without_jobs() -> None:
    draw = np.random.default_rng(17)
    history = pd.concat([hour(draw, 200, 2 * HOUR_S), hour(draw, 200, 3 * HOUR_S)])
    history.attrs |= {"trimmed": 900, "read": (0.0, 4 * HOUR_S)}
    told = frames.compare_periods(history, (0, 3 * HOUR_S), (3 * HOUR_S, None))
    assert not told["significant"].any()
    assert 0.8 < told[told["measure"] == "jobs_per_s"].iloc[0]["ratio"] < 1.25


def test_retries_do_not_count_as_jobs_or_as_failures() -> None:
    draw = np.random.default_rng(7)
    history = both(draw, 100)
    again = history[history["outcome"] == "retry"].assign(fails=2)
    told = frames.compare_periods(pd.concat([history, again]), BEFORE, AFTER)
    pd.testing.assert_frame_equal(told, frames.compare_periods(history, BEFORE, AFTER))


def test_the_period_before_may_be_longer() -> None:
    draw = np.random.default_rng(8)
    history = pd.concat([hour(draw, 200, n * HOUR_S) for n in range(5)], ignore_index=True)
    told = frames.compare_periods(history, (0, 4 * HOUR_S), (4 * HOUR_S, 5 * HOUR_S))
    rate = told[told["measure"] == "jobs_per_s"].iloc[0]
    assert not told["significant"].any()
    assert 0.8 < rate["ratio"] < 1.25


# Versions


def releases(draw: np.random.Generator, **now: Any) -> Any:
    parts = [hour(draw, 300, 0, version="1.9"), hour(draw, 300, HOUR_S, version="1.10", **now)]
    same = [
        hour(draw, 300, n * HOUR_S, version=v, name="report") for n, v in enumerate(("1.9", "1.10"))
    ]
    return pd.concat([*parts, *same], ignore_index=True)


def test_a_version_that_fails_more_often_is_found_with_its_job() -> None:
    told = frames.regressions(releases(np.random.default_rng(9), failing=0.3))
    worse = told[told["worse"]]
    assert set(worse["name"]) == {"mail"}
    assert set(worse["measure"]) <= {"failed", "error"}
    top = worse.iloc[0]
    assert (top["version_before"], top["version"], top["measure"]) == ("1.9", "1.10", "failed")


def test_versions_that_are_alike_are_no_regressions() -> None:
    draw = np.random.default_rng(10)
    assert sum(frames.regressions(releases(draw))["worse"].any() for _ in range(40)) <= 2


def test_a_version_with_few_executions_is_left_out() -> None:
    draw = np.random.default_rng(11)
    few = hour(draw, 5, 2 * HOUR_S, version="2.0")
    told = frames.regressions(pd.concat([releases(draw), few], ignore_index=True))
    assert "2.0" not in set(told["version"])
    assert told.attrs["left_out"] == ["mail: version 2.0 has fewer than 20 first tries"]


def test_two_versions_are_compared_as_periods() -> None:
    history = releases(np.random.default_rng(12), run_s=0.3)
    told = frames.compare_periods(history, "1.9", "1.10")
    assert (told.iloc[0]["name"], told.iloc[0]["measure"]) == ("mail", "run")
    with pytest.raises(InvalidOption, match=r"no execution has the version '2'; there are 1\.10"):
        frames.compare_periods(history, "1.9", "2")


# Limits


def test_history_without_executions_or_versions_has_no_regressions() -> None:
    draw = np.random.default_rng(13)
    for history in (empty("history"), hour(draw, 100, 0), hour(draw, 100, 0, version="1")):
        told = frames.regressions(history)
        assert len(told) == 0
        assert list(told)[:3] == ["name", "version_before", "version"]


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ((0, HOUR_S), (10, 20), "the periods overlap"),
        ((HOUR_S, 0), AFTER, "before: .* is not before"),
        ((0, HOUR_S), (9e9, 9.1e9), "after=.* has no executions"),
        (0, AFTER, r"before must be a pair \(since, until\) or a version, not 0"),
        (BEFORE, "1.9", "no execution has the version '1.9'; there are none"),
        (("soon", None), AFTER, "'soon' is not a time"),
    ],
)
def test_a_wrong_period_is_refused(before: Any, after: Any, why: str) -> None:
    with pytest.raises(InvalidOption, match=why):
        frames.compare_periods(both(np.random.default_rng(14)), before, after)


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"rate": 1}, {"least": 1}])
def test_a_wrong_option_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption):
        frames.compare_periods(both(np.random.default_rng(15)), BEFORE, AFTER, **wrong)
    with pytest.raises(InvalidOption):
        frames.regressions(empty("history"), **wrong)


def test_an_empty_history_has_no_periods() -> None:
    with pytest.raises(InvalidOption, match="has no executions"):
        frames.compare_periods(empty("history"), BEFORE, AFTER)
    with pytest.raises(InvalidOption, match="no executions"):
        frames.compare_periods(empty("history"), (None, None), AFTER)


# Of any size


@given(st.lists(st.integers(0, 2**40)))
def test_long_spans_are_rounded_and_stay_in_their_order(values: list[int]) -> None:
    ms = np.array(sorted(values), np.int64)
    found = rounded(ms)
    assert (np.diff(found) >= 0).all()
    assert (np.abs(found - ms) <= ms / 2**13).all()
    assert (found == ms)[ms < 2**13].all()
    assert (rounded(found) == found).all()


def test_a_backlog_of_days_has_few_different_waits() -> None:
    waits = np.arange(0, 10 * 86_400_000, 97)
    assert len(np.unique(rounded(waits))) < 100_000 < len(waits)


def test_of_many_jobs_that_come_once_few_are_remembered() -> None:
    jobs = np.random.default_rng(1).integers(0, 2**64, 1_000_000, dtype=np.uint64)
    repeated = Repeated(len(jobs))
    for piece in np.array_split(jobs, 20):
        repeated.add(piece)
    for piece in np.array_split(jobs, 20):
        repeated.look(piece, np.zeros(len(piece), np.int64), np.zeros(len(piece), np.int64))
    assert not repeated.again()
    assert len(repeated._known) < 20_000
