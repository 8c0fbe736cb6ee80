"""The views of a simulated world: its events as text, as a plot, as files."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workkit.simulation.simulation import Simulation

__all__ = ["Views"]


@dataclass(frozen=True, kw_only=True)
class Views:
    """How a world is shown.

    Attributes:
        trace: Gets the events, one JSON line each.
        timeline: Whether to print the events.
        plot: Whether to print a plot.
        as_json: Whether to print JSON instead.
    """

    trace: Any
    timeline: bool
    plot: bool
    as_json: bool

    @property
    def any(self) -> bool:
        """Whether anything shows a single world."""
        return bool(self.trace or self.timeline or self.plot)

    @property
    def on_stdout(self) -> bool:
        """Whether standard output has the trace."""
        return self.trace is sys.stdout

    def write(self, sim: Simulation) -> None:
        """Write the files."""
        if self.trace is not None:
            self.trace.write(sim.trace.json_lines())

    def sections(self, sim: Simulation) -> list[str]:
        """Return what is printed below the result."""
        from workkit.simulation.plots import plot

        found = [plot(sim.trace, max(sim.now, 1))] if self.plot else []
        return [*found, sim.trace.timeline()] if self.timeline else found
