"""Turns the terms of a query into tests of jobs."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any, Final

from workkit.admin.query.fields import ALIASES, BARE, FIELDS, Field, json_text
from workkit.admin.query.syntax import Term, Value
from workkit.core.records import Placed
from workkit.core.text import read_span
from workkit.errors import InvalidQuery

__all__ = ["Test", "term_test"]

#: Tells whether a record matches at a time, epoch seconds.
Test = Callable[[Placed, float], bool]
#: Tells whether a field's value matches.
Compare = Callable[[Any], bool]

_SIGNS: Final = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_NUMBER: Final = re.compile(r"-?\d{1,18}(?:\.\d{0,9})?", re.ASCII)
_MARKS: Final = ("unique", "failed", "cron", "junk")
_PLACES: Final = ("queued", "running", "scheduled", "retry", "dead")
_CHOICES: Final = {"is": _MARKS, "place": _PLACES}


def term_test(query: str, term: Term) -> Test:
    """Make the test of a term.

    Args:
        query: The whole query, for error messages.
        term: The term.

    Raises:
        InvalidQuery: The field is unknown, or a value is not valid for it.
    """
    if not term.field:
        return _bare_test(term)
    name = term.field.lower()
    if name.partition(".")[0] in {"args", "arg"} and "." in name:
        return _arg_test(query, term)
    field = FIELDS.get(ALIASES.get(name, name))
    if field is None:
        raise InvalidQuery(query, term.at, _unknown(term.field))
    compares = [_compare(query, field, value) for value in term.values]
    ask = field.ask

    def test(placed: Placed, now_s: float) -> bool:
        found = ask(placed, now_s)
        return found is not None and any(compare(found) for compare in compares)

    return test


def _unknown(name: str) -> str:
    from difflib import get_close_matches

    alike = get_close_matches(name.lower(), [*FIELDS, *ALIASES], n=1)
    hint = f"did you mean {alike[0]}?" if alike else f"known: {', '.join(FIELDS)} and args.NAME"
    return f"unknown field {name!r}; {hint} (put a text that contains a colon in quotes)"


def _bare_test(term: Term) -> Test:
    """Search bare words in several fields; see `BARE`."""
    compares = [_part(value) for value in term.values]
    asks = [FIELDS[name].ask for name in BARE]

    def test(placed: Placed, now_s: float) -> bool:
        texts = [text for ask in asks if (text := ask(placed, now_s)) is not None]
        return any(compare(text) for compare in compares for text in texts)

    return test


def _arg_test(query: str, term: Term) -> Test:
    """Compare one arg, found by its path. A sign or a range compares numbers by size."""
    path = term.field.partition(".")[2].split(".")
    if not all(path):
        raise InvalidQuery(query, term.at, "name the arg after the dot, as in args.tenant:acme")
    compares = [_arg_compare(query, value) for value in term.values]

    def test(placed: Placed, _now_s: float) -> bool:
        found = _walk(placed.job.args, path)
        return found is not _MISSING and any(compare(found) for compare in compares)

    return test


_MISSING: Final = object()


def _walk(value: Any, path: list[str]) -> Any:
    """Follow a path into args. A number is an index of an array."""
    for part in path:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return _MISSING
    return value


def _arg_compare(query: str, value: Value) -> Compare:
    if not value.quoted and (value.text[0] in "<>" or ".." in value.text):
        by_size = _number(query, value)
        return lambda found: (
            isinstance(found, (int, float)) and not isinstance(found, bool) and by_size(found)
        )
    whole = _whole(value)
    return lambda found: whole(json_text(found))


def _compare(query: str, field: Field, value: Value) -> Compare:
    if field.kind == "text":
        return _part(value)
    if field.kind == "number":
        return _number(query, value)
    if field.kind == "span":
        return _span(query, value)
    if field.name in _CHOICES:
        return _choice(query, field, value)
    return _whole(value)


def _choice(query: str, field: Field, value: Value) -> Compare:
    wanted, choices = value.text.lower(), _CHOICES[field.name]
    if wanted not in choices:
        raise InvalidQuery(query, value.at, f"{field.name}: takes {', '.join(choices)}")
    return lambda found: wanted in found if isinstance(found, list) else wanted == found


def _part(value: Value) -> Compare:
    """Search for a text anywhere, ignoring case. ``*`` matches anything."""
    wanted = value.text.casefold()
    if value.quoted or "*" not in wanted:
        return lambda found: wanted in found.casefold()
    parts = wanted.split("*")
    return lambda found: _in_order(parts, found.casefold(), 0) is not None


def _whole(value: Value) -> Compare:
    """Compare the whole text. ``*`` matches anything."""
    wanted = value.text
    if not value.quoted and wanted.startswith("="):
        wanted = wanted[1:]
    if value.quoted or "*" not in wanted:
        return lambda found: bool(found == wanted)
    head, *inner, tail = wanted.split("*")

    def compare(found: str) -> bool:
        if not found.startswith(head) or not found.endswith(tail):
            return False
        end = _in_order(inner, found, len(head))
        return end is not None and end <= len(found) - len(tail)

    return compare


def _in_order(parts: list[str], text: str, start: int) -> int | None:
    """Find parts one after the other. Return the end of the last one, or None if one is missing.

    This takes linear time. A regular expression with many wildcards can take far longer.
    """
    for part in parts:
        at = text.find(part, start)
        if at < 0:
            return None
        start = at + len(part)
    return start


def _number(query: str, value: Value) -> Compare:
    return _sized(query, value, _read_number, "a number such as 3, >3, <=10 or 3..5")


def _span(query: str, value: Value) -> Compare:
    return _sized(query, value, _read_seconds, "a span of time such as >1h, <90s or 1h..2d")


def _read_number(text: str) -> float | None:
    if not _NUMBER.fullmatch(text):
        return None
    return float(text) if "." in text else int(text)


def _read_seconds(text: str) -> float | None:
    negative = text.startswith("-")
    read = read_span(text.removeprefix("-"))
    return None if read is None else -read[0] if negative else read[0]


def _sized(query: str, value: Value, read: Callable[[str], float | None], wants: str) -> Compare:
    """Compare by size with a sign and a bound, a range, or a single number."""
    text = value.text
    low_text, dots, high_text = text.partition("..")
    if dots:
        low, high = read(low_text), read(high_text)
        if low is None or high is None:
            raise InvalidQuery(query, value.at, f"{text!r} is not {wants}")
        return lambda found: bool(low <= found <= high)
    sign = next((sign for sign in _SIGNS if text.startswith(sign)), "")
    bound = read(text[len(sign) :])
    if bound is None:
        raise InvalidQuery(query, value.at, f"{text!r} is not {wants}")
    compare = _SIGNS.get(sign, operator.eq)
    return lambda found: bool(compare(found, bound))
