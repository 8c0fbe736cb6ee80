"""The recipes of docs/archives.md run as they stand, and agree with what workkit measures."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, Final

import duckdb
import pandas as pd
import pytest

from tests.support.recorded import DAY_MS, Recorded, record
from workkit import frames

pytestmark = pytest.mark.one_server

PAGE: Final = Path(__file__).parents[2] / "docs" / "archives.md"
BLOCKS: Final = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
SINCE_MS: Final = round(pd.Timestamp("2026-11-01", tz="UTC").timestamp() * 1_000)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Six days around the beginning of November, of which four are after it."""
    past: Any = Recorded()
    for day in range(-2, 4):
        at_ms = SINCE_MS + day * DAY_MS + DAY_MS // 2
        for number in range(8):
            job_id, args = f"{day}-{number}", f'{{"tenant":"t{number % 3}"}}'
            options = {"name": f"job{number % 2}", "args": args}
            ended = at_ms + number * 600_000
            past.write(
                [
                    record(job_id, ended, outcome="retry", fails=1, error="E: x", **options),
                    record(
                        job_id, ended + 60_000 + number * 1_000, fails=1,
                        outcome="dead" if number == 5 else "done", **options,
                    ),
                ],
                ended + 90_000,
                version=f"v{number % 2}",
            )  # fmt: skip
        frames.archive(past, tmp_path / "history")
    return tmp_path / "history"


def run(part: str, archive: Path) -> dict[str, Any]:
    """Run the one recipe that has these words."""
    (code,) = [block for block in BLOCKS if part in block]
    names: dict[str, Any] = {"__name__": "recipe"}
    code = code.replace("/var/lib/workkit/history", str(archive))
    exec(compile(code, "recipe", "exec"), names)  # noqa: S102 - our own documents
    return names


def november(archive: Path) -> Any:
    return frames.history(archive, since=SINCE_MS / 1_000)


def sql(relation: duckdb.DuckDBPyRelation) -> list[tuple[Any, ...]]:
    return relation.fetchall()


def test_failures_of_each_day(archive: Path) -> None:
    told = sql(run("AS failed", archive)["failures"])
    assert len(told) == 4 * 2
    frame = november(archive)
    counted = frames.throughput(frame, "1D", by="name")
    assert [row[2] for row in told] == counted.to_numpy().ravel().tolist()
    assert [row[3] for row in told] == [0.5, 0.625] * 4
    assert {row[4] for row in told} == {2.0}


def test_slow_jobs_and_delays(archive: Path) -> None:
    names = run("total_ms DESC", archive)
    told = sql(names["slow"])
    assert len(told) == 4 * 8
    assert told[0] == ("0-0", "job0", 4, 2, "E: x")
    wanted = frames.latency_quantiles(november(archive), quantiles=[0.5])["retry_delay", "p50"]
    assert dict(sql(names["delays"])) == pytest.approx(wanted.dt.total_seconds().to_dict())


def test_dead_jobs_by_an_arg(archive: Path) -> None:
    told = sql(run("$.tenant", archive)["tenants"])
    assert told == [("t0", 0, 36), ("t1", 0, 36), ("t2", 6, 24)]


def test_hours_in_polars(archive: Path) -> None:
    told = run('truncate("1h")', archive)["hours"]
    counted = frames.throughput(november(archive), "1h")["executions"]
    assert told["executions"].to_list() == counted[counted > 0].to_list()
    assert set(told["p90_ms"]) == {3.0}


def test_versions_in_polars(archive: Path) -> None:
    told = run('filter(outcome="dead")', archive)["versions"]
    assert told.rows() == [("v1", 6)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # between Dask and the newest pandas
@pytest.mark.filterwarnings("ignore:.*inplace")
def test_means_in_dask(archive: Path) -> None:
    told = run("dask.dataframe", archive)["means"]
    assert told.to_dict() == {"job0": 2.0, "job1": 2.0}


def test_outcomes_in_arrow(archive: Path) -> None:
    counts = run("collections.Counter", archive)["counts"]
    wanted = frames.history(archive)["outcome"].value_counts()
    assert counts == wanted[wanted > 0].to_dict()


def test_spark_is_given_the_same_folder_and_columns() -> None:
    (code,) = [block for block in BLOCKS if "pyspark" in block]
    assert ast.parse(code)
    assert "/var/lib/workkit/history" in code
    columns = {*frames.schema("history").stored().names, "day"}
    assert {"day", "name", "run_ms"} <= columns


def test_each_recipe_is_tested() -> None:
    parts = re.findall(r"""\brun\((["'])(.+?)\1, archive\)""", Path(__file__).read_text("utf-8"))
    tested = {block for block in BLOCKS for _, part in parts if part in block}
    assert [block for block in BLOCKS if block not in tested and "pyspark" not in block] == []
