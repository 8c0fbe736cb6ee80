"""The result of a measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.figures import Sample

__all__ = ["Curve", "Goal", "Result", "Row", "at_least", "at_most"]


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound for a median.

    Attributes:
        sign: "≥" or "≤".
        bound: In the row's unit.
    """

    sign: str
    bound: float

    def met(self, sample: Sample) -> bool:
        """Tell whether the median is within the bound."""
        if self.sign == "≥":
            return sample.median >= self.bound
        return sample.median <= self.bound


def at_least(bound: float) -> Goal:
    """Make a lower bound."""
    return Goal("≥", bound)


def at_most(bound: float) -> Goal:
    """Make an upper bound."""
    return Goal("≤", bound)


@dataclass(frozen=True, slots=True)
class Row:
    """A figure.

    Attributes:
        what: The name of the figure.
        sample: One value a round.
        unit: Such as "jobs/s" or "ms"; "%" and "x" for ratios.
        goal: What it must reach; None for a figure that only explains another.
    """

    what: str
    sample: Sample
    unit: str
    goal: Goal | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without a goal."""
        return None if self.goal is None else self.goal.met(self.sample)


@dataclass(frozen=True, slots=True)
class Curve:
    """Rates that depend on a varied quantity.

    Attributes:
        title: Of the plot.
        x: The varied quantity.
        lines: By name: x -> jobs/s.
    """

    title: str
    x: str
    lines: Mapping[str, Mapping[int, Sample]]


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a measure.

    Attributes:
        includes: A sentence or two about the contents of the figures.
        rows: The figures.
        curves: For plots.
    """

    includes: str
    rows: list[Row] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "includes": self.includes,
            "rows": [
                {
                    "what": row.what,
                    "unit": row.unit,
                    "median": row.sample.median,
                    "values": list(row.sample.values),
                    "goal": None if row.goal is None else asdict(row.goal),
                    "met": row.met,
                }
                for row in self.rows
            ],
            "curves": [
                {
                    "title": curve.title,
                    "x": curve.x,
                    "lines": {
                        name: {str(x): list(sample.values) for x, sample in line.items()}
                        for name, line in curve.lines.items()
                    },
                }
                for curve in self.curves
            ],
        }
