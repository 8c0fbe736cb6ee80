"""The contract: the columns and dtypes of each frame, filled or empty."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pytest

from tests.client.stage import ClientStage
from tests.support.recorded import NOON_MS, Recorded, record
from workkit import InvalidOption, frames
from workkit.core.outcomes import OUTCOMES
from workkit.frames.schema import empty

pytestmark = pytest.mark.one_server

TIME, SPAN = "datetime64[ms, UTC]", "timedelta64[ms]"
JOB: Final = {
    "job_id": "str",
    "name": "category",
    "args": "str",
    "enqueued_at": TIME,
    "unique": "boolean",
    "unique_key": "str",
}
FAILURE: Final = {
    "failed_at": TIME,
    "fails": "Int64",
    "error": "str",
    "error_type": "category",
    "error_message": "category",
    "error_frame": "category",
    "fingerprint": "category",
    "traceback": "str",
}
#: Users rely on these columns. If you change them, increase `VERSION`.
DTYPES: Final = {
    "history": {
        "job_id": "str",
        "name": "category",
        "outcome": "category",
        "reason": "category",
        "enqueued_at": TIME,
        "started_at": TIME,
        "finished_at": TIME,
        "wait": SPAN,
        "run": SPAN,
        "fails": "Int64",
        "error": "str",
        "fingerprint": "category",
        "worker_id": "category",
        "pool_id": "category",
        "host": "category",
        "version": "category",
        "args": "str",
        "checkins": "str",
        "parent_id": "str",
    },
    "dead": {"died_at": TIME, **JOB, **FAILURE, "problem": "str"},
    "retry": {"retry_at": TIME, **JOB, **FAILURE, "problem": "str"},
    "scheduled": {"run_at": TIME, **JOB, "problem": "str"},
    "queues": {
        "name": "category",
        "count": "Int64",
        "latency": SPAN,
        "paused": "boolean",
        "running": "Int64",
        "max_concurrency": "Int64",
        "broken": "boolean",
    },
    "workers": {
        "worker_id": "str",
        "pool_id": "category",
        "host": "category",
        "pid": "Int64",
        "workkit": "category",
        "pool_started_at": TIME,
        "heartbeat_at": TIME,
        "busy": "boolean",
        "name": "category",
        "job_id": "str",
        "started_at": TIME,
        "args": "str",
        "checkin": "str",
        "checkin_at": TIME,
    },
    "attempts": {
        "job_id": "str",
        "name": "category",
        "attempt": "Int64",
        "outcome": "category",
        "reason": "category",
        "delay": SPAN,
        "enqueued_at": TIME,
        "started_at": TIME,
        "finished_at": TIME,
        "wait": SPAN,
        "run": SPAN,
        "fails": "Int64",
        "error": "str",
        "fingerprint": "category",
        "worker_id": "category",
        "pool_id": "category",
        "host": "category",
        "version": "category",
        "parent_id": "str",
    },
    "journeys": {
        "job_id": "str",
        "name": "category",
        "parent_id": "str",
        "outcome": "category",
        "enqueued_at": TIME,
        "started_at": TIME,
        "ended_at": TIME,
        "total": SPAN,
        "ran": SPAN,
        "lost": SPAN,
        "tries": "Int64",
        "failures": "Int64",
        "error": "str",
        "fingerprint": "category",
        "host": "category",
        "version": "category",
        "whole": "boolean",
    },
    "errors": {
        "fingerprint": "category",
        "error_type": "category",
        "error_message": "str",
        "error_frame": "str",
        "names": "str",
        "dead": "Int64",
        "retry": "Int64",
        "failures": "Int64",
        "cured": "Int64",
        "first_at": TIME,
        "last_at": TIME,
        "example": "str",
    },
    "acts": {
        "number": "Int64",
        "at": TIME,
        "by": "category",
        "program": "category",
        "verb": "category",
        "subject": "category",
        "place": "category",
        "queue": "category",
        "query": "str",
        "planned": "Int64",
        "done": "Int64",
        "job_ids": "str",
        "digest": "str",
        "before": "str",
        "after": "str",
        "operation_id": "str",
        "undoes": "str",
        "ended_at": TIME,
        "note": "str",
        "undone_by": "category",
        "undone_at": TIME,
        "undone": "Int64",
    },
}
MAKE: Final[dict[str, Callable[[Any], Any]]] = {
    "history": frames.history,
    "dead": frames.dead_jobs,
    "retry": frames.retry_jobs,
    "scheduled": frames.scheduled_jobs,
    "queues": frames.queues,
    "workers": frames.workers,
    "attempts": frames.attempts,
    "journeys": frames.journeys,
    "errors": frames.errors,
    "acts": frames.acts,
}


def dtypes(frame: Any) -> dict[str, str]:
    return {name: str(dtype) for name, dtype in frame.dtypes.items()}


@pytest.mark.parametrize("name", DTYPES)
def test_a_frame_has_its_columns_and_dtypes(past: ClientStage, name: str) -> None:
    past.client.pause("mail")
    frame = MAKE[name](past.client)
    assert len(frame)
    assert dtypes(frame) == DTYPES[name]
    assert frame.attrs["workkit"] == f"{name}/2"


@pytest.mark.parametrize("name", DTYPES)
def test_a_frame_of_an_empty_namespace_has_its_columns_and_dtypes(
    stage: ClientStage, name: str
) -> None:
    frame = MAKE[name](stage.client)
    assert len(frame) == 0
    assert dtypes(frame) == DTYPES[name]
    pd.testing.assert_frame_equal(frame, empty(name))


@pytest.mark.parametrize("name", DTYPES)
def test_the_schema_has_the_same_columns_and_their_meanings(name: str) -> None:
    schema = frames.schema(name)
    assert {column.name: column.dtype for column in schema.columns} == DTYPES[name]
    assert all(column.meaning for column in schema.columns)
    assert frames.VERSION == 2


def test_an_unknown_frame_is_refused_by_name() -> None:
    with pytest.raises(InvalidOption, match="unknown frame 'jobs'; known are history, dead"):
        frames.schema("jobs")


@pytest.mark.parametrize("name", DTYPES)
def test_the_documentation_has_the_same_columns(name: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / "analysis.md").read_text("utf-8")
    section = text.partition(f"### {name}\n")[2].partition("\n###")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
    shown = {cells[0].strip("| `"): cells[1].strip("`") for cells in rows}
    assert shown == DTYPES[name]


def test_the_categories_of_labels_are_sorted_or_in_their_own_order(tmp_path: Path) -> None:
    past: Any = Recorded()
    for number, name in enumerate(["z", "a", "m"]):
        past.write([record(name, NOON_MS, name=name)], NOON_MS + number, version=name)
        frames.archive(past, tmp_path)
    frame = frames.history(tmp_path)
    assert frame["name"].cat.categories.to_list() == ["a", "m", "z"]
    assert frame["version"].cat.categories.to_list() == ["a", "m", "z"]
    assert frame["outcome"].cat.categories.to_list() == list(OUTCOMES)
