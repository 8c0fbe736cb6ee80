"""Tables on terminals and elsewhere."""

from __future__ import annotations

import os
import pty

import pytest

from tests.tools.cli.shell import Shell, spawn
from workkit.core.text import width

pytestmark = pytest.mark.one_server


def test_without_a_terminal_nothing_is_cut_and_nothing_is_coloured(shell: Shell) -> None:
    shell.enqueuer.enqueue("send_email", {"text": "long " * 50})
    shell.client.pause("send_email")
    assert "long " * 50 in shell.run("jobs", "queued", "send_email").stdout
    assert "\x1b" not in shell.run("queues").stdout


def on_terminal(shell: Shell, *args: str, **more: str) -> str:
    """Run a command on a terminal of 80 columns and return what arrives there."""
    master, slave = pty.openpty()
    try:
        with spawn(*args, env=shell.env | more, stdout=slave) as process:
            os.close(slave)
            shown = b""
            try:
                while chunk := os.read(master, 65_536):
                    shown += chunk
            except OSError:  # how Linux says that the other side is closed
                pass
            assert process.wait(10) == 0
    finally:
        os.close(master)
    return shown.decode().replace("\r\n", "\n")


def test_on_a_terminal_the_last_column_is_cut_to_its_width(shell: Shell) -> None:
    shell.enqueuer.enqueue("send_email", {"text": "日本 " * 50})
    shown = on_terminal(shell, "jobs", "queued", "send_email", NO_COLOR="1")
    assert shown.splitlines()[1].endswith("…")
    assert width(shown.splitlines()[1]) in {79, 80}


def test_one_very_long_name_does_not_push_other_rows_out_of_sight(shell: Shell) -> None:
    shell.enqueuer.enqueue("n" * 5_000)
    shell.enqueuer.enqueue("mail")
    on_screen = on_terminal(shell, "queues", NO_COLOR="1").splitlines()
    assert all(width(line) <= 80 for line in on_screen)
    assert any(line.startswith("nnn") and "…" in line for line in on_screen)
    in_a_pipe = {line.split()[0]: width(line) for line in shell.run("queues").stdout.splitlines()}
    assert in_a_pipe["mail"] < 200
    assert "n" * 5_000 in in_a_pipe


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_export_moves_no_cursor_of_a_terminal_and_keeps_its_bytes_in_a_pipe(
    shell: Shell, form: str
) -> None:
    shell.enqueuer.enqueue("\x1b[2J\x9b31m\u202e日")
    command = ("export", "queues", "--format", form, "--out", "-")
    shown = on_terminal(shell, *command)
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert "日" in shown
    assert "\x9b31m\u202e日" in shell.run(*command).stdout


def test_a_binary_export_is_not_written_to_a_terminal(shell: Shell) -> None:
    master, slave = pty.openpty()
    command = ("export", "queues", "--format", "parquet", "--out", "-")
    with spawn(*command, env=shell.env, stdout=slave) as process:
        _, told = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "parquet is not text; redirect standard output, or name a file" in told
    os.close(master)
    os.close(slave)


def test_on_a_terminal_states_are_coloured_unless_that_is_unwanted(shell: Shell) -> None:
    shell.enqueuer.enqueue("send_email")
    shell.client.pause("send_email")
    assert "\x1b[33mpaused" in on_terminal(shell, "queues")
    assert "\x1b" not in on_terminal(shell, "queues", NO_COLOR="1")


def test_characters_that_the_terminal_does_not_know_are_escaped(shell: Shell) -> None:
    shell.enqueuer.enqueue("日")
    with spawn("queues", env=shell.env | {"PYTHONIOENCODING": "latin-1"}) as process:
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    assert r"\u65e5" in stdout
