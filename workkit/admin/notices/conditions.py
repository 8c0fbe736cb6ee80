"""Parses the conditions of `workkit watch`. Each error points at its place in the condition.

    condition = "attention" | measure [ "[" subject "]" ] [ operator value ] [ "for" span ]
    operator  = ">" | ">=" | "<" | "<="
    value     = number | span | number "/" period
    period    = "s" | "min" | "m" | "h" | "d"

A subject is a queue, or the name of a cron job; ``*`` stands for any characters. In double quotes,
every character stands for itself, and a backslash escapes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from workkit.admin.notices.measures import MEASURES, Measure, Operator
from workkit.core.text import read_span
from workkit.errors import InvalidQuery

__all__ = ["ATTENTION", "DEFAULTS", "Condition", "Subject", "read_condition"]

#: The condition that stands for the console's list of concerns.
ATTENTION: Final = "attention"
#: Conditions if none is given.
DEFAULTS: Final = (ATTENTION, "cron.missed", "lock.drift")
#: Periods of rates, seconds. The first name of a period is the one that is written.
_PERIODS_S: Final = {"s": 1.0, "min": 60.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_SPACE: Final = " \t"
_WORD: Final = re.compile(r"[a-zA-Z][a-zA-Z_.-]*")
_OPERATOR: Final = re.compile(r">=|<=|>|<")
_VALUE: Final = re.compile(r"[^\s]+")
_NUMBER: Final = re.compile(r"\d{1,12}(?:\.\d{0,9})?|\.\d{1,9}", re.ASCII)
_ESCAPED: Final = re.compile(r'["\\]')


@dataclass(frozen=True, slots=True)
class Subject:
    """The queues or cron jobs that a condition is about.

    Attributes:
        text: A name, or a pattern.
        exact: Whether it is a name. In a pattern, ``*`` stands for any characters.
    """

    text: str
    exact: bool

    def matches(self, name: str) -> bool:
        """Tell whether a name is meant."""
        if self.exact:
            return name == self.text
        parts = (re.escape(part) for part in self.text.split("*"))
        return re.fullmatch(".*".join(parts), name, re.DOTALL) is not None

    def __str__(self) -> str:
        """Return it as it is written in a condition."""
        plain = self.text and '"' not in self.text and "]" not in self.text
        if (
            plain
            and self.text == self.text.strip(_SPACE)
            and (not self.exact or "*" not in self.text)
        ):
            return self.text
        return '"' + _ESCAPED.sub(r"\\\g<0>", self.text) + '"'


@dataclass(frozen=True, slots=True)
class Condition:
    """A measure and the values of it that need attention.

    Attributes:
        measure: The measure; None for the list of concerns.
        subject: The queues or cron jobs; None for all.
        operator: Compares a value with the limit.
        limit: The threshold, in the unit of the measure.
        period_s: For a rate: the period, seconds; otherwise 0.
        hold_s: How long the values must stay so before it counts, seconds.
    """

    measure: Measure | None
    subject: Subject | None = None
    operator: Operator = ">"
    limit: float = 0.0
    period_s: float = 0.0
    hold_s: float = 0.0

    def holds(self, value: float) -> bool:
        """Tell whether a value needs attention."""
        if self.operator == ">":
            return value > self.limit
        if self.operator == ">=":
            return value >= self.limit
        return value < self.limit if self.operator == "<" else value <= self.limit

    def __str__(self) -> str:
        """Return a text that `read_condition` reads as this condition."""
        held = f" for {_span(self.hold_s)}" if self.hold_s else ""
        if self.measure is None:
            return ATTENTION + held
        subject = "" if self.subject is None else f"[{self.subject}]"
        limit = (_span if self.measure.unit == "s" else _shortest)(self.limit)
        if self.period_s:
            limit += f"/{next(name for name, s in _PERIODS_S.items() if s == self.period_s)}"
        return f"{self.measure.name}{subject}{self.operator}{limit}{held}"


def read_condition(text: str) -> Condition:
    """Parse a condition.

    Raises:
        InvalidQuery: It is not valid. The message points at the error and names the remedy.
    """
    return _Reader(text).condition()


def _shortest(number: float) -> str:
    """Return a number in digits that the grammar reads, at most nine of them after the point."""
    return f"{number:.9f}".rstrip("0").rstrip(".")


def _span(seconds: float) -> str:
    """Return a span of time in the largest unit that needs no fraction."""
    for unit, unit_s in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and not seconds % unit_s:
            return f"{_shortest(seconds / unit_s)}{unit}"
    return f"{_shortest(seconds)}s"


class _Reader:
    """Reads a condition once, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def condition(self) -> Condition:
        name = self._take(_WORD)
        start = self._at - len(name)
        if name == ATTENTION:
            return Condition(None, hold_s=self._hold())
        if name not in MEASURES:
            raise self._wrong(start, self._unknown(name))
        measure = MEASURES[name]
        subject = self._subject(measure)
        operator = self._take(_OPERATOR)
        if operator:
            limit, period_s = self._value(measure)
        elif measure.default is None:
            raise self._wrong(self._at, f"{name} needs a threshold, such as {_example(measure)}")
        else:
            (operator, limit) = measure.default
            period_s = _PERIODS_S["min"] if measure.unit == "jobs/period" else 0.0
        return Condition(measure, subject, operator, limit, period_s, self._hold())  # type: ignore[arg-type]

    def _wrong(self, at: int, reason: str) -> InvalidQuery:
        return InvalidQuery(self._text, at, reason)

    def _skip_space(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in _SPACE:
            self._at += 1

    def _take(self, pattern: re.Pattern[str]) -> str:
        """Return the text that a pattern finds here; "" if it finds none."""
        self._skip_space()
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[0]

    def _unknown(self, name: str) -> str:
        known = [ATTENTION, *MEASURES]
        alike = get_close_matches(name, known, 1)
        head = f"unknown measure {name!r}" if name else "a measure is missing"
        hint = f"did you mean {alike[0]}?" if alike else f"known are {', '.join(known)}"
        return f"{head}; {hint}"

    def _subject(self, measure: Measure) -> Subject | None:
        start = self._at
        if not self._take(re.compile(r"\[")):
            return None
        if not measure.of:
            raise self._wrong(
                start, f"{measure.name} is of the whole namespace; leave out the brackets"
            )
        quoted = self._take(re.compile('"'))
        text = self._quoted() if quoted else self._until_bracket()
        if not self._take(re.compile(r"\]")):
            raise self._wrong(self._at, "']' is missing after the name")
        if not text:
            raise self._wrong(
                start, f"the name is missing; write {measure.name}[NAME], or no brackets"
            )
        return Subject(text, exact=bool(quoted) or "*" not in text)

    def _quoted(self) -> str:
        found: list[str] = []
        while self._at < len(self._text):
            character = self._text[self._at]
            self._at += 1
            if character == '"':
                return "".join(found)
            if character == "\\" and self._at < len(self._text):
                character = self._text[self._at]
                self._at += 1
            found.append(character)
        raise self._wrong(len(self._text), "the closing '\"' is missing")

    def _until_bracket(self) -> str:
        end = self._text.find("]", self._at)
        end = len(self._text) if end < 0 else end
        text, self._at = self._text[self._at : end], end
        return text.strip(_SPACE)

    def _value(self, measure: Measure) -> tuple[float, float]:
        """Return the threshold in the unit of the measure, and the period of a rate in seconds."""
        written = self._take(_VALUE)
        start = self._at - len(written)
        if measure.unit == "s":
            return self._span(written, start, _example(measure)), 0.0
        number, slash, period = written.partition("/")
        if measure.unit == "jobs/period":
            period_s = _PERIODS_S.get(period)
            if not slash or period_s is None or not _NUMBER.fullmatch(number):
                raise self._wrong(start, _no_number(written, "a rate", measure))
            return float(number), period_s
        if not _NUMBER.fullmatch(written):
            raise self._wrong(start, _no_number(written, "a number", measure))
        return float(written), 0.0

    def _span(self, written: str, at: int, example: str) -> float:
        span = read_span(written)
        if span is None:
            head = f"{written!r} is not a span of time" if written else "a span of time is missing"
            raise self._wrong(at, f"{head}; write 90s, 15m, 2h or 1d, as in {example}")
        return round(span[0], 3)

    def _hold(self) -> float:
        """Read the rest of the condition; returns how long it must hold, seconds."""
        self._skip_space()
        start = self._at
        if start == len(self._text):
            return 0.0
        if self._take(re.compile(r"for(?=\s|$)")):
            written = self._take(_VALUE)
            hold_s = self._span(written, self._at - len(written), "for 2m")
            self._skip_space()
            start = self._at
            if start == len(self._text):
                return hold_s
        raise self._wrong(
            start, "only >, >=, < or <= with a threshold may follow here, and then 'for 2m'"
        )


def _no_number(written: str, what: str, measure: Measure) -> str:
    head = f"{written!r} is not {what}" if written else f"{what} is missing"
    periods = "; the period is s, min, h or d" if measure.unit == "jobs/period" else ""
    return f"{head}; write it as in {_example(measure)}{periods}"


def _example(measure: Measure) -> str:
    value = {"s": "5m", "jobs/period": "5/min", "jobs": "100", "pools": "1"}[measure.unit]
    return f"'{measure.name}>{value}'"
