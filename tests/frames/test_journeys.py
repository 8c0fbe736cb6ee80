"""Attempts and journeys: history told by job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.client.stage import ClientStage
from tests.frames.test_measures import ran
from tests.support.past import RAN
from workkit import InvalidOption, frames
from workkit.frames.schema import empty

pytestmark = pytest.mark.one_server


def tries(job_id: str, *rows: tuple[float, float, float, str, int]) -> list[dict[str, Any]]:
    """Executions of a job: enqueued, started and finished (seconds), outcome, fails."""
    names = ("enqueued_at", "started_at", "finished_at", "outcome", "fails")
    return [{"job_id": job_id} | dict(zip(names, row, strict=True)) for row in rows]


def without_a_start(job_id: str, finished_s: float, outcome: str, reason: str) -> dict[str, Any]:
    return {
        "job_id": job_id, "finished_at": finished_s, "outcome": outcome, "reason": reason,
    }  # fmt: skip


def history(*rows: dict[str, Any]) -> Any:
    """Make history; rows without a start have none."""
    frame = ran(*rows)
    idle = [row.get("started_at") is None for row in rows]
    frame.loc[idle, ["started_at", "wait", "run"]] = pd.NaT
    return frame


def seconds(spans: Any) -> list[float | None]:
    return [None if pd.isna(span) else span.total_seconds() for span in spans]


# Attempts


def test_an_attempt_has_its_number_and_the_delay_since_the_one_before() -> None:
    made = frames.attempts(
        history(
            *tries("a", (0, 1, 3, "retry", 1), (10, 11, 12, "retry", 2), (30, 30, 31, "done", 2)),
            *tries("b", (2, 2, 4, "done", 0)),
        )
    )
    assert made["job_id"].to_list() == ["a", "b", "a", "a"]
    assert made["attempt"].to_list() == [1, 1, 2, 3]
    assert seconds(made["delay"]) == [None, None, 8, 18]


def test_an_attempt_is_what_has_started_or_died_with_its_pool() -> None:
    made = frames.attempts(
        history(
            *tries("a", (0, 1, 3, "retry", 1)),
            without_a_start("a", 5, "returned", "stopping"),
            without_a_start("a", 9, "recovered", "pool died"),
            *tries("a", (9, 10, 11, "done", 1)),
            without_a_start("x", 9, "dead", "undecodable"),
        )
    )
    assert made["outcome"].to_list() == ["retry", "recovered", "done"]
    assert made["attempt"].to_list() == [1, 2, 3]
    assert seconds(made["delay"]) == [None, None, 1]


# Journeys


def test_a_journey_goes_from_the_first_queue_to_the_end() -> None:
    (row,) = frames.journeys(
        history(
            *tries("a", (0, 1, 3, "retry", 1), (10, 11, 12, "retry", 2), (30, 30, 31, "done", 2)),
        )
    ).itertuples()
    assert (row.outcome, row.tries, row.failures, row.whole) == ("done", 3, 2, True)
    assert seconds([row.total, row.ran, row.lost]) == [31, 4, 29]
    assert row.started_at == pd.Timestamp(1, unit="s", tz="UTC")


def test_a_job_that_waits_for_a_retry_has_not_ended() -> None:
    (row,) = frames.journeys(history(*tries("a", (0, 1, 3, "retry", 1)))).itertuples()
    assert row.outcome == "retry"
    assert seconds([row.total, row.ended_at, row.lost]) == [None, None, 0]


def test_a_journey_whose_beginning_is_gone_has_no_total() -> None:
    (row,) = frames.journeys(history(*tries("a", (9, 10, 13, "done", 3)))).itertuples()
    assert (row.outcome, row.whole, row.total) == ("done", False, pd.NaT)


def test_a_journey_from_a_go_program_has_no_total() -> None:
    frame = history(*tries("a", (9, 10, 13, "done", 0)))
    frame["wait"] = frame["wait"].mask(frame["wait"].notna())
    assert seconds(frames.journeys(frame)["total"]) == [None]


def test_what_another_pool_has_written_is_the_end_of_a_fenced_execution() -> None:
    (row,) = frames.journeys(
        history(*tries("a", (0, 1, 20, "fenced", 0), (2, 12, 13, "done", 0)))
    ).itertuples()
    assert (row.outcome, row.tries) == ("done", 2)
    assert row.total == pd.Timedelta("13s")
    late = tries("a", (0, 1, 9, "done", 0), (0, 5, 20, "fenced", 0))
    assert frames.journeys(history(*late))["outcome"].to_list() == ["done"]
    (only,) = frames.journeys(history(*tries("a", (0, 1, 20, "fenced", 0)))).itertuples()
    assert (only.outcome, only.total) == ("fenced", pd.NaT)


def test_a_second_copy_of_a_slot_is_not_the_end_of_its_job() -> None:
    (row,) = frames.journeys(
        history(
            *tries("periodic:x:@daily:0", (0, 1, 2, "done", 0)),
            without_a_start("periodic:x:@daily:0", 5, "discarded", "duplicate slot"),
        )
    ).itertuples()
    assert (row.outcome, row.total) == ("done", pd.Timedelta("2s"))


def test_a_dead_job_that_was_retried_ends_with_its_last_execution() -> None:
    (row,) = frames.journeys(
        history(*tries("a", (0, 1, 2, "dead", 1), (60, 61, 62, "done", 0)))
    ).itertuples()
    assert (row.outcome, row.tries, row.failures) == ("done", 2, 1)
    assert seconds([row.total, row.lost]) == [62, 60]


def test_an_arg_names_the_parent_of_a_job() -> None:
    frame = history(
        {"job_id": "a", "finished_at": 1, "args": {"n": 1}},
        {"job_id": "b", "finished_at": 2, "args": {"by": {"job": "a"}}},
    )
    assert frames.journeys(frame)["parent_id"].isna().all()
    made = frames.journeys(frame, parent="by.job").set_index("job_id")["parent_id"]
    assert made["b"] == "a"
    assert pd.isna(made["a"])
    with pytest.raises(InvalidOption, match="no job has the arg 'parent'; there are by.job, n"):
        frames.journeys(frame, parent="parent")


@pytest.mark.parametrize("make", [frames.attempts, frames.journeys])
def test_a_history_without_executions_has_no_jobs(make: Any) -> None:
    name = make.__name__
    pd.testing.assert_frame_equal(make(empty("history")), empty(name))


@pytest.mark.parametrize("make", [frames.attempts, frames.journeys])
def test_something_else_than_history_is_refused(make: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="not a frame of history"):
        make(pd.DataFrame({"x": [1]}))
    with pytest.raises(InvalidOption, match="there is no file or directory"):
        make(tmp_path / "nowhere")
    with pytest.raises(InvalidOption, match="history comes from"):
        make(17)


def test_jobs_of_a_server_and_their_files_tell_the_same(past: ClientStage, tmp_path: Path) -> None:
    made = frames.journeys(past.client)
    assert len(made) == made["job_id"].nunique() == RAN
    assert made["tries"].sum() == len(frames.attempts(past.client))
    for name, frame in (("journeys", made), ("attempts", frames.attempts(past.client))):
        frames.write(frame, tmp_path / f"{name}.parquet", name)
        read = frames.read(tmp_path / f"{name}.parquet", name)
        pd.testing.assert_frame_equal(read, frame, check_like=True)


# Errors


def test_failures_that_a_retry_made_good_are_counted(past: ClientStage, tmp_path: Path) -> None:
    rows = [
        *tries("a", (0, 1, 3, "retry", 1), (10, 11, 12, "retry", 2), (30, 30, 31, "done", 2)),
        *tries("b", (0, 1, 3, "retry", 1), (10, 11, 12, "dead", 2)),
        *tries("c", (0, 1, 2, "done", 0)),
    ]
    for row in rows:
        if row["outcome"] != "done":
            row |= {"error": "ValueError: no", "fingerprint": "f1"}
    frame = ran(*rows)
    (row,) = frames.errors(frame).itertuples()
    assert (row.failures, row.cured, row.dead) == (4, 2, 0)
    assert frames.errors(past.client)["cured"].sum() == 0
