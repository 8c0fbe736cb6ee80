"""A trace as a page that needs nothing else: pools as lanes, jobs as bars, faults as marks."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from workkit.simulation.viewing.spans import Timeline, detail_of, read_timeline

if TYPE_CHECKING:
    from workkit.simulation.trace import Event

__all__ = ["page"]

_PART: Final = re.compile(r"\{\{(title|note|data)\}\}")


def page(events: Iterable[Event], title: str, note: str = "") -> str:
    """Return a trace as one HTML file.

    Args:
        events: The events, in their order.
        title: The title of the page.
        note: Text below it, such as the rule that is broken.
    """
    known = list(events)
    template = files("workkit.simulation.viewing").joinpath("page.html").read_text("utf-8")
    data = json.dumps(_data(known, read_timeline(known)), ensure_ascii=True, separators=(",", ":"))
    # Names and errors come from users and from Redis. In JSON, only "<" could end the script.
    parts = {
        "title": html.escape(title),
        "note": html.escape(note),
        "data": data.replace("<", "\\u003c"),
    }
    return _PART.sub(lambda found: parts[found[1]], template)


class _Table:
    """Numbers for texts that occur many times."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def number(self, text: str) -> int:
        """Return the number of a text."""
        return self._known.setdefault(text, len(self._known))

    @property
    def texts(self) -> list[str]:
        """The texts, by their numbers."""
        return list(self._known)


def _data(events: Sequence[Event], made: Timeline) -> dict[str, Any]:
    texts = _Table()
    number = texts.number
    return {
        "end": made.end_us,
        "pools": made.pools,
        "rows": made.rows,
        "runs": [
            [run.pool, run.row, number(run.name), number(run.job_id), run.start_us, run.end_us,
             number(run.outcome), number(run.detail)]
            for run in made.runs
        ],
        "marks": [
            [mark.at_us, mark.pool, mark.kind, mark.text, mark.for_us] for mark in made.marks
        ],
        "waiting": made.waiting,
        "events": [
            [event.at_us, number(event.kind), number(event.where), number(event.job_id),
             number(detail_of(event))]
            for event in events
            if event.job_id
        ],
        "texts": texts.texts,
    }  # fmt: skip
