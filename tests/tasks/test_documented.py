"""The examples of docs/testing.md, run as a project that has only them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
BLOCK: Final = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def examples() -> list[str]:
    return BLOCK.findall((ROOT / "docs" / "testing.md").read_text())


def pytest_in(folder: Path) -> str:
    shown = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:valkey"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return shown.stdout + shown.stderr


@pytest.mark.slow
def test_the_examples_of_the_page_pass(tmp_path: Path) -> None:
    first, *others = examples()
    assert first.startswith("# shop/tasks.py\n")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "tasks.py").write_text(first)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    tests = 0
    for number, block in enumerate(others):
        is_conftest = "def workkit_tasks" in block
        name = "conftest.py" if is_conftest else f"test_{number}.py"
        (tmp_path / name).write_text(block)
        tests += block.count("\ndef test_")
    assert tests == 8
    assert f"{tests} passed" in pytest_in(tmp_path)


@pytest.mark.slow
def test_a_project_without_the_fixture_is_told_what_to_define(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(workkit_inline): ...\n")
    shown = pytest_in(tmp_path)
    assert "define the fixture workkit_tasks in conftest.py" in shown


@pytest.mark.slow
def test_the_fixtures_reach_threads_and_event_loops(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        """
import asyncio, contextvars, threading
import pytest
from workkit import Tasks

tasks = Tasks()
ran = []

@tasks.task
def note(n: int) -> None:
    ran.append(n)

@pytest.fixture
def workkit_tasks():
    return tasks

def test_a_thread(workkit_inline):
    thread = threading.Thread(target=note.enqueue, args=(1,))
    thread.start()
    thread.join()
    assert ran == [1]

def test_a_loop_in_another_context(workkit_recorded):
    contextvars.Context().run(asyncio.run, note.enqueue_async(2))
    assert [each.args for each in workkit_recorded] == [{"n": 2}]

def test_nothing_is_left(workkit_recorded):
    assert workkit_recorded == []
"""
    )
    assert "3 passed" in pytest_in(tmp_path)
