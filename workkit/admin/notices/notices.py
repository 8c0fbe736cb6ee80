"""Compares sights of a namespace with conditions, and returns a notice for each change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from workkit.admin.attention import Level, each_concern
from workkit.admin.notices.conditions import Condition
from workkit.admin.notices.sight import Sight
from workkit.admin.obstacles import takers
from workkit.admin.trends import Trends
from workkit.core.clock import Instant
from workkit.core.text import clean

__all__ = ["SERVER", "Notice", "Notices"]

#: The condition of notices about the server itself.
SERVER: Final = "server"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something begins or ends to need attention.

    Attributes:
        event: "begins" or "ends".
        condition: The condition as it may be written, or "server".
        kind: The measure, or the kind of a concern; "unavailable" for the server.
        subject: The queue, the cron job or the id of the pool, as Redis has it; "" for the whole
            namespace.
        level: "bad" for a fault, "warn" for what may be intended.
        text: The finding in words, without a full stop. Control characters are escaped.
        value: The measured value, in the unit of the measure; None for a concern.
        limit: The threshold; None for a concern.
        at: When it was seen, epoch seconds.
        since: When it began, epoch seconds.
    """

    event: Literal["begins", "ends"]
    condition: str
    kind: str
    subject: str
    level: Level
    text: str
    value: float | None
    limit: float | None
    at: float
    since: float


@dataclass(slots=True)
class _Held:
    """A finding that holds now."""

    notice: Notice
    first_s: float  # monotonic
    told: bool = False


class Notices:
    """Remembers what holds, so that each change is told once. Only one thread may use it.

    Args:
        conditions: What needs attention.
    """

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self.conditions = tuple(dict.fromkeys(conditions))
        self._trends = Trends()
        self._held: dict[tuple[str, str, str], _Held] = {}

    @property
    def measures(self) -> set[str]:
        """The measures that a sight must have; "attention" for the list of concerns."""
        return {each.measure.name if each.measure else "attention" for each in self.conditions}

    @property
    def periods_s(self) -> set[float]:
        """The periods of rates that a sight must have, seconds."""
        return {each.period_s for each in self.conditions if each.period_s}

    def unknown(self, sight: Sight) -> list[str]:
        """Return conditions about one queue or cron job that does not exist, as they are written.

        They may come to exist later. Until then the value is 0.
        """
        return [
            str(each)
            for each in self.conditions
            if each.measure is not None and each.subject is not None and each.subject.exact
            and each.subject.text not in sight.values(each.measure.name)
        ]  # fmt: skip

    def compare(self, sight: Sight, now: Instant) -> list[Notice]:
        """Return a notice for each change since the last sight: first what ends.

        Args:
            sight: The namespace now.
            now: The time.
        """
        self._trends.add(sight.seen, sight.recent)
        found = {
            (notice.condition, notice.kind, notice.subject): (notice, condition.hold_s)
            for condition in self.conditions
            for notice in self._findings(condition, sight, now.epoch_ms / 1_000)
        }
        told = list(self._end(set(found), now.epoch_ms / 1_000))
        for key, (notice, hold_s) in found.items():
            held = self._held.setdefault(key, _Held(notice, now.monotonic_s))
            held.notice = replace(notice, since=held.notice.since)
            if not held.told and now.monotonic_s - held.first_s >= hold_s:
                held.told = True
                told.append(held.notice)
        return told

    def lost(self, error: str, now: Instant) -> list[Notice]:
        """Return a notice that the server does not answer, once. Everything else is unknown.

        Args:
            error: The error.
            now: The time.
        """
        key, at = (SERVER, "unavailable", ""), now.epoch_ms / 1_000
        if key in self._held:
            return []
        notice = Notice("begins", *key, "bad", clean(error), None, None, at, at)
        self._held[key] = _Held(notice, now.monotonic_s, told=True)
        return [notice]

    def _end(self, still: set[tuple[str, str, str]], at_s: float) -> Iterator[Notice]:
        for key in [key for key in self._held if key not in still]:
            held = self._held.pop(key)
            if held.told:
                yield replace(held.notice, event="ends", at=at_s)

    def _findings(self, condition: Condition, sight: Sight, at_s: float) -> Iterable[Notice]:
        if condition.measure is None:
            taken = takers(sight.seen)
            return [
                Notice(
                    "begins", str(condition), concern.kind, concern.about, concern.level,
                    concern.text, None, None, at_s, at_s,
                )
                for concern in each_concern(sight.seen, self._trends, taken)
            ]  # fmt: skip
        return self._crossings(condition, sight, at_s)

    def _crossings(self, condition: Condition, sight: Sight, at_s: float) -> Iterator[Notice]:
        measure, subject = condition.measure, condition.subject
        assert measure is not None  # noqa: S101 - checked by the caller
        exact = subject is not None and subject.exact
        values = sight.values(measure.name, condition.period_s, named=exact)
        if subject is not None and exact:
            values = {subject.text: values.get(subject.text, 0)}
        for name, value in values.items():
            if (subject is None or subject.matches(name)) and condition.holds(value):
                text = measure.sentence(value, clean(name), condition.period_s)
                yield Notice(
                    "begins", str(condition), measure.name, name, measure.level,
                    text, value, condition.limit, at_s, at_s,
                )  # fmt: skip
