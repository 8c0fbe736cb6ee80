"""`workkit watch`: what it prints, whom it tells, and how it ends."""

from __future__ import annotations

import json
import shlex
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import PrivateServer
from tests.tools.cli.shell import Shell, put, spawn
from workkit.tools.cli.common import telling

if TYPE_CHECKING:
    from redis import Redis

pytestmark = pytest.mark.one_server

#: A program that writes what it was told into the file of its first argument.
NOTES = """
import json, os, sys
told = {name: value for name, value in os.environ.items() if name.startswith("WORKKIT_NOTICE_")}
with open(sys.argv[1], "a") as file:
    file.write(json.dumps([json.load(sys.stdin), told]) + "\\n")
sys.exit(int(sys.argv[2]))
"""
HOSTILE = "$(touch pwned)`touch pwned`;touch pwned\n\x1b[31m'\"&"


@pytest.fixture
def notes(tmp_path: Path) -> Callable[[int], str]:
    """Give a command that notes what it is told and ends with a code."""
    (tmp_path / "notes.py").write_text(NOTES)

    def command(code: int = 0) -> str:
        args = [sys.executable, tmp_path / "notes.py", tmp_path / "notes", code]
        return shlex.join(map(str, args))

    return command


class Hook(ThreadingHTTPServer):
    """A webhook on loopback: remembers what is posted, and answers as the test says."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[int] = []
        self.posted: list[tuple[str, dict[str, str], Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append((self.path, dict(self.headers), json.loads(body)))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def dead(redis: Redis, namespace: str, number: int) -> None:
    for n in range(number):
        put(redis, namespace, "dead", 1_000 + n, id=f"{n:024x}")


def queued(redis: Redis, namespace: str, name: str) -> None:
    redis.sadd(f"{namespace}:known_jobs", name)
    redis.lpush(f"{namespace}:jobs:{name}", json.dumps({"name": name, "id": "a" * 24, "t": 17}))


# Looking once.


def test_once_prints_a_line_for_each_finding_and_exits_with_1(
    shell: Shell, redis_client: Redis, namespace: str
) -> None:
    dead(redis_client, namespace, 3)
    lines = shell.run("watch", "--once", "--on", "dead.count>2", code=1).stdout.splitlines()
    assert [line.split("  ", 1)[1] for line in lines] == ["begins  3 jobs in the dead set"]
    assert shell.lines("watch", "--once", "--on", "dead.count>3") == []


def test_without_a_condition_the_list_of_the_console_is_meant(
    shell: Shell, redis_client: Redis, namespace: str
) -> None:
    queued(redis_client, namespace, "export")
    redis_client.set(f"{namespace}:jobs:export:lock", 2)
    printed = shell.run("watch", "--once", "--json", code=1).stdout
    told = [json.loads(line) for line in printed.splitlines()]
    assert [(each["condition"], each["kind"], each["subject"]) for each in told] == [
        ("attention", "queue-unserved", "export"),
        ("attention", "pools-gone", ""),
        ("lock.drift>0", "lock.drift", "export"),
    ]
    assert told[0]["event"] == "begins"
    assert (told[2]["value"], told[2]["limit"], told[2]["level"]) == (2, 0, "bad")
    assert told[0]["namespace"] == namespace


def test_an_unknown_queue_is_asked_about(shell: Shell) -> None:
    result = shell.run("watch", "--once", "--on", "queue.count[mial]>5")
    assert "'queue.count[mial]>5': nothing has this name yet" in result.stderr


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--on", "ded.rate>5/min"], "unknown measure 'ded.rate'; did you mean dead.rate?"),
        (["--on", "lock.drift for 1m", "--once"], "leave out the 'for' of 'lock.drift>0 for 1m'"),
        (["--exec", "no-such-program -x"], "there is no program 'no-such-program'; no shell runs"),
        (["--exec", "sh -c 'a"], "No closing quotation"),
        (["--exec", ""], "the command is empty"),
        (["--webhook", "ftp://example.com/"], "must begin with http:// or https://"),
        (["--webhook", "http://"], "must begin with http:// or https://"),
        (["--webhook", "http://a:b/"], "the URL is not valid"),
        (["--webhook", "http://a/b c"], "must be written as %XX"),
        (["--webhook", f"http://{'a' * 64}.com/"], "parts between its dots must have 1 to 63"),
        (["--webhook", "http://a..b/"], "no host can have the name 'a..b'"),
        (["--webhook", "http://.a/"], "no host can have the name '.a'"),
        (["--webhook", f"http://{'a.' * 150}com/"], "has 303 characters; at most 253 are allowed"),
        (["--webhook", "http://bücher.example/"], "as xn--bcher-kva.example"),
        (["--webhook", f"http://{'ü' * 64}.example/"], "no host can have the name"),
        (["--webhook", "http://[::zz]/"], "the URL is not valid"),
        (["--webhook", "http://a:0/"], "has port 0"),
        (["--webhook", "http://a:65536/"], "the URL is not valid"),
        (["--every", "0"], "'0' is not a span of time from 1s to 1h"),
    ],
)
def test_a_mistake_is_refused_before_anything_is_watched(
    shell: Shell, args: list[str], says: str
) -> None:
    assert says in shell.complaint("watch", *args, code=2)


def test_a_wrong_address_is_reported_and_not_watched() -> None:
    shell = Shell("redis://localhost:1", "work")
    assert "workkit: " in shell.complaint("watch", code=69)


# Telling.


def test_a_program_gets_json_and_variables_and_no_shell_runs_what_redis_holds(
    shell: Shell, redis_client: Redis, namespace: str, notes: Callable[[int], str], here: Path
) -> None:
    queued(redis_client, namespace, HOSTILE)
    condition = "queue.count>0"
    shell.run("watch", "--once", "--on", condition, "--exec", notes(0), code=1)
    ((told, variables),) = map(json.loads, (here / "notes").read_text().splitlines())
    assert told["subject"] == HOSTILE
    assert variables["WORKKIT_NOTICE_EVENT"] == "begins"
    assert variables["WORKKIT_NOTICE_VALUE"] == "1"
    assert "\n" not in variables["WORKKIT_NOTICE_SUBJECT"]
    assert variables["WORKKIT_NOTICE_NAMESPACE"] == namespace
    assert not (here / "pwned").exists()


def test_a_program_that_fails_is_reported_and_the_next_notice_is_told(
    shell: Shell, redis_client: Redis, namespace: str, notes: Callable[[int], str], here: Path
) -> None:
    dead(redis_client, namespace, 3)
    args = ("watch", "--once", "--on", "dead.count>1", "--on", "dead.count>2")
    result = shell.run(*args, "--exec", notes(3), code=1)
    assert "ended with 3; it was not told: begins 3 jobs in the dead set" in result.stderr
    assert len((here / "notes").read_text().splitlines()) == 2


def test_a_very_long_name_reaches_a_program(
    shell: Shell, redis_client: Redis, namespace: str, notes: Callable[[int], str], here: Path
) -> None:
    queued(redis_client, namespace, "x" * 300_000)
    shell.run("watch", "--once", "--on", "queue.count>0", "--exec", notes(0), code=1)
    ((told, variables),) = map(json.loads, (here / "notes").read_text().splitlines())
    assert len(told["subject"]) == 300_000
    assert 1_000 < len(variables["WORKKIT_NOTICE_SUBJECT"]) < 100_000


def test_a_webhook_gets_json_and_is_tried_again(
    shell: Shell, redis_client: Redis, namespace: str, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "_WAITS_S", (0.0, 0.0, 0.0))
    dead(redis_client, namespace, 3)
    hook.answers = [503, 429]
    url = f"{hook.url.replace('//', '//ann:s%20t@')}/path?key=1"
    shell.run("watch", "--once", "--on", "dead.count>2", "--webhook", url, code=1)
    paths, headers, bodies = zip(*hook.posted, strict=True)
    assert paths == ("/path?key=1",) * 3
    assert headers[0]["Content-Type"] == "application/json"
    assert headers[0]["Authorization"] == "Basic YW5uOnMgdA=="
    assert bodies[0] == bodies[2]
    assert bodies[0]["text"] == "3 jobs in the dead set"


@pytest.mark.parametrize(
    ("answers", "posts", "says"),
    [([500] * 9, 4, "answered 500"), ([404], 1, "answered 404"), ([302], 1, "answered 302")],
)
def test_a_webhook_that_fails_is_reported_without_its_secrets_and_the_next_notice_is_told(
    shell: Shell,
    redis_client: Redis,
    namespace: str,
    hook: Hook,
    monkeypatch: pytest.MonkeyPatch,
    answers: list[int],
    posts: int,
    says: str,
) -> None:
    monkeypatch.setattr(telling, "_WAITS_S", (0.0, 0.0, 0.0))
    dead(redis_client, namespace, 3)
    hook.answers = [*answers[:4]]
    args = ("watch", "--once", "--on", "dead.count>1", "--on", "dead.count>2")
    result = shell.run(*args, "--webhook", f"{hook.url}/secret", code=1)
    (line,) = result.stderr.splitlines()
    assert line == (
        f"workkit: the webhook at 127.0.0.1 {says}; it was not told: begins 3 jobs in the dead set"
    )
    assert len(hook.posted) == posts + 1


def test_a_webhook_that_nobody_serves_is_reported(
    shell: Shell, redis_client: Redis, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "_WAITS_S", (0.0,))
    dead(redis_client, namespace, 1)
    args = ("watch", "--once", "--on", "dead.count", "--webhook", "http://127.0.0.1:1/")
    assert "the webhook at 127.0.0.1 does not answer" in shell.run(*args, code=1).stderr


# Watching on.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_watch_prints_each_change_once_and_ends_with_a_signal(
    shell: Shell, redis_client: Redis, namespace: str, number: int
) -> None:
    queued(redis_client, namespace, "export")
    args = ("watch", "--json", "--every", "1s", "--on", "queue.count>0", "--on", "dead.count>1")
    with spawn(*args, env=shell.env) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert (first["event"], first["subject"]) == ("begins", "export")
        redis_client.delete(f"{namespace}:jobs:export")
        second = json.loads(process.stdout.readline())
        assert (second["event"], second["subject"]) == ("ends", "export")
        dead(redis_client, namespace, 2)
        third = json.loads(process.stdout.readline())
        assert (third["event"], third["kind"]) == ("begins", "dead.count")
        process.send_signal(number)
        rest, errors = process.communicate(timeout=20)
    assert (process.returncode, rest, errors) == (0, "", "")


def test_a_watch_survives_the_server_and_tells_that_too(
    private_server: PrivateServer, namespace: str
) -> None:
    server = private_server("valkey")
    shell = Shell(server.url, namespace)
    args = ("watch", "--json", "--every", "1s", "--on", "pools.alive")
    with spawn(*args, env=shell.env) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["kind"] == "pools.alive"
        server.kill()
        away = json.loads(process.stdout.readline())
        assert (away["event"], away["condition"], away["level"]) == ("begins", "server", "bad")
        server.restart()
        back = json.loads(process.stdout.readline())
        assert (back["event"], back["condition"]) == ("ends", "server")
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.slow
def test_a_webhook_that_hangs_does_not_stop_a_watch_from_ending(
    shell: Shell, redis_client: Redis, namespace: str
) -> None:
    dead(redis_client, namespace, 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and answers nothing
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        args = ("watch", "--json", "--every", "1s", "--on", "dead.count", "--webhook", url)
        with spawn(*args, env=shell.env) as process:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["kind"] == "dead.count"
            dead(redis_client, namespace, 2)
            redis_client.delete(f"{namespace}:dead")
            assert json.loads(process.stdout.readline())["event"] == "ends"
            process.terminate()
            _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert errors == "workkit: 2 notices were not told before the end\n"
