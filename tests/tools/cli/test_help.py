"""The help of the command line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from tests.house.sources import ROOT
from tests.tools.cli.shell import environment
from workkit import __version__
from workkit.tools.cli.app import cli

CONTEXT = click.Context(cli, info_name="workkit")
COMMANDS = cli.list_commands(CONTEXT)
#: These decide themselves where they work.
ELSEWHERE = {("worker",), ("jobs",), ("simulate",), ("demo",)}
#: These run until a signal, or only hold other commands.
ENDLESS = {("worker",), ("metrics",), ("record",), ("jobs",)}
LOADED = """
import json, sys
from workkit.tools.cli import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)))
"""


def leaves() -> Iterator[tuple[str, ...]]:
    for name in COMMANDS:
        command = cli.get_command(CONTEXT, name)
        yield (name,)
        if isinstance(command, click.Group):
            yield from ((name, below) for below in command.commands)


def loaded_by(*args: str) -> set[str]:
    """Return the modules that a command loads."""
    shown = subprocess.run(
        [sys.executable, "-c", LOADED, *args],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return set(json.loads(shown.stdout.splitlines()[-1]))


def test_help_lists_what_there_is_and_nothing_else() -> None:
    text = CliRunner().invoke(cli, ["--help"]).stdout
    listed = text.partition("Commands:\n")[2].partition("\n\n")[0]
    assert [line.split()[0] for line in listed.splitlines()] == [
        "top", "worker", "check", "metrics", "enqueue", "queues", "pools", "jobs", "stack",
        "history", "archive", "audit", "export", "snapshot", "record", "retry", "delete", "edit",
        "undo",
        "audit-log", "pause", "unpause", "watch", "doctor", "simulate", "demo",
    ]  # fmt: skip


def test_the_manual_has_a_row_for_each_command() -> None:
    text = (ROOT / "docs" / "cli.md").read_text("utf-8")
    table = text.partition("| command |")[2].partition("\n\n")[0]
    named = {name for cell in table.split("\n| ")[1:] for name in re.findall(r"`([\w-]+)", cell)}
    assert set(COMMANDS) <= named


@pytest.mark.parametrize("path", [(), *leaves()], ids=lambda path: " ".join(path) or "workkit")
def test_the_help_of_a_command_shows_examples_that_fit_a_terminal(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*path, "--help"], terminal_width=80)
    assert result.exit_code == 0
    assert "Examples:\n" in result.stdout
    assert f"workkit {' '.join(path)}".strip() in result.stdout.partition("Examples:")[2]
    assert max(map(len, result.stdout.splitlines())) <= 90


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_called_as_it_is_listed(name: str) -> None:
    command = cli.get_command(CONTEXT, name)
    assert command is not None
    assert command.name == name


@pytest.mark.parametrize("path", [path for path in leaves() if path not in ELSEWHERE], ids=" ".join)
def test_commands_take_server_and_namespace(path: tuple[str, ...]) -> None:
    text = CliRunner().invoke(cli, [*path, "--help"]).stdout
    assert "--redis URL" in text
    assert "--namespace NS" in text
    assert "WORKKIT_REDIS_URL" in text
    assert "WORKKIT_NAMESPACE" in text


@pytest.mark.parametrize("path", [path for path in leaves() if path not in ENDLESS], ids=" ".join)
def test_every_command_that_ends_by_itself_accepts_json(path: tuple[str, ...]) -> None:
    assert "--json" in CliRunner().invoke(cli, [*path, "--help"]).stdout


def test_the_version_is_the_packages() -> None:
    result = CliRunner().invoke(cli, ["--version"], prog_name="workkit")
    assert result.stdout == f"workkit {__version__}\n"


def test_a_mistyped_command_names_those_that_are_alike() -> None:
    result = CliRunner().invoke(cli, ["quues"])
    assert result.exit_code == 2
    assert "no such command 'quues'. Did you mean 'queues'" in result.stderr


def test_an_unknown_option_of_the_whole_is_refused() -> None:
    result = CliRunner().invoke(cli, ["--nonsense"])
    assert result.exit_code == 2
    assert "--nonsense" in result.stderr


def test_python_m_workkit_is_the_command() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "workkit", "--version"],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == f"workkit {__version__}\n"


@pytest.mark.parametrize(
    "args", [["--help"], ["--version"], ["jobs", "dead", "--help"], ["delete"], ["quues"]]
)
def test_help_and_typing_errors_load_neither_redis_nor_the_engine(args: list[str]) -> None:
    heavy = {"redis", "hiredis", "msgspec", "asyncio", "rich", "workkit.client", "workkit.pool"}
    assert loaded_by(*args) & heavy == set()


def test_help_loads_no_command() -> None:
    loaded = {
        name
        for name in loaded_by("--help")
        if name.startswith(("workkit.tools.cli", "workkit.doctor"))
    }
    assert loaded == {
        "workkit.tools.cli", "workkit.tools.cli.app", "workkit.tools.cli.common",
        "workkit.tools.cli.common.exits", "workkit.tools.cli.common.options",
    }  # fmt: skip


def test_reading_commands_do_not_load_what_processes_jobs() -> None:
    assert loaded_by("queues", "--redis", "redis://localhost:1") & {"workkit.pool"} == set()
