"""Counts the values of args of two sides, in histories of any size.

The args are read up to three times. In a long history, `Sieve` first finds out which keys and
values may come often enough, so that ids and other values that few jobs share are never remembered.
The second reading tells what kind of values each key has, and where the quarters of its numbers
begin and end, to one part in 256. The third one counts the values, and finds the quarters exactly.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias

import msgspec

from workkit.frames.args import EXACT_FLOAT, collected
from workkit.frames.extra import np, pd
from workkit.frames.sides import quantile

__all__ = ["ArgCounts", "Side", "Sieve"]

#: 0 for failed jobs, 1 for done ones.
Side: TypeAlias = Literal[0, 1]

#: A number with more values than this is grouped by quarters of its range.
_MANY: Final = 20
_QUARTERS: Final = 4
#: So many rows are looked at together: their args take much more memory than their JSON.
_ROWS: Final = 16_384
#: Counts in a sieve end here.
_FULL: Final = 255
#: A sieve has 2 to the power of this many counts, a byte each: 128 MiB.
_SIEVE_BITS: Final = 27
#: Binary digits of a float that are not looked at in the second reading, of 64.
_UNSEEN_BITS: Final = 44
_SIGN: Final = np.uint64(1 << 63)
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)

_encode: Final = msgspec.json.encode


class Sieve:
    """Tells which keys and values may come often, without remembering them.

    Args:
        least: How often is often.
    """

    def __init__(self, least: int) -> None:
        self._least = min(least, _FULL)
        self._table = np.zeros(1 << _SIEVE_BITS, np.uint8)

    def look(self, args: Any) -> None:
        """Look at the args of executions, a Series."""
        for found in _values_of(args):
            marks: list[int] = []
            numbers: list[int] = []
            for key, values, times in found:
                marks.append(hash(key))
                numbers.append(int(times.sum()))
                marks += _marks(key, values)
                numbers += times.tolist()
            counts = np.array(numbers, np.int64)
            for places in _places(marks):
                cells, which = np.unique(places, return_inverse=True)
                more = np.bincount(which, counts, len(cells)).astype(np.int64)
                self._table[cells] = np.minimum(self._table[cells] + more, _FULL)

    def often(self, marks: list[int]) -> Any:
        """Tell of each mark whether it may have come often; False is sure."""
        first, second = _places(marks)
        return np.minimum(self._table[first], self._table[second]) >= self._least


class ArgCounts:
    """Counts the values of args of both sides.

    Args:
        least: Keys and values that fewer jobs share are left out.
        sieve: Which keys and values may be shared by so many; all by default.
    """

    def __init__(self, least: int, sieve: Sieve | None = None) -> None:
        self._least = least
        self._sieve = sieve
        self._keys: dict[str, _Key] = {}

    def look(self, side: Side, args: Any) -> None:
        """Look at the args of jobs, a Series, in the reading before they are counted."""
        for found in _values_of(args):
            for often, (key, values, times) in zip(self._often(found), found, strict=True):
                if often:
                    self._keys.setdefault(key, _Key()).look(side, values, times)

    def settle(self) -> bool:
        """Decide how values are counted, after all were looked at; tell if any are."""
        self._keys = {key: each for key, each in self._keys.items() if each.settle() >= self._least}
        return bool(self._keys)

    def count(self, side: Side, args: Any) -> None:
        """Count the same args."""
        for found in _values_of(args):
            for key, values, times in found:
                if key in self._keys:
                    self._keys[key].count(side, key, values, times, self._sieve)

    def tables(self) -> Iterator[tuple[str, list[tuple[str, int, int]]]]:
        """Yield each key with its values, and how many jobs of each side have each."""
        for key in sorted(self._keys):
            yield key, self._keys[key].table()

    def _often(self, found: list[tuple[str, list[Any], Any]]) -> Any:
        if self._sieve is None:
            return [True] * len(found)
        return self._sieve.often([hash(key) for key, _, _ in found])


class _Key:
    """What is known of the values of one key."""

    def __init__(self) -> None:
        self._jobs = [0, 0]
        self._types: set[type] = set()
        self._fit = self._exact = True
        self._few: set[float] = set()
        #: How many numbers have the same first binary digits.
        self._near: Counter[int] = Counter()
        self._kind: Literal["whole", "real", "flag", "text", "quarters"] = "text"
        #: Digits of which each number is counted; of others only the digits matter.
        self._edges = np.zeros(0, np.uint64)
        self._counts: tuple[Counter[Any], Counter[Any]] = (Counter(), Counter())

    def look(self, side: Side, values: list[Any], times: Any) -> None:
        self._jobs[side] += int(times.sum())
        self._types.update(map(type, values))
        whole = [value for value in values if type(value) is int]
        if whole:
            low, high = min(whole), max(whole)
            self._fit &= low >= -(2**63) and high < 2**63
            self._exact &= low >= -EXACT_FLOAT and high <= EXACT_FLOAT
        if not self._numeric():
            self._few, self._near = set(), Counter()
            return
        for value in set(values):
            if len(self._few) > _MANY:
                break
            self._few.add(value)
        digits, which = np.unique(_digits(np.array(values, np.float64)), return_inverse=True)
        found = np.bincount(which, times, len(digits)).astype(np.int64)
        self._near.update(dict(zip(digits.tolist(), found.tolist(), strict=True)))

    def _numeric(self) -> bool:
        if self._types == {int}:
            return self._fit
        return self._types <= {int, float} and self._exact

    def settle(self) -> int:
        """Decide what is counted; return how many jobs have the key, 0 if one side has none."""
        if self._numeric():
            if len(self._few) > _MANY:
                self._kind = "quarters"
                self._edges = self._digits_of_edges()
            else:
                self._kind = "real" if float in self._types else "whole"
        elif self._types == {bool}:
            self._kind = "flag"
        self._few, self._near = set(), Counter()
        return sum(self._jobs) if all(self._jobs) else 0

    def _digits_of_edges(self) -> Any:
        digits = np.array(sorted(self._near), np.uint64)
        ends = np.cumsum([self._near[each] for each in digits.tolist()])
        places = np.arange(_QUARTERS + 1) / _QUARTERS * (ends[-1] - 1)
        ranks = np.concatenate([places.astype(np.int64), places.astype(np.int64) + 1])
        at = np.searchsorted(ends, np.minimum(ranks, ends[-1] - 1), side="right")
        return np.unique(digits[at])

    def count(
        self, side: Side, key: str, values: list[Any], times: Any, sieve: Sieve | None
    ) -> None:
        if self._kind == "quarters":
            numbers = np.array(values, np.float64)
            digits = _digits(numbers)
            numbers = np.where(np.isin(digits, self._edges), numbers, _lowest(digits))
            found, which = np.unique(numbers, return_inverse=True)
            counts = np.bincount(which, times, len(found)).astype(np.int64)
            texts: list[Any] = found.tolist()
        else:
            counts, texts = times, values
            if sieve is not None:
                often = np.flatnonzero(sieve.often(_marks(key, values)))
                counts, texts = times[often], [values[each] for each in often]
            texts = [self._text(value) for value in texts]
        counter = self._counts[side]
        for text, number in zip(texts, counts.tolist(), strict=True):
            counter[text] += number

    def _text(self, value: Any) -> str:
        if self._kind == "text":
            return value if isinstance(value, str) else _encode(value).decode()
        return str(float(value) if self._kind == "real" else value)

    def table(self) -> list[tuple[str, int, int]]:
        bad, good = self._counts
        values = sorted(bad.keys() | good.keys())
        if self._kind == "quarters":
            return _quarters(
                np.array(values), *(np.array([c[v] for v in values]) for c in (bad, good))
            )
        return [(value, bad[value], good[value]) for value in values]


def _quarters(values: Any, bad: Any, good: Any) -> list[tuple[str, int, int]]:
    """Return how many numbers of each side are in each quarter of all."""
    edges = [quantile(values, bad + good, part / _QUARTERS) for part in range(_QUARTERS + 1)]
    cut = pd.cut(values, np.unique(edges), include_lowest=True)
    sums = [np.bincount(cut.codes, side, len(cut.categories)) for side in (bad, good)]
    return [
        (str(span), int(dead), int(done))
        for span, dead, done in zip(cut.categories, *sums, strict=True)
    ]


def _values_of(args: Any) -> Iterator[list[tuple[str, list[Any], Any]]]:
    """Yield the keys of some args with their values, and how many rows have each of these args."""
    every = np.asarray(args, dtype=object)
    for at in range(0, len(every), _ROWS):
        texts = Counter(text for text in every[at : at + _ROWS] if isinstance(text, str))
        times = np.array(list(texts.values()), np.int64)
        yield [
            (key, list(values.values()), times[list(values)])
            for key, values in collected(texts).items()
        ]


def _marks(key: str, values: list[Any]) -> list[int]:
    """Return a number for each value of a key; values that may get the same text have equal ones.

    A number is the same as its text, since among texts it counts as one.
    """
    return [hash((key, _alike(value))) for value in values]


def _alike(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)) or (isinstance(value, str) and value[:1] in _OF_NUMBERS):
        try:
            number = float(value)
        except OverflowError:
            return math.inf if isinstance(value, str) or value > 0 else -math.inf
        except ValueError:
            return value
        return value if math.isnan(number) else number
    return value if isinstance(value, str) else _encode(value).decode()


_OF_NUMBERS: Final = frozenset("-0123456789")


def _places(marks: list[int]) -> tuple[Any, Any]:
    """Return two cells of a sieve for each mark."""
    spread = np.array(marks, np.int64).view(np.uint64) * _MULTIPLIER
    shift = np.uint64(64 - _SIEVE_BITS)
    return spread >> shift, (spread ^ spread >> np.uint64(31)) * _MULTIPLIER >> shift


def _digits(numbers: Any) -> Any:
    """Return the first binary digits of floats, whole numbers in the same order."""
    bits = (numbers + 0.0).view(np.uint64)  # + 0.0: there is only one zero
    ordered = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    return ordered >> np.uint64(_UNSEEN_BITS)


def _lowest(digits: Any) -> Any:
    """Return a number with these first digits."""
    ordered = digits << np.uint64(_UNSEEN_BITS)
    return np.where(ordered & _SIGN, ordered ^ _SIGN, ~ordered).view(np.float64)
