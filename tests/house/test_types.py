"""A strict type checker finds mistakes of users, and accepts correct code."""

from __future__ import annotations

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
