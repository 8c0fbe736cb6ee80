"""Promises, capacity and changes of a scan equal those of a frame, and of the raw stream."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.histories import HISTORIES, PHASES, Archived, histories, raw
from tests.support.queueing import history_of
from tests.support.recorded import DAY_MS, NOON_MS, Recorded, record
from workkit import InvalidOption, NoEstimate, frames
from workkit.core.outcomes import with_flag
from workkit.frames.delays import Repeated
from workkit.frames.neighbours import known_attempts, sums_of_blocks

WINDOWS_MS: Final = {"all": 10**15, "3d": 3 * DAY_MS, "6h": DAY_MS // 4, "1h": DAY_MS // 24}
#: A day of most histories is before it, and one behind.
MIDDLE_S: Final = NOON_MS / 1_000 + 3_600
#: The module; the package has a function of this name.
CAPACITY: Final = importlib.import_module("workkit.frames.capacity")

pytestmark = [pytest.mark.one_server, pytest.mark.timeout(120 + 3 * HISTORIES)]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pieces, passes and tables so small that a short history has several."""
    monkeypatch.setattr("workkit.frames.archive_reading.BATCH", 3)
    monkeypatch.setattr("workkit.frames.tallies._WAITING", 4)
    monkeypatch.setattr("workkit.frames.delays._LEAST_BITS", 4)
    monkeypatch.setattr("workkit.frames.delays._MOST_MARKS", 5)
    monkeypatch.setattr("workkit.frames.delays._JOBS", 2)
    monkeypatch.setattr("workkit.frames.neighbours._FEW", 2)
    monkeypatch.setattr("workkit.frames.neighbours._BITS", 4)
    monkeypatch.setattr(CAPACITY, "_LEAST", 4)
    monkeypatch.setattr(CAPACITY, "_BLOCKS", 4)


def told(measure: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What a measure returns, or why it refuses."""
    try:
        return measure(*args, **options)
    except (InvalidOption, NoEstimate) as error:
        return str(error)


def assert_equal(found: Any, wanted: Any) -> None:
    if isinstance(found, str) or isinstance(wanted, str):
        assert found == wanted
        return
    pd.testing.assert_frame_equal(found, wanted, rtol=1e-9)
    assert found.attrs == wanted.attrs


# Promises


@pytest.mark.slow
@settings(max_examples=HISTORIES, deadline=None, phases=PHASES)
@given(histories(), st.sampled_from(["name", "version", "outcome", "fails", None]))
def test_a_promise_of_a_scan_is_that_of_a_frame_and_of_the_raw_stream(
    past: Recorded, by: str | None
) -> None:
    with Archived(past) as archive:
        found = frames.slo(archive.scan, wait="30s", target=0.9, by=by)
        assert_equal(found, frames.slo(archive.frame, wait="30s", target=0.9, by=by))
    connection, group = raw(past), by or "'all'"
    last = "(SELECT max(finished) FROM raw WHERE started IS NOT NULL AND wait IS NOT NULL)"
    for window, span_ms in WINDOWS_MS.items():
        rows = connection.execute(
            f"SELECT coalesce(CAST({group} AS VARCHAR), ''), count(*), "  # noqa: S608
            "count(*) FILTER (wait > 30000) FROM raw "
            "WHERE started IS NOT NULL AND wait IS NOT NULL "
            f"AND finished >= {last} - {span_ms} AND {group} IS NOT NULL GROUP BY 1"
        ).fetchall()
        mine = found[(found["window"] == window) & (found["executions"] > 0)]
        counts = zip(mine["name"], mine["executions"], mine["late"], strict=True)
        assert sorted(counts) == sorted(rows)


def test_windows_of_a_scan_end_where_it_was_read(tmp_path: Path) -> None:
    past: Any = Recorded()
    past.write_jobs(3)
    frames.archive(past, tmp_path)
    until = (NOON_MS + DAY_MS) / 1_000
    found = frames.slo(frames.scan(tmp_path, until=until)).set_index("window")["executions"]
    assert found.to_dict() == {"all": 3, "3d": 3, "6h": 0, "1h": 0}


# Capacity


@pytest.mark.slow
@settings(max_examples=HISTORIES, deadline=None, phases=PHASES)
@given(histories(), st.sampled_from([None, 1, 3]))
def test_capacity_of_a_scan_is_that_of_a_frame_and_of_the_raw_stream(
    past: Recorded, workers: int | None
) -> None:
    with pytest.MonkeyPatch.context() as patched, Archived(past) as archive:
        # Random histories are no fleets: most would be refused.
        patched.setattr(CAPACITY, "_check_model", lambda *_: None)
        found = told(frames.capacity, archive.scan, workers=workers)
        wanted = told(frames.capacity, archive.frame, workers=workers)
    if isinstance(found, str):
        assert found == wanted
        return
    assert (found.workers, found.executions) == (wanted.workers, wanted.executions)
    for name in ("arrivals_per_s", "run_s", "variation", "load", "waited_s", "model_s"):
        assert getattr(found, name) == pytest.approx(getattr(wanted, name), rel=1e-9)
    (row,) = (
        raw(past)
        .execute(
            "SELECT count(*), avg(run) / 1000, avg(wait) / 1000 FROM raw WHERE wait IS NOT NULL"
        )
        .fetchall()
    )
    assert (found.executions, found.run_s.value, found.waited_s.value) == pytest.approx(row)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 200), st.integers(0, 9)), min_size=3),
    st.integers(1, 3),
)
def test_blocks_of_neighbours_are_those_of_sorted_executions(
    jobs: list[tuple[int, int, int]], number: int
) -> None:
    arrivals, waits, runs = (np.array(each) / 1_000 for each in zip(*jobs, strict=True))
    history = history_of(arrivals, arrivals + waits, runs)
    known = known_attempts(history)
    blocks = sums_of_blocks(history, known, number)
    # Executions of one millisecond that waited alike are averages of each other.
    like = pd.DataFrame({"at": arrivals, "wait": waits * 1_000 // 64, "run": runs, "s": waits})
    like["squares"] = like["run"] ** 2
    means = like.groupby(["at", "wait"])[["run", "squares", "s"]].transform("mean")
    rows = pd.concat([like[["at", "wait"]], means], axis=1).sort_values(["at", "wait"])
    block = np.arange(len(rows)) * number // len(rows)
    sums = rows.groupby(block).agg({"run": "sum", "squares": "sum", "s": "sum", "at": "max"})
    assert blocks.counts.tolist() == np.bincount(block).tolist()
    assert blocks.runs_s == pytest.approx(sums["run"].to_numpy())
    assert blocks.squares_s2 == pytest.approx(sums["squares"].to_numpy())
    assert blocks.waits_s == pytest.approx(sums["s"].to_numpy())
    assert blocks.gaps_s == pytest.approx(np.diff(sums["at"], prepend=arrivals.min()))


# Changes


@pytest.mark.slow
@settings(max_examples=HISTORIES, deadline=None, phases=PHASES)
@given(histories())
def test_changes_between_periods_of_a_scan_are_those_of_a_frame_and_of_the_raw_stream(
    past: Recorded,
) -> None:
    before, after = (None, MIDDLE_S), (MIDDLE_S, None)
    with Archived(past) as archive:
        found = told(frames.compare_periods, archive.scan, before, after, least=2)
        assert_equal(found, told(frames.compare_periods, archive.frame, before, after, least=2))
        for versions in (("2026.1", "2026.2"), ("2026.1", after)):
            of_scan, of_frame = (
                told(frames.compare_periods, history, *versions, least=2)
                for history in (archive.scan, archive.frame)
            )
            assert_equal(of_scan, of_frame)
    if isinstance(found, str):
        return
    failed, decides = (", ".join(f"'{x}'" for x in with_flag(y)) for y in ("failed", "decides"))
    rows = (
        raw(past)
        .execute(
            f"""WITH tries AS (
              SELECT *, finished < {MIDDLE_S * 1_000} AS old, outcome IN ({failed}) AS failed
              FROM raw WHERE started IS NOT NULL AND fails = CAST(outcome IN ({failed}) AS INT))
            SELECT name, count(DISTINCT job) FILTER (old), count(DISTINCT job) FILTER (NOT old),
              count(*) FILTER (old), count(*) FILTER (NOT old),
              median(wait) FILTER (old) / 1000, median(wait) FILTER (NOT old) / 1000,
              avg(failed::INT) FILTER (old AND outcome IN ({decides})),
              avg(failed::INT) FILTER (NOT old AND outcome IN ({decides}))
            FROM tries WHERE name IS NOT NULL GROUP BY name"""  # noqa: S608 - outcomes
        )
        .fetchall()
    )
    for name, jobs_before, jobs_after, tries_before, tries_after, *values in rows:
        mine = found[found["name"] == name].set_index("measure")
        if tries_before + tries_after < 2:
            assert not len(mine)
            continue
        assert mine.loc["jobs_per_s", ["before_n", "after_n"]].to_list() == [
            jobs_before,
            jobs_after,
        ]
        compared = min(tries_before, tries_after) >= 2
        for measure, (old, new) in (("wait", values[:2]), ("failed", values[2:])):
            assert (measure in mine.index) == (compared and None not in (old, new))
            if measure in mine.index:
                assert mine.loc[measure, ["before", "after"]].to_list() == pytest.approx([old, new])


@pytest.mark.slow
@settings(max_examples=HISTORIES, deadline=None, phases=PHASES)
@given(histories())
def test_regressions_of_a_scan_are_those_of_a_frame(past: Recorded) -> None:
    with Archived(past) as archive:
        found = frames.regressions(archive.scan, least=2)
        assert_equal(found, frames.regressions(archive.frame, least=2))


def test_a_scan_finds_what_a_frame_finds_in_long_histories(tmp_path: Path) -> None:
    past, draw = Recorded(), np.random.default_rng(1)
    for version, failing in (("1", 0.1), ("2", 0.5)):
        for hour in range(4):
            at_ms = NOON_MS + (int(version) * 4 + hour) * 3_600_000
            jobs = [
                record(
                    f"{version}.{hour}.{n}",
                    at_ms + 60_000 * n,
                    name="mail" if n % 3 else "sync",
                    outcome="retry" if failed else "done",
                    fails=int(failed),
                    error="sad" if failed else "",
                    fingerprint="feed" if failed else "",
                )
                for n, failed in enumerate(draw.random(60) < failing)
            ]
            past.write(jobs, at_ms + 3_600_000, version=version)
    with Archived(past) as archive:
        assert_equal(frames.regressions(archive.scan), frames.regressions(archive.frame))
        told = frames.regressions(archive.scan)
    assert set(told.loc[told["worse"], "measure"]) == {"failed", "error"}


@given(st.lists(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2)), max_size=9)))
def test_jobs_that_come_again_are_counted_where_they_come(
    pieces: list[list[tuple[int, int]]],
) -> None:
    repeated = Repeated(sum(map(len, pieces)))
    hashed = [np.array([job << 57 for job, _ in piece], np.uint64) for piece in pieces]
    for jobs in hashed:
        repeated.add(jobs)
    seen: set[tuple[int, int]] = set()
    wanted: dict[int, int] = {}
    for place, (jobs, piece) in enumerate(zip(hashed, pieces, strict=True)):
        groups = np.array([group for _, group in piece], np.int64)
        repeated.look(jobs, groups, np.full(len(piece), place))
        for each in piece:
            if each in seen:
                wanted[place] = wanted.get(place, 0) + 1
            seen.add(each)
    assert dict(repeated.again()) == wanted
