"""Archives keep history beyond its bounds."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.client.stage import ClientStage
from tests.support.recorded import DAY_MS, NOON_MS, Recorded, record
from workkit import InvalidOption, frames
from workkit.core.history import FORMAT, PackedHistory, Record, pack
from workkit.snapshot import SECRETS


@pytest.fixture
def writer(stage: ClientStage) -> Writer:
    return Writer(stage)


class Writer:
    """Appends to history as a pool does."""

    def __init__(self, stage: ClientStage) -> None:
        self.stage = stage
        self.key = f"{stage.namespace}:history"
        self.ids: list[str] = []

    def write(self, count: int, at_ms: int = NOON_MS) -> None:
        total = len(self.ids) + count
        jobs = [f"job-{n}" for n in range(len(self.ids), total)]
        self.ids += jobs
        records = pack([Record(job, "mail", 1, at_ms - 5, at_ms - 2, "done") for job in jobs])
        fields: dict[Any, Any] = {
            "v": FORMAT, "pool": "p", "host": "h", "n": count, "r": records, "b": 0, "ver": "",
        }  # fmt: skip
        self.stage.redis.xadd(self.key, fields, id=f"{at_ms}-{total}")
        self.stage.redis.set(f"{self.key}:head", f"{at_ms} {total} 0")

    def trim(self, entries: int) -> None:
        self.stage.redis.xtrim(self.key, maxlen=entries, approximate=False)


def archived(directory: Path) -> list[str]:
    ids: list[str] = frames.history(directory)["job_id"].to_list()
    return ids


def test_each_record_is_archived_exactly_once_however_often_it_runs(
    writer: Writer, tmp_path: Path
) -> None:
    client = writer.stage.client
    assert frames.archive(client, tmp_path).records == 0
    added = []
    for count in (3, 1, 7):
        writer.write(count)
        writer.write(2)
        added.append(frames.archive(client, tmp_path).records)
        assert frames.archive(client, tmp_path).records == 0
    assert added == [5, 3, 9]
    assert archived(tmp_path) == writer.ids
    assert frames.archive_gaps(tmp_path) == []


def test_an_archive_has_the_servers_records(past: ClientStage, tmp_path: Path) -> None:
    frames.archive(past.client, tmp_path / "new" / "archive")
    live = frames.history(past.client)
    pd.testing.assert_frame_equal(frames.history(tmp_path / "new" / "archive"), live)
    past.redis.delete(f"{past.namespace}:history")
    assert len(frames.history(str(tmp_path / "new" / "archive"), outcome="dead")) == 2


def test_only_the_owner_can_read_an_archive(writer: Writer, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        writer.write(2)
        frames.archive(writer.stage.client, tmp_path / "archive")
    finally:
        os.umask(before)
    made = [tmp_path / "archive", *(tmp_path / "archive").rglob("*")]
    modes = {path.name: path.stat().st_mode & 0o777 for path in made}
    assert len(modes) == 4  # the archive, its lock, a day and a file
    assert {modes[path.name] for path in made if path.is_dir()} == {0o700}
    assert {modes[path.name] for path in made if path.is_file()} == {0o600}


def test_files_are_partitioned_by_the_day(writer: Writer, tmp_path: Path) -> None:
    for day in range(3):
        writer.write(2, NOON_MS + day * DAY_MS)
    run = frames.archive(writer.stage.client, tmp_path)
    assert (run.records, run.files) == (6, 3)
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*"))
    assert [name.partition("/")[0] for name in names] == [
        "day=2024-10-04",
        "day=2024-10-05",
        "day=2024-10-06",
    ]
    # Any reader of Parquet finds the day as a column.
    assert pq.read_table(tmp_path).column("day").to_pylist()[0] == "2024-10-04"
    since = (NOON_MS + DAY_MS) / 1_000
    assert archived(tmp_path) == writer.ids
    assert frames.history(tmp_path, since=since)["job_id"].to_list() == writer.ids[4:]


def test_records_trimmed_before_a_run_are_reported_as_a_gap(writer: Writer, tmp_path: Path) -> None:
    for _ in range(4):
        writer.write(5)
    writer.trim(2)
    (gap,) = frames.archive(writer.stage.client, tmp_path).gaps
    assert (gap.after, gap.records) == ("", 10)
    assert str(gap) == "10 records before the archive began were trimmed before being archived"
    for n in range(3):
        writer.write(5, NOON_MS + 1_000 * n + 1_000)
    writer.trim(1)
    (gap,) = frames.archive(writer.stage.client, tmp_path).gaps
    assert (gap.after, gap.before, gap.records) == (
        f"{NOON_MS}-20",
        f"{NOON_MS + 3_000}-35",
        10,
    )
    assert str(gap).startswith("10 records after 2024-10-04T12:00:00Z were trimmed")
    assert [found.records for found in frames.archive_gaps(tmp_path)] == [10, 10]
    assert archived(tmp_path) == writer.ids[10:20] + writer.ids[30:]


def test_a_history_that_has_begun_again_is_reported_as_a_gap(
    writer: Writer, tmp_path: Path
) -> None:
    writer.write(5)
    frames.archive(writer.stage.client, tmp_path)
    writer.stage.redis.delete(writer.key)
    writer.ids.clear()
    writer.write(2, NOON_MS + 60_000)
    (gap,) = frames.archive(writer.stage.client, tmp_path).gaps
    assert gap.records is None
    assert "has begun again" in str(gap)
    assert len(archived(tmp_path)) == 7


class Torn:
    """A client whose history ends with a power cut."""

    def __init__(self, stage: ClientStage, after: int) -> None:
        self._client = stage.client
        self._after = after
        self.label = stage.client.label
        self.history_extent = stage.client.history_extent

    def packed_history(self, *, after: str) -> Iterator[Sequence[PackedHistory]]:
        for batch in self._client.packed_history(after=after):
            for number, entry in enumerate(batch):
                if number == self._after:
                    raise KeyboardInterrupt
                yield [entry]


def test_an_interrupted_run_is_continued(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workkit.frames.archiving._FILE_RECORDS", 4)
    for _ in range(10):
        writer.write(2)
    torn: Any = Torn(writer.stage, 7)
    with pytest.raises(KeyboardInterrupt):
        frames.archive(torn, tmp_path)
    assert archived(tmp_path) == writer.ids[:12]
    assert frames.archive(writer.stage.client, tmp_path).records == 8
    assert archived(tmp_path) == writer.ids


def test_a_partial_file_is_removed(writer: Writer, tmp_path: Path) -> None:
    writer.write(1)
    frames.archive(writer.stage.client, tmp_path)
    left = next(tmp_path.glob("day=*")) / "1-1.2-2.partial"
    left.write_bytes(b"PAR1 and no more")
    frames.archive(writer.stage.client, tmp_path)
    assert not left.exists()
    assert archived(tmp_path) == writer.ids


def test_a_full_disk_is_named_and_leaves_nothing_behind(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write(1)
    frames.archive(writer.stage.client, tmp_path)
    writer.write(1)
    before = sorted(tmp_path.rglob("*"))

    def full(file: Any, *_: Any) -> int:
        file.write(b"PAR1")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("workkit.frames.archiving.write_file", full)
        with pytest.raises(InvalidOption, match="cannot be written: No space left on device"):
            frames.archive(writer.stage.client, tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    assert frames.archive(writer.stage.client, tmp_path).records == 1
    assert archived(tmp_path) == writer.ids


def test_unreadable_entries_are_counted_and_skipped(writer: Writer, tmp_path: Path) -> None:
    writer.write(1)
    fields: dict[Any, Any] = {"v": FORMAT, "n": 3, "r": b"junk"}
    writer.stage.redis.xadd(writer.key, fields, id=f"{NOON_MS}-4")
    run = frames.archive(writer.stage.client, tmp_path)
    assert (run.records, run.unreadable, run.gaps) == (1, 3, [])
    assert frames.archive(writer.stage.client, tmp_path).records == 0


def test_two_archivers_do_not_write_one_archive(writer: Writer, tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InvalidOption, match="another process is writing"):
            frames.archive(writer.stage.client, tmp_path)


def test_an_archive_of_another_namespace_is_refused(writer: Writer, tmp_path: Path) -> None:
    writer.write(2)
    frames.archive(writer.stage.client, tmp_path)

    class Other(Torn):
        label = "other at elsewhere"

    other: Any = Other(writer.stage, 99)
    other.label = "other at elsewhere"
    with pytest.raises(InvalidOption, match=r"not of other at elsewhere; use another .*--adopt"):
        frames.archive(other, tmp_path)
    wrong: Any = "no"
    with pytest.raises(InvalidOption, match="adopt must be True or False, not 'no'"):
        frames.archive(other, tmp_path, adopt=wrong)
    with pytest.raises(InvalidOption, match="ended must be True or False, not 'no'"):
        frames.compact(tmp_path, ended=wrong)
    writer.write(1, NOON_MS + 1)
    assert frames.archive(other, tmp_path, adopt=True).records == 1


@pytest.mark.one_server
def test_a_directory_with_other_files_is_refused(writer: Writer, tmp_path: Path) -> None:
    (tmp_path / "day=2024-10-04").mkdir()
    (tmp_path / "day=2024-10-04" / "data.parquet").write_bytes(b"x")
    with pytest.raises(InvalidOption, match="does not belong to an archive"):
        frames.archive(writer.stage.client, tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidOption, match="cannot be an archive"):
        frames.archive(writer.stage.client, tmp_path / "file")


def test_a_missing_file_is_a_gap(writer: Writer, tmp_path: Path) -> None:
    for day in range(3):
        writer.write(4, NOON_MS + day * DAY_MS)
    frames.archive(writer.stage.client, tmp_path)
    next(tmp_path.glob("day=2024-10-05/*")).unlink()
    (gap,) = frames.archive_gaps(tmp_path)
    assert (gap.after, gap.records) == (f"{NOON_MS}-4", 4)
    assert str(gap) == (
        "4 records after 2024-10-04T12:00:00Z are missing: a file of the archive is gone"
    )


@pytest.mark.one_server
def test_a_directory_that_is_not_an_archive_is_refused(tmp_path: Path) -> None:
    for read in (frames.history, frames.archive_gaps):
        with pytest.raises(
            InvalidOption, match="is not an archive: it has no folders such as day="
        ):
            read(tmp_path)


def test_an_archive_without_records_has_none(writer: Writer, tmp_path: Path) -> None:
    frames.archive(writer.stage.client, tmp_path)
    assert archived(tmp_path) == []


def test_a_damaged_file_is_named(writer: Writer, tmp_path: Path) -> None:
    writer.write(4)
    frames.archive(writer.stage.client, tmp_path)
    (file,) = tmp_path.glob("day=*/*")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InvalidOption, match=f"{file} is damaged: .*restore it, or move it out"):
        frames.history(tmp_path)


def test_only_files_that_can_match_are_opened(writer: Writer, tmp_path: Path) -> None:
    for day in range(10):
        writer.write(2, NOON_MS + day * DAY_MS)
    frames.archive(writer.stage.client, tmp_path)
    files = sorted(tmp_path.glob("day=*/*"))
    for number, file in enumerate(files):
        if number not in {4, 5}:
            file.write_bytes(b"whoever opens this fails")
    since = (NOON_MS + 4 * DAY_MS - DAY_MS // 2) / 1_000
    found = frames.history(tmp_path, since=since, until=since + 86_400)
    assert found["job_id"].to_list() == writer.ids[8:10]


@pytest.mark.parametrize("ahead_ms", [900, 30 * DAY_MS])
def test_executions_of_a_host_whose_clock_is_ahead_are_found_by_their_time(
    writer: Writer, tmp_path: Path, ahead_ms: int
) -> None:
    records = pack(
        [
            Record("on time", "mail", 1, NOON_MS, NOON_MS, "done"),
            Record("ahead", "mail", 1, NOON_MS, NOON_MS + ahead_ms, "done"),
        ]
    )
    fields: dict[Any, Any] = {
        "v": FORMAT, "pool": "p", "host": "h", "n": 2, "r": records, "b": 0, "ver": "",
    }  # fmt: skip
    writer.stage.redis.xadd(writer.key, fields, id=f"{NOON_MS}-2")
    frames.archive(writer.stage.client, tmp_path)
    since = (NOON_MS + ahead_ms) / 1_000
    assert frames.history(tmp_path, since=since)["job_id"].to_list() == ["ahead"]


def test_executions_that_were_written_days_later_are_found_by_their_time(
    writer: Writer, tmp_path: Path
) -> None:
    writer.write(1)
    records = pack([Record("late", "mail", 1, NOON_MS, NOON_MS + 1, "done")])
    fields: dict[Any, Any] = {
        "v": FORMAT, "pool": "p", "host": "h", "n": 1, "r": records, "b": 0, "ver": "",
    }  # fmt: skip
    writer.stage.redis.xadd(writer.key, fields, id=f"{NOON_MS + 9 * DAY_MS}-2")
    frames.archive(writer.stage.client, tmp_path)
    until = NOON_MS / 1_000 + 60
    assert frames.history(tmp_path, until=until)["job_id"].to_list() == ["job-0", "late"]


def test_name_and_outcome_pick_rows_of_an_archive(past: ClientStage, tmp_path: Path) -> None:
    frames.archive(past.client, tmp_path)
    for wanted in ({"name": "mail"}, {"outcome": "dead"}, {"name": "mail", "outcome": "done"}):
        live = frames.history(past.client, **wanted)  # type: ignore[arg-type]
        old = frames.history(tmp_path, **wanted)  # type: ignore[arg-type]
        pd.testing.assert_frame_equal(old, live)


def test_a_history_that_ends_before_the_archive_is_named(writer: Writer, tmp_path: Path) -> None:
    writer.write(3, NOON_MS + 30 * DAY_MS)
    frames.archive(writer.stage.client, tmp_path)
    writer.stage.redis.delete(writer.key)
    writer.ids.clear()
    writer.write(2, NOON_MS)
    with pytest.raises(InvalidOption, match=r"after the end of history .*has begun again"):
        frames.archive(writer.stage.client, tmp_path)


@pytest.mark.one_server
@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, {"blue 12"}),
        ({"redact": [*SECRETS, "Colour"]}, set()),
        ({"redact": "*colour*"}, {"s3cr3t-value"}),
        ({"redact": ()}, {"blue 12", "s3cr3t-value"}),
    ],
)
def test_an_archive_leaves_out_secrets_wherever_a_record_repeats_them(
    tmp_path: Path, options: dict[str, Any], kept: set[str]
) -> None:
    past: Any = Recorded()
    args = json.dumps({"user": "ann", "api_token": "s3cr3t-value", "deep": [{"Colour": "blue 12"}]})
    said = "s3cr3t-value or blue 12"
    past.write(
        [record("a", NOON_MS, args=args, error=f"E: {said}", checkins=((NOON_MS, said),))], NOON_MS
    )
    frames.archive(past, tmp_path, **options)
    (row,) = frames.history(tmp_path).to_dict("records")
    for column in ("args", "error", "checkins"):
        assert {text for text in ("blue 12", "s3cr3t-value") if text in row[column]} == kept
    assert '"user":"ann"' in row["args"].replace(" ", "")


@pytest.mark.one_server
def test_a_key_to_leave_out_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="a key to leave out must be a text, not 7"):
        frames.archive(Recorded(), tmp_path, redact=[7])  # type: ignore[arg-type, list-item]
