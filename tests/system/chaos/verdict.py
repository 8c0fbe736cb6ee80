"""The result of a run, as a record and as the row of a table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Verdict", "table"]


@dataclass(slots=True)
class Verdict:
    """The outcome of one scenario.

    Attributes:
        scenario: The name of the scenario.
        accepted: Jobs whose enqueue returned.
        ran: Accepted jobs whose handler ended at least once.
        lost: Accepted jobs whose handler never ended: they are not in Redis any more, or do not
            run.
        duplicates: Handlers started for a job that had been started before.
        duplicates_at_most: The duplicates that "at least once" allows: the jobs that were held at
            the faults, and the calls without an answer that were made again.
        faults: How often something was broken.
        slots: How many handlers the victims could run at once.
        in_flight: How many they ran at each fault; at faults of the server, all workers together.
        recoveries_s: How long each job that was held at a fault took to be taken up again; at
            faults of the server, how long it took after its return until a job started.
        unmended: Findings of `workkit doctor` at the end that it cannot repair.
        notes: Further observations.
    """

    scenario: str
    accepted: int = 0
    ran: int = 0
    lost: int = 0
    duplicates: int = 0
    duplicates_at_most: int = 0
    faults: int = 0
    slots: int = 0
    in_flight: list[int] = field(default_factory=list)
    recoveries_s: list[float] = field(default_factory=list)
    unmended: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def median_in_flight(self) -> float:
        """How many handlers ran at the faults, as the median."""
        return statistics.median(self.in_flight) if self.in_flight else 0.0

    @property
    def longest_s(self) -> float:
        """The longest recovery."""
        return max(self.recoveries_s, default=0.0)

    @property
    def p99_s(self) -> float:
        """The recovery that 99 of 100 do not exceed."""
        if len(self.recoveries_s) < 2:  # quantiles need two
            return self.longest_s
        return statistics.quantiles(self.recoveries_s, n=100, method="inclusive")[98]

    @property
    def counts(self) -> bool:
        """Whether at least half the slots were at work at the faults."""
        return 2 * self.median_in_flight >= self.slots

    def row(self) -> list[str]:
        """Return the cells of a table's row."""
        return [
            self.scenario,
            str(self.faults),
            f"{self.accepted:,}",
            f"{self.ran:,}",
            str(self.lost),
            f"{self.duplicates} (≤ {self.duplicates_at_most})",
            f"{self.p99_s:.1f}",
            f"{self.longest_s:.1f}",
            f"{self.median_in_flight:g} of {self.slots}" + ("" if self.counts else " (idle)"),
        ]


_HEAD = [
    "scenario", "faults", "accepted", "ran", "lost", "duplicates (allowed)",
    "recovery p99, s", "longest, s", "median in flight at the faults",
]  # fmt: skip


def table(verdicts: Sequence[Verdict]) -> str:
    """Return verdicts as a table that people and Markdown can read."""
    rows = [_HEAD, *(verdict.row() for verdict in verdicts)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_HEAD))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
