"""Capacity by queueing theory: right where the theory holds, refused where it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.queueing import history_of, lognormal, queue
from workkit import InvalidOption, NoEstimate, frames
from workkit.frames.schema import empty

RUN_S = 0.05


def fleet(
    draw: np.random.Generator, workers: int, load: float, jobs: int, variation: float = 1.0
) -> Any:
    """History of a fleet whose jobs arrive at random; exponential run times have variation 1."""
    arrivals = np.cumsum(draw.exponential(RUN_S / load / workers, jobs))
    runs = draw.exponential(RUN_S, jobs)
    if variation != 1:
        runs = lognormal(draw, RUN_S, variation, jobs)
    starts, who = queue(arrivals, runs, workers)
    return history_of(arrivals, starts, runs, worker_id=[f"w{one}" for one in who])


@pytest.mark.parametrize(
    ("workers", "load", "variation"), [(8, 0.85, 1.0), (4, 0.7, 4.0)], ids=["M/M/c", "M/G/c"]
)
def test_the_interval_holds_the_truth_in_most_of_200_runs(
    workers: int, load: float, variation: float
) -> None:
    draw = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        told = frames.capacity(fleet(draw, workers, load, 800, variation), workers=workers)
        held += told.most_per_s.low <= workers / RUN_S <= told.most_per_s.high
    assert 180 <= held <= 198


def test_waits_by_the_model_are_those_of_the_queue() -> None:
    draw = np.random.default_rng(2)
    told = frames.capacity(fleet(draw, 4, 0.5, 4_000), workers=4)
    for load in (0.6, 0.8):
        history = fleet(draw, 4, load, 40_000)
        measured = history["wait"].quantile(0.95).total_seconds()
        assert told.wait_s(load * 4 / RUN_S).value == pytest.approx(measured, rel=0.3, abs=0.005)
    assert told.wait_s(4 / RUN_S * 1.5).value == np.inf
    assert told.variation.low < 1 < told.variation.high


def test_the_most_that_keeps_a_wait_and_the_workers_that_it_takes_agree() -> None:
    told = frames.capacity(fleet(np.random.default_rng(3), 8, 0.6, 3_000), workers=8)
    most = told.most_within("50ms")
    assert most.low < most.value < most.high < told.most_per_s.high
    assert told.wait_s(most.value).value == pytest.approx(0.05, rel=0.01)
    assert told.workers_for(most.low * 0.99, "50ms") <= 8 < told.workers_for(most.high, "50ms")
    assert told.most_within(0.05, workers=16).value > 2 * most.value


def test_workers_are_counted_where_they_overlap() -> None:
    draw = np.random.default_rng(4)
    early = fleet(draw, 4, 0.8, 600)
    late = fleet(draw, 4, 0.8, 600)
    for name in ("enqueued_at", "started_at", "finished_at"):
        late[name] += early["finished_at"].max() - pd.Timestamp(0, tz="UTC")
    late["worker_id"] = "new" + late["worker_id"].astype("str")  # after a deploy
    assert frames.capacity(early).workers == 4
    assert frames.capacity(pd.concat([early, late])).workers == 4


def test_jobs_in_bursts_are_refused() -> None:
    draw = np.random.default_rng(5)
    arrivals = np.repeat(np.arange(40) * 4.0, 30) + 0.001
    runs = draw.exponential(RUN_S, len(arrivals))
    starts, _ = queue(arrivals, runs, 4)
    with pytest.raises(NoEstimate, match="jobs waited .* by the model they would wait .*bursts"):
        frames.capacity(history_of(arrivals, starts, runs), workers=4)


def test_a_limit_that_holds_jobs_back_is_refused() -> None:
    draw = np.random.default_rng(6)
    history = fleet(draw, 2, 0.9, 2_000)
    with pytest.raises(NoEstimate, match="at a load of .* on 8 workers"):
        frames.capacity(history, workers=8)


def test_workers_that_rest_although_jobs_wait_are_refused() -> None:
    history = fleet(np.random.default_rng(7), 2, 2.5, 1_000)
    with pytest.raises(NoEstimate, match="busy for only"):
        frames.capacity(history, workers=4)
    assert frames.capacity(history, workers=2).load.value > 2


def test_too_few_workers_are_refused() -> None:
    history = fleet(np.random.default_rng(8), 16, 0.3, 2_000)
    with pytest.raises(NoEstimate, match=r"there are more workers, so give workers="):
        frames.capacity(history, workers=6)


def test_little_history_and_runs_without_time_are_refused() -> None:
    few = fleet(np.random.default_rng(9), 2, 0.5, 150)
    with pytest.raises(NoEstimate, match="150 executions with a known wait are too few"):
        frames.capacity(few)
    with pytest.raises(NoEstimate, match="0 executions"):
        frames.capacity(empty("history"))
    idle = fleet(np.random.default_rng(9), 2, 0.5, 300)
    idle["run"] = pd.Timedelta(0)
    with pytest.raises(NoEstimate, match="less than a millisecond"):
        frames.capacity(idle)


@pytest.mark.parametrize("workers", [0, -1, 2.5, True, "4"])
def test_a_wrong_number_of_workers_is_refused(workers: Any) -> None:
    with pytest.raises(InvalidOption, match="workers must be a whole number from 1"):
        frames.capacity(fleet(np.random.default_rng(10), 2, 0.5, 300), workers=workers)


def test_wrong_questions_are_refused() -> None:
    told = frames.capacity(fleet(np.random.default_rng(11), 2, 0.5, 300))
    for ask in (
        lambda: told.wait_s(0),
        lambda: told.wait_s(5, 1.0),
        lambda: told.wait_s(5, workers=0),
        lambda: told.most_within("soon"),
        lambda: told.most_within("5 parsecs"),
        lambda: told.most_within(-1),
        lambda: told.workers_for(1e9, "5s"),
    ):
        with pytest.raises(InvalidOption):
            ask()


# Service levels


def promised(late: list[bool], every_s: float = 60.0) -> Any:
    """Jobs at equal intervals, of which some wait 9 s and the others 1 s."""
    starts = np.arange(len(late)) * every_s + 100
    waits = np.where(late, 9.0, 1.0)
    return history_of(starts - waits, starts, np.zeros(len(late)))


def test_a_burn_rate_is_the_share_of_late_jobs_by_the_allowed_share() -> None:
    told = frames.slo(promised([n % 50 == 0 for n in range(1_000)]), wait="5s", target=0.99)
    whole = told.iloc[0]
    assert (whole["window"], whole["executions"], whole["late"]) == ("all", 1_000, 20)
    assert whole["burn_rate"] == pytest.approx(2)
    assert whole["budget_left"] == pytest.approx(-1)
    assert whole["alert"]
    kept = frames.slo(promised([False] * 100), target=0.99)
    assert kept["burn_rate"].to_list() == [0, 0, 0, 0]
    assert not kept["alert"].any()


@pytest.mark.parametrize(
    ("target", "late", "executions"),
    [(0.9, 1, 10), (0.9, 3, 30), (0.97, 3, 100), (0.8, 1, 5), (0.999, 1, 1_000)],
)
def test_a_promise_that_is_just_kept_is_kept(target: float, late: int, executions: int) -> None:
    whole = frames.slo(promised([n < late for n in range(executions)]), target=target).iloc[0]
    assert (whole["burn_rate"], whole["budget_left"]) == (1, 0)
    assert not whole["alert"]


def test_a_burn_rate_at_the_threshold_alerts() -> None:
    # 144 of 1,000 are late in the last hour, and in its last five minutes as well.
    told = frames.slo(promised([n % 125 < 18 for n in range(1_000)], every_s=0.1), target=0.99)
    hour = told.set_index("window").loc["1h"]
    assert (hour["burn_rate"], hour["short_burn_rate"]) == (14.4, 14.4)
    assert hour["alert"]


def test_an_outage_alerts_while_it_lasts_and_not_after_it() -> None:
    day = 24 * 60
    during = [False] * day + [True] * 60
    told = frames.slo(promised(during)).set_index("window")
    assert told.loc["1h", "alert"]
    assert told.loc["1h", "short_burn_rate"] == pytest.approx(100)
    after = frames.slo(promised([*during, *([False] * 30)])).set_index("window")
    assert not after.loc["1h", "alert"]
    assert after.loc["6h", "burn_rate"] > 6


def test_windows_end_where_the_frame_was_read() -> None:
    history = promised([True] * 10)
    history.attrs["read"] = (None, 100_000.0)
    hour = frames.slo(history).set_index("window").loc["1h"]
    assert hour["executions"] == 0
    assert np.isnan(hour["burn_rate"])
    assert not hour["alert"]


def test_each_name_keeps_a_promise_of_its_own() -> None:
    history = promised([n % 2 == 0 for n in range(100)])
    history["name"] = pd.Categorical(np.where(np.arange(100) % 2, "mail", "report"))
    told = frames.slo(history, by="name")
    whole = told[told["window"] == "all"].set_index("name")
    assert whole["good"].to_dict() == {"mail": 1.0, "report": 0.0}


def test_unknown_waits_are_counted_apart() -> None:
    history = promised([True] * 10)
    history.loc[:3, "wait"] = pd.NaT
    told = frames.slo(pd.concat([history, history]))
    assert told.attrs["unknown"] == 8
    assert told.iloc[0]["executions"] == 12


def test_no_executions_keep_no_promise() -> None:
    told = frames.slo(empty("history"))
    assert len(told) == 0
    assert str(told.dtypes["burn_rate"]) == "float64"


@pytest.mark.parametrize(
    "wrong",
    [
        {"target": 1},
        {"target": 99},
        {"wait": "soon"},
        {"wait": -1},
        {"wait": True},
        {"by": "colour"},
    ],
)
def test_a_wrong_promise_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption):
        frames.slo(promised([True] * 10), **wrong)
