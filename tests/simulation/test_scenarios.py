"""The scenario files, and the command that plays them."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.house.sources import ROOT
from workkit.simulation.exploration.files import load_scenario
from workkit.tools.cli.app import cli

FOLDER = ROOT / "simulations"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the pages of worlds that fail."""
    folder = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(folder)
    return folder


def simulate(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["simulate", *arguments], catch_exceptions=False)


def played(name: str, seed: int) -> str:
    """Play a scenario to its end and return its report."""
    logging.getLogger("workkit").setLevel(logging.CRITICAL)
    loaded = load_scenario(str(FOLDER / f"{name}.py"))
    assert loaded.report is not None
    with loaded.world(seed) as sim:
        sim.run_until(loaded.until_s)
        return loaded.report(sim)


def cells(report: str) -> dict[str, list[str]]:
    """Return the rows of the tables in a report, by their first cell."""
    rows: dict[str, list[str]] = {}
    for line in report.splitlines():
        if line.strip():
            rows.setdefault(line.split()[0], line.split()[1:])
    return rows


def test_every_scenario_is_tested() -> None:
    names = {file.stem for file in FOLDER.glob("*.py")}
    assert names == {
        "backoff_policies", "cron_failover", "dead_pool", "poison_job", "retry_ladder",
        "rolling_deploy", "thundering_herd", "unique_window",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_retries_keep_within_the_bounds_of_the_ladder(seed: int) -> None:
    report = played("retry_ladder", seed)
    assert "200 of 200 jobs are dead after 8 tries" in report
    for failure in range(1, 8):
        low, high = failure**4 + 15, failure**4 + 15 + 29 * (failure + 1)
        row = [float(each.replace(",", "")) for each in cells(report)[str(failure)][-3:]]
        assert all(low - 1 <= each <= high + 1 for each in row)


@pytest.mark.slow
def test_a_constant_backoff_is_soonest_done_and_bothers_the_service_most() -> None:
    rows = cells(played("backoff_policies", 0))
    numbers = {
        name: [float(each.replace(",", "")) for each in rows[name]]
        for name in ("default", "exponential", "constant")
    }
    assert numbers["constant"][1] > 4 * numbers["exponential"][1] > 4 * numbers["default"][1]
    assert numbers["constant"][3] < numbers["exponential"][3] < numbers["default"][3]


def test_a_unique_key_is_held_for_a_day() -> None:
    report = played("unique_window", 0)
    answers = [line.split("}")[-1].split()[0] for line in report.splitlines() if "ed" in line[30:]]
    assert [each for each in answers if each in {"accepted", "refused:"}] == [
        "accepted", "refused:", "refused:", "accepted",
        "accepted", "refused:", "refused:",
        "accepted", "accepted", "accepted",
    ]  # fmt: skip
    assert "{'pages': 3}" in report
    assert "{'pages': 1}" not in report


@pytest.mark.parametrize("seed", [0, 1])
def test_the_jobs_of_a_dead_pool_are_recovered_within_half_a_minute(seed: int) -> None:
    report = played("dead_pool", seed)
    recovered = [line.split() for line in report.splitlines() if " pool-1 " in line]
    assert len(recovered) == 5
    assert all(12 <= float(row[2]) <= 20 for row in recovered)
    assert "40 of 40 jobs are done" in report


@pytest.mark.parametrize("seed", [0, 1])
def test_a_rolling_deploy_loses_nothing(seed: int) -> None:
    report = played("rolling_deploy", seed)
    assert "540 of 540 jobs are done, 0 are dead" in report
    assert all(row[1] == "0" for name, row in cells(report).items() if name.startswith("v1-"))


@pytest.mark.slow
def test_every_cron_slot_runs_once_and_a_missing_hour_is_left_out() -> None:
    report = played("cron_failover", 0)
    assert "215 ticks ran, 0 of them twice, 0 slots are missing" in report
    assert "28 Mar" not in report
    assert "Mon 29 Mar 02:30:00 CEST" in report


@pytest.mark.parametrize("seed", [0, 1])
def test_a_poison_job_dies_alone(seed: int) -> None:
    report = played("poison_job", seed)
    assert "29 of 30 jobs are done" in report
    assert "PoolDied" in report


@pytest.mark.slow
def test_a_backlog_is_worked_off_within_the_limit() -> None:
    report = played("thundering_herd", 0)
    assert "At most 30 ran at once, 30 may" in report


# The command.

STORY = '''
"""A story of a job."""

UNTIL = "2m"


def scenario(sim):
    for _ in range(2):
        sim.pool().job("work", work, takes=3)
    for n in range(20):
        sim.at(n, sim.enqueuer.enqueue, "work", {"n": n})


def work(job):
    pass


def report(sim):
    return f"{len(sim.runs('work'))} runs"
'''

RULE = """
from workkit.simulation import Checker


class NobodyFreezes(Checker):
    rule = "no job takes 10 s"

    def __init__(self):
        self._began = {}

    def started(self, run):
        self._began[run.number] = self.scene.now_s()

    def ended(self, run, error):
        if self.scene.now_s() - self._began[run.number] > 10:
            self.violated("one did", run.job_id)


CHECKERS = [NobodyFreezes()]
"""


@pytest.fixture
def story(tmp_path: Path) -> str:
    file = tmp_path / "story.py"
    file.write_text(STORY)
    return str(file)


@pytest.fixture
def broken(tmp_path: Path) -> str:
    """A scenario with a rule that some worlds break."""
    file = tmp_path / "broken.py"
    file.write_text(STORY + RULE)
    return str(file)


def test_a_scenario_is_played_and_reported(story: str) -> None:
    result = simulate(story, "--seed", "4")
    assert result.exit_code == 0
    assert result.output.startswith("A story of a job.\n\n20 runs\n\n")
    assert "seed 4: 00:02:00 of virtual time, 20 handlers started, 0 faults" in result.output


def test_a_shorter_time_a_plot_and_a_timeline_are_to_be_had(story: str) -> None:
    result = simulate(story, "--until", "5.5", "--plot", "--timeline")
    assert "\n6 runs" in result.output
    assert "started    |" in result.output
    assert "a block is 0.0917 s" in result.output
    assert "pool-1   claimed    work" in result.output


def test_a_trace_is_written_the_same_for_the_same_seed(story: str, tmp_path: Path) -> None:
    traces = []
    for name in ("one", "two"):
        assert simulate(story, "--trace", str(tmp_path / name)).exit_code == 0
        traces.append((tmp_path / name).read_text())
    assert traces[0] == traces[1]
    events = [json.loads(line) for line in traces[0].splitlines()]
    assert sum(event["kind"] == "started" for event in events) == 20


def test_results_are_printed_as_json(story: str) -> None:
    document: dict[str, Any] = json.loads(simulate(story, "--json").stdout)
    assert document["events"]["done"] == 20
    assert document["broken"] is None
    document = json.loads(simulate(story, "--seeds", "3", "--json").stdout)
    assert document["worlds"] == 3
    assert document["failure"] is None


def test_worlds_are_explored(story: str) -> None:
    result = simulate(story, "--seeds", "3")
    assert result.exit_code == 0
    assert "3 worlds, " in result.output
    assert "all rules hold" in result.output
    assert re.search(r"\n[\d,]+ states, last new at seed \d, about [\d,]+ unseen\n", result.output)


def test_an_exploration_says_how_far_it_is_where_there_is_no_terminal(story: str) -> None:
    result = simulate(story, "--seeds", "20", "--processes", "1")
    assert result.stderr.splitlines() == [
        f"worlds: {done} of 20 ({done * 5}%)" for done in range(2, 20, 2)
    ]
    assert "worlds:" not in result.stdout


def test_a_broken_rule_is_shown_with_the_line_that_shows_it_again(
    broken: str, elsewhere: Path
) -> None:
    result = simulate(broken, "--seeds", "30", "--processes", "1")
    assert result.exit_code == 1
    assert '"no job takes 10 s" does not hold' in result.output
    assert "freeze pool-" in result.output
    line = result.output.strip().splitlines()[-1].strip()
    assert line.startswith(f"workkit simulate {broken} --seed ")
    again = simulate(*line.split()[2:])
    assert again.exit_code == 1
    assert again.stdout == result.stdout
    document = json.loads(simulate(*line.split()[2:], "--json").stdout)
    assert document["failure"]["faults"]
    # The world that fails has left its timeline, with the rule that it breaks.
    (page,) = elsewhere.iterdir()
    assert document["failure"]["page"] == page.name
    assert f"wrote its timeline to {page.name}" in result.stderr
    assert page.name == f"{Path(broken).stem}.seed-{line.split()[4]}.html"
    assert "no job takes 10 s: " in page.read_text()


def test_a_timeline_is_written_where_it_is_asked_for(
    story: str, broken: str, elsewhere: Path
) -> None:
    for arguments in (
        [story, "--html", "a.html", "--perfetto", "a.json"],
        [broken, "--seeds", "30", "--processes", "1", "--html", "b.html", "--perfetto", "b.json"],
        [story, "--seed", "3", "--faults", "all", "--html", "c.html"],
    ):
        simulate(*arguments)
    assert {path.name for path in elsewhere.iterdir()} == {
        "a.html", "a.json", "b.html", "b.json", "c.html",
    }  # fmt: skip
    assert json.loads((elsewhere / "b.json").read_text())["traceEvents"]
    # Nothing is written by an exploration in which all rules hold.
    simulate(story, "--seeds", "2", "--html", "d.html")
    assert not (elsewhere / "d.html").exists()
    refused = simulate(story, "--html", "nowhere/a.html")
    assert refused.exit_code == 2
    assert "nowhere/a.html" in refused.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "has no function scenario(sim)"),
        ("def scenario(): ...", "has no function scenario(sim)"),
        ("UNTIL = 'tomorrow'\ndef scenario(sim): ...", "UNTIL is 'tomorrow'"),
        ("FAULTS = 3\ndef scenario(sim): ...", "FAULTS may not be 3"),
        ("import no_such_module", "No module named 'no_such_module'"),
        ("def scenario(sim:", "story.py"),
    ],
)
def test_a_file_that_is_no_scenario_is_refused(story: str, text: str, message: str) -> None:
    Path(story).write_text(text)
    result = simulate(story)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def test_a_mistake_in_a_scenario_shows_its_place(story: str) -> None:
    Path(story).write_text("def scenario(sim):\n    sim.pool().job(7, print)\n")
    result = simulate(story)
    assert result.exit_code == 2
    assert "line 2, in scenario" in result.output
    assert "workkit/simulation" not in result.output


def test_a_file_that_does_not_exist_is_named() -> None:
    result = simulate("simulations/nothing.py")
    assert result.exit_code == 2
    assert "there is no file 'simulations/nothing.py'" in result.output


def test_options_that_do_not_go_together_are_refused(story: str) -> None:
    assert simulate(story, "--seeds", "3", "--plot").exit_code == 2
    assert simulate(story, "--faults", "some").exit_code == 2
    assert "41.3 is a variant" in simulate(story, "--seed", "41.3").output
    assert "'x' is not valid; write a number" in simulate(story, "--seed", "x").output
