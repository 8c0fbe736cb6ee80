"""The views of a simulated world: its events as text, as a plot, as files."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workkit.simulation.simulation import Simulation
    from workkit.simulation.trace import Trace

__all__ = ["Views"]


@dataclass(frozen=True, kw_only=True)
class Views:
    """How a world is shown.

    Attributes:
        trace: Gets the events, one JSON line each.
        timeline: Whether to print the events.
        plot: Whether to print a plot.
        html: Gets the timeline as a page.
        perfetto: Gets the timeline for Perfetto.
        as_json: Whether to print JSON instead.
    """

    trace: Any
    timeline: bool
    plot: bool
    html: Any
    perfetto: Any
    as_json: bool

    @property
    def any(self) -> bool:
        """Whether anything shows a single world that need not fail."""
        return bool(self.trace or self.timeline or self.plot)

    @property
    def on_stdout(self) -> bool:
        """Whether standard output has one of the files."""
        return any(each is sys.stdout for each in (self.trace, self.html, self.perfetto))

    def write(self, trace: Trace, title: str, note: str = "") -> None:
        """Write the files.

        Args:
            trace: The events.
            title: The title of the page.
            note: Text below it, such as the rule that is broken.
        """
        if self.trace is not None:
            self.trace.write(trace.json_lines())
        if self.html is not None:
            self.html.write(trace.html(title, note=note))
        if self.perfetto is not None:
            self.perfetto.write(trace.perfetto())

    def sections(self, sim: Simulation) -> list[str]:
        """Return what is printed below the result."""
        from workkit.simulation.plots import plot

        found = [plot(sim.trace, max(sim.now, 1))] if self.plot else []
        return [*found, sim.trace.timeline()] if self.timeline else found
