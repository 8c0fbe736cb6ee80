"""Archives of any size are read lazily, by each engine alike."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.recorded import DAY_MS, NOON_MS, Recorded, as_version_1, record
from workkit import InvalidOption, MissingExtra, frames
from workkit.frames import Scan

pytestmark = pytest.mark.one_server

#: How each engine gives the rows of a scan: tuples of the given columns.
ENGINES: dict[str, Callable[[Scan, list[str]], list[tuple[Any, ...]]]] = {
    "duckdb": lambda scan, names: scan.duckdb().select(*names).fetchall(),
    "polars": lambda scan, names: scan.polars().select(names).collect().rows(),
    "arrow": lambda scan, names: [
        tuple(row[name] for name in names) for row in scan.arrow().read_all().to_pylist()
    ],
    "pandas": lambda scan, names: [
        tuple(None if pd.isna(value) else value for value in row)
        for row in scan.pandas()[names].itertuples(index=False)
    ],
}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Ten days, with a retry and a dead job on each."""
    past = Recorded()
    for day in range(10):
        at_ms = NOON_MS + day * DAY_MS
        past.write(
            [
                record(f"{day}-a", at_ms - 1),
                record(f"{day}-b", at_ms - 1, name="sync", outcome="retry", fails=1, error="E: x"),
                record(f"{day}-c", at_ms - 1, name="it's", outcome="dead", started_ms=0),
            ],
            at_ms,
            version=f"v{day}",
        )
    made = tmp_path / "arc'h[i]ve *"
    frames.archive(past, made)  # type: ignore[arg-type]
    return made


def day_s(day: float) -> float:
    return (NOON_MS - DAY_MS // 2 + day * DAY_MS) / 1_000


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("filters", "jobs"),
    [
        ({"since": day_s(3), "until": day_s(5)}, {"3-a", "3-b", "3-c", "4-a", "4-b", "4-c"}),
        ({"since": day_s(9), "outcome": "dead"}, {"9-c"}),
        ({"until": day_s(1), "outcome": ["dead", "retry"]}, {"0-b", "0-c"}),
        ({"until": day_s(1), "name": "it's"}, {"0-c"}),
        ({"until": day_s(2), "name": ["sync", "it's"]}, {"0-b", "0-c", "1-b", "1-c"}),
        ({"name": []}, set()),
        ({"name": "nobody"}, set()),
        ({"since": day_s(90)}, set()),
    ],
)
def test_an_engine_gives_the_executions_that_are_wanted(
    archive: Path, engine: str, filters: dict[str, Any], jobs: set[str]
) -> None:
    found = ENGINES[engine](frames.scan(archive, **filters), ["job_id"])
    assert sorted(found) == sorted((job,) for job in jobs)


@pytest.mark.parametrize("engine", ["duckdb", "polars", "arrow"])
def test_spans_of_time_are_whole_milliseconds_in_every_engine(archive: Path, engine: str) -> None:
    scan = frames.scan(archive, until=day_s(1))
    rows = ENGINES[engine](scan, ["job_id", "wait_ms", "run_ms", "fails"])
    assert sorted(rows) == [("0-a", 3, 2, 0), ("0-b", 3, 2, 1), ("0-c", None, None, 0)]


@pytest.mark.parametrize("engine", ["duckdb", "polars", "arrow"])
def test_files_of_both_versions_are_read_as_one(archive: Path, engine: str) -> None:
    names = ["job_id", "name", "finished_at", "wait_ms", "run_ms"]
    before = sorted(ENGINES[engine](frames.scan(archive), names))
    for path in sorted(archive.glob("day=*/*"))[::2]:
        as_version_1(path)
    assert sorted(ENGINES[engine](frames.scan(archive), names)) == before
    assert len(before) == 30


def test_a_frame_of_both_versions_equals_that_of_one(archive: Path) -> None:
    before = frames.history(archive)
    for path in sorted(archive.glob("day=*/*"))[:4]:
        as_version_1(path)
    pd.testing.assert_frame_equal(frames.history(archive), before)
    pd.testing.assert_frame_equal(frames.scan(archive).pandas(), before)


def test_columns_that_a_file_is_too_old_for_are_missing_values(archive: Path) -> None:
    (path, *_) = sorted(archive.glob("day=*/*"))
    table = pq.ParquetFile(path).read()
    pq.write_table(table.drop_columns(["checkins", "version", "fails", "started_at"]), path)
    scan = frames.scan(archive, until=day_s(2))
    for engine, rows_of in ENGINES.items():
        rows = dict(rows_of(scan, ["job_id", "version"]))
        assert (rows["0-a"], rows["1-a"]) == (None, "v1"), engine
    assert scan.pandas()["fails"].isna().sum() == 3


def test_only_the_columns_that_are_wanted_are_given(archive: Path) -> None:
    scan = frames.scan(archive, columns=["run_ms", "name"], until=day_s(1))
    assert scan.duckdb().columns == ["run_ms", "name"]
    assert scan.polars().collect_schema().names() == ["run_ms", "name"]
    assert scan.arrow().schema.names == ["run_ms", "name"]
    frame = scan.pandas()
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        "run_ms": "Int64", "name": "category",
    }  # fmt: skip
    frame = frames.scan(archive, columns=["run", "job_id"]).pandas()
    assert frame["run"].max() == pd.Timedelta("2ms")
    assert frames.scan(archive, columns=["run", "run_ms"]).duckdb().columns == ["run_ms"]


def test_queries_name_the_relation(archive: Path) -> None:
    ran = frames.scan(archive).duckdb()  # noqa: F841 - the query names it
    told = duckdb.sql("SELECT name, count(*), sum(run_ms) FROM ran GROUP BY name ORDER BY name")
    assert told is not None
    assert told.fetchall() == [("it's", 10, None), ("mail", 10, 20), ("sync", 10, 20)]
    own = duckdb.connect()
    assert frames.scan(archive).duckdb(own).count("*").fetchall() == [(30,)]


def test_engines_get_the_filters_beside_each_file(archive: Path) -> None:
    for path in sorted(archive.glob("day=*/*"))[::2]:
        as_version_1(path)
    scan = frames.scan(archive, since=day_s(3), name="sync", columns=["run_ms"])
    plan = scan.polars().explain()
    columns = len(frames.schema("history").names)
    assert plan.count(f"PROJECT 3/{columns} COLUMNS") == plan.count("Parquet SCAN") == 2
    assert plan.count("SELECTION") == 2
    plan = scan.duckdb().explain()
    assert plan.count("Read Parquet") == plan.count("Filters:") == plan.count("name = 'sync'") == 2


@pytest.fixture
def many(tmp_path: Path) -> tuple[Path, list[str]]:
    """Ten thousand files of a hundred days, of which only those of two days can be opened."""
    past = Recorded()
    past.write_jobs(1)
    frames.archive(past, tmp_path / "one")  # type: ignore[arg-type]
    (good,) = (tmp_path / "one").glob("day=*/*")
    bad = tmp_path / "bad"
    bad.write_bytes(b"whoever opens this fails")
    may_open = []
    for day in range(100):
        at_ms = NOON_MS - DAY_MS // 2 + day * DAY_MS
        date = pd.Timestamp(at_ms, unit="ms").date()
        (tmp_path / "many" / f"day={date}").mkdir(parents=True)
        for n in range(100):
            entry = f"{at_ms + n * 60_000}-{day * 100 + n + 1}"
            path = tmp_path / "many" / f"day={date}" / f"{entry}.{entry}.parquet"
            path.hardlink_to(good if day in {50, 51} else bad)
            if day in {50, 51}:
                may_open.append(path.name)
    return tmp_path / "many", may_open


@pytest.mark.parametrize("engine", ENGINES)
def test_of_ten_thousand_files_only_those_of_two_days_are_opened_for_one_day(
    many: tuple[Path, list[str]], engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, may_open = many
    scan = frames.scan(archive, since=day_s(50), until=day_s(51))
    assert [path.name for path in scan.files] == may_open
    opened: list[str] = []

    def counted(open_: Any) -> Callable[[Any], Any]:
        def opening(path: Any) -> Any:
            opened.append(Path(path).name)
            return open_(path)

        return opening

    monkeypatch.setattr(pa, "OSFile", counted(pa.OSFile))
    monkeypatch.setattr(pq, "read_schema", counted(pq.read_schema))
    ENGINES[engine](scan, ["job_id"])  # would fail at any of the other 9,800
    assert sorted(opened) == sorted(may_open)
    assert len(opened) == 200
    damaged = r"is damaged|too small|magic|footer|out of range|whoever"
    with pytest.raises((InvalidOption, duckdb.Error, pl.exceptions.PolarsError), match=damaged):
        ENGINES[engine](frames.scan(archive, since=day_s(49), until=day_s(50)), ["job_id"])


def test_what_nobody_has_asked_for_yet_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past: Any = Recorded()
    jobs = [f"{n * 0x9E3779B97F4A7C15 % 2**64:032x}" for n in range(40_000)]
    past.write([record(job, NOON_MS) for job in jobs], NOON_MS)
    frames.archive(past, tmp_path)
    (path,) = tmp_path.glob("day=*/*")
    pq.write_table(pq.ParquetFile(path).read(), path, row_group_size=2_000)
    reached: list[int] = []
    opened = contextlib.ExitStack()

    class Watched(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            reached.append(self.tell())
            return super().read(size) or b""

    monkeypatch.setattr(
        "workkit.frames.archive_reading.open_file",
        lambda _, path: pa.PythonFile(opened.enter_context(Watched(path)), mode="r"),
    )
    tables = frames.scan(tmp_path).tables(["job_id"])
    with opened:
        assert sum(next(tables).num_rows for _ in range(5)) == 10_000
    before_footer = path.stat().st_size - 200_000
    assert max(at for at in reached if at < before_footer) < path.stat().st_size / 2


def test_a_scan_sees_what_is_archived_later(tmp_path: Path) -> None:
    past: Any = Recorded()
    frames.archive(past, tmp_path)
    scan = frames.scan(tmp_path)
    assert [len(ENGINES[engine](scan, ["job_id"])) for engine in ENGINES] == [0, 0, 0, 0]
    pd.testing.assert_frame_equal(scan.pandas(), frames.history(tmp_path))
    past.write_jobs(3)
    frames.archive(past, tmp_path)
    assert [len(ENGINES[engine](scan, ["job_id"])) for engine in ENGINES] == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"columns": ["nmae"]}, r"unknown column 'nmae'.*name"),
        ({"columns": []}, "columns must be several names"),
        ({"columns": "name"}, r"columns must be several names such as \['name'\], not 'name'"),
        ({"columns": [7]}, "unknown column 7"),
        ({"outcome": "fine"}, "unknown outcome 'fine'; known are done"),
        ({"outcome": ["done", "fine"]}, "unknown outcome 'fine'"),
        ({"name": [b"mail"]}, "name must be a text or several texts"),
        ({"since": "yesterday"}, "'yesterday' is not a time"),
        ({"until": -1}, "until must be epoch seconds"),
    ],
)
def test_what_a_scan_cannot_do_is_refused(
    archive: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidOption, match=said):
        frames.scan(archive, **options)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    for source in (tmp_path / "missing", object(), tmp_path):
        with pytest.raises(InvalidOption, match="workkit archive makes one"):
            frames.scan(source)  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_damaged_file_is_named_before_the_query_runs(archive: Path, engine: str) -> None:
    path = sorted(archive.glob("day=*/*"))[4]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InvalidOption, match=r"day=2024-10-08.* is damaged: .*restore it, or move"):
        ENGINES[engine](frames.scan(archive), ["job_id"])


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (
            {b"workkit": b"history/3"},
            "of version 3, and this workkit reads up to 2; install",
        ),
        ({b"workkit": b"dead/2"}, "is not a frame of history"),
        ({}, "is not a frame of history"),
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_of_something_else_is_refused_with_the_reason(
    archive: Path, engine: str, metadata: dict[bytes, bytes], said: str
) -> None:
    path = sorted(archive.glob("day=*/*"))[4]
    pq.write_table(pq.ParquetFile(path).read().replace_schema_metadata(metadata), path)
    with pytest.raises(InvalidOption, match=f"day=2024-10-08.*{said}"):
        ENGINES[engine](frames.scan(archive), ["job_id"])


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_an_engine_that_is_not_installed_is_named_with_its_extra(
    archive: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, engine, None)
    with pytest.raises(MissingExtra, match=rf"pip install 'workkit\[{engine}\]'"):
        getattr(frames.scan(archive), engine)()
