"""Channels of `workkit watch` that fail in every way do not stop it."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import WaitUntil
from tests.tools.cli.shell import Shell, put, spawn
from workkit.tools.cli.common import telling
from workkit.tools.cli.common.telling import Program, Teller, Told, Webhook

if TYPE_CHECKING:
    from redis import Redis

PATIENCE_S = 30
TOLD = Told("begins 1 job", '{"a":1}', {"WORKKIT_NOTICE_A": "1"})


class Kept:
    """A channel that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Told] = []

    def tell(self, told: Told, stop: threading.Event) -> str:
        self.told.append(told)
        return ""


class OwnBaseError(BaseException):
    """An error that wants to be caught by nobody."""


@pytest.mark.parametrize(
    "error", [ValueError, UnicodeError, SystemExit, KeyboardInterrupt, GeneratorExit, OwnBaseError]
)
def test_a_channel_that_raises_anything_is_reported_and_the_others_are_told(
    error: type[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        def tell(self, told: Told, stop: threading.Event) -> str:
            raise error("odd")

    kept = Kept()
    teller = Teller([Broken(), kept])
    teller.tell(TOLD)
    teller.tell(TOLD)
    teller.close(PATIENCE_S)
    assert kept.told == [TOLD, TOLD]
    said = capsys.readouterr().err
    assert said.count("workkit: broken: odd; it was not told: begins 1 job") == 2


@contextmanager
def dripping(*, every_s: float) -> Iterator[int]:
    """A server that sends a byte of its answer now and then, for ever; gives its port."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                client.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not over.wait(every_s):
                    try:
                        client.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        over.set()
        thread.join(PATIENCE_S)


def test_the_time_limit_of_a_webhook_is_one_of_the_whole_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(telling, "_WAITS_S", ())
    monkeypatch.setattr(telling, "_WEBHOOK_S", 0.3)
    with dripping(every_s=0.05) as port:
        failure = Webhook(f"http://127.0.0.1:{port}/").tell(TOLD, threading.Event())
    assert failure == (
        "the webhook at 127.0.0.1 does not answer: the request took longer than 0.3 s"
    )


def test_a_look_up_of_a_name_that_hangs_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(telling, "_WAITS_S", ())
    monkeypatch.setattr(telling, "_WEBHOOK_S", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(PATIENCE_S))
    try:
        failure = Webhook("http://example.com/").tell(TOLD, threading.Event())
    finally:
        release.set()
    assert "took longer than 0.1 s" in failure


@pytest.mark.parametrize("error", [ValueError("odd"), UnicodeError("odd"), SystemExit("odd")])
def test_a_request_that_raises_anything_is_a_failure_in_words(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("http.client.HTTPConnection.request", fail)
    failure = Webhook("http://example.com/").tell(TOLD, threading.Event())
    assert failure == "the webhook at example.com failed: odd"


def test_a_program_that_runs_too_long_is_killed_with_what_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    monkeypatch.setattr(telling, "_PROGRAM_S", 0.5)
    noted = tmp_path / "pid"
    program = Program(f"sh -c 'sleep 300 & echo $! > {noted}; wait'")
    assert "ran longer than 0.5 s and was killed" in program.tell(TOLD, threading.Event())
    pid = int(wait_until(noted.read_text))
    wait_until(lambda: not is_running(pid))


def is_running(pid: int) -> bool:
    """Whether a process runs: one that is dead may wait to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_program_that_does_not_read_a_long_notice_is_no_failure() -> None:
    long = Told("begins", "x" * 1_000_000, {})
    assert Program("true").tell(long, threading.Event()) == ""


@pytest.mark.parametrize("variables", [{"A\0": "b"}, {"A": "\0"}, {"A": "x" * 10_000_000}])
def test_a_program_that_cannot_be_started_is_a_failure_in_words(variables: dict[str, str]) -> None:
    failure = Program("true").tell(Told("begins", "{}", variables), threading.Event())
    assert failure.startswith("the program true was not started: ")


@pytest.mark.one_server
def test_a_stderr_that_nobody_reads_does_not_stop_the_watch(
    shell: Shell, redis_client: Redis, namespace: str
) -> None:
    """The program fills the pipe, and so would our own complaints."""
    code = "import sys; sys.stderr.write('x' * 10_000_000)"
    command = f'{sys.executable} -c "{code}"'
    put(redis_client, namespace, "dead", 1_000, id="a" * 24)
    args = ("watch", "--json", "--every", "1s", "--on", "dead.count", "--exec", command)
    with spawn(*args, env=shell.env) as process:
        assert process.stdout is not None
        for event in ("begins", "ends", "begins"):
            assert json.loads(process.stdout.readline())["event"] == event
            if event == "begins":
                redis_client.delete(f"{namespace}:dead")
            else:
                put(redis_client, namespace, "dead", 1_000, id="a" * 24)
        process.kill()


@pytest.mark.one_server
@pytest.mark.parametrize("full", [True, False], ids=["full", "closed"])
def test_a_stdout_that_nobody_reads_does_not_keep_a_program_waiting(
    shell: Shell,
    redis_client: Redis,
    namespace: str,
    tmp_path: Path,
    wait_until: WaitUntil,
    full: bool,
) -> None:
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    if full:
        with pytest.raises(BlockingIOError):
            while True:
                os.write(writes, b"x" * 1_000)
        os.set_blocking(writes, True)
    else:
        os.set_blocking(writes, True)
        os.close(reads)
    noted = tmp_path / "noted"
    command = f"sh -c 'cat >> {noted}'"
    put(redis_client, namespace, "dead", 1_000, id="a" * 24)
    args = ("watch", "--json", "--every", "1s", "--on", "dead.count", "--exec", command)
    with spawn(*args, env=shell.env, stdout=writes) as process:
        os.close(writes)
        wait_until(lambda: noted.exists() and noted.read_text().count("\n") == 1)
        redis_client.delete(f"{namespace}:dead")
        wait_until(lambda: noted.read_text().count("\n") == 2)
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
        assert process.stderr is not None
        errors = process.stderr.read()
    assert "Traceback" not in errors
    assert ("stdout is closed" in errors) is not full
    if full:
        os.close(reads)
