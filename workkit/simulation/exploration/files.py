"""Scenario files, which `workkit simulate` plays."""

from __future__ import annotations

import datetime
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from workkit.core.text import read_span
from workkit.errors import InvalidOption
from workkit.simulation.checkers import Checker, all_checkers
from workkit.simulation.exploration.parallel import load_file
from workkit.simulation.exploration.playing import DEFAULT_FAULTS, PlaySettings
from workkit.simulation.faults import Faults
from workkit.simulation.simulation import START_S, Simulation

__all__ = ["NoScenario", "ScenarioFile", "load_scenario"]

_UNTIL: Final = "1h"


class NoScenario(InvalidOption):
    """A file is not a scenario; the message says what is missing."""


@dataclass(frozen=True)
class ScenarioFile:
    """A scenario with the settings of its file.

    Attributes:
        file: The path of the file.
        title: The first line of the file's docstring.
        scenario: Builds a world: `def scenario(sim)`.
        report: Describes the result: `def report(sim) -> str`; None if the file has none.
        until_s: UNTIL, how long it is played, seconds of virtual time; "1h" by default.
        faults: FAULTS, the maximum rates of faults in an exploration.
        start: START, when its world begins.
        checkers: CHECKERS, further checkers.
    """

    file: Path
    title: str
    scenario: Callable[[Simulation], Any]
    report: Callable[[Simulation], str] | None
    until_s: float
    faults: Faults
    start: datetime.datetime | float
    checkers: Sequence[Checker]

    def settings(self) -> PlaySettings:
        """Return how the scenario is explored."""
        return PlaySettings(
            self.scenario, self.faults, [*all_checkers(), *self.checkers], start=self.start
        )

    def world(self, seed: int, server: Any = None) -> Simulation:
        """Build a world with only the faults of the scenario; checkers watch it."""
        checkers = self.settings().checkers
        sim = Simulation(seed, start=self.start, checkers=checkers, server=server)
        self.scenario(sim)
        return sim


def load_scenario(path: str) -> ScenarioFile:
    """Load a scenario file.

    Raises:
        NoScenario: The file does not exist or is not a scenario; the message says what is missing.
    """
    file = Path(path).resolve()
    if not file.is_file():
        raise NoScenario(f"there is no file {path!r}")
    if file.suffix != ".py":
        raise NoScenario(f"{path!r} is not a Python file")
    folder = str(file.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # a scenario may import modules from its folder
    module = load_file(file, file.stem)
    scenario = getattr(module, "scenario", None)
    if not callable(scenario) or not inspect.signature(scenario).parameters:
        raise NoScenario(
            f"{path!r} has no function scenario(sim) that builds a world; see docs/simulation.md"
        )
    return ScenarioFile(
        file,
        (inspect.getdoc(module) or file.stem).partition("\n")[0],
        scenario,
        getattr(module, "report", None),
        _until_s(module, path),
        _of_kind(module, path, "FAULTS", Faults, DEFAULT_FAULTS),
        _of_kind(module, path, "START", (datetime.datetime, int, float), START_S),
        _of_kind(module, path, "CHECKERS", (list, tuple), ()),
    )


def _until_s(module: ModuleType, path: str) -> float:
    until = _of_kind(module, path, "UNTIL", str, _UNTIL)
    span = read_span(until)
    if span is None or span[0] <= 0:
        raise NoScenario(f"{path!r}: UNTIL is {until!r}; write 90, 15m, 2h or 1d")
    return span[0]


def _of_kind(module: ModuleType, path: str, name: str, kind: Any, default: Any) -> Any:
    value = getattr(module, name, default)
    if not isinstance(value, kind):
        raise NoScenario(f"{path!r}: {name} may not be {value!r}")
    return value
