"""`workkit record`, and the commands that read its files."""

from __future__ import annotations

import signal
import sqlite3
import stat
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import PrivateServer, WaitUntil
from tests.recording.made import NOW_S, overview, record, recorder
from tests.tools.cli.shell import Shell, put, spawn
from workkit.core.text import age
from workkit.recording import Recording

if TYPE_CHECKING:
    from redis import Redis

pytestmark = pytest.mark.one_server


def readings(path: Path) -> list[int]:
    """Return the number of dead jobs, reading by reading."""
    if not path.exists():
        return []
    recording = Recording(path)
    found = [seen.dead for seen, _ in recording.overviews(0, 10**11)]
    recording.close()
    return found


@pytest.fixture
def night(
    shell: Shell, redis_client: Redis, namespace: str, tmp_path: Path, wait_until: WaitUntil
) -> str:
    """A recording in which a job dies and a queue is paused."""
    path = tmp_path / "night.wkr"
    put(redis_client, namespace, "retry", 10**10, id="a" * 24)
    redis_client.sadd(f"{namespace}:known_jobs", "mail")
    with spawn("record", str(path), "--every", "0.5s", env=shell.env) as process:
        wait_until(lambda: len(readings(path)) > 1, 20)
        put(redis_client, namespace, "dead", 1_000, id="b" * 24)
        shell.client.pause("mail")
        wait_until(lambda: 1 in readings(path), 20)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=20)
        assert process.returncode == 0, told
    assert told == (
        f"recording {shell.client.label} to {path} every 0.5 s; keeping the last 1d 0h, at most "
        "50 MiB; Ctrl-C ends it\n"
    )
    return str(path)


def test_a_recording_has_the_present_of_every_reading(night: str) -> None:
    found = readings(Path(night))
    assert found == sorted(found)
    assert found[0] == 0
    assert found[-1] == 1
    assert stat.S_IMODE(Path(night).stat().st_mode) == 0o600


def test_top_queues_and_pools_show_a_time_of_it(shell: Shell, night: str) -> None:
    recording = Recording(night)
    low, high = recording.span or (0, 0)
    recording.close()
    shown = shell.lines("top", "--recording", night, "--once")
    assert shown[0] == f"{shell.client.label}, recorded in night.wkr"
    assert "1 retry   1 dead" in shown[1]
    early = shell.json("top", "--recording", night, "--at", f"-{high - low:.3f}")
    assert (early["counts"]["dead"], early["taken_at"]) == (0, low)
    (now,) = shell.json("queues", "--recording", night)
    (then,) = shell.json("queues", "--recording", night, "--at", "-1d")
    assert (then["paused"], now["paused"]) == (False, True)
    assert shell.run("pools", "--recording", night).stderr == "no pool is running\n"
    assert shell.json("pools", "--workers", "--recording", night) == []


@pytest.mark.parametrize("command", ["top", "queues", "pools"])
def test_a_mistake_with_a_recording_is_one_clear_line(
    shell: Shell, night: str, command: str, tmp_path: Path
) -> None:
    once = ("--once",) if command == "top" else ()
    (tmp_path / "empty").touch()
    (tmp_path / "diary").write_text("dear diary\n" * 99)
    for args, said in (
        (("--recording", night, "--at", "noon"), "'noon' is not a time; write 03:12"),
        (("--recording", night, "--at", "2001-01-01"), "is not in the recording, which is from"),
        (("--at", "03:12"), "--at is a time of a recording; name its file by --recording"),
        (("--recording", str(tmp_path / "no")), "makes one"),
        (("--recording", str(tmp_path)), "is not a regular file, so it is not a recording"),
        (("--recording", str(tmp_path / "empty")), "is empty, so it is not a recording"),
        (("--recording", str(tmp_path / "diary")), "is not a recording"),
    ):
        told = shell.complaint(command, *once, *args, code=2)
        assert said in told
        assert "Traceback" not in told


def test_a_file_that_is_not_its_own_is_refused_by_record(
    shell: Shell, night: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").touch()
    with sqlite3.connect(tmp_path / "other") as database:
        database.execute("CREATE TABLE mine (id)")
    database.close()
    before = Path(night).read_bytes()
    for args, said in (
        ((str(tmp_path / "empty"),), "is empty, so it is not a recording; remove it, or name"),
        ((str(tmp_path / "other"),), "is a database of another program"),
        ((str(tmp_path / "no" / "r"),), "cannot be written: No such file or directory"),
        (("-",), "a recording is a database, so it needs a file; name one"),
        ((night, "--namespace", "elsewhere"), "name another file"),
        ((str(tmp_path / "r"), "--every", "0"), "'0' is not a span of time from 0.5s to 10m"),
        ((str(tmp_path / "r"), "--keep", "1s"), "'1s' is not a span of time from 1m to 90d"),
        ((str(tmp_path / "r"), "--max-size", "0.1M"), "--max-size must be 1M or more"),
        ((str(tmp_path / "r"), "--redis", "redis://127.0.0.1:1"), "127.0.0.1:1"),
    ):
        told = shell.run("record", *args, code=69 if "redis://" in args[-1] else 2).stderr
        assert said in told
        assert "Traceback" not in told
    assert Path(night).read_bytes() == before
    assert not (tmp_path / "r").exists()


def test_a_recorder_that_was_killed_is_gone_on_with(
    shell: Shell, tmp_path: Path, wait_until: WaitUntil
) -> None:
    path = tmp_path / "r"
    with spawn("record", str(path), "--every", "0.5s", env=shell.env) as process:
        wait_until(lambda: len(readings(path)) > 1, 20)
        second = shell.complaint("record", str(path), code=2)
        assert "is being recorded to already; stop that, or name another" in second
        process.kill()
    found = len(readings(path))
    with spawn("record", str(path), "--every", "0.5s", env=shell.env) as process:
        wait_until(lambda: len(readings(path)) > found + 1, 20)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert [each.name for each in tmp_path.iterdir()] == ["r"]


def test_a_file_that_can_no_longer_be_written_ends_the_recorder_with_74(
    shell: Shell, tmp_path: Path, wait_until: WaitUntil
) -> None:
    path = tmp_path / "r"
    with spawn("record", str(path), "--every", "0.5s", env=shell.env) as process:
        wait_until(lambda: len(readings(path)) > 1, 20)
        path.unlink()
        _, told = process.communicate(timeout=20)
    assert process.returncode == 74
    said = told.splitlines()[1:]
    assert said == [f"workkit: {path} was removed while it was recorded; record again"]


def test_a_recorder_outlives_its_server(
    private_server: PrivateServer, tmp_path: Path, wait_until: WaitUntil
) -> None:
    server, path = private_server("valkey"), tmp_path / "r"
    shell = Shell(server.url, "work")
    with spawn("record", str(path), "--every", "0.5s", env=shell.env) as process:
        wait_until(lambda: len(readings(path)) > 1, 20)
        server.kill()
        wait_until(lambda: _marks(path, "lost"), 20)
        before = len(readings(path))
        server.restart()
        wait_until(lambda: len(readings(path)) > before, 30)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=20)
    assert process.returncode == 0
    lines = told.splitlines()
    assert len(lines) == 3
    assert lines[1].endswith("; the recorder tries again")
    assert lines[2] == "the server answers again"


def _marks(path: Path, kind: str) -> list[str]:
    recording = Recording(path)
    found = [mark.text for mark in recording.marks(0, 10**11) if mark.kind == kind]
    recording.close()
    return found


def test_secrets_are_hidden_as_the_console_hides_them(
    shell: Shell, redis_client: Redis, namespace: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    args = {"api_token": "sk-aaaaaaaa", "passport": "C01X00T47", "color": "teal"}
    put(redis_client, namespace, "dead", 1_000, id="b" * 24, args=args)
    for options, hidden, kept in (
        ((), ("sk-aaaaaaaa",), ("C01X00T47", "teal")),
        (("--mask-also", "*passport*"), ("sk-aaaaaaaa", "C01X00T47"), ("teal",)),
        (("--mask", "color"), ("teal",), ("sk-aaaaaaaa", "C01X00T47")),
    ):
        path = tmp_path / f"r{len(options)}{len(hidden)}"
        with spawn("record", str(path), "--every", "0.5s", *options, env=shell.env) as process:
            wait_until(partial(readings, path), 20)
            wait_until(partial(_dead, path), 20)
            process.send_signal(signal.SIGTERM)
            process.wait(20)
        (text,) = _dead(path)
        assert not [each for each in hidden if each in text]
        assert not [each for each in kept if each not in text]


def _dead(path: Path) -> list[str]:
    from workkit import Place

    recording = Recording(path)
    assert recording.span is not None
    moment = recording.moment(recording.span[1])
    found = [str(each.job.args) for each in moment.jobs(Place("dead")).jobs]
    recording.close()
    return found if moment.details_at_s is not None else []


@pytest.fixture
def noon(
    shell: Shell, redis_client: Redis, namespace: str, tmp_path: Path, wait_until: WaitUntil
) -> str:
    """A recording that begins with a dead job and a pause, after which the job is deleted."""
    path = tmp_path / "noon.wkr"
    put(redis_client, namespace, "retry", 10**10, id="a" * 24)
    put(redis_client, namespace, "dead", 1_000, id="b" * 24)
    redis_client.sadd(f"{namespace}:known_jobs", "mail")
    shell.client.pause("mail")
    with spawn("record", str(path), "--every", "0.5s", env=shell.env) as process:
        wait_until(lambda: len(readings(path)) > 1, 20)
        redis_client.delete(f"{namespace}:dead")
        wait_until(lambda: 0 in readings(path), 20)
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    return str(path)


def test_jobs_and_acts_of_a_time_are_shown(shell: Shell, noon: str, tmp_path: Path) -> None:
    from_it = ("--recording", noon, "--at", "-1d")
    (dead,) = shell.json("jobs", "dead", *from_it)
    assert dead["job"]["id"] == "b" * 24
    (retry,) = shell.lines("jobs", "retry", *from_it, "--filter", f"id:{'a' * 24}")[1:]
    assert "a" * 24 in retry
    assert shell.json("jobs", "scheduled", *from_it, "--all") == []
    assert shell.run("jobs", "queued", "mail", *from_it).stderr == "no jobs wait in queue 'mail'\n"
    assert shell.json("jobs", "find", "b" * 24, *from_it)["place"] == "dead"
    told = shell.run("jobs", "find", "c" * 24, *from_it, code=1).stderr
    assert told == f"no job {'c' * 24} in {shell.client.label}, recorded in noon.wkr\n"
    (act,) = shell.json("audit-log", *from_it)
    assert (act["verb"], act["queue"]) == ("pause", "mail")
    out = tmp_path / "then.jsonl"
    shell.run("export", "dead", *from_it, "--out", str(out))
    assert "b" * 24 in out.read_text()


def test_ages_are_those_of_that_time(shell: Shell, noon: str) -> None:
    recording = Recording(noon)
    taken_s, _ = recording.span or (0, 0)
    recording.close()
    found = shell.lines("jobs", "dead", "--recording", noon, "--at", "-1d")[1].split()
    assert " ".join(found[: found.index("b" * 24)]) == age(int(taken_s) - 1_000)


def test_lists_that_are_older_than_the_time_say_so(tmp_path: Path, shell: Shell) -> None:
    path = tmp_path / "old.wkr"
    with recorder(path) as made:
        record(made, overview(NOW_S), overview(NOW_S + 5))
    told = "jobs, workers and acts are of 5s before that time\n"
    assert told in shell.run("jobs", "dead", "--recording", str(path)).stderr
    assert told not in shell.run("jobs", "dead", "--recording", str(path), "--at", "-1d").stderr


def test_failures_of_the_minutes_before_are_the_history_of_a_recording(
    shell: Shell, night: str
) -> None:
    told = "a recording has failures and a sample of the executions of the minutes before\n"
    assert shell.run("history", "--recording", night).stderr == told


@pytest.mark.parametrize(("args", "why"), [
    (("audit-log", "--verify"), "a recording has only the newest acts"),
    (("audit-log", "--follow"), "a recording has only the newest acts"),
    (("export", "history", "--out", "x.csv"), "a recording has no history"),
])  # fmt: skip
def test_what_a_recording_does_not_have_is_refused(
    shell: Shell, night: str, args: tuple[str, ...], why: str
) -> None:
    assert why in shell.complaint(*args, "--recording", night, code=2)


@pytest.mark.parametrize("command", [("jobs", "dead"), ("history",), ("audit-log",)])
def test_a_time_needs_a_recording(shell: Shell, command: tuple[str, ...]) -> None:
    assert "name its file by --recording" in shell.complaint(*command, "--at", "03:12", code=2)
