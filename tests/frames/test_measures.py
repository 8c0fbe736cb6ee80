"""Throughput, latency and comparisons."""

from __future__ import annotations

import json
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


# Comparing


def test_the_strongest_difference_comes_first() -> None:
    done = ran(
        *({"args": {"tenant": f"t{n % 10}", "n": n}, "host": f"h{n % 3}"} for n in range(300))
    )
    dead = ran(
        *(
            {"args": {"tenant": "t7" if n % 5 else "t1", "n": n * 6}, "host": f"h{n % 3}"}
            for n in range(50)
        )
    )
    told = frames.compare(dead, done)
    top = told.iloc[0]
    assert (top.attribute, top.value, top.dead, top.done) == ("args.tenant", "t7", 40, 30)
    assert top.dead_share == 0.8
    assert top.done_share == 0.1
    assert 7 < top.lift < 9
    hosts = told[told["attribute"] == "host"]
    assert hosts["lift"].between(0.8, 1.25).all()
    assert told["score"].is_monotonic_decreasing


def test_numbers_with_many_values_are_grouped_by_quarters() -> None:
    done = ran(*({"args": {"size": n}} for n in range(200)))
    dead = ran(*({"args": {"size": 150 + n}} for n in range(50)))
    sizes = frames.compare(dead, done).query("attribute == 'args.size'")
    assert len(sizes) == 4
    assert sizes.iloc[0].value.endswith("199.0]")
    assert sizes.iloc[0].lift > 2


def test_hours_of_the_day_are_compared() -> None:
    done = ran(*({"finished_at": n * 3_600} for n in range(240)))
    dead = ran(*({"finished_at": 3 * 3_600 + n} for n in range(20)))
    top = frames.compare(dead, done).iloc[0]
    assert (top.attribute, top.value, top.dead, top.done) == ("hour", "3", 20, 10)


def test_rare_values_and_common_values_are_left_out() -> None:
    done = ran(*({"args": {"id": f"i{n}", "same": 1}} for n in range(40)))
    dead = ran(*({"args": {"id": f"j{n}", "same": 1}} for n in range(40)))
    assert set(frames.compare(dead, done)["attribute"]) == set()


def test_comparing_empty_frames_gives_an_empty_frame_with_its_columns() -> None:
    told = frames.compare(empty("history"), empty("history"))
    assert len(told) == 0
    assert list(told)[:2] == ["attribute", "value"]


def test_dead_jobs_are_compared_with_executions(past: ClientStage) -> None:
    dead = frames.dead_jobs(past.client)
    done = frames.history(past.client, outcome="done")
    told = frames.compare(dead[dead["problem"].isna()], done, least=1)
    region = told[(told["attribute"] == "args.host.region") & (told["value"] == "us")].iloc[0]
    assert (region.dead, region.done) == (2, 4)


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
