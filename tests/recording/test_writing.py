"""The file: whole after any crash, bounded, written by one, and never another program's."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.recording.made import LABEL, NOW_S, overview, pool, record, recorder, writer
from workkit import InvalidOption
from workkit.recording import Recording, RecordingHeader, is_recording
from workkit.recording.reading import Recording as Reading
from workkit.snapshot.format import pack

ROOT = Path(__file__).parents[2]


def times(recording: Recording) -> list[float]:
    return [seen.taken_at for seen, _ in recording.overviews(0, 10**11)]


def filled(path: Path, readings: int = 5, **options: Any) -> None:
    with recorder(path, **options) as made:
        record(made, *(overview(NOW_S + 2.0 * n) for n in range(readings)))


def test_what_was_recorded_comes_back_reading_by_reading(tmp_path: Path) -> None:
    seen = [
        overview(NOW_S + 2.125 * n, pool(1, NOW_S + n, done=7 * n), count=n % 4, dead=n)
        for n in range(300)
    ]
    with recorder(tmp_path / "r") as made:
        record(made, *seen)
        assert [each for each, _ in made.recording.overviews(0, 10**11)] == seen
    recording = Reading(tmp_path / "r")
    assert [each for each, _ in recording.overviews(0, 10**11)] == seen
    assert recording.span == (seen[0].taken_at, seen[-1].taken_at)
    assert recording.moment(seen[130].taken_at).overview() == seen[130]
    assert recording.moment(seen[130].taken_at + 1).overview() == seen[130]
    recording.close()


def test_only_the_owner_can_read_the_file_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    with recorder(tmp_path / "r") as made:
        record(made, overview(NOW_S))
        for each in tmp_path.iterdir():
            assert stat.S_IMODE(each.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["r"]
    recording = Recording(tmp_path / "r")
    assert times(recording) == [NOW_S]
    recording.close()
    assert [each.name for each in tmp_path.iterdir()] == ["r"]
    with recorder(tmp_path / "r") as made:
        record(made, overview(NOW_S + 2))
    assert [each.name for each in tmp_path.iterdir()] == ["r"]


KILLED = """
import sys
from pathlib import Path
from tests.recording.made import NOW_S, overview, record, recorder
with recorder(Path(sys.argv[1])) as made:
    n = 0
    while True:
        record(made, overview(NOW_S + 2.0 * n))
        print(n, flush=True)
        n += 1
"""


@pytest.mark.parametrize("readings", [0, 1, 119, 120, 121, 300])
def test_a_recorder_that_is_killed_leaves_every_reading_and_the_next_goes_on(
    tmp_path: Path, readings: int
) -> None:
    path = tmp_path / "r"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)],
        stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        said = -1
        while said < readings:
            said = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
    recording = Recording(path)
    found = times(recording)
    assert found == [NOW_S + 2.0 * n for n in range(len(found))]
    assert len(found) > readings
    recording.close()
    with recorder(path) as made:
        record(made, overview(found[-1] + 60))
        assert times(made.recording) == [*found, found[-1] + 60]


def test_a_second_writer_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    with recorder(tmp_path / "r") as made:
        record(made, overview(NOW_S))
        with pytest.raises(InvalidOption, match="is being recorded to already"):
            writer(tmp_path / "r")
        code = "from pathlib import Path; from tests.recording.made import writer; import sys\n"
        other = subprocess.run(
            [sys.executable, "-c", f"{code}writer(Path(sys.argv[1]))", str(tmp_path / "r")],
            capture_output=True, text=True, check=False, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert "is being recorded to already; stop that, or name another" in other.stderr
        record(made, overview(NOW_S + 2))
    recording = Recording(tmp_path / "r")
    assert len(times(recording)) == 2
    recording.close()
    writer(tmp_path / "r").close()


def test_a_recording_of_another_namespace_is_left_alone(tmp_path: Path) -> None:
    filled(tmp_path / "r")
    before = (tmp_path / "r").read_bytes()
    with pytest.raises(InvalidOption, match=f"records {LABEL}, not shop at db; name another file"):
        writer(tmp_path / "r", label="shop at db")
    assert (tmp_path / "r").read_bytes() == before


def _empty(path: Path) -> None:
    path.touch()


def _text(path: Path) -> None:
    path.write_text("dear diary, today\n" * 50)


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE segments (id)")
    database.close()


def _snapshot(path: Path) -> None:
    from workkit.snapshot.format import SCHEMA

    with sqlite3.connect(path) as database:
        database.executescript(SCHEMA)
    database.close()


def _newer(path: Path) -> None:
    filled(path)
    about = RecordingHeader(99, "7.0", LABEL, 2.0)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE about SET data = ?", (pack(about),))
    database.close()


def _no_description(path: Path) -> None:
    filled(path)
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM about")
    database.close()


def _folder(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _beginning(path: Path) -> None:
    filled(path)
    whole = path.read_bytes()
    path.write_bytes(b"?" * 100 + whole[100:])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_empty, "is empty, so it is not a recording; remove it, or name another file"),
        (_text, "is not a recording, or its beginning is damaged; name a file of `workkit record`"),
        (_beginning, "is not a recording, or its beginning is damaged"),
        (_foreign, "is a database of another program; name a file of `workkit record`"),
        (_snapshot, "is a snapshot, not a recording; open it with --snapshot"),
        (_newer, "was written by workkit 7.0, whose format is newer; update workkit"),
        (_no_description, "is damaged: .*; keep it for an analysis, and record to another file"),
        (_folder, "is not a regular file, so it is not a recording"),
        (_pipe, "is not a regular file, so it is not a recording"),
    ],
)
def test_what_is_not_a_recording_is_refused_by_name_and_left_as_it_was(
    tmp_path: Path, make: Any, said: str
) -> None:
    path = tmp_path / "file"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    for open_it in (Recording, writer):
        with pytest.raises(InvalidOption, match=f"file {said}"):
            open_it(path)
    assert (path.read_bytes() if path.is_file() else None) == before
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_file_that_is_missing_or_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"no file .*/r; `workkit record .*/r` makes one"):
        Recording(tmp_path / "r")
    with pytest.raises(InvalidOption, match=r"no/r cannot be written: No such file or directory"):
        writer(tmp_path / "no" / "r")
    assert not is_recording(tmp_path / "r")


def _trouble(path: Path, number: int) -> str:
    try:
        recording = Recording(path)
        recording.moment(NOW_S + 2.0 * number)
        recording.close()
    except InvalidOption as error:
        return str(error)
    return ""


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_damaged_file_is_refused_where_it_is_damaged(tmp_path: Path, share: float) -> None:
    path = tmp_path / "r"
    filled(path, 1_000)
    whole = bytearray(path.read_bytes())
    at = int(len(whole) * share)
    whole[at : at + 2_000] = b"\xa5" * len(whole[at : at + 2_000])
    path.write_bytes(whole)
    said = [_trouble(path, n) for n in range(0, 1_000, 50)]
    assert all("damaged" in text or "no readings" in text for text in said if text)
    assert path.read_bytes() == whole


def test_a_file_that_is_removed_meanwhile_ends_the_recording(tmp_path: Path) -> None:
    with recorder(tmp_path / "r") as made:
        record(made, overview(NOW_S))
        (tmp_path / "r").unlink()
        with pytest.raises(InvalidOption, match="was removed while it was recorded; record again"):
            record(made, overview(NOW_S + 2))


def test_what_is_older_than_the_kept_time_is_removed(tmp_path: Path) -> None:
    with recorder(tmp_path / "r", keep_s=600.0) as made:
        record(made, *(overview(NOW_S + 2.0 * n) for n in range(1_000)))
        low, high = made.recording.span or (0, 0)
        assert high == NOW_S + 2 * 999
        assert 600 <= high - low <= 600 + 2 * 2 * 120
        assert made.recording.points(NOW_S, NOW_S + 600, 1)[0].recorded_s == 0
        assert made.recording.marks(0, low) == []


def test_a_file_does_not_grow_beyond_its_bytes(tmp_path: Path) -> None:
    most = 150_000
    with recorder(tmp_path / "r", most_bytes=most) as made:
        for n in range(2_400):
            pools = [pool(k, NOW_S + 2 * n, done=n * k * 7919 % 10_007) for k in range(20)]
            record(made, overview(NOW_S + 2.0 * n, *pools, count=n * 7919 % 1_009))
        assert made.is_short_of_bytes
        low, high = made.recording.span or (0, 0)
        assert high == NOW_S + 2 * 2_399
        assert high - low > 600
    assert (tmp_path / "r").stat().st_size < 3 * most


def test_a_clock_that_goes_back_loses_no_reading(tmp_path: Path) -> None:
    with recorder(tmp_path / "r") as made:
        record(made, overview(NOW_S), overview(NOW_S - 3_600, dead=7), overview(NOW_S - 3_598))
        found = [seen for seen, _ in made.recording.overviews(0, 10**11)]
    assert [seen.dead for seen in found] == [3, 7, 3]
    assert [seen.taken_at for seen in found] == [NOW_S, NOW_S + 0.001, NOW_S + 0.002]


def test_a_recording_is_read_while_it_is_written_also_from_a_folder_without_writes(
    tmp_path: Path,
) -> None:
    with recorder(tmp_path / "r") as made:
        record(made, overview(NOW_S))
        other = Recording(tmp_path / "r")
        assert times(other) == [NOW_S]
        for n in range(1, 250):
            record(made, overview(NOW_S + 2.0 * n))
            assert other.span == (NOW_S, NOW_S + 2.0 * n)
        assert len(times(other)) == 250
        other.close()
    closed = tmp_path / "closed"
    closed.mkdir()
    shutil.copy(tmp_path / "r", closed / "r")
    (closed / "r").chmod(0o400)
    closed.chmod(0o500)
    try:
        kept = Recording(closed / "r")
        assert len(times(kept)) == 250
        kept.close()
    finally:
        closed.chmod(0o700)


def test_a_copy_of_the_file_alone_lacks_only_the_last_readings(tmp_path: Path) -> None:
    with recorder(tmp_path / "r") as made:
        record(made, *(overview(NOW_S + 2.0 * n) for n in range(100)))
        shutil.copy(tmp_path / "r", tmp_path / "copy")  # without the journal beside it
    recording = Recording(tmp_path / "copy")
    found = times(recording)
    recording.close()
    assert 80 < len(found) <= 100
    assert found == [NOW_S + 2.0 * n for n in range(len(found))]


def test_a_recording_in_memory_leaves_no_file(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with recorder(None) as made:
        record(made, *(overview(NOW_S + 2.0 * n) for n in range(200)))
        assert len(times(made.recording)) == 200
    assert list(tmp_path.iterdir()) == []


def test_deltas_have_a_stable_form() -> None:
    from workkit.recording.deltas import Delta

    assert (
        msgspec.json.encode(Delta(1, [b"a"], [0], [[1]], [])) == b'[1,["YQ=="],[0],[[1]],[],null]'
    )


def test_numbers_that_no_file_holds_are_recorded_as_the_nearest(tmp_path: Path) -> None:
    far = 2**63 - 1
    with recorder(tmp_path / "r") as made:
        for n in range(6):
            seen = overview(
                NOW_S + 2.0 * n, pool(1, NOW_S, done=far * (n % 2)), pool(2, NOW_S, done=far * n),
                next_scheduled_at=int(1e300), next_retry_at=-int(1e300),
            )  # fmt: skip
            record(made, seen)
        (last,) = [each for each, _ in made.recording.overviews(NOW_S + 9.0, NOW_S + 11.0)]
        assert last.next_scheduled_at == far
        assert last.next_retry_at == -far
        (point,) = made.recording.points(NOW_S, NOW_S + 60, 1)
        assert point.done >= far
