"""Timelines of failed tests as pages, in the cache folder of pytest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pytest

    from workkit.simulation import Simulation

__all__ = ["write_pages"]

_FOLDER: Final = "workkit"
#: The longest part of a file's name that comes from the test: names have a limit.
_NAME_CHARS: Final = 120
_UNSAFE: Final = re.compile(r"[^\w.-]+")


def write_pages(
    item: pytest.Item, error: BaseException, worlds: list[Simulation]
) -> Iterator[tuple[str, str]]:
    """Write a page for each world of a failed test; yield a section of the report for each.

    The page of an earlier failure of the same test and seed is replaced. Without pytest's cache
    nothing is written.
    """
    from workkit.core.whole_file import whole_file
    from workkit.errors import InvalidOption
    from workkit.simulation import ScenarioFailed

    if not hasattr(item.config, "cache") or item.config.cache is None:
        return
    traces = [(str(sim.seed), sim.trace) for sim in worlds]
    if isinstance(error, ScenarioFailed):
        traces.append((error.failure.case.name, error.trace()))
    test = _UNSAFE.sub("-", item.nodeid.rpartition("/")[2])[:_NAME_CHARS]
    for at, (seed, trace) in enumerate(traces):
        number = f".{at + 1}" if len({each for each, _ in traces}) < len(traces) else ""
        name = f"{test}.seed-{_UNSAFE.sub('-', seed)}{number}.html"
        try:
            path = Path(item.config.cache.mkdir(_FOLDER)) / name
            note = str(error).partition("\n")[0]
            with whole_file(path) as file:
                file.write(trace.html(f"{item.nodeid} (seed {seed})", note=note).encode())
        except (InvalidOption, OSError) as why:
            yield "workkit: the timeline", f"was not written: {why}"
        else:
            yield "workkit: the timeline as a page", str(path)
