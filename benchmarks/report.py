"""Tables, and the two sections of RESULTS.md."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.result import Result, Row

__all__ = [
    "RESULTS",
    "figure",
    "markdown_table",
    "row_cells",
    "self_section",
    "self_table",
    "text_table",
    "write_section",
]

RESULTS: Final = Path(__file__).parent / "RESULTS.md"

_TITLE: Final = (
    "# Results\n\n`make bench` and `make bench-self` write this file; [README.md](README.md) says "
    "how it is measured.\n"
)
_SECTIONS: Final = ("Beside other libraries", "workkit alone")
_ROW_HEADER: Final = ("measure", "median", "spread", "goal", "met")


def figure(value: float) -> str:
    """Write a number with three or four significant digits."""
    decimals = next((n for n, least in enumerate((100, 10, 1)) if abs(value) >= least), 3)
    return f"{value:,.{decimals}f}"


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table for a terminal; all columns but the first are aligned to the right."""
    table = [list(header), *map(list, rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    lines = [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *lines[1:]])


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown, all columns but the first aligned to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def row_cells(row: Row) -> list[str]:
    """Return the cells of a row of a measure."""
    sample = row.sample
    goal = "" if row.goal is None else f"{row.goal.sign} {figure(row.goal.bound)} {row.unit}"
    met = {None: "", True: "yes", False: "no"}[row.met]
    spread = f"{figure(sample.low)} to {figure(sample.high)}"
    return [row.what, f"{figure(sample.median)} {row.unit}", spread, goal, met]


def self_table(result: Result) -> str:
    """Lay out the rows of a measure for a terminal."""
    return text_table(_ROW_HEADER, [row_cells(row) for row in result.rows])


def self_section(
    results: Mapping[str, Result], failures: Mapping[str, str], plots: Mapping[str, str]
) -> str:
    """Write the section on workkit alone.

    Args:
        results: By measure.
        failures: Measures that failed, with the reason.
        plots: Text plots by the path of their picture.
    """
    parts = []
    for name, result in results.items():
        parts.append(f"### {name}\n\n{result.includes}\n")
        if result.rows:
            parts.append(
                markdown_table(_ROW_HEADER, [row_cells(row) for row in result.rows]) + "\n"
            )
    parts += [f"### {name}\n\nFailed: {reason}\n" for name, reason in failures.items()]
    if plots:
        parts.append("### Scaling\n")
    for picture, plot in plots.items():
        parts.append(f"```\n{plot}\n```\n")
        if picture:
            parts.append(f"![the same as a picture]({picture})\n")
    return "\n".join(parts)


def write_section(title: str, content: str, path: Path = RESULTS) -> None:
    """Replace one section of the file and keep the other.

    Args:
        title: Of the section, one of two.
        content: Its text, without the heading.
        path: The file.
    """
    old = path.read_text("utf-8") if path.exists() else ""
    sections = {
        match[1]: match[2].strip()
        for match in re.finditer(r"^## (.+?)\n(.*?)(?=^## |\Z)", old, re.DOTALL | re.MULTILINE)
    }
    sections[title] = content.strip()
    text = [f"## {name}\n\n{sections[name]}\n" for name in _SECTIONS if name in sections]
    path.write_text("\n".join([_TITLE, *text]), "utf-8")
