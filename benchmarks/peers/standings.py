"""The table of all libraries, and the goals that it decides."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.figures import Sample
from benchmarks.peers.contest import Entry
from benchmarks.report import figure, markdown_table, row_cells
from benchmarks.result import Row, at_least

__all__ = ["goals", "section", "table"]

_INCLUDES: Final = (
    "No-op jobs that read one argument, all enqueued before the one worker process starts. Jobs a "
    "second from the first to the last completion, without the first tenth, as the handlers count "
    "them."
)

#: Lays out a header and rows.
_Layout = Callable[[Sequence[str], Sequence[Sequence[str]]], str]

_HEADER = ("library", "jobs/s", "spread", "workkit is", "enqueued/s, one by one")


def table(entries: Sequence[Entry], layout: _Layout) -> str:
    """Lay out all libraries, the fastest first, with the ratio of workkit's median to theirs.

    Args:
        entries: The first one is workkit's.
        layout: For a terminal or for Markdown.
    """
    ran = sorted(
        (entry for entry in entries if not entry.failure), key=lambda entry: -entry.rate.median
    )
    ours = None if entries[0].failure else entries[0].rate
    rows = [
        [
            entry.name,
            figure(entry.rate.median),
            f"{figure(entry.rate.low)} to {figure(entry.rate.high)}",
            f"{figure(ours.median / entry.rate.median)} x" if ours else "",
            figure(entry.enqueuing.median),
        ]
        for entry in ran
    ]
    rows += [[entry.name, "-", "-", "-", "-"] for entry in entries if entry.failure]
    failures = [f"{entry.name}: {entry.failure}" for entry in entries if entry.failure]
    return "\n".join([layout(_HEADER, rows), *(f"\n{failure}" for failure in failures)])


def goals(entries: Sequence[Entry]) -> list[Row]:
    """Compare workkit with the best of the others; omit libraries that did not run."""
    ours, *rest = (entry for entry in entries if not entry.name.startswith("workkit, "))
    if ours.failure:
        return []
    ran = [entry for entry in rest if not entry.failure]
    originals = [entry for entry in ran if entry.name.startswith("original")]
    peers = [entry for entry in ran if entry not in originals]
    rows = []
    if originals:
        best = max(originals, key=lambda entry: entry.rate.median)
        rows.append(Row(f"workkit over {best.name}", ours.rate.over(best.rate), "x", at_least(4)))
        # Enqueuing does not depend on the concurrency, so each round has measured it several times.
        rounds = zip(*(entry.enqueued_per_s for entry in originals), strict=True)
        theirs = Sample.of([statistics.median(values) for values in rounds])
        ratio = ours.enqueuing.over(theirs)
        rows.append(Row("enqueuing one by one over the original", ratio, "x", at_least(1)))
    if peers:
        best = max(peers, key=lambda entry: entry.rate.median)
        rows.append(Row(f"workkit over {best.name}", ours.rate.over(best.rate), "x", at_least(10)))
    return rows


def section(entries: Sequence[Entry]) -> str:
    """Write the section of RESULTS.md."""
    header = ("measure", "median", "spread", "goal", "met")
    settings = [
        f"- {entry.name}: {entry.settings} ({entry.versions or 'not installed'})"
        for entry in entries
    ]
    missing = (
        []
        if any(entry.name.startswith("original") for entry in entries)
        else ["The original was not measured in this run: no program was given."]
    )
    parts = [
        _INCLUDES,
        table(entries, markdown_table),
        markdown_table(header, [row_cells(row) for row in goals(entries)]),
        *missing,
        "Settings and versions:",
        "\n".join(settings),
    ]
    return "\n\n".join(parts)
