"""Measures of a scan equal those of a frame, and those that DuckDB computes from the raw stream."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import duckdb
import pandas as pd
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from tests.support.recorded import DAY_MS, NOON_MS, Recorded, as_version_1, record
from workkit import InvalidOption, frames
from workkit.core.fingerprint import fingerprint
from workkit.core.history import FORMAT, Record, unpack
from workkit.core.outcomes import OUTCOMES, with_flag
from workkit.frames.delays import hashes
from workkit.frames.extra import pa

VERSIONS: Final = ["", *(f"2026.{n}" for n in range(1, 10))]
ERRORS: Final = ["", "ValueError: no 7", "ValueError: no 8", "KeyError: 'x'", "sad", "\x00\ufffd"]
NAMES: Final = ["mail", "sync", "", "(none)", "näme'", "all"]
#: Ids of several lengths, some of which are the beginnings of others.
JOBS: Final = [
    *(f"{n:024x}" for n in range(6)),
    "a",
    "ab",
    "abcdefgh",
    "abcdefgh\x00",
    "periodic:é:1",
]
SPANS: Final = ("wait", "run", "retry_delay")
QUANTILES: Final = (0, 0.3, 0.5, 0.99)
#: How many random histories each test looks at. The more, the longer: WORKKIT_HISTORIES=200.
HISTORIES: Final = int(os.environ.get("WORKKIT_HISTORIES", "12"))

pytestmark = [pytest.mark.one_server, pytest.mark.timeout(120 + 3 * HISTORIES)]

#: Shrinking a history takes minutes: each is written to disk.
PHASES: Final = (Phase.explicit, Phase.generate)
#: A clock is mostly right, but may be set forth or back.
STEPS_MS: Final = st.sampled_from([0] * 8 + [-3_600_000, 3_600_000, -2 * DAY_MS, 1])


@st.composite
def records(draw: st.DrawFn, at_ms: int) -> Record:
    """An execution that was recorded at a time."""
    finished_ms = at_ms - draw(st.integers(0, 9_000)) + draw(STEPS_MS)
    run_ms = draw(st.integers(-5, 90_000))
    error = draw(st.sampled_from(ERRORS))
    return record(
        draw(st.sampled_from(JOBS)),
        finished_ms,
        name=draw(st.sampled_from(NAMES)),
        started_ms=draw(st.sampled_from([finished_ms - run_ms] * 4 + [0])),
        enqueued_at=(finished_ms - run_ms) // 1_000 - draw(st.integers(-3, 600)),
        enqueued_millis=draw(st.sampled_from([-1, 0, 7, 999])),
        outcome=draw(st.sampled_from([*OUTCOMES, "retry", "retry", "done"])),
        fails=draw(st.integers(0, 5)),
        error=error,
        fingerprint=draw(st.sampled_from([fingerprint(error) if error else "", "", "feed"])),
        args=draw(st.sampled_from([None, '{"n": 1}', '{"n": 2, "to": "x"}', "junk"])),
    )


@st.composite
def histories(draw: st.DrawFn) -> Recorded:
    """A history of some days with clock steps, missing starts, junk, and ten versions."""
    past, at_ms = Recorded(), NOON_MS
    for _ in range(draw(st.integers(0, 9))):
        at_ms += draw(st.sampled_from([1, 30_000, 3_600_000, DAY_MS]))
        found = draw(st.lists(records(at_ms), min_size=1, max_size=6))
        kind = draw(st.sampled_from([FORMAT] * 6 + ["9"]))
        past.write(found, at_ms, version=draw(st.sampled_from(VERSIONS)), format_=kind)
        if draw(st.sampled_from([False] * 6 + [True])):
            past.entries[-1] = past.entries[-1]._replace(blob=b"junk")
    return past


def readable(past: Recorded) -> Iterator[tuple[Record, str]]:
    for entry in past.entries:
        if entry.version == FORMAT and entry.blob != b"junk":
            for found in unpack(entry.blob):
                yield found, entry.program


def raw(past: Recorded) -> duckdb.DuckDBPyConnection:
    """The records of a history as a table, which no code of workkit's frames has made."""
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE raw (seq BIGINT, job VARCHAR, name VARCHAR, version VARCHAR, outcome VARCHAR,"
        " started BIGINT, finished BIGINT, wait BIGINT, run BIGINT, error VARCHAR, print VARCHAR)"
    )
    rows = [
        (
            number, each.job_id, each.name or None, version or None, each.outcome,
            each.started_ms or None, each.finished_ms,
            max(each.started_ms - each.enqueued_ms, 0)
            if each.started_ms and each.enqueued_ms is not None else None,
            max(each.finished_ms - each.started_ms, 0) if each.started_ms else None,
            each.error or None, each.fingerprint or None,
        )
        for number, (each, version) in enumerate(readable(past))
    ]  # fmt: skip
    if rows:
        connection.executemany("INSERT INTO raw VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return connection


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pieces and passes so small that a short history has several."""
    monkeypatch.setattr("workkit.frames.archive_reading.BATCH", 3)
    monkeypatch.setattr("workkit.frames.delays._JOBS", 2)
    monkeypatch.setattr("workkit.frames.delays._NAMED_JOBS", 2)
    monkeypatch.setattr("workkit.frames.tallies._WAITING", 4)


class Archived:
    """A history in an archive, some of whose files are of version 1."""

    def __init__(self, past: Recorded) -> None:
        self._folder = tempfile.TemporaryDirectory()
        root = Path(self._folder.name) / "archive"
        frames.archive(past, root)  # type: ignore[arg-type]
        for path in sorted(root.glob("day=*/*"))[::3]:
            as_version_1(path)
        self.scan = frames.scan(root)
        self.frame = frames.history(root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


@pytest.mark.slow
@settings(max_examples=HISTORIES, deadline=None, phases=PHASES)
@given(histories(), st.sampled_from(["name", "version", "outcome", "job_id", "fails", None]))
def test_throughput_of_a_scan_is_that_of_a_frame_and_of_the_raw_stream(
    past: Recorded, by: str | None
) -> None:
    with Archived(past) as archive:
        counted = frames.throughput(archive.scan, "1h", by=by)
        pd.testing.assert_frame_equal(counted, frames.throughput(archive.frame, "1h", by=by))
    if by not in {"name", "version"}:
        assert counted.drop(columns="per_s", errors="ignore").to_numpy().sum() == len(
            list(readable(past))
        )
        return
    found = {
        (int(span.timestamp() * 1_000), label): number
        for label in counted
        for span, number in counted[label].items()
        if number
    }
    told = raw(past).execute(
        f"SELECT finished // 3600000 * 3600000, coalesce({by}, '(none)'), count(*) "  # noqa: S608
        "FROM raw GROUP BY ALL"
    )
    assert found == {(span, label): number for span, label, number in told.fetchall()}


@pytest.mark.slow
@settings(max_examples=HISTORIES, deadline=None, phases=PHASES)
@given(histories(), st.sampled_from(["name", "version", "job", None]))
def test_latency_of_a_scan_is_that_of_a_frame_and_of_the_raw_stream(
    past: Recorded, by: str | None
) -> None:
    column = "job_id" if by == "job" else by
    with Archived(past) as archive:
        told = frames.latency_quantiles(archive.scan, column, quantiles=QUANTILES)
        whole = frames.latency_quantiles(archive.frame, column, quantiles=QUANTILES)
    pd.testing.assert_frame_equal(told, whole)
    wanted = ", ".join(f"quantile_cont({span}, {at})" for span in SPANS for at in QUANTILES)
    rows = (
        raw(past)
        .execute(
            f"""WITH tries AS (
              SELECT *, CASE WHEN lag(outcome) OVER tries = 'retry'
                             THEN started - lag(finished) OVER tries END AS retry_delay
              FROM raw WHERE started IS NOT NULL
              WINDOW tries AS (PARTITION BY job ORDER BY started, seq))
            SELECT coalesce({by or "'all'"}, '(none)'), count(*), {wanted} FROM tries GROUP BY 1"""  # noqa: S608 - columns
        )
        .fetchall()
    )
    assert len(rows) == len(told)
    for label, executions, *values in rows:
        row = told.loc[label]
        assert row["executions", ""] == executions
        for value, told_ms in zip(row.drop(("executions", "")), values, strict=True):
            if told_ms is None:
                assert pd.isna(value)
            else:
                assert abs(value / pd.Timedelta("1ms") - told_ms) <= 1


@pytest.mark.slow
@settings(max_examples=HISTORIES, deadline=None, phases=PHASES)
@given(histories())
def test_errors_of_a_scan_are_those_of_a_frame_and_of_the_raw_stream(past: Recorded) -> None:
    with Archived(past) as archive:
        found = frames.errors(archive.scan)
        pd.testing.assert_frame_equal(found, frames.errors(archive.frame))
    told = raw(past).execute(
        "SELECT print, count(*), count(*) FILTER (EXISTS (FROM raw AS later WHERE job = failed.job "
        "    AND outcome = 'done' AND later.finished >= failed.finished)), "
        "  min(finished), max(finished), "
        "  list_sort(list(DISTINCT name) FILTER (name IS NOT NULL)) "
        "FROM raw AS failed WHERE outcome IN (SELECT unnest(?)) AND print IS NOT NULL "
        "GROUP BY print",
        [list(with_flag("failed"))],
    )
    assert {
        row.fingerprint: (row.failures, row.cured, ms(row.first_at), ms(row.last_at), row.names)
        for row in found.itertuples()
    } == {mark: (*numbers, ",".join(names or ())) for mark, *numbers, names in told.fetchall()}


def ms(at: Any) -> int:
    return int(at.value // 1_000_000)


@pytest.mark.slow
@settings(max_examples=HISTORIES, deadline=None, phases=PHASES)
@given(histories())
def test_comparing_scans_is_comparing_frames(past: Recorded) -> None:
    with Archived(past) as archive:
        frame = archive.frame
        root = archive.scan.files[0].parents[1] if archive.scan.files else None
        if root is None:
            return
        dead = frames.scan(root, outcome=["retry", "dead"])
        found = frames.compare(dead, frames.scan(root, outcome="done"), least=1)
    wanted = frames.compare(
        frame[frame["outcome"].isin(["retry", "dead"])], frame[frame["outcome"] == "done"], least=1
    )
    pd.testing.assert_frame_equal(found, wanted)
    assert found.attrs["left_out"] == wanted.attrs["left_out"]


def test_a_scan_that_leaves_out_retries_has_no_delays(tmp_path: Path) -> None:
    past: Any = Recorded()
    past.write([record("a", NOON_MS, outcome="retry"), record("a", NOON_MS + 60_000)], NOON_MS)
    frames.archive(past, tmp_path)
    column = ("retry_delay", "p50")
    told = frames.latency_quantiles(frames.scan(tmp_path))
    assert told[column].to_list() == [pd.Timedelta(59_998, unit="ms")]
    told = frames.latency_quantiles(frames.scan(tmp_path, outcome="done"))
    assert told[column].isna().all()


def test_throughput_between_two_times_opens_only_their_files(tmp_path: Path) -> None:
    past: Any = Recorded()
    for day in range(6):
        past.write_jobs(2, NOON_MS + day * DAY_MS)
    frames.archive(past, tmp_path)
    since, until = ((NOON_MS + (day - 0.5) * DAY_MS) / 1_000 for day in (3, 4))
    wanted = frames.throughput(frames.history(tmp_path), "1h", since=since, until=until)
    for path in sorted(tmp_path.glob("day=*/*"))[:3]:
        path.write_bytes(b"whoever opens this fails")
    found = frames.throughput(frames.scan(tmp_path), "1h", since=since, until=until)
    pd.testing.assert_frame_equal(found, wanted)
    assert len(found) == 24


def test_measures_of_an_archive_without_executions_are_empty(tmp_path: Path) -> None:
    past: Any = Recorded()
    frames.archive(past, tmp_path)
    scan = frames.scan(tmp_path)
    for by in (None, "name"):
        assert len(frames.throughput(scan, by=by)) == 0
        assert len(frames.latency_quantiles(scan, by)) == 0
    assert len(frames.errors(scan)) == 0
    assert len(frames.compare(scan, scan)) == 0


def test_a_measure_that_needs_each_row_refuses_a_scan(tmp_path: Path) -> None:
    past: Any = Recorded()
    frames.archive(past, tmp_path)
    for measure in (frames.retry_delays, frames.lateness):
        with pytest.raises(InvalidOption, match=r"needs a frame, not a scan; give\s+scan.pandas"):
            measure(frames.scan(tmp_path))


@pytest.mark.parametrize("wrong", [7, None, "history", [1, 2]])
def test_what_is_no_history_is_refused_by_each_measure(wrong: Any) -> None:
    for measure, more in (
        (frames.throughput, ()),
        (frames.latency_quantiles, ()),
        (frames.retry_delays, ()),
        (frames.lateness, ()),
        (frames.compare, (wrong,)),
    ):
        with pytest.raises(InvalidOption, match=f"{measure.__name__} needs a frame of history"):
            measure(wrong, *more)
    for measure in (frames.slo, frames.capacity, frames.regressions):
        with pytest.raises(InvalidOption, match="a frame of history is needed here, not "):
            measure(wrong)


def test_a_scan_is_no_source_of_a_frame_and_says_what_is(tmp_path: Path) -> None:
    past: Any = Recorded()
    frames.archive(past, tmp_path)
    scan: Any = frames.scan(tmp_path)
    for read in (frames.history, frames.dead_jobs, frames.queues, frames.workers):
        with pytest.raises(InvalidOption, match="be a Client, a snapshot or a path, not <Scan"):
            read(scan)
    for measure in (frames.slo, frames.capacity, frames.regressions):
        with pytest.raises(InvalidOption, match="a frame of history is needed.*pandas of a scan"):
            measure(scan)


def test_an_unknown_column_of_a_scan_is_named(tmp_path: Path) -> None:
    past: Any = Recorded()
    frames.archive(past, tmp_path)
    for measure in (frames.throughput, frames.latency_quantiles):
        with pytest.raises(InvalidOption, match="unknown column 'colour'; known are job_id"):
            measure(frames.scan(tmp_path), by="colour")


def test_a_scan_can_be_audited(tmp_path: Path) -> None:
    past: Any = Recorded()
    past.write_jobs(3)
    frames.archive(past, tmp_path)
    assert frames.audit(frames.scan(tmp_path)).records == 3


@example(texts=["\x01", "\x02", "\x01\x00"], skip=0)
@given(st.lists(st.text(max_size=40)), st.integers(0, 5))
def test_texts_have_equal_hashes_if_and_only_if_they_are_equal(texts: list[str], skip: int) -> None:
    array = pa.array(["", "x", *texts, *texts], pa.string()).slice(skip)
    found = hashes(array).tolist()
    values = array.to_pylist()
    assert len(found) == len(values)
    assert len(set(zip(found, values, strict=True))) == len(set(found)) == len(set(values))
    assert hashes(pa.chunked_array([array[:2], array[2:]])).tolist() == found
