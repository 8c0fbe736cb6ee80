"""Prometheus and its tools, where they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.house.sources import ROOT

__all__ = ["OPS", "promtool", "wanted"]

OPS: Final = ROOT / "docs" / "ops"


def wanted(program: str, package: str, *, required: bool = True) -> str:
    """Return the path of a program; without it skip, or fail where all tools are required.

    `required` is false for a program that `.ci/run` does not install.
    """
    path = shutil.which(program)
    if path is None:
        trouble = f"{program} is not here; on Debian: apt install {package}"
        strict = os.environ.get("CI") or os.environ.get("WORKKIT_REQUIRE_ALL_SERVERS")
        if required and strict:
            pytest.fail(f"{trouble}, and CI or WORKKIT_REQUIRE_ALL_SERVERS wants it")
        pytest.skip(trouble)
    return path


def promtool(*args: str, folder: Path = OPS / "prometheus") -> None:
    """Run promtool; its complaint is the failure of the test."""
    done = subprocess.run(
        [wanted("promtool", "prometheus"), *args],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
