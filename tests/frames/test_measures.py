"""Throughput, latency and comparisons."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.stage import ClientStage
from workkit import InvalidOption, frames
from workkit.frames.schema import conform, empty, schema

pytestmark = pytest.mark.one_server


def ran(*rows: dict[str, Any]) -> Any:
    """Make a frame of history; times are seconds, args an object."""
    full = []
    for row in rows:
        made: dict[str, Any] = dict.fromkeys(schema("history").names)
        made |= {"job_id": "x", "name": "mail", "outcome": "done", "fails": 0} | row
        for name in ("enqueued_at", "started_at", "finished_at"):
            made[name] = pd.Timestamp(made[name] or 0, unit="s", tz="UTC")
        made["wait"] = made["started_at"] - made["enqueued_at"]
        made["run"] = made["finished_at"] - made["started_at"]
        made["args"] = json.dumps(made["args"]) if made["args"] else None
        full.append(made)
    return conform(pd.DataFrame(full, columns=schema("history").names), "history")


# Throughput


def test_executions_are_counted_by_span_without_gaps() -> None:
    history = ran(*({"finished_at": at} for at in (1, 2, 59, 180)))
    counted = frames.throughput(history, "1min")
    assert counted["executions"].to_list() == [3, 0, 0, 1]
    assert counted["per_s"].to_list() == [3 / 60, 0, 0, 1 / 60]
    assert counted.index[0] == pd.Timestamp(0, unit="s", tz="UTC")
    assert str(counted.index.dtype) == "datetime64[ms, UTC]"


def test_executions_are_counted_by_the_values_of_a_column() -> None:
    history = ran(
        {"finished_at": 1, "outcome": "done"},
        {"finished_at": 2, "outcome": "dead"},
        {"finished_at": 25, "outcome": "done"},
    )
    counted = frames.throughput(history, "10s", by="outcome")
    assert counted.to_dict("list") == {"done": [1, 0, 1], "dead": [1, 0, 0]}


def test_throughput_without_executions_is_empty() -> None:
    for by in (None, "name"):
        assert len(frames.throughput(empty("history"), by=by)) == 0


@pytest.mark.parametrize(("freq", "by"), [("often", None), ("1min", "colour")])
def test_an_invalid_span_or_column_is_refused(freq: str, by: str | None) -> None:
    with pytest.raises(InvalidOption):
        frames.throughput(ran({"finished_at": 1}), freq, by=by)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=40), st.sampled_from(["1s", "1min"]))
def test_throughput_counts_every_execution(seconds: list[int], freq: str) -> None:
    history = ran(*({"finished_at": at} for at in seconds))
    assert frames.throughput(history, freq)["executions"].sum() == len(seconds)


def test_hours_without_executions_are_rows_of_zeros() -> None:
    history = ran({"finished_at": 3_600})
    history.attrs["read"] = (0.0, 4 * 3_600.0)
    counted = frames.throughput(history, "1h")
    assert counted["executions"].to_list() == [0, 1, 0, 0]
    counted = frames.throughput(
        history, "1h", since=3_600, until=datetime.fromtimestamp(7_201, UTC)
    )
    assert counted["executions"].to_list() == [1, 0]


def test_throughput_of_a_live_source_reaches_to_the_time_of_reading(stage: ClientStage) -> None:
    before_s = stage.client.now_s()
    frame = frames.history(stage.client, since=before_s - 7_200)
    counted = frames.throughput(frame, "1h")
    assert len(counted) in {2, 3, 4}  # an hour may begin while this runs
    assert counted["executions"].sum() == 0
    assert counted.index[-1].timestamp() <= stage.client.now_s()


def test_executions_without_a_label_are_counted_too() -> None:
    history = ran(
        *({"finished_at": 1, "version": "v2"} for _ in range(2)),
        {"finished_at": 1, "started_at": 1},
    )
    counted = frames.throughput(history, by="version")
    assert counted.to_dict("list") == {"v2": [2], "(none)": [1]}
    assert frames.latency_quantiles(history, "version")["executions", ""].to_dict() == {
        "v2": 2, "(none)": 1,
    }  # fmt: skip
    assert frames.throughput(history, by="job_id").to_numpy().sum() == 3


@pytest.mark.parametrize("freq", ["0s", "-1h", "1us", "1ME", "", "10 parsecs"])
def test_a_span_that_cannot_divide_time_is_refused(freq: str) -> None:
    with pytest.raises(InvalidOption, match="freq must be"):
        frames.throughput(ran({"finished_at": 1}), freq)


def test_a_wrong_clock_does_not_make_millions_of_rows() -> None:
    history = ran({"finished_at": 0}, {"finished_at": 1_700_000_000})
    with pytest.raises(InvalidOption, match="28,333,334 spans of 1min.*the clock of a record"):
        frames.throughput(history, "1min")
    assert frames.throughput(history, "1min", since=1_699_999_940)["executions"].sum() == 1


def test_histories_that_were_joined_are_measured() -> None:
    one = ran({"job_id": "a", "started_at": 1, "finished_at": 2, "outcome": "retry"})
    two = ran({"job_id": "a", "started_at": 12, "finished_at": 13})
    both = pd.concat([one, two])
    assert frames.retry_delays(both).to_list() == [pd.NaT, pd.Timedelta("10s")]
    assert frames.retry_delays(both).index.to_list() == [0, 0]
    assert frames.latency_quantiles(both)["executions", ""].sum() == 2


# Latency


def test_quantiles_of_wait_run_and_retry_delay_are_computed_by_name() -> None:
    first = [
        {"job_id": str(n), "enqueued_at": 0, "started_at": n, "finished_at": n + 10}
        for n in range(101)
    ]
    tries = [
        {"job_id": "r", "name": "try", "started_at": 5, "finished_at": 6, "outcome": "retry"},
        {"job_id": "r", "name": "try", "started_at": 36, "finished_at": 40},
    ]
    told = frames.latency_quantiles(ran(*first, *tries), quantiles=(0.5, 0.99))
    mail, again = told.loc["mail"], told.loc["try"]
    assert mail["wait", "p50"] == pd.Timedelta("50s")
    assert mail["wait", "p99"] == pd.Timedelta("99s")
    assert mail["run", "p50"] == pd.Timedelta("10s")
    assert pd.isna(mail["retry_delay", "p50"])
    assert again["retry_delay", "p50"] == pd.Timedelta("30s")
    assert again["executions", ""] == 2
    assert len(frames.latency_quantiles(ran(*first), by=None)) == 1


def test_a_retry_delay_exists_only_after_a_failed_try() -> None:
    history = ran(
        {"started_at": 50, "finished_at": 51},
        {"started_at": 1, "finished_at": 2, "outcome": "retry"},
        {"started_at": 20, "finished_at": 21, "outcome": "returned"},
    )
    delays = frames.retry_delays(history)
    assert delays.to_list() == [pd.NaT, pd.NaT, pd.Timedelta("18s")]


def test_latency_without_executions_is_empty() -> None:
    assert len(frames.latency_quantiles(empty("history"))) == 0
    with pytest.raises(InvalidOption):
        frames.latency_quantiles(empty("history"), quantiles=(99,))


# Lateness


def test_a_cron_job_is_late_by_the_time_from_its_slot_to_its_first_start() -> None:
    slot = {"job_id": "periodic:mail:*/5 * * * *:300", "enqueued_at": 301}
    history = ran(
        slot | {"started_at": 303, "finished_at": 304, "outcome": "retry"},
        slot | {"started_at": 400, "finished_at": 401},
        {"job_id": "periodic:odd", "started_at": 5, "finished_at": 6},
        {"job_id": "ab12", "enqueued_at": 1, "started_at": 5, "finished_at": 6},
        {"job_id": "periodic:mail:@daily:900", "started_at": 899, "finished_at": 950},
    )
    late = frames.lateness(history)
    assert str(late.dtype) == "timedelta64[ms]"
    assert late.isna().tolist() == [False, True, True, True, False]
    assert late.dropna().dt.total_seconds().tolist() == [3, 0]  # clocks differ


def test_nothing_is_late_without_executions() -> None:
    assert len(frames.lateness(empty("history"))) == 0
