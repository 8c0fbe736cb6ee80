"""The pytest plugin: seeds, replay, and its cost for tests that do not use it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

TEST = """
import pytest

@pytest.mark.workkit_seeds(3)
def test_waits(workkit_sim):
    workkit_sim.pool().job("work", lambda job: None)
    workkit_sim.enqueuer.enqueue_in("work", 60)
    workkit_sim.run_for(minutes=2)
    workkit_sim.assert_ran("work", times=1, at=60)

@pytest.mark.workkit_seeds(3)
def test_fails_with_one_seed(workkit_sim):
    assert workkit_sim.seed != 2

def test_has_a_seed_of_its_own(workkit_sim):
    assert workkit_sim.seed == 0
"""


Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "test_it.py").write_text(TEST)

    return partial(run_pytest, tmp_path)


def run_pytest(folder: Path, *arguments: str) -> str:
    """Return what pytest prints in a folder."""
    command = [sys.executable, "-m", "pytest", "-p", "no:valkey", "-q", *arguments]
    shown = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return shown.stdout + shown.stderr


def test_a_failure_prints_the_line_that_reproduces_it(run: Run) -> None:
    output = run("test_it.py")
    assert "1 failed, 6 passed" in output
    assert "pytest test_it.py::test_fails_with_one_seed --workkit-seed=2" in output


def test_a_seed_is_replayed(run: Run) -> None:
    assert "1 failed" in run("test_it.py::test_fails_with_one_seed", "--workkit-seed=2")
    assert "1 passed" in run("test_it.py::test_fails_with_one_seed", "--workkit-seed=1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workkit-seed=x"], "a seed is a whole number from 0 on, not 'x'"),
        (["--workkit-seeds=0"], "write a whole number of at least 1, not '0'"),
        (["--workkit-seed=1", "--workkit-seeds=2"], "give one"),
    ],
)
def test_seeds_that_are_not_valid_are_refused(run: Run, arguments: list[str], message: str) -> None:
    output = run("test_it.py", *arguments)
    assert message in output
    assert "Traceback" not in output


def test_a_number_of_seeds_replaces_the_number_of_every_test(run: Run) -> None:
    output = run("test_it.py", "--workkit-seeds=2", "-vv")
    assert "1 failed, 5 passed" in output  # the seed 1 is not the default of the last test
    assert "test_waits[seed1] PASSED" in output


EXPLORING = """
import pytest
from workkit.simulation import Checker, explore

class Never(Checker):
    rule = "the seed is not 5"
    def started(self, run):
        if self.scene is not None and run.args["seed"] == 5:
            self.violated("it is 5")

def scenario(sim):
    sim.pool().job("work", lambda job: None)
    sim.enqueuer.enqueue("work", {"seed": sim.seed})

def test_explores():
    played = []
    explore(
        scenario, seeds=range(3), checkers=[Never()], faults=None, trouble_s=1, processes=1,
        progress=lambda result: played.append(result.case.seed),
    )
    print("played", played)
"""


def test_explore_plays_the_seeds_of_the_command_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "test_explore.py").write_text(EXPLORING)
    assert "played [0, 1, 2]" in run("test_explore.py", "-s")
    assert "played [4]" in run("test_explore.py", "-s", "--workkit-seed=4")
    output = run("test_explore.py", "--workkit-seeds=9")
    assert 'seed 5: "the seed is not 5" does not hold' in output
    assert "pytest test_explore.py::test_explores --workkit-seed=5" in output


def test_the_line_that_replays_a_variant_plays_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "test_explore.py").write_text(EXPLORING.replace("range(3)", '["5.2"]'))
    output = run("test_explore.py")
    assert "WORKKIT_SEEDS=5.2 pytest test_explore.py::test_explores" in output
    (tmp_path / "test_explore.py").write_text(EXPLORING)
    monkeypatch.setenv("WORKKIT_SEEDS", "5.2")
    assert 'seed 5.2: "the seed is not 5" does not hold' in run("test_explore.py")


FAILING = """
import pytest
from workkit.simulation import Simulation

def helper(sim):
    sim.run_for(10)

def check(job):
    total = job.args["n"] + 1
    assert total == 1

def test_a_plain_assert(workkit_sim):
    pool = workkit_sim.pool()
    pool.job("work", lambda job: None)
    for n in range(30):
        workkit_sim.enqueuer.enqueue("work", {"n": n})
    helper(workkit_sim)
    assert workkit_sim.client.dead_jobs().total == 1

def test_an_assert_in_a_handler():
    with Simulation() as sim:
        sim.pool().job("work", check)
        sim.enqueuer.enqueue("work", {"n": 1})
        helper(sim)

def test_an_assertion_of_the_world():
    with Simulation() as sim:
        sim.pool().job("work", check)
        sim.assert_ran("work")

def test_an_error_within_workkit(monkeypatch):
    monkeypatch.setattr("workkit.simulation.running.microseconds", None)
    with Simulation() as sim:
        sim.run_for(1)
"""


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the reports of the failing tests, by the names of the tests."""
    folder = tmp_path_factory.mktemp("failing")
    (folder / "test_failing.py").write_text(FAILING)
    output = run_pytest(folder, "test_failing.py")
    _, *reports = re.split(r"^_+ test_(\w+?)(?:\[seed0\])? _+$", output, flags=re.MULTILINE)
    return dict(zip(reports[::2], reports[1::2], strict=True))


def test_a_plain_assert_shows_the_end_of_the_timeline(failures: dict[str, str]) -> None:
    _, _, section = failures["a_plain_assert"].partition("workkit: the last events (seed 0)")
    lines = [line for line in section.splitlines() if "  work " in line]
    assert "earlier lines left out" in section
    assert len(lines) == 25
    assert "done" in lines[-1]


def test_an_assert_in_a_handler_shows_the_test_and_the_handler_only(
    failures: dict[str, str],
) -> None:
    report = failures["an_assert_in_a_handler"]
    assert "assert total == 1" in report
    assert "helper(sim)" in report
    assert "workkit/simulation" not in report
    assert "the last events" in report


def test_an_assertion_of_the_world_ends_in_the_test_and_shows_one_timeline(
    failures: dict[str, str],
) -> None:
    report = failures["an_assertion_of_the_world"]
    assert "'work' ran never, expected at least once" in report
    assert "workkit/simulation" not in report


def test_an_error_within_workkit_shows_its_place(failures: dict[str, str]) -> None:
    assert "workkit/simulation/running.py" in failures["an_error_within_workkit"]


CHANCY = """
def test_depends_on_the_order_of_a_set(workkit_sim):
    def work(job):
        for name in {"ann", "bob", "cid", "dan", "eve", "fay"}:
            workkit_sim.enqueuer.enqueue("greet", {"name": name})

    pool = workkit_sim.pool()
    pool.job("work", work)
    pool.job("greet", lambda job: None)
    workkit_sim.enqueuer.enqueue("work")
    workkit_sim.run_until_idle()
"""


def test_a_test_whose_world_is_not_the_same_in_every_process_fails_on_request(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "test_chancy.py").write_text(CHANCY)
    output = run("test_chancy.py", "--workkit-check-determinism")
    assert "1 failed" in output
    assert "differs between two processes with two hash seeds" in output
    assert "enqueued   greet" in output


WITH_PAGES = """
from workkit.simulation import Simulation, explore

def twice(sim):
    sim.pool().job("work", lambda job: None)
    sim.enqueuer.enqueue("work")
    sim.at(1, lambda: 1 / 0)

def test_explores():
    explore(twice, seeds=[7], processes=1)

def test_has_two_worlds():
    with Simulation(seed=3) as one, Simulation(seed=3) as other:
        for sim in (one, other):
            sim.pool().job("work", lambda job: None)
            sim.enqueuer.enqueue("work")
            sim.run_until_idle()
        assert False
"""


def test_a_failure_has_the_whole_timeline_of_each_world_as_a_page(run: Run, tmp_path: Path) -> None:
    (tmp_path / "test_pages.py").write_text(WITH_PAGES)
    output = run("test_pages.py")
    pages = sorted((tmp_path / ".pytest_cache" / "d" / "workkit").iterdir())
    assert [page.name for page in pages] == [
        "test_pages.py-test_explores.seed-7.html",
        "test_pages.py-test_has_two_worlds.seed-3.1.html",
        "test_pages.py-test_has_two_worlds.seed-3.2.html",
    ]
    for page in pages:
        assert str(page) in output
        assert "started" in page.read_text()
    assert "not written" not in output
    assert "as a page" not in run("test_pages.py", "-p", "no:cacheprovider")


def test_a_timeline_that_cannot_be_written_is_no_further_failure(run: Run, tmp_path: Path) -> None:
    (tmp_path / "test_pages.py").write_text(WITH_PAGES)
    cache = tmp_path / ".pytest_cache" / "d"
    cache.mkdir(parents=True)
    (cache / "workkit").write_text("in the way")
    output = run("test_pages.py")
    assert "2 failed" in output
    assert "was not written" in output
    assert "INTERNALERROR" not in output


def test_the_plugin_loads_neither_workkit_nor_a_client(run: Run, tmp_path: Path) -> None:
    (tmp_path / "test_light.py").write_text(
        "import sys\n\n"
        "def test_light():\n"
        "    assert not {'workkit', 'redis', 'fakeredis'} & set(sys.modules)\n"
    )
    assert "1 passed" in run("test_light.py")
