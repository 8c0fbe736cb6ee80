"""A strict type checker finds mistakes of users, and accepts correct code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent
IGNORE = re.compile(r"  # type: ignore\[[\w, -]+\]")


@pytest.mark.slow
@pytest.mark.timeout(590)
def test_mypy_finds_every_mistake_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    lines = (HOUSE / "mistakes.py").read_text().splitlines()
    file = tmp_path / "mistakes.py"
    file.write_text("\n".join(IGNORE.sub("", line) for line in lines) + "\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(file)]
    root = HOUSE.parent.parent
    said = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False).stdout
    found = {int(at) for at in re.findall(r"mistakes\.py:(\d+): error:", said)}
    wrong = {at for at, line in enumerate(lines, 1) if IGNORE.search(line)}
    assert len(wrong) > 40
    assert sorted(found) == sorted(wrong), said


MARK = "# WRONG"


def task_mistakes(folder: Path) -> tuple[Path, set[int]]:
    """Copy the mistakes with tasks, and return the lines that are wrong."""
    text = (HOUSE / "task_mistakes.py").read_text()
    file = folder / "task_mistakes.py"
    file.write_text(text)
    return file, {at for at, line in enumerate(text.splitlines(), 1) if line.endswith(MARK)}


@pytest.mark.slow
@pytest.mark.timeout(590)
@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_both_type_checkers_find_mistakes_with_tasks(checker: str, tmp_path: Path) -> None:
    pytest.importorskip(checker)
    file, wrong = task_mistakes(tmp_path)
    root = HOUSE.parent.parent
    options = {"mypy": ["--strict", "--no-error-summary"], "pyright": ["--outputjson"]}[checker]
    if checker == "pyright":
        settings = {"extraPaths": [str(root)], "include": [file.name], "strict": [file.name]}
        (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
        options += ["--pythonpath", sys.executable, "--project", str(tmp_path)]
    else:
        options.append(str(file))
    command = [sys.executable, "-m", checker, *options]
    said = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False).stdout
    if checker == "pyright":
        reports = json.loads(said)["generalDiagnostics"]
        found = {
            report["range"]["start"]["line"] + 1
            for report in reports
            if report["severity"] == "error"
        }
    else:
        found = {int(at) for at in re.findall(r"task_mistakes\.py:(\d+): error:", said)}
    assert len(wrong) >= 24
    assert found <= wrong, said
    assert len(wrong - found) <= 2, sorted(wrong - found)
