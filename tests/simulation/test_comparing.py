"""A world is played in two processes with two hash seeds, and compared event by event."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from workkit.simulation.exploration.comparing import NotPlayed, compare
from workkit.tools.cli.app import cli

EVENTS = """
import json, os, sys
names = {names}
with open(sys.argv[1], "w") as file:
    for at, name in enumerate(names):
        event = {{"at_us": at, "kind": "started", "pool": "pool-1", "job": "work", "args": name}}
        file.write(json.dumps(event) + "\\n")
"""


def command(names: str) -> list[str]:
    return [sys.executable, "-c", EVENTS.format(names=names), "{trace}"]


def test_the_same_events_are_counted() -> None:
    compared = compare(command("['a', 'b']"))
    assert (compared.events, compared.differs) == (2, None)
    assert "the same 2 events" in compared.text


def test_the_first_event_that_differs_is_shown_after_those_before_it() -> None:
    compared = compare(command("['first', *{'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}]"))
    assert compared.events >= 1
    assert compared.differs is not None
    assert "args=first" in compared.text
    assert "PYTHONHASHSEED=1\n" in compared.text
    assert "order of a set" in compared.text


def test_a_world_that_ends_early_differs() -> None:
    compared = compare(command("['a'] * int(os.environ['PYTHONHASHSEED'])"))
    assert compared.events == 1
    assert "(no more events)" in compared.text


def test_processes_run_where_they_are_told_with_the_variables_of_the_caller(tmp_path: Path) -> None:
    names = "[os.getcwd(), os.environ['COLOUR'], os.environ['FILE'] == sys.argv[1]]"
    environment = {**os.environ, "COLOUR": "red", "FILE": "{trace}"}
    assert compare(command(names), environment, folder=tmp_path).events == 3


def test_a_process_that_fails_is_told_with_its_output() -> None:
    with pytest.raises(NotPlayed, match="no such world"):
        compare([sys.executable, "-c", "raise SystemExit('no such world')"])


SCENARIO = '''
"""Greets."""

from workkit.simulation import Simulation

UNTIL = "5s"


def scenario(sim: Simulation) -> None:
    def work(job) -> None:
        for name in NAMES:
            sim.enqueuer.enqueue("greet", {"name": name})

    pool = sim.pool()
    pool.job("work", work)
    pool.job("greet", lambda job: None)
    sim.enqueuer.enqueue("work")
'''


def test_the_command_shows_the_first_event_that_differs(tmp_path: Path) -> None:
    file = tmp_path / "greet.py"
    names = '{"ann", "bob", "cid", "dan", "eve", "fay"}'
    file.write_text(SCENARIO.replace("NAMES", names).lstrip())
    arguments = ["simulate", str(file), "--check-determinism"]
    shown = CliRunner().invoke(cli, arguments)
    assert shown.exit_code == 1, shown.output
    assert "differs between two processes" in shown.stdout
    assert "enqueued   greet" in shown.stdout


@pytest.mark.parametrize("option", ["--seeds=2", "--plot", "--faults=all"])
def test_the_comparison_refuses_options_that_do_not_go_together(
    tmp_path: Path, option: str
) -> None:
    file = tmp_path / "greet.py"
    file.write_text(SCENARIO)
    shown = CliRunner().invoke(cli, ["simulate", str(file), "--check-determinism", option])
    assert shown.exit_code == 2
    assert "compares the events of one world" in shown.stderr
