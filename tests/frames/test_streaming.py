"""Measures of a scan equal those of a frame, and those that DuckDB computes from the raw stream."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.histories import HISTORIES, PHASES, Archived, histories, raw, readable
from tests.support.recorded import DAY_MS, NOON_MS, Recorded, record
from workkit import InvalidOption, NoEstimate, frames
from workkit.core.outcomes import with_flag
from workkit.frames.delays import hashes
from workkit.frames.extra import pa

SPANS: Final = ("wait", "run", "retry_delay")
QUANTILES: Final = (0, 0.3, 0.5, 0.99)

pytestmark = [pytest.mark.one_server, pytest.mark.timeout(120 + 3 * HISTORIES)]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pieces and passes so small that a short history has several."""
    monkeypatch.setattr("workkit.frames.archive_reading.BATCH", 3)
    monkeypatch.setattr("workkit.frames.delays._JOBS", 2)
    monkeypatch.setattr("workkit.frames.delays._NAMED_JOBS", 2)
    monkeypatch.setattr("workkit.frames.tallies._WAITING", 4)


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
def test_comparing_scans_is_comparing_frames_and_the_raw_stream(past: Recorded) -> None:
    with Archived(past) as archive, pytest.MonkeyPatch.context() as patched:
        frame = archive.frame
        failed = frame["outcome"].isin(["retry", "dead"])
        wanted = frames.compare(frame[failed], frame[frame["outcome"] == "done"], least=2)
        patched.setattr("workkit.frames.comparing._LONG", 0)  # as in a long history
        patched.setattr("workkit.frames.arg_counts._SIEVE_BITS", 4)
        patched.setattr("workkit.frames.arg_counts._ROWS", 2)
        dead, done = (archive.scan.narrowed(outcome=each) for each in (("retry", "dead"), "done"))
        found = frames.compare(dead, done, least=2)
    pd.testing.assert_frame_equal(found, wanted)
    assert found.attrs["left_out"] == wanted.attrs["left_out"]
    numbers = found[found["attribute"] == "args.n"]
    if len(numbers):
        rows = raw(past).execute(
            """WITH jobs AS (
              SELECT *, outcome <> 'done' AS failed, try_cast(args AS JSON) ->> '$.n' AS value
              FROM raw WHERE outcome IN ('retry', 'dead', 'done')
              QUALIFY row_number() OVER (PARTITION BY job, failed ORDER BY seq DESC) = 1)
            SELECT value, count(*) FILTER (failed), count(*) FILTER (NOT failed) FROM jobs
            WHERE value IS NOT NULL GROUP BY value HAVING count(*) BETWEEN 2 AND
              (SELECT count(*) - 1 FROM jobs)"""
        )
        counts = zip(numbers["value"], numbers["dead"], numbers["done"], strict=True)
        assert sorted(counts) == sorted(rows.fetchall())


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
    assert len(frames.slo(scan)) == 0
    assert len(frames.regressions(scan)) == 0
    with pytest.raises(NoEstimate, match="0 executions"):
        frames.capacity(scan)
    with pytest.raises(InvalidOption, match="has no executions"):
        frames.compare_periods(scan, (None, 1), (1, None))


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
        (frames.slo, ()),
        (frames.capacity, ()),
        (frames.regressions, ()),
        (frames.compare_periods, ((None, 1), (1, None))),
    ):
        with pytest.raises(InvalidOption, match=f"{measure.__name__} needs a frame of history"):
            measure(wrong, *more)


def test_a_scan_is_no_source_of_a_frame_and_says_what_is(tmp_path: Path) -> None:
    past: Any = Recorded()
    frames.archive(past, tmp_path)
    scan: Any = frames.scan(tmp_path)
    for read in (frames.history, frames.dead_jobs, frames.queues, frames.workers):
        with pytest.raises(InvalidOption, match="be a Client, a snapshot or a path, not <Scan"):
            read(scan)


def test_an_unknown_column_of_a_scan_is_named(tmp_path: Path) -> None:
    past: Any = Recorded()
    frames.archive(past, tmp_path)
    for measure in (frames.throughput, frames.latency_quantiles, frames.slo):
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
