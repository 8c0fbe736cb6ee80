"""The events of a simulated world in order, with their virtual times."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from workkit.core.text import clean
from workkit.errors import MissingExtra

__all__ = ["Event", "Trace", "duration"]

_DAY_S: Final = 86_400
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        at_us: When, microseconds since the world began.
        kind: What: "enqueued", "scheduled", "refused" (a unique job), "cron slot", "due" (moved
            to its queue), "claimed", "started", "check-in", "succeeded", "failed", "done",
            "retried", "died", "returned", "recovered", "revived", "deleted", "reaped", "pool",
            "fault", "unanswered" (a call of `Simulation.at` that Redis did not answer).
        where: The pool, or "" for an event outside of all pools.
        name: The job's name, or "".
        job_id: The job's id, or "".
        detail: Further facts, which depend on the kind.
        start_ms: When the world began, epoch milliseconds.
    """

    at_us: int
    kind: str
    where: str = ""
    name: str = ""
    job_id: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    start_ms: int = field(default=0, repr=False, compare=False)

    @property
    def at(self) -> float:
        """When, seconds since the world began."""
        return self.at_us / 1_000_000

    @property
    def when(self) -> datetime.datetime:
        """When, as a datetime in UTC, by the true clock of the world."""
        return _EPOCH + datetime.timedelta(microseconds=self.start_ms * 1_000 + self.at_us)

    def record(self) -> dict[str, Any]:
        """Return the event as a flat record."""
        named = {"pool": self.where, "job": self.name, "id": self.job_id}
        return {
            "at_us": self.at_us,
            "kind": self.kind,
            **{key: value for key, value in named.items() if value},
            **self.detail,
        }

    def line(self) -> str:
        """Return the event as a line of a timeline."""
        who = f"{self.where:<8}" if self.where else " " * 8
        what = f"{self.name} {self.job_id[-6:]}" if self.name else ""
        rest = "  ".join(f"{key}={_short(value)}" for key, value in self.detail.items())
        line = f"{duration(self.at_us):>16}  {who} {self.kind:<10} {what:<24} {rest}".rstrip()
        return clean(line)  # names and errors of a replay come from Redis


class Trace:
    """The events of a world.

    Args:
        now_us: Returns the time of an event that happens now, microseconds since the world began.
        start_ms: When the world began, epoch milliseconds.
    """

    def __init__(self, now_us: Callable[[], int], start_ms: int = 0) -> None:
        self._now_us = now_us
        self._start_ms = start_ms
        self._events: list[Event] = []

    def add(
        self, kind: str, where: str = "", name: str = "", job_id: str = "", **detail: Any
    ) -> None:
        """Add an event that happens now."""
        self._events.append(
            Event(self._now_us(), kind, where, name, job_id, detail, self._start_ms)
        )

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events)

    def __len__(self) -> int:
        return len(self._events)

    def __getitem__(self, at: int) -> Event:
        return self._events[at]

    def of(self, *, kind: str = "", name: str = "", job_id: str = "") -> list[Event]:
        """Return the events of a kind, of jobs of a name, of one job, or of several of these."""
        return [
            event
            for event in self._events
            if (not kind or event.kind == kind)
            and (not name or event.name == name)
            and (not job_id or event.job_id == job_id)
        ]

    def records(self) -> list[dict[str, Any]]:
        """Return all events as flat records."""
        return [event.record() for event in self._events]

    def json_lines(self) -> str:
        """Return all events as JSON, one line per event; the same seed gives the same bytes."""
        return "".join(
            json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"
            for record in self.records()
        )

    def frame(self) -> Any:
        """Return all events as a pandas DataFrame, with a column `at` in seconds.

        Raises:
            MissingExtra: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtra("a DataFrame of the trace", "pandas") from None
        records = [{"at": event.at, **event.record()} for event in self._events]
        return pd.DataFrame.from_records(records)

    def html(self, title: str = "Simulation", *, note: str = "") -> str:
        """Return all events as a page to look at: pools as lanes, jobs as bars, faults as marks.

        The page needs nothing else, and no network.

        Args:
            title: Its title.
            note: Text below the title.
        """
        from workkit.simulation.viewing.page import page

        return page(self._events, title, note)

    def perfetto(self) -> str:
        """Return all events as JSON for https://ui.perfetto.dev, or chrome://tracing."""
        from workkit.simulation.viewing.perfetto import perfetto

        return perfetto(self._events)

    def timeline(
        self,
        *,
        name: str = "",
        job_id: str = "",
        last: int | None = None,
        around: int | None = None,
    ) -> str:
        """Return the events as text for people, one line per event.

        Args:
            name: Only jobs of this name, and events that concern no job.
            job_id: Only this job, and events that concern no job.
            last: Only this many lines at the end.
            around: Only lines near this index of the trace.
        """
        events = self._events
        if around is not None:
            events = events[max(around - 20, 0) : around + 10]
        lines = [
            event.line()
            for event in events
            if not event.name
            or ((not name or event.name == name) and (not job_id or event.job_id == job_id))
        ]
        left_out = 0 if last is None else max(len(lines) - last, 0)
        if left_out:
            lines = [f"{'':>16}  ... {left_out} earlier lines left out", *lines[left_out:]]
        return "\n".join(lines)


def duration(us: int) -> str:
    """Write a virtual time: days, hours, minutes, seconds, milliseconds."""
    seconds, rest_us = divmod(us, 1_000_000)
    days, seconds = divmod(seconds, _DAY_S)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest_us // 1000:03}"
    return f"{days}d {clock}" if days else clock


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004 - a line's worth
