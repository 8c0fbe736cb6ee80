"""The pytest plugin: seeds, replay, and its cost for tests that do not use it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
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

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "pytest", "-p", "no:valkey", "-q", *arguments]
        shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return shown.stdout + shown.stderr

    return run


def test_a_failure_prints_the_line_that_reproduces_it(run: Run) -> None:
    output = run("test_it.py")
    assert "1 failed, 6 passed" in output
    assert "pytest test_it.py::test_fails_with_one_seed --workkit-seed=2" in output


def test_a_seed_is_replayed(run: Run) -> None:
    assert "1 failed" in run("test_it.py::test_fails_with_one_seed", "--workkit-seed=2")
    assert "1 passed" in run("test_it.py::test_fails_with_one_seed", "--workkit-seed=1")


def test_the_plugin_loads_neither_workkit_nor_a_client(run: Run, tmp_path: Path) -> None:
    (tmp_path / "test_light.py").write_text(
        "import sys\n\n"
        "def test_light():\n"
        "    assert not {'workkit', 'redis', 'fakeredis'} & set(sys.modules)\n"
    )
    assert "1 passed" in run("test_light.py")
