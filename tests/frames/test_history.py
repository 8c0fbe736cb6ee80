"""The frame of executions."""

from __future__ import annotations

import datetime
from typing import Any

import pandas as pd
import pytest

from tests.client.stage import ClientStage
from tests.support.past import RAN
from tests.support.steps import START_MS
from workkit import InvalidOption, frames
from workkit.core.history import FORMAT, Record, pack

START = pd.Timestamp(START_MS, unit="ms", tz="UTC")


def numbers(frame: Any) -> list[int]:
    return [int(n) for n in frame["args.n"]]


def test_a_row_has_the_fields_of_a_record(past: ClientStage) -> None:
    frame = frames.history(past.client)
    records = list(past.client.history())[::-1]
    assert len(frame) == len(records) == RAN
    for (_, row), record in zip(frame.iterrows(), records, strict=True):
        assert (row.job_id, row["name"], row.outcome) == (
            record.job_id,
            record.name,
            record.outcome,
        )
        assert row.finished_at == pd.Timestamp(record.finished_ms, unit="ms", tz="UTC")
        assert row.started_at == pd.Timestamp(record.started_ms, unit="ms", tz="UTC")
        assert row.enqueued_at == pd.Timestamp(record.enqueued_at, unit="s", tz="UTC")
        assert row.run == pd.Timedelta(250, "ms")
        assert row.fails == record.fails
        assert (row.error if record.error else "") == record.error
        assert (row.pool_id, row.host, row.version) == (record.pool_id, record.host, "1.2")
        assert (row.worker_id, row.args) == (record.worker_id, record.args)
    first = frame.iloc[0]
    assert first["wait"] == first.started_at - first.enqueued_at
    assert frame.attrs["trimmed"] == frame.attrs["unreadable"] == 0
    assert frame.attrs["written"] == RAN


def test_a_frame_tells_only_of_time_that_has_come(past: ClientStage) -> None:
    now_s = past.client.now_s()
    for until, end_s in ((now_s + 86_400, now_s), (None, now_s), (now_s - 60, now_s - 60)):
        frame = frames.history(past.client, since=now_s - 3_600, until=until)
        since, read_until = frame.attrs["read"]
        assert since == now_s - 3_600
        assert abs(read_until - end_s) < 30
    ahead = frames.history(past.client, since=now_s - 3_600, until=now_s + 86_400)
    assert len(frames.throughput(ahead, "1h")) <= 3


def test_outcome_is_a_category_of_all_outcomes(past: ClientStage) -> None:
    frame = frames.history(past.client)
    assert list(frame["outcome"].cat.categories) == [
        "done", "retry", "postponed", "dead", "discarded", "returned", "fenced", "recovered",
    ]  # fmt: skip
    assert frame["outcome"].value_counts()[["done", "retry", "dead"]].to_list() == [8, 2, 2]


def test_args_become_columns_on_request(past: ClientStage) -> None:
    frame = frames.history(past.client, args="columns")
    assert numbers(frame) == list(range(1, RAN + 1))
    assert frame["args.n"].dtype == "Int64"
    assert frame["args.host.region"].to_list()[:2] == ["eu", "us"]
    assert str(frame["args.host.region"].dtype) == "str"


@pytest.mark.one_server
@pytest.mark.parametrize(
    ("filters", "told"),
    [
        ({"outcome": "dead"}, [6, 12]),
        ({"name": "try"}, [3, 9]),
        ({"name": "nobody"}, []),
        ({"since": START + pd.Timedelta("9s")}, [10, 11, 12]),
        ({"since": (START_MS + 9_750) / 1_000}, [10, 11, 12]),
        ({"since": (START_MS + 9_751) / 1_000}, [11, 12]),
        ({"until": START + pd.Timedelta("2.75s")}, [1, 2]),
        ({"since": "2027-01-15T08:00:01Z", "until": "2027-01-15T09:00:04+01:00"}, [2, 3, 4]),
    ],
)
def test_filters_return_only_matching_executions(
    past: ClientStage, filters: dict[str, Any], told: list[int]
) -> None:
    frame = frames.history(past.client, args="columns", **filters)
    assert (numbers(frame) if told else len(frame)) == (told or 0)


@pytest.mark.one_server
@pytest.mark.parametrize("since", ["yesterday", "2027-01-15T08:00", datetime.datetime(2027, 1, 15)])  # noqa: DTZ001 - that is the point
def test_a_time_without_a_zone_is_refused(stage: ClientStage, since: Any) -> None:
    with pytest.raises(InvalidOption, match="no time zone|not a time"):
        frames.history(stage.client, since=since)


@pytest.mark.one_server
def test_an_outcome_that_does_not_exist_is_refused(stage: ClientStage) -> None:
    with pytest.raises(InvalidOption, match="unknown outcome"):
        frames.history(stage.client, outcome="lost")


def write(stage: ClientStage, entry_id: str, **fields: Any) -> None:
    fields = {"v": FORMAT, "pool": "p", "host": "h", "n": 1, "ver": ""} | fields
    stage.redis.xadd(f"{stage.namespace}:history", fields, id=entry_id)


def test_unreadable_records_are_counted_and_others_returned(stage: ClientStage) -> None:
    good = pack([Record("x", "mail", 1, 0, 3, "done")])
    write(stage, "1000-1", r=good)
    write(stage, "1000-4", n=3, r=b"junk")
    write(stage, "1000-5", v="9", r=good)
    write(stage, "1000-6", r=good)
    frame = frames.history(stage.client)
    assert len(frame) == 2
    assert frame.attrs["unreadable"] == 4


def test_an_execution_that_did_not_start_has_no_wait_and_no_run(stage: ClientStage) -> None:
    write(
        stage, "1000-1", r=pack([Record("x", "mail", 1, 0, 3_000, "returned", reason="stopping")])
    )
    row = frames.history(stage.client).iloc[0]
    assert (row.outcome, row.reason) == ("returned", "stopping")
    assert row[["started_at", "wait", "run", "error", "worker_id"]].isna().all()


def test_a_clock_that_is_behind_makes_no_negative_wait(stage: ClientStage) -> None:
    record = Record("x", "mail", 10, 9_000, 8_000, "done", enqueued_millis=0)
    write(stage, "1000-1", r=pack([record]))
    row = frames.history(stage.client).iloc[0]
    assert row["wait"] == row["run"] == pd.Timedelta(0)


def test_a_wait_is_exact_to_the_millisecond_or_missing(stage: ClientStage) -> None:
    exact = Record("x", "mail", 10, 10_702, 11_000, "done", enqueued_millis=700)
    from_go = Record("y", "mail", 10, 10_702, 11_000, "done")
    write(stage, "1000-2", n=2, r=pack([exact, from_go]))
    frame = frames.history(stage.client).set_index("job_id")
    assert frame.loc["x", "wait"] == pd.Timedelta("2ms")
    assert pd.isna(frame.loc["y", "wait"])
    assert frame.loc["y", "enqueued_at"] == pd.Timestamp(10, unit="s", tz="UTC")


def test_more_than_one_piece_is_one_frame(
    stage: ClientStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workkit.frames.executions.Unpacker", lambda: Unpacker(4))
    from workkit.frames.packed import Unpacker

    for n in range(10):
        records = [Record(f"{n}-{k}", f"job{n}", 1, 2, 3, "done") for k in range(3)]
        write(stage, f"1000-{3 * n + 3}", n=3, r=pack(records), host=f"h{n % 2}")
    frame = frames.history(stage.client)
    assert frame["job_id"].to_list() == [f"{n}-{k}" for n in range(10) for k in range(3)]
    assert frame["name"].astype("str").to_list() == [f"job{n}" for n in range(10) for _ in range(3)]
    assert frame["host"].astype("str").to_list() == [f"h{n % 2}" for n in range(10) for _ in "abc"]
    assert list(frame["host"].cat.categories) == ["h0", "h1"]
