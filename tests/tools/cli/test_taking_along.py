"""History followed and archived, frames exported, snapshots taken."""

from __future__ import annotations

import fcntl
import json
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from tests.support.recorded import DAY_MS, Recorded, record
from tests.tools.cli.shell import Shell, now_s, put, run_some, spawn
from workkit import frames
from workkit.core.history import FORMAT, pack
from workkit.core.records import Place
from workkit.core.text import counted
from workkit.frames.archive_changes import changing
from workkit.snapshot import Snapshot
from workkit.tools.cli.common.following import follow

if TYPE_CHECKING:
    from redis import Redis

pytestmark = pytest.mark.one_server

DEAD = Place("dead")


# Archiving


def test_history_is_archived_once_and_gone_on_with(shell: Shell, tmp_path: Path) -> None:
    run_some(shell, 3)
    archive = str(tmp_path / "archive")
    count = shell.client.history_extent().written
    first = shell.run("archive", "--to", archive)
    assert first.stdout == f"archived {count:,} executions to {archive} (1 file)\n"
    again = shell.run("archive", "--to", archive).stdout
    assert again == f"archived 0 executions to {archive} (0 files)\n"
    pd.testing.assert_frame_equal(frames.history(archive), frames.history(shell.client))


def test_gaps_are_named(shell: Shell, redis_client: Redis, tmp_path: Path) -> None:
    run_some(shell, 3)
    count = shell.client.history_extent().written
    redis_client.xtrim(f"{shell.namespace}:history", maxlen=1, approximate=False)
    kept = shell.client.history_extent().kept
    result = shell.run("archive", "--to", str(tmp_path))
    if kept < count:
        assert f"gap: {count - kept} records before the archive began" in result.stderr
    record = shell.json("archive", "--to", str(tmp_path))
    assert record == {"records": 0, "files": 0, "unreadable": 0, "gaps": []}


@pytest.mark.parametrize(
    "command",
    [("history",), ("audit-log",), ("audit",), ("export", "dead", "--out", "x.csv")],
    ids=lambda command: command[0],
)
def test_a_period_that_ends_before_it_begins_is_refused(shell: Shell, command: Any) -> None:
    for period in (("--since", "1h", "--until", "2h"), ("--until", "5", "--since", "5")):
        complaint = shell.complaint(*command, *period, code=2)
        assert "--since must be before --until: 2h ago is before 1h ago" in complaint


@pytest.mark.parametrize("span", ["0", "0.5", "-1", "8d", "1e9", "99999999999999w", "nan", "often"])
def test_an_archive_is_not_kept_up_without_a_pause(shell: Shell, tmp_path: Path, span: str) -> None:
    complaint = shell.complaint("archive", "--to", str(tmp_path), f"--every={span}", code=2)
    assert "is not a span of time from 1s to 7d; write 10m" in complaint


def test_an_archive_is_kept_up_until_it_is_interrupted(shell: Shell, tmp_path: Path) -> None:
    run_some(shell, 3)
    args = ("archive", "--to", str(tmp_path), "--every", "1h")
    with spawn(*args, env=shell.env) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("archived ")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130


def test_the_files_of_a_day_are_merged_on_request(shell: Shell, tmp_path: Path) -> None:
    archive = str(tmp_path / "archive")
    for _ in range(2):
        run_some(shell, 3)
        shell.run("archive", "--to", archive)
    run_some(shell, 3)
    shown = shell.run("archive", "--to", archive, "--compact", "--keep", "90d").stdout
    assert re.search(r"^archived \d+ exec.*\nmerged \d files of \d days? into \d\n$", shown)
    days = list((tmp_path / "archive").glob("day=*"))  # two of them at midnight
    assert [len(list(day.iterdir())) for day in days] == [1] * len(days)
    again = shell.run("archive", "--to", archive, "--compact").stdout
    assert again.endswith("each day has one file\n")
    assert shell.json("archive", "--to", archive, "--compact", "--keep", "1d") == {
        "records": 0, "files": 0, "unreadable": 0, "gaps": [],
        "forgotten": 0, "compacted": {"days": 0, "merged": 0, "files": 0},
    }  # fmt: skip
    pd.testing.assert_frame_equal(frames.history(archive), frames.history(shell.client))


def test_what_is_older_than_wanted_is_deleted(shell: Shell, tmp_path: Path) -> None:
    archive = str(tmp_path / "archive")
    past: Any = Recorded()
    past.label = shell.client.label
    past.write_jobs(2, round(now_s() * 1_000) - 100 * DAY_MS)
    past.write_jobs(3, round(now_s() * 1_000) - 80 * DAY_MS)
    frames.archive(past, archive)
    shown = shell.run("archive", "--to", archive, "--keep", "90d").stdout
    assert shown.endswith("deleted 2 executions because of their age\n")
    assert len(frames.history(archive)) == 3
    for span in ("90", "0d", "-3d", "soon"):
        complaint = shell.complaint("archive", "--to", archive, f"--keep={span}", code=2)
        assert f"{span!r} is not a span with a unit; write 12h, 90d or 26w" in complaint


def test_an_archive_that_another_process_keeps_up_can_be_compacted(
    shell: Shell, tmp_path: Path
) -> None:
    run_some(shell, 3)
    shell.run("archive", "--to", str(tmp_path))
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = shell.run("archive", "--to", str(tmp_path), "--compact")
        assert "another process is writing" in done.stderr
        assert "each day has one file" in done.stdout
        complaint = shell.complaint("archive", "--to", str(tmp_path), code=2)
        assert "another process is writing" in complaint


def test_an_archive_that_is_kept_up_is_compacted_when_a_day_has_ended(
    shell: Shell, tmp_path: Path
) -> None:
    past: Any = Recorded()
    past.label = shell.client.label
    for number in range(4):
        past.write_jobs(1, round(now_s() * 1_000) - 3 * DAY_MS + number)
        frames.archive(past, tmp_path)
    run_some(shell, 3)
    args = ("archive", "--to", str(tmp_path), "--every", "1h", "--compact", "--keep", "90d")
    with spawn(*args, env=shell.env) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("archived ")
        assert re.match(r"merged \d files of \d days? into \d\n", process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130


def test_a_turn_of_a_kept_up_archive_that_another_process_compacts_is_skipped(
    shell: Shell, tmp_path: Path
) -> None:
    run_some(shell, 3)
    shell.run("archive", "--to", str(tmp_path))
    args = ("archive", "--to", str(tmp_path), "--every", "1h", "--compact")
    with changing(tmp_path), spawn(*args, env=shell.env) as process:
        assert process.stderr is not None
        assert "another process is merging" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    with changing(tmp_path):
        complaint = shell.complaint("archive", "--to", str(tmp_path), "--compact", code=2)
        assert "another process is merging" in complaint


def test_secrets_are_left_out_of_an_archive_on_request_and_by_default(
    shell: Shell, redis_client: Redis, tmp_path: Path
) -> None:
    past: Any = Recorded()
    past.label = shell.client.label
    args = json.dumps({"password": "hunter2-x", "colour": "blue-12"})
    packed = pack([record("a", round(now_s() * 1_000), args=args)])
    fields: dict[Any, Any] = {
        "v": FORMAT, "pool": "p", "host": "h", "n": 1, "r": packed, "b": 0, "ver": "",
    }  # fmt: skip
    redis_client.xadd(f"{shell.namespace}:history", fields, id=f"{round(now_s() * 1_000)}-1")
    kept = {}
    for name, options in (
        ("default", []),
        ("more", ["--redact", "*colour*"]),
        ("all", ["--keep-secrets"]),
    ):
        shell.run("archive", "--to", str(tmp_path / name), *options)
        (text,) = frames.history(tmp_path / name)["args"]
        kept[name] = [value for value in ("hunter2-x", "blue-12") if value in text]
    assert kept == {"default": ["blue-12"], "more": [], "all": ["hunter2-x", "blue-12"]}


def test_an_archive_of_something_else_is_a_mistake(shell: Shell, tmp_path: Path) -> None:
    run_some(shell, 3)
    shell.run("archive", "--to", str(tmp_path))
    other = Shell(shell.url, f"{shell.namespace}x")
    complaint = other.complaint("archive", "--to", str(tmp_path), code=2)
    assert "--adopt if they are the same" in complaint


# Following


@pytest.mark.parametrize("as_json", [False, True])
def test_history_is_followed_as_it_is_written(shell: Shell, *, as_json: bool) -> None:
    run_some(shell, 3)
    count = shell.client.history_extent().written
    args = ("history", "tail", "--lines", "100", *(["--json"] if as_json else []))
    with spawn(*args, env=shell.env) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(count)]
        run_some(shell, 3)
        lines += [process.stdout.readline() for _ in range(count)]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    records = list(shell.client.history())[::-1]
    told = [json.loads(line)["job_id"] if as_json else line.split()[1] for line in lines]
    assert told == [record.job_id for record in records]


def test_one_outcome_is_followed(shell: Shell) -> None:
    run_some(shell, 3)
    with spawn("history", "tail", "--lines", "1", "--outcome", "dead", env=shell.env) as process:
        assert process.stdout is not None
        for _ in range(2):
            assert process.stdout.readline().split()[2] == "dead"
            run_some(shell, 3)


def test_following_tells_of_nothing_twice(shell: Shell) -> None:
    run_some(shell, 3)
    told = follow(shell.client, None, None, 2)
    first = [next(told) for _ in range(2)]
    run_some(shell, 3)
    later = [next(told) for _ in range(4)]
    records = list(shell.client.history())[::-1]
    assert first + later == records[2:]


# Exporting


@pytest.mark.parametrize(
    "what",
    [
        "history", "attempts", "journeys", "dead", "retry", "scheduled", "queues", "workers",
        "errors",
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl", "arrow"])
def test_a_frame_is_exported(
    shell: Shell, redis_client: Redis, tmp_path: Path, what: str, form: str
) -> None:
    run_some(shell, 3)
    for place in ("dead", "retry", "scheduled"):
        put(redis_client, shell.namespace, place, now_s(), id=place, err="ValueError: 1", fails=1)
    out = tmp_path / f"out.{form}"
    result = shell.run("export", what, "--out", str(out))
    frame = frames.read(out, what)
    assert f"wrote {counted(len(frame), 'row')} to {out}\n" in result.stderr
    assert len(frame) or what == "workers"
    assert out.stat().st_mode & 0o777 == 0o600


def test_a_file_that_exists_is_replaced_only_on_request(shell: Shell, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("precious")
    assert "--force replaces it" in shell.complaint("export", "dead", "--out", str(out), code=2)
    assert out.read_text() == "precious"
    shell.run("export", "dead", "--out", str(out), "--force")
    wrote = shell.json("export", "dead", "--out", str(out), "--force")
    assert wrote == {"file": str(out), "format": "csv", "rows": 0}
    assert "--format jsonl" in shell.complaint(
        "export", "dead", "--out", "-", "--format", "csv", "--json", code=2
    )
    assert out.read_text().startswith('"died_at","job_id"')


def test_standard_output_takes_any_format_that_is_named(shell: Shell, redis_client: Redis) -> None:
    put(redis_client, shell.namespace, "dead", now_s(), id="d")
    assert "add --format" in shell.complaint("export", "dead", "--out", "-", code=2)
    out = shell.run("export", "dead", "--out", "-", "--format", "jsonl").stdout
    assert json.loads(out)["job_id"] == "d"


def test_since_leaves_out_what_is_older(shell: Shell, redis_client: Redis, tmp_path: Path) -> None:
    for ago_s, job_id in ((7_200, "old"), (60, "new")):
        died_at = now_s() - ago_s
        put(redis_client, shell.namespace, "dead", died_at, id=job_id, failed_at=died_at)
    out = tmp_path / "out.csv"
    shell.run("export", "dead", "--since", "1h", "--out", str(out))
    assert frames.read(out, "dead")["job_id"].to_list() == ["new"]
    complaint = shell.complaint(
        "export", "queues", "--since", "1h", "--out", str(tmp_path / "q.csv"), code=2
    )
    assert (
        "queues has no since; it filters history, dead, retry, attempts, journeys, errors"
        in complaint
    )


def test_a_span_and_a_name_pick_what_is_exported(
    shell: Shell, redis_client: Redis, tmp_path: Path
) -> None:
    for ago_s, name in ((7_200, "a"), (3_000, "a"), (3_000, "b"), (60, "a")):
        at, job_id = now_s() - ago_s, f"{name}-{ago_s}"
        for place in ("dead", "retry"):
            put(redis_client, shell.namespace, place, at, id=job_id, name=name, failed_at=at)
    out, span = str(tmp_path / "out.csv"), ("--since", "1h", "--until", "10m", "--name", "a")
    for place in ("dead", "retry"):
        shell.run("export", place, *span, "--out", out, "--force")
        assert frames.read(out, place)["job_id"].to_list() == ["a-3000"]
    shell.run("export", "scheduled", "--name", "a", "--out", out, "--force")
    assert frames.read(out, "scheduled").empty


def test_history_is_exported_by_name_outcome_and_end(shell: Shell, tmp_path: Path) -> None:
    run_some(shell, 3)
    out = str(tmp_path / "out.csv")

    def exported(*options: str) -> list[str]:
        shell.run("export", "history", *options, "--out", out, "--force")
        return sorted(frames.read(out, "history")["name"].to_list())

    assert exported() == ["charge", "send", "send", "send"]
    assert exported("--name", "send") == ["send", "send", "send"]
    assert exported("--outcome", "dead") == ["charge"]
    assert exported("--name", "send", "--outcome", "dead") == []
    assert exported("--until", "1h") == []
    assert exported("--until", "2100-01-01T00:00Z") == ["charge", "send", "send", "send"]


@pytest.mark.parametrize(
    ("what", "option"),
    [
        ("dead", ("--outcome", "dead")),
        ("errors", ("--until", "1h")),
        ("errors", ("--name", "a")),
        ("scheduled", ("--since", "1h")),
        ("queues", ("--name", "a")),
        ("workers", ("--until", "1h")),
        ("journeys", ("--name", "a")),
    ],
)
def test_a_filter_that_a_frame_does_not_have_is_refused(
    shell: Shell, tmp_path: Path, what: str, option: tuple[str, str]
) -> None:
    out = tmp_path / "out.csv"
    told = shell.complaint("export", what, *option, "--out", str(out), code=2)
    assert f"{what} has no {option[0].removeprefix('--')}; it filters " in told
    assert not out.exists()


def test_an_export_that_fails_leaves_nothing_behind(shell: Shell, tmp_path: Path) -> None:
    nowhere = Shell("redis://127.0.0.1:1/0", shell.namespace)
    nowhere.complaint("export", "dead", "--out", str(tmp_path / "x.csv"), code=69)
    shell.complaint("export", "dead", "--out", str(tmp_path / "no" / "x.csv"), code=2)
    shell.complaint("export", "dead", "--out", str(tmp_path / "x.xls"), code=2)
    assert list(tmp_path.iterdir()) == []


# Snapshots


def test_a_snapshot_is_taken_and_exported_from(
    shell: Shell, redis_client: Redis, tmp_path: Path
) -> None:
    args = {"email": "a@example.com", "password": "hunter2", "n": 1}
    put(redis_client, shell.namespace, "dead", now_s(), id="d", args=args)
    file, out = tmp_path / "state", tmp_path / "dead.csv"
    result = shell.run("snapshot", str(file), "--redact", "e-mail", "--redact", "Email")
    assert f"to {file} (" in result.stdout
    assert "left out the values of *password*" in result.stderr
    (dead,) = Snapshot(file).jobs(DEAD).jobs
    assert dead.job.args == {"email": "[redacted]", "password": "[redacted]", "n": 1}
    shell.run("export", "dead", "--from", str(file), "--out", str(out))
    assert frames.read(out, "dead")["job_id"].to_list() == ["d"]
    assert "exists; --force" in shell.complaint("snapshot", str(file), code=2)
    about = shell.json("snapshot", str(file), "--force", "--keep-secrets")
    assert about["redacted"] == []
    assert b"hunter2" in next(iter(Snapshot(file).walk(DEAD))).jobs[0].job.raw


def test_a_snapshot_is_not_written_to_standard_output(shell: Shell) -> None:
    told = shell.complaint("snapshot", "-", code=2)
    assert "a snapshot is a database, so it needs a file" in told
    assert not Path("-").exists()
