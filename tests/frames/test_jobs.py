"""The frames of jobs, queues, workers and errors."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from tests.client.stage import JUNK, SETS, ClientStage, SetName, raw_job
from workkit import InvalidOption, frames
from workkit.core import fingerprint

MAKE = {
    "dead": frames.dead_jobs,
    "retry": frames.retry_jobs,
    "scheduled": frames.scheduled_jobs,
}


def test_dead_jobs_are_rows_with_the_parts_of_their_errors(past: ClientStage) -> None:
    frame = frames.dead_jobs(past.client)
    junk, six, twelve, far = (row for _, row in frame.iterrows())
    jobs = {dead.job.id: dead for dead in past.client.iter_dead_jobs()}
    dead = jobs[six.job_id]
    assert six.died_at == pd.Timestamp(dead.died_at, unit="s", tz="UTC")
    assert (six["name"], six.fails, six["unique"]) == ("mail", 1, False)
    assert json.loads(six.args) == {"n": 6, "host": {"region": "us"}}
    assert six.error.startswith("ValueError: no luck with 6 of 'x")
    assert six.error_type == "ValueError"
    assert six.error_message == "no luck with <n> of <text>"
    assert six.error_frame == "past.py:mail"
    assert six.fingerprint == twelve.fingerprint == fingerprint.fingerprint(dead.job.last_err)
    assert "Traceback (innermost last):" in six.traceback
    assert pd.isna(six.problem)
    assert pd.isna(junk.job_id)
    assert junk.problem.startswith("not a job")
    assert far.job_id == "far"
    assert pd.isna(far.died_at)  # no calendar shows infinity


@pytest.mark.parametrize("place", SETS)
def test_malformed_payloads_are_rows_with_a_problem(stage: ClientStage, place: SetName) -> None:
    stage.lay(place, {raw: 100 + at for at, raw in enumerate(JUNK)})
    stage.lay(place, {raw_job("good"): 1})
    frame = MAKE[place](stage.client)
    assert len(frame) == len(JUNK) + 1
    assert frame["problem"].notna().sum() == len(JUNK)
    assert frame.loc[frame["problem"].isna(), "job_id"].to_list() == ["good"]
    assert frame.loc[frame["problem"].notna(), "unique"].isna().all()


def test_args_keep_their_bytes(stage: ClientStage) -> None:
    raw = b'{"name":"a","id":"x","t":1,"args":{"big":123456789012345678901, "f":1.0}}'
    stage.lay("dead", {raw: 5})
    assert frames.dead_jobs(stage.client)["args"].to_list() == [
        '{"big":123456789012345678901, "f":1.0}'
    ]


def test_args_become_columns_of_the_type_that_all_values_share(stage: ClientStage) -> None:
    args = [
        {"n": 1, "x": 1.5, "on": True, "s": "a", "mixed": 1, "list": [1, 2], "in": {"k": {"d": 1}}},
        {"n": 2, "x": 2, "on": False, "s": "b", "mixed": "two", "in": {}, "none": None},
        {"n": 2**80 and 3},
        None,
    ]
    for at, value in enumerate(args):
        stage.lay("scheduled", {raw_job(str(at), args=value): at})
    frame = frames.scheduled_jobs(stage.client, args="columns")
    flat = frame[[name for name in frame if name.startswith("args.")]]
    assert {name: str(dtype) for name, dtype in flat.dtypes.items()} == {
        "args.in": "str",
        "args.in.k.d": "Int64",
        "args.list": "str",
        "args.mixed": "str",
        "args.n": "Int64",
        "args.on": "boolean",
        "args.s": "str",
        "args.x": "Float64",
    }
    assert flat["args.list"].iloc[0] == "[1,2]"
    assert flat["args.mixed"].to_list()[:2] == ["1", "two"]
    assert flat.loc[3].isna().all()


def test_an_integer_too_large_for_its_column_is_kept_as_text(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job("x", args={"n": 2**70}): 1})
    assert frames.dead_jobs(stage.client, args="columns")["args.n"].to_list() == [str(2**70)]


def test_queues_and_workers_are_rows(past: ClientStage) -> None:
    queues = frames.queues(past.client).set_index("name")
    sync = queues.loc["sync"]
    assert (sync["count"], sync.paused, sync.running, sync.max_concurrency) == (2, True, 1, 2)
    assert pd.isna(queues.loc["mail", "max_concurrency"])
    (worker,) = (row for _, row in frames.workers(past.client).iterrows())
    assert (worker.busy, worker["name"], worker.checkin) == (True, "sync", "half")
    assert json.loads(worker.args) == {"shard": 1}
    assert worker.pid > 0
    assert worker.heartbeat_at.tzinfo is not None


def test_a_worker_that_runs_nothing_is_a_row(stage: ClientStage) -> None:
    stage.pool().duty("heartbeat")
    frame = frames.workers(stage.client)
    assert len(frame) == 10
    assert not frame["busy"].any()
    assert frame["name"].isna().all()


def test_errors_are_grouped_over_dead_jobs_retries_and_history(past: ClientStage) -> None:
    frame = frames.errors(past.client)
    (row,) = (row for _, row in frame.iterrows())
    assert (row.dead, row.retry, row.failures) == (2, 2, 4)
    assert (row.error_type, row.error_frame) == ("ValueError", "past.py:mail")
    assert row.error_message == "no luck with <n> of <text>"
    assert row.names == "mail,try"
    assert row.first_at < row.last_at
    assert row.example.startswith("ValueError: no luck with 12")
    assert row.fingerprint in set(frames.dead_jobs(past.client)["fingerprint"].dropna())


def test_errors_since_a_time_leave_out_earlier_failures(past: ClientStage) -> None:
    last = frames.errors(past.client).iloc[0].last_at
    frame = frames.errors(past.client, since=last)
    assert frame[["dead", "retry", "failures"]].sum().sum() == 1
    later = last + pd.Timedelta("1h")
    assert len(frames.errors(past.client, since=later)) == 0
    assert len(frames.errors(past.client, since=later.timestamp())) == 0


@pytest.mark.one_server
def test_an_invalid_source_is_refused(tmp_path: pytest.TempPathFactory) -> None:
    with pytest.raises(InvalidOption, match="is an archive, which has only history"):
        frames.dead_jobs(str(tmp_path))
    with pytest.raises(InvalidOption, match="not a snapshot: no such file"):
        frames.dead_jobs(f"{tmp_path}/nothing")


def test_an_integer_that_no_float_has_is_kept_as_text_beside_floats(stage: ClientStage) -> None:
    for at, n in enumerate((9_007_199_254_740_993, 0.5, 10**400)):
        stage.lay("dead", {raw_job(str(at), args={"n": n, "m": at or 0.5}): at + 1})
    frame = frames.dead_jobs(stage.client, args="columns")
    assert frame["args.n"].to_list() == ["9007199254740993", "0.5", str(10**400)]
    assert frame["args.m"].to_list() == [0.5, 1.0, 2.0]


def test_a_key_with_a_dot_is_not_the_key_of_an_object(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job("x", args={"a.b": 1, "a": {"b": 2, "c.d": 3}}): 1})
    frame = frames.dead_jobs(stage.client, args="columns")
    flat = frame[[name for name in frame if name.startswith("args.")]].iloc[0]
    assert flat.to_dict() == {'args."a.b"': 1, "args.a.b": 2, 'args.a."c.d"': 3}
