"""Queues over time, from a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.recording.made import NOW_S, overview, record, recorder
from workkit import InvalidOption, frames
from workkit.recording import Recording


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Ten minutes, in which one queue grows."""
    with recorder(tmp_path / "r") as made:
        record(made, *(overview(NOW_S + 2.0 * n, count=n) for n in range(300)))
    return tmp_path / "r"


def test_queues_of_a_recording_have_the_time_of_each_reading(path: Path) -> None:
    every = frames.queues(path, every=0)
    assert len(every) == 300
    assert every["count"].to_list() == list(range(300))
    assert list(every.columns) == [*frames.schema("queues").names, "at"]
    assert every.dtypes["at"] == "datetime64[ms, UTC]"
    assert every["at"].iloc[7] == pd.Timestamp(NOW_S + 14, unit="s", tz="UTC")
    assert every.attrs == frames.queues(path).attrs
    minutes = frames.queues(Recording(path))
    assert minutes["count"].to_list() == list(range(0, 300, 30))
    wide = minutes.pivot_table(index="at", columns="name", values="count", observed=True)
    assert wide["mail"].is_monotonic_increasing


def test_a_part_of_a_recording_is_named_by_its_times(path: Path) -> None:
    assert len(frames.queues(str(path), since="1m", every=2)) == 31
    assert len(frames.queues(path, since=NOW_S + 10, until=NOW_S + 20, every=0)) == 6
    assert len(frames.queues(path, until="9m", every="10s")) == 6
    empty = frames.queues(path, since=NOW_S + 10_000)
    assert empty.empty
    assert list(map(str, empty.dtypes)) == list(map(str, frames.queues(path).dtypes))


@pytest.mark.parametrize("every", ["often", -1, True, float("nan"), None, "1y"])
def test_what_is_no_span_is_refused(path: Path, every: Any) -> None:
    with pytest.raises(InvalidOption, match="every must be a span of time"):
        frames.queues(path, every=every)


def test_other_frames_want_one_time_of_a_recording(path: Path) -> None:
    recording = Recording(path)
    for source in (recording, path, str(path)):
        for frame in (frames.workers, frames.dead_jobs):
            with pytest.raises(InvalidOption, match="is a recording, which has many times: give"):
                frame(source)  # type: ignore[arg-type]
    moment = recording.moment(NOW_S + 60)
    assert frames.queues(moment)["count"].to_list() == [30]
    assert frames.workers(moment).empty
    assert frames.dead_jobs(moment).empty
    recording.close()


def test_a_source_with_one_time_takes_no_times(path: Path) -> None:
    with pytest.raises(InvalidOption, match="since and until need a recording"):
        frames.queues(Recording(path).moment(NOW_S), since="1h")
