"""The differences of two jobs, without secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import unified_diff
from itertools import zip_longest
from typing import Any, Final, NamedTuple

from workkit.core.masks import HIDDEN
from workkit.core.text import clean, clip
from workkit_tui.model.job_page import JobPage, RanRow

__all__ = ["ABSENT", "Comparison", "Difference", "compared"]

#: Stands for a member that one of the jobs does not have.
ABSENT: Final = "absent"
#: So many differences of args, and executions of each job, are shown.
_MOST: Final = 200
_MOST_RAN: Final = 50
_VALUE: Final = 400


class Difference(NamedTuple):
    """Something that differs.

    Attributes:
        name: Its name.
        first: What it is in the first job.
        second: What it is in the second job.
    """

    name: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences of two jobs.

    Attributes:
        fields: The fields that differ.
        args: The members of the args that differ, by their paths.
        more_args: How many more members differ.
        error: The lines of a unified diff of the errors, without its head.
        ran: The executions of both, the oldest first; empty texts where one has fewer.
    """

    fields: list[Difference] = field(default_factory=list)
    args: list[Difference] = field(default_factory=list)
    more_args: int = 0
    error: list[str] = field(default_factory=list)
    ran: list[Difference] = field(default_factory=list)

    def text(self, first: str, second: str) -> str:
        """Return it as text.

        Args:
            first: The name of the first job.
            second: The name of the second job.
        """
        lines = [f"--- {first}", f"+++ {second}"]
        for each in (*self.fields, *self.args, *self.ran):
            lines += [f"{each.name}", f"-  {each.first}", f"+  {each.second}"]
        if self.more_args:
            lines.append(f"and {self.more_args:,} more members of the args")
        return "\n".join([*lines, *self.error])


def compared(first: JobPage, second: JobPage) -> Comparison:
    """Compare two jobs. All texts are harmless for a terminal.

    Args:
        first: A job.
        second: Another job, or the same at another time.
    """
    args = list(_args(first, second))
    one, two = first.error().splitlines(), second.error().splitlines()
    return Comparison(
        list(_fields(first, second)),
        args[:_MOST],
        max(len(args) - _MOST, 0),
        list(unified_diff(one, two, lineterm="", n=2))[2:],
        list(_ran(first.executions(), second.executions())),
    )


def _fields(first: JobPage, second: JobPage) -> Iterator[Difference]:
    ones, twos = ({"name": page.name, **dict(page.facts())} for page in (first, second))
    for name in dict.fromkeys((*ones, *twos)):
        one, two = ones.get(name, ABSENT), twos.get(name, ABSENT)
        if one != two:
            yield Difference(name, one, two)


def _args(first: JobPage, second: JobPage) -> Iterator[Difference]:
    if first.job.undecodable or second.job.undecodable:
        one, two = first.args() or "none", second.args() or "none"
        if one != two:
            yield Difference("bytes", _value(one), _value(two))
        return
    sides = [_Side(page.job.args, page.masks.hide(page.job.args)) for page in (first, second)]
    yield from _walk(sides[0], sides[1], "args")


class _Side(NamedTuple):
    """A value, and the same without secrets; `there` tells whether the job has it."""

    raw: Any
    shown: Any
    there: bool = True

    def inner(self, key: Any) -> _Side:
        """Return a member."""
        try:
            return _Side(self.raw[key], self.shown[key])
        except (KeyError, IndexError):
            return _Side(None, None, there=False)

    def words(self) -> str:
        """Return it as JSON in one line."""
        if not self.there:
            return ABSENT
        return _value(json.dumps(self.shown, ensure_ascii=False, default=str))


def _value(text: str) -> str:
    return clip(clean(text[: 4 * _VALUE]), _VALUE)


def _walk(one: _Side, two: _Side, at: str) -> Iterator[Difference]:
    """Yield the differences of two values; what is hidden is compared, and not shown."""
    if isinstance(one.shown, Mapping) and isinstance(two.shown, Mapping):
        for name in dict.fromkeys((*one.shown, *two.shown)):
            yield from _walk(one.inner(name), two.inner(name), f"{at}.{clean(str(name))}")
    elif _is_list(one.shown) and _is_list(two.shown):
        for number in range(max(len(one.shown), len(two.shown))):
            yield from _walk(one.inner(number), two.inner(number), f"{at}[{number}]")
    elif one.there != two.there or not _same(one.raw, two.raw):
        hidden = one.shown == two.shown and HIDDEN in str(one.shown)
        yield Difference(f"{at} (hidden)" if hidden else at, one.words(), two.words())


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _same(one: Any, two: Any) -> bool:
    """Tell whether two values are written the same: 1, 1.0 and true are not."""
    if type(one) is not type(two):
        return False
    return bool(one == two) and (
        not isinstance(one, Mapping | list) or json.dumps(one) == json.dumps(two)
    )


def _ran(ones: Sequence[RanRow], twos: Sequence[RanRow]) -> Iterator[Difference]:
    pairs = zip_longest(reversed(ones[:_MOST_RAN]), reversed(twos[:_MOST_RAN]))
    for number, (one, two) in enumerate(pairs, 1):
        yield Difference(f"{number}", _ran_words(one), _ran_words(two))


def _ran_words(row: RanRow | None) -> str:
    if row is None:
        return ""
    said = f"{row.outcome} after {row.ran}" if row.ran != "-" else row.outcome
    where = f" on {row.host}" if row.host else ""
    return f"{row.ended} {said}{where}{f': {row.error}' if row.error else ''}"
