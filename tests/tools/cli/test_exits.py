"""How the process ends: exit codes, one line for an error, silence where nobody listens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import PrivateServer
from tests.tools.cli.shell import START, Shell, environment, run_some, spawn
from workkit.errors import (
    InvalidArgs,
    MissingExtra,
    NotDeleted,
    NotRetried,
    PoolState,
    ServerRefused,
    ServerUnavailable,
    WorkkitError,
)
from workkit.tools.cli.common import exits

if TYPE_CHECKING:
    from redis import Redis

#: One of each kind: reading, writing, mending.
COMMANDS = [
    ("queues",),
    ("pools", "--workers"),
    ("jobs", "queued", "send_email"),
    ("jobs", "dead", "--all", "--json"),
    ("jobs", "find", "x"),
    ("history",),
    ("enqueue", "send_email"),
    ("enqueue", "send_email", "--count", "2"),
    ("retry", "x"),
    ("retry", "--all", "--yes"),
    ("delete", "x"),
    ("pause", "send_email"),
    ("unpause", "send_email"),
]


@pytest.fixture
def nobody() -> Shell:
    """Commands that find no server."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    return Shell(f"redis://user:secret@127.0.0.1:{port}/3", "work")


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotDeleted("x"), 1),
        (NotRetried("x"), 1),
        (ServerUnavailable("x"), 69),
        (ServerRefused("OOM", "x"), 70),
        (InvalidArgs("x"), 2),
        (PoolState("x"), 2),
        (MissingExtra("the demo", "demo"), 2),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_has_its_exit_code(error: WorkkitError, code: int) -> None:
    assert exits.code_of(error) == code


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_without_a_server_every_command_says_so_in_one_line(
    nobody: Shell, command: tuple[str, ...]
) -> None:
    told = nobody.complaint(*command, code=69)
    assert told.startswith("workkit: no answer from Redis at 127.0.0.1:")
    assert told.count("\n") == 1
    assert "secret" not in told


@pytest.mark.one_server
def test_a_refusal_of_the_server_is_said_in_one_line(shell: Shell, redis_client: Redis) -> None:
    redis_client.set(f"{shell.namespace}:dead", "no sorted set")
    told = shell.complaint("jobs", "dead", code=70)
    assert told.startswith("workkit: Redis refused: WRONGTYPE")
    assert told.count("\n") == 1


@pytest.mark.slow
def test_a_server_without_memory_refuses_jobs_but_shows_them(private_server: PrivateServer) -> None:
    server = private_server(config={"maxmemory": "1", "maxmemory-policy": "noeviction"})
    shell = Shell(server.url, "work")
    assert "maxmemory" in shell.complaint("enqueue", "send_email", code=70)
    assert shell.json("queues") == []


@pytest.mark.parametrize(
    ("url", "why"),
    [("localhost:6379", "a Redis URL starts with"), ("redis://h:port/0", "Redis URL")],
)
def test_a_url_that_is_none_is_a_mistake(url: str, why: str) -> None:
    assert why in Shell(url, "work").complaint("queues", code=2)


@pytest.mark.parametrize(
    ("command", "said", "asked"),
    [
        (("quues",), "no such command 'quues'. Did you mean", ""),
        (("--nonsense",), "no such option '--nonsense'", ""),
        (("jobs", "ded"), "no such command 'ded'. Did you mean 'dead'?", "jobs"),
        (("enqueue",), "missing argument 'NAME'", "enqueue"),
        (("enqueue", "a", "{"), "invalid value for '[ARGS_JSON]': ", "enqueue"),
        (("enqueue", "a", "{}", "too"), "got unexpected extra argument (too)", "enqueue"),
        (("history", "--limit", "x"), "invalid value for '--limit': 'x' is not", "history"),
        (("jobs", "dead", "--page"), "option '--page' requires an argument", None),
        (("export", "dead", "--out", "Data"), "Data", "export"),
        (("export", "nothing", "--out", "x"), "invalid value for ", "export"),
        (("retry",), "give job ids, --filter or --all", "retry"),
        (("top", "--plain", "--snapshot", __file__), "--plain works on a server", "top"),
        (("simulate", "x.py", "--faults", "a"), "invalid value for '--faults'", "simulate"),
        (("demo", "--limit", "0"), "invalid value for '--limit'", "demo"),
        (("worker",), "missing argument 'MODULE:NAME'", "worker"),
        (("archive", "--to", ""), "invalid value for '--to': it is empty", "archive"),
        (("top", "--refresh", "nan"), "invalid value for '--refresh': nan is not from", "top"),
        (("top", "--refresh", "0"), "invalid value for '--refresh': 0 is not from", "top"),
        (("top", "--serve", "--port", "70000"), "invalid value for '--port'", "top"),
        (("metrics", "--host", "a..b"), "metrics cannot be served on a..b:9464: no such", None),
    ],
)
def test_a_mistake_in_the_command_is_told_in_one_line_and_a_hint(
    nobody: Shell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    said: str,
    asked: str | None,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Data").touch()
    first, *hint = nobody.complaint(*command, code=2).splitlines()
    assert first.startswith(f"workkit: {said}")
    whole = f"cli {asked}".strip() if asked is not None else None
    assert hint == ([f"Try '{whole} --help'."] if whole is not None else [])


def test_ctrl_c_ends_a_command_quietly(silent: socket.socket) -> None:
    url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
    with spawn("queues", env=environment(WORKKIT_REDIS_URL=url)) as process:
        connection, _ = silent.accept()
        with connection:
            assert connection.recv(1)
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout, stderr.strip()) == (130, "", "")


@pytest.mark.one_server
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_reader_that_goes_away_is_no_error(shell: Shell, options: tuple[str, ...]) -> None:
    shell.enqueuer.enqueue_many([("send_email", {"text": "x" * 100})] * 5_000)
    with spawn("jobs", "queued", "send_email", "--all", *options, env=shell.env) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 141
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.one_server
@pytest.mark.parametrize(
    "command",
    [("export", "dead", "--format", "csv", "--force", "--out"), ("snapshot", "--force")],
    ids=" ".join,
)
def test_an_output_replaces_no_device(
    shell: Shell, tmp_path: Path, command: tuple[str, ...]
) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    told = shell.complaint(*command, str(pipe), code=2)
    assert f"{pipe} is not a regular file" in told
    assert pipe.is_fifo()


OUTPUTS = [
    ("queues",),
    ("jobs", "queued", "send_email", "--json"),
    ("history",),
    ("enqueue", "other"),
    ("--help",),
]


@pytest.mark.one_server
@pytest.mark.parametrize("command", OUTPUTS, ids=" ".join)
def test_an_output_that_cannot_be_written_is_said_in_one_line(
    shell: Shell, command: tuple[str, ...]
) -> None:
    shell.enqueuer.enqueue("send_email")
    run_some(shell, 1)
    with (
        Path("/dev/full").open("w") as full,
        spawn(*command, env=shell.env, stdout=full) as process,
    ):
        _, stderr = process.communicate(timeout=60)
    told = "workkit: cannot write the output: No space left on device"
    assert (process.returncode, stderr.strip()) == (74, told)


@pytest.mark.one_server
@pytest.mark.parametrize("command", OUTPUTS, ids=" ".join)
def test_standard_streams_that_are_closed_are_no_error(
    shell: Shell, command: tuple[str, ...]
) -> None:
    shell.enqueuer.enqueue("send_email")
    start = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", START, *command]
    ended = subprocess.run(start, env=shell.env, check=False, timeout=60)
    assert ended.returncode == 0


@pytest.mark.one_server
def test_args_from_a_standard_input_that_is_closed_are_no_json(shell: Shell) -> None:
    start = ["/bin/sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-c", START]
    ended = subprocess.run(
        [*start, "enqueue", "x", "-"], env=shell.env, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("workkit: invalid value for '[ARGS_JSON]': this is not valid")
