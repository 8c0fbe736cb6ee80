"""Plays the world of a test again in two processes with two hash seeds."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pytest

    from workkit.simulation import Simulation

__all__ = ["check_determinism", "write_trace"]

#: Where a process writes the events of the world of its test.
_FILE: Final = "WORKKIT_TRACE_FILE"


def write_trace(sim: Simulation) -> None:
    """Write the events of a world, if this process plays it for a comparison."""
    if file := os.environ.get(_FILE):
        Path(file).write_text(sim.trace.json_lines(), encoding="utf-8")


def check_determinism(item: pytest.Item, report: pytest.TestReport) -> None:
    """Fail a test that has passed, if two processes play its world differently."""
    sim: Any = getattr(item, "funcargs", {}).get("workkit_sim")
    if sim is None or _FILE in os.environ:
        return
    from workkit.simulation.exploration.comparing import NotPlayed, compare

    config = item.config
    command = [
        sys.executable, "-m", "pytest", item.nodeid, "-q", "-p", "no:cacheprovider",
        f"--workkit-seed={sim.seed}", f"--rootdir={config.rootpath}",
    ]  # fmt: skip
    if config.inipath is not None:
        command += ["-c", str(config.inipath)]
    if config.pluginmanager.hasplugin("xdist"):
        command.append("-n0")
    environment = {**os.environ, _FILE: "{trace}"}
    try:
        compared = compare(command, environment, folder=config.rootpath)
    except NotPlayed as error:
        report.outcome, report.longrepr = "failed", f"could not play the world again:\n{error}"
        return
    if compared.differs is not None:
        report.outcome, report.longrepr = "failed", compared.text
