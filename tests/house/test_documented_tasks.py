"""The examples of docs/tasks.md and of the README's first screen run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from click import Context

from workkit import Enqueuer, Job, Task, Tasks, WorkerPool
from workkit.core.outcomes import OUTCOMES
from workkit.tools.cli.app import cli
from workkit.tools.cli.commands.worker import worker

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
URL = "redis://localhost:6379"

pytestmark = pytest.mark.one_server


def blocks(file: str) -> list[str]:
    return BLOCK.findall((ROOT / file).read_text("utf-8"))


def run(code: str, redis_url: str, namespace: str, names: dict[str, Any]) -> None:
    """Run an example on the tests' server, in a namespace of its own."""
    code = code.replace(URL, redis_url).replace('"work"', repr(namespace))
    exec(compile(code, "example", "exec"), names)  # noqa: S102 - our own documents


@pytest.mark.parametrize("at", range(len(blocks("docs/tasks.md"))))
def test_an_example_of_the_tasks_page_runs(at: int, redis_url: str, namespace: str) -> None:
    names: dict[str, Any] = {"__name__": "example"}
    run(blocks("docs/tasks.md")[at], redis_url, namespace, names)
    for closing in ("enqueuer", "tasks"):
        if closing in names:
            names[closing].close()


def test_the_first_screen_of_the_readme_runs(redis_url: str, namespace: str) -> None:
    names: dict[str, Any] = {"__name__": "example"}
    for code in blocks("README.md")[:3]:
        run(code, redis_url, namespace, names)
    names["test_the_mail_has_its_subject"]()
    pool = names["pool"]
    assert isinstance(pool, WorkerPool)
    pool.start()
    assert pool.drain(60).complete
    pool.stop()
    names["tasks"].close()
    assert pool.totals == {"done": 1}


def test_the_table_of_outcomes_is_complete() -> None:
    text = (ROOT / "docs/analysis.md").read_text("utf-8")
    rows = text.partition("| outcome | the execution |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE)) == set(OUTCOMES)


#: What the names of docs/coming-from.md stand for.
OBJECTS = {"pool": WorkerPool, "tasks": Tasks, "task": Task, "enqueuer": Enqueuer, "job": Job}


def test_the_names_of_workkit_in_the_tables_for_newcomers_exist() -> None:
    text = (ROOT / "docs/coming-from.md").read_text("utf-8")
    ours = [row.split(" | ", 1)[1] for row in text.splitlines() if row.startswith("| ")]
    spans = [span for cell in ours for span in re.findall(r"`([^`]+)`", cell)]
    seen = set()
    for span in spans:
        for owner, name in re.findall(r"\b(pool|tasks|task|enqueuer|job)\.(\w+)", span):
            assert hasattr(OBJECTS[owner], name), span
            seen.add(name)
        if command := re.match(r"workkit (\w+)", span):
            assert cli.get_command(Context(cli), command[1]) is not None, span
            options = {name for each in worker.params for name in each.opts}
            if command[1] == "worker":
                assert set(re.findall(r"--\w+", span)) <= options, span
            seen.add(command[1])
    assert {"enqueue", "checkin", "worker", "inline", "drain"} <= seen
