"""The files of a day become one, while others read and write, and at a kill at any step."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from tests.frames.killing import Killer, killer
from tests.support.recorded import DAY_MS, NOON_MS, Recorded, as_version_1, record
from workkit import InvalidOption, frames
from workkit.core.entropy import Entropy
from workkit.core.locking import lock, open_folder
from workkit.frames import archive_changes
from workkit.frames.archive_changes import ArchiveBusy, changing
from workkit.frames.archive_files import ArchiveFile, files_of
from workkit.frames.archive_reading import Wanted, tables_of
from workkit.frames.auditing.stores import check_archive

pytestmark = pytest.mark.one_server

#: How often an archiver is killed. The more, the longer: WORKKIT_ARCHIVE_KILLS=200.
KILLS = int(os.environ.get("WORKKIT_ARCHIVE_KILLS", "25"))


#: Reads an archive as a program that knows nothing of workkit: what it has seen must stay.
STRANGER = """
import sys, threading
from pathlib import Path
import pyarrow.dataset as ds

root, over = Path(sys.argv[1]), threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
seen, looks = 0, 0
print("ready", flush=True)
while not over.is_set():
    paths = sorted(map(str, root.glob("day=*/*.parquet")))
    try:
        ids = ds.dataset(paths).to_table(columns=["job_id"])["job_id"].to_pylist()
    except FileNotFoundError:  # an engine lists the files again
        continue
    looks += 1
    if len(set(ids)) < len(ids) or not {f"job-{n}" for n in range(seen)} <= set(ids):
        sys.exit(f"saw {len(ids)} of {seen} records, of which {len(set(ids))} differ")
    seen = max(seen, len(ids))
print(looks > 0, flush=True)
"""


@pytest.fixture(autouse=True)
def nobody_is_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only some tests wait for programs that list a folder."""
    monkeypatch.setattr(archive_changes, "_LISTING_S", 0.0)


def grown(directory: Path, days: int = 3, files: int = 4) -> Recorded:
    """Archive some days in several files each."""
    past: Any = Recorded()
    for day in range(days):
        for number in range(files):
            past.write_jobs(2, NOON_MS + day * DAY_MS + number * 60_000)
            frames.archive(past, directory)
    return past  # type: ignore[no-any-return]


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.glob("day=*/*"))


def jobs_of(directory: Path) -> list[str]:
    """The jobs of an archive, as `frames` reads it."""
    ids: list[str] = frames.history(directory)["job_id"].to_list()
    return ids


def raw_jobs_of(directory: Path) -> list[str]:
    """The jobs of an archive, as a program that knows nothing of workkit reads it."""
    paths = sorted(map(str, directory.glob("day=*/*.parquet")))
    if not paths:
        return []
    ids: list[str] = ds.dataset(paths).to_table(columns=["job_id"])["job_id"].to_pylist()
    return ids


def names_in(folder: int) -> set[str]:
    """What a program sees that has opened a folder before."""
    return set(os.listdir(folder))


def numbered(count: int) -> list[str]:
    return [f"job-{n}" for n in range(count)]


def in_order(ids: list[str]) -> list[str]:
    return sorted(ids, key=lambda each: int(each.removeprefix("job-")))


# What it does


def test_the_files_of_each_day_become_one(tmp_path: Path) -> None:
    past = grown(tmp_path)
    before = frames.history(tmp_path)
    told: list[tuple[int, int]] = []
    run = frames.compact(tmp_path, told=lambda done, total: told.append((done, total)))
    assert (run.days, run.merged, run.files) == (3, 12, 3)
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert [name.partition("/")[0] for name in files(tmp_path)] == [
        "day=2024-10-04",
        "day=2024-10-05",
        "day=2024-10-06",
    ]
    pd.testing.assert_frame_equal(frames.history(tmp_path), before)
    assert in_order(raw_jobs_of(tmp_path)) == numbered(past.written)
    assert frames.archive_gaps(tmp_path) == []
    assert frames.audit(tmp_path).clean
    assert list((tmp_path / ".aside").iterdir()) == []
    assert frames.compact(tmp_path).days == 0


def test_an_archive_goes_on_after_it_was_compacted(tmp_path: Path) -> None:
    past: Any = grown(tmp_path)
    frames.compact(tmp_path)
    assert frames.archive(past, tmp_path).records == 0
    past.write_jobs(2, NOON_MS + 2 * DAY_MS + 3_600_000)
    assert frames.archive(past, tmp_path).records == 2
    assert len(files(tmp_path)) == 4
    assert frames.compact(tmp_path).merged == 2
    assert jobs_of(tmp_path) == numbered(26)
    assert frames.archive_gaps(tmp_path) == []


def test_only_days_that_have_ended_are_compacted_on_request(tmp_path: Path) -> None:
    grown(tmp_path)
    assert frames.compact(tmp_path, ended=True).days == 2
    assert len(files(tmp_path)) == 2 + 4


def test_a_file_of_version_1_becomes_one_of_version_2(tmp_path: Path) -> None:
    grown(tmp_path, days=2)
    before = frames.history(tmp_path)
    first, *_ = paths = sorted(tmp_path.glob("day=*/*"))
    as_version_1(first)
    for path in paths[5:]:
        path.unlink()
    as_version_1(paths[4])  # the only file of its day
    assert frames.compact(tmp_path).days == 2
    for path in tmp_path.glob("day=*/*"):
        assert {"wait_ms", "run_ms"} <= set(pq.read_schema(path).names)
        assert pq.read_schema(path).metadata[b"workkit"] == b"history/2"
    pd.testing.assert_frame_equal(frames.history(tmp_path), before[:10], check_categorical=False)


def test_late_executions_and_gaps_and_unreadable_ones_are_kept(tmp_path: Path) -> None:
    past: Any = Recorded()
    past.written = 7  # trimmed before the first run
    past.write_jobs(2, NOON_MS)
    frames.archive(past, tmp_path)
    past.write([record("late", NOON_MS - 3 * DAY_MS)], NOON_MS + 1)
    frames.archive(past, tmp_path)
    past.write([record("newer", NOON_MS)], NOON_MS + 2, format_="9")
    past.written += 5
    past.write_jobs(1, NOON_MS + 3)
    frames.archive(past, tmp_path)
    gaps, until = frames.archive_gaps(tmp_path), (NOON_MS - 2 * DAY_MS) / 1_000
    assert [gap.records for gap in gaps] == [7, 5]
    frames.compact(tmp_path)
    assert len(files(tmp_path)) == 1
    assert frames.archive_gaps(tmp_path) == gaps
    assert frames.history(tmp_path, until=until)["job_id"].to_list() == ["late"]
    assert not [each for each in frames.audit(tmp_path).findings if "file" in each.what]


def test_files_on_both_sides_of_a_missing_one_stay_apart_until_it_is_back(tmp_path: Path) -> None:
    past = grown(tmp_path, days=1, files=5)
    missing = sorted(tmp_path.glob("day=*/*"))[2]
    missing.rename(tmp_path / "elsewhere")
    assert frames.compact(tmp_path).files == 2
    (gap,) = frames.archive_gaps(tmp_path)
    assert (gap.records, gap.lost) == (2, "file")
    (tmp_path / "elsewhere").rename(missing)
    frames.compact(tmp_path)
    assert len(files(tmp_path)) == 1
    assert jobs_of(tmp_path) == numbered(past.written)
    assert frames.archive_gaps(tmp_path) == []


def test_a_damaged_file_is_named_and_the_other_days_are_compacted(tmp_path: Path) -> None:
    grown(tmp_path)
    bad = sorted(tmp_path.glob("day=2024-10-05/*"))[1]
    whole = bad.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2] + whole[len(whole) // 2 + 40 :])
    with pytest.raises(InvalidOption, match=f"{bad} .*"):
        frames.compact(tmp_path)
    assert len(files(tmp_path)) == 1 + 4 + 1
    bad.write_bytes(whole)
    assert frames.compact(tmp_path).days == 1
    assert jobs_of(tmp_path) == numbered(24)


def test_a_file_that_has_lost_records_is_not_merged(tmp_path: Path) -> None:
    grown(tmp_path, days=1)
    path = sorted(tmp_path.glob("day=*/*"))[1]
    table = pq.ParquetFile(path).read()
    pq.write_table(table.slice(0, 1), path)
    with pytest.raises(InvalidOption, match="has 7 records where 8 were written; workkit audit"):
        frames.compact(tmp_path)
    assert len(files(tmp_path)) == 4


def test_a_merged_file_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workkit.frames.compacting.BATCH", 5)
    grown(tmp_path, days=1)
    frames.compact(tmp_path)
    (path,) = tmp_path.glob("day=*/*")
    assert pq.read_metadata(path).num_row_groups == 2
    assert jobs_of(tmp_path) == numbered(8)


def test_the_owner_and_the_modes_stay(tmp_path: Path) -> None:
    grown(tmp_path / "a", days=1)
    (day,) = (tmp_path / "a").glob("day=*")
    day.chmod(0o750)
    frames.compact(tmp_path / "a")
    assert day.stat().st_mode & 0o777 == 0o750
    assert next(day.iterdir()).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a" / ".aside").stat().st_mode & 0o777 == 0o700


def test_a_file_system_that_cannot_exchange_folders_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown(tmp_path)
    before = files(tmp_path)
    monkeypatch.setattr(archive_changes, "_EXCHANGES", ())
    with pytest.raises(InvalidOption, match="cannot exchange two folders in one step.*local"):
        frames.compact(tmp_path)
    assert files(tmp_path) == before
    assert jobs_of(tmp_path) == numbered(24)


def test_a_full_disk_is_named_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = grown(tmp_path)

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("workkit.frames.compacting.write_file", full)
    with pytest.raises(InvalidOption, match="cannot be changed: No space left on device"):
        frames.compact(tmp_path)
    monkeypatch.undo()
    assert list((tmp_path / ".aside").iterdir()) == []
    assert jobs_of(tmp_path) == raw_jobs_of(tmp_path) == numbered(past.written)
    assert frames.compact(tmp_path).days == 3
    assert list((tmp_path / ".aside").iterdir()) == []


def test_an_archive_on_a_file_system_that_locks_no_folders_is_written_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock

    def as_on_nfs(file: Any, operation: int) -> None:
        if stat.S_ISDIR(os.fstat(file if isinstance(file, int) else file.fileno()).st_mode):
            raise OSError(errno.EBADF, "Bad file descriptor")
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", as_on_nfs)
    past = grown(tmp_path)
    assert jobs_of(tmp_path) == numbered(past.written)
    for change in (frames.compact, lambda root: frames.forget(root, "90d")):
        with pytest.raises(InvalidOption, match=r"cannot lock a folder \(Bad file.*a local file"):
            change(tmp_path)
    assert jobs_of(tmp_path) == numbered(past.written)


def test_what_is_no_archive_is_not_compacted(tmp_path: Path) -> None:
    for change in (frames.compact, lambda root: frames.forget(root, "90d")):
        with pytest.raises(InvalidOption, match="is not an archive"):
            change(tmp_path)
    assert list(tmp_path.iterdir()) == []


# Others at work


def test_two_do_not_compact_one_archive(tmp_path: Path) -> None:
    grown(tmp_path)
    with changing(tmp_path), pytest.raises(ArchiveBusy, match="another process is merging"):
        frames.compact(tmp_path)
    with changing(tmp_path), pytest.raises(ArchiveBusy):
        frames.forget(tmp_path, "1d")
    assert frames.compact(tmp_path).days == 3


def test_a_reader_that_has_listed_the_files_sees_each_record_once(tmp_path: Path) -> None:
    past = grown(tmp_path)
    pieces = tables_of(tmp_path, Wanted())
    seen = next(pieces)["job_id"].to_pylist()
    assert frames.compact(tmp_path).days == 3
    assert len(files(tmp_path)) == 3
    frames.forget(tmp_path, (NOON_MS + DAY_MS + 1) / 1_000)
    seen += [each for table in pieces for each in table["job_id"].to_pylist()]
    assert seen == numbered(past.written)
    assert list((tmp_path / ".aside").iterdir()), "a reader was at work"
    frames.compact(tmp_path)
    assert list((tmp_path / ".aside").iterdir()) == []


@pytest.mark.parametrize("change", [frames.compact, lambda root: frames.forget(root, "1d")])
def test_a_folder_that_is_replaced_while_it_is_listed_is_listed_again(
    change: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = grown(tmp_path, days=2)
    changes = iter([change])

    def opened_before_a_change(folder: Path) -> int:
        handle = open_folder(folder)
        if folder.name.startswith("day=") and (due := next(changes, None)) is not None:
            due(tmp_path)
        return handle

    monkeypatch.setattr(archive_changes, "open_folder", opened_before_a_change)
    assert files_of(tmp_path)[-1].last[1] == past.written
    assert next(changes, None) is None
    assert files_of(tmp_path) == files_of(tmp_path) != []


def test_nobody_replaces_a_folder_while_it_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown(tmp_path, days=1)
    iterdir, refused = Path.iterdir, []

    def looked_at(folder: Path) -> Iterator[Path]:
        handle = open_folder(folder)
        with pytest.raises(BlockingIOError):
            lock(handle)
        os.close(handle)
        refused.append(folder.name)
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", looked_at)
    assert len(files_of(tmp_path)) == 4
    assert refused == ["day=2024-10-04"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    grown(tmp_path, days=1)
    (tmp_path / "day=2024-10-05").write_bytes(b"")
    with pytest.raises(InvalidOption, match=r"day=2024-10-05 cannot be read: Not a directory"):
        frames.history(tmp_path)


def test_gaps_audits_and_archivers_are_right_while_an_archive_is_compacted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = ArchiveFile.about
    compacted: list[Path] = []

    def about_meanwhile(file: ArchiveFile) -> Any:
        if not compacted:
            compacted.append(tmp_path)
            frames.compact(root)
        return about(file)

    monkeypatch.setattr(ArchiveFile, "about", about_meanwhile)
    for look in (
        lambda root, _: frames.archive_gaps(root),
        lambda root, _: list(check_archive(root)),
        lambda root, past: frames.archive(past, root).gaps,
    ):
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        past: Any = grown(root)
        compacted.clear()
        assert look(root, past) == []
        assert len(files(root)) == 3


def test_a_folder_that_is_exchanged_stays_for_those_who_are_just_listing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown(tmp_path, days=2)
    listing = [open_folder(folder) for folder in sorted(tmp_path.glob("day=*"))]
    before = [names_in(handle) for handle in listing]
    seen: list[list[set[str]]] = []

    class Time:
        def wait(self, timeout: float) -> None:
            assert 0 < timeout <= 3_600
            seen.append([names_in(handle) for handle in listing])

    monkeypatch.setattr(archive_changes, "_LISTING_S", 3_600.0)
    monkeypatch.setattr(archive_changes, "_NEVER", Time())
    frames.compact(tmp_path)
    assert seen == [before, [set(), before[1]]]
    assert [names_in(handle) for handle in listing] == [set(), set()]
    for handle in listing:
        os.close(handle)


def test_what_was_exchanged_long_ago_does_not_wait_for_the_end_of_the_run(tmp_path: Path) -> None:
    grown(tmp_path, days=3)
    kept: list[int] = []

    def look(_done: int, _total: int) -> None:
        kept.append(len([path for path in (tmp_path / ".aside").iterdir() if path.is_dir()]))

    frames.compact(tmp_path, told=look)
    assert max(kept) <= 1
    assert len(kept) == 3


def test_readers_see_each_record_once_while_an_archive_grows_and_is_compacted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_changes, "_LISTING_S", 0.5)
    past: Any = Recorded()
    past.write_jobs(2)
    frames.archive(past, tmp_path)
    done, wrong = threading.Event(), []
    archived = 2

    def look() -> None:
        while not done.is_set():
            least, ids = archived, jobs_of(tmp_path)
            if ids != numbered(len(ids)) or len(ids) < least:
                wrong.append((least, ids))

    reader = threading.Thread(target=look)
    stranger = subprocess.Popen(
        [sys.executable, "-c", STRANGER, tmp_path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert stranger.stdout is not None
    assert stranger.stdout.readline() == "ready\n"
    reader.start()
    try:
        for number in range(30):
            past.write_jobs(2, NOON_MS + number * DAY_MS // 20)
            frames.archive(past, tmp_path)
            archived = past.written
            if number % 5 == 0:
                frames.compact(tmp_path)
    finally:
        done.set()
        reader.join()
        told = stranger.communicate()
    assert wrong == []
    assert told == ("True\n", "")
    assert jobs_of(tmp_path) == numbered(past.written)


def test_an_archiver_beside_loses_and_repeats_nothing(tmp_path: Path) -> None:
    past: Any = Recorded()
    past.write_jobs(1)
    frames.archive(past, tmp_path)
    done = threading.Event()

    def archive() -> None:
        for number in range(60):
            past.write_jobs(1, NOON_MS + number * DAY_MS // 30)
            frames.archive(past, tmp_path)
        done.set()

    archiver = threading.Thread(target=archive)
    archiver.start()
    while not done.is_set():
        frames.compact(tmp_path)
    archiver.join()
    frames.compact(tmp_path)
    assert jobs_of(tmp_path) == numbered(61)
    assert len(files(tmp_path)) == 3
    assert frames.archive_gaps(tmp_path) == []


# Kills


@pytest.fixture(scope="module")
def lives() -> Iterator[Killer]:
    with killer() as found:
        yield found


@pytest.mark.slow
def test_a_kill_at_any_step_of_compacting_changes_nothing_for_readers(
    lives: Killer, tmp_path: Path
) -> None:
    grown(tmp_path / "made", days=2, files=3)
    step, wanted = 0, numbered(12)
    while True:
        archive = tmp_path / f"at-{step}"
        shutil.copytree(tmp_path / "made", archive)
        killed = lives.live("compact", archive, step)
        assert jobs_of(archive) == wanted, step
        assert raw_jobs_of(archive) == wanted, step
        frames.compact(archive)
        assert len(files(archive)) == 2, step
        assert list((archive / ".aside").iterdir()) == [], step
        assert jobs_of(archive) == raw_jobs_of(archive) == wanted, step
        if not killed:
            break
        step += 1
    assert step > 20


@pytest.mark.slow
def test_a_kill_at_any_step_of_forgetting_leaves_an_archive(lives: Killer, tmp_path: Path) -> None:
    past = grown(tmp_path / "made", days=2, files=2)
    before, step, killed = (NOON_MS + 2 * DAY_MS) / 1_000, 0, True
    while killed:
        archive = tmp_path / f"at-{step}"
        shutil.copytree(tmp_path / "made", archive)
        killed = lives.live("forget", archive, step, before=before)
        left = jobs_of(archive)
        assert left == numbered(8)[8 - len(left) :], step
        frames.forget(archive, before)
        assert (jobs_of(archive), len(files(archive))) == ([], 1), step
        assert frames.archive(past, archive).records == 0  # type: ignore[arg-type]
        step += 1
    assert step > 15


@pytest.mark.slow
@pytest.mark.timeout(120 + 2 * KILLS)
def test_each_record_is_archived_once_however_often_the_archiver_is_killed(
    lives: Killer, tmp_path: Path
) -> None:
    dice, jobs, kills = Entropy(7), 3, 0
    archive = tmp_path / "archive"
    while kills < KILLS:
        jobs += (0, 3, 12)[dice.below(3)]
        kills += lives.live("archive", archive, dice.below(25), jobs=jobs)
        if archive.exists() and (archive / ".lock").exists():
            ids = jobs_of(archive)
            assert ids == raw_jobs_of(archive) == numbered(len(ids))
        if kills % 5 == 4 and (archive / ".lock").exists():
            lives.live("compact", archive, dice.below(40))
    assert not lives.live("archive", archive, 10**6, jobs=jobs)
    assert jobs_of(archive) == raw_jobs_of(archive) == numbered(jobs)
    assert frames.archive_gaps(archive) == []
    assert frames.audit(archive).clean


# What is forgotten


def test_what_was_written_before_a_time_is_forgotten(tmp_path: Path) -> None:
    past: Any = grown(tmp_path)
    assert frames.forget(tmp_path, (NOON_MS + DAY_MS) / 1_000) == 8
    assert jobs_of(tmp_path) == numbered(24)[8:]
    assert frames.forget(tmp_path, (NOON_MS + DAY_MS) / 1_000) == 0
    assert frames.archive_gaps(tmp_path) == []
    assert frames.audit(tmp_path).clean
    assert not (tmp_path / "day=2024-10-04").exists()
    assert frames.archive(past, tmp_path).records == 0


def test_an_archive_whose_records_are_all_forgotten_goes_on_where_it_was(tmp_path: Path) -> None:
    past: Any = grown(tmp_path)
    assert frames.forget(tmp_path, "1d") == 24
    assert jobs_of(tmp_path) == raw_jobs_of(tmp_path) == []
    assert frames.forget(tmp_path, "1d") == 0
    assert frames.archive(past, tmp_path).records == 0
    past.write_jobs(3, NOON_MS + 9 * DAY_MS)
    assert frames.archive(past, tmp_path).records == 3
    assert jobs_of(tmp_path) == numbered(27)[24:]
    assert frames.archive_gaps(tmp_path) == []
    assert frames.audit(tmp_path).clean
    assert frames.compact(tmp_path).days == 0
    assert frames.forget(tmp_path, "1d") == 3


@pytest.mark.parametrize("before", ["soon", "2026-01-01", None])
def test_a_time_that_is_none_is_refused(tmp_path: Path, before: Any) -> None:
    grown(tmp_path, days=1, files=1)
    with pytest.raises(InvalidOption):
        frames.forget(tmp_path, before)
    assert len(jobs_of(tmp_path)) == 2
