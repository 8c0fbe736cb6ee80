"""The checker that history is trimmed as the options of the pools say."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from workkit.core.options import HistoryOptions
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import EXPIRED, RESTORED, RedisChange
from workkit.store.replies import pairs

__all__ = ["HistoryKeepsItsBounds"]

#: Worlds whose history cannot reach a bound are not watched.
_FAR_RECORDS: Final = 5_000
_FAR_BYTES: Final = 2**21
#: A pool trims by the server's clock, or by its own where the two are this near; seconds.
_NEAR_S: Final = 1.1
#: What is too old is deleted within two minutes, and a pool asks for it once a minute; seconds.
_TOO_LATE_S: Final = 125.0
#: Bounds are checked from time to time. A trim leaves what they allow, and a part of an entry.
_MOST: Final = 2.0
_LEAST: Final = 0.95
_MS: Final = 1_000


class _Entry(NamedTuple):
    """One entry of the history stream.

    Attributes:
        ms: When it was written, epoch milliseconds.
        total: The running total of records, with those of this entry.
        records: How many records it has.
        total_bytes: The running total of bytes.
        size: Its bytes, without what Redis adds.
    """

    ms: int
    total: int
    records: int
    total_bytes: int
    size: int


class HistoryKeepsItsBounds(Checker):
    """A trim removes what is beyond the bounds of `HistoryOptions`, and leaves the rest.

    By number and by size: history has at most twice its bound, and a trim leaves a quarter of it or
    more. By age: records are deleted within two minutes after they are too old, and not before.
    """

    rule = "history keeps what its bounds allow"

    def __init__(self) -> None:
        self._entries: deque[_Entry] = deque()
        self._is_known = False

    def changed(self, change: RedisChange) -> None:
        """Compare what history has lost with the bounds of the pool that trimmed it."""
        history = self.scene.keys.history
        if history not in change.keys:
            return
        if change.command in {EXPIRED, RESTORED}:
            self._is_known = False
        elif change.command in {"exchange", "XTRIM"} and change.pool:
            options = self.scene.conditions.spec(change.pool).history
            if options is not None and _is_near(options):
                self._look(change, options)

    def wiped(self) -> None:
        """Forget the entries, as Redis has."""
        self._entries.clear()

    def _look(self, change: RedisChange, options: HistoryOptions) -> None:
        first, last = self._ends()
        entries = self._entries
        if not self._is_known:
            entries.clear()
            self._is_known = True
        if last is None or first is None:
            if change.command == "XTRIM" and entries:  # all were too old
                self._check_age(change, options, list(entries), None)
            entries.clear()
            return
        if not entries or last.total > entries[-1].total:
            entries.append(last)
        before = list(entries) if entries[0].total < first.total else []
        gone = [each for each in before if each.total < first.total]
        for _ in gone:
            entries.popleft()
        if change.command == "XTRIM":
            self._check_age(change, options, gone, first)
        else:
            self._check_size(change, options, before)
            self._check_delay(change, options, first)

    def _ends(self) -> tuple[_Entry | None, _Entry | None]:
        key = self.scene.keys.history
        return (
            _read(self.scene.read("XRANGE", key, "-", "+", "COUNT", 1)),
            _read(self.scene.read("XREVRANGE", key, "+", "-", "COUNT", 1)),
        )

    def _check_size(
        self, change: RedisChange, options: HistoryOptions, before: Sequence[_Entry]
    ) -> None:
        """Check what an exchange keeps, and what it has trimmed."""
        kept, most_bytes = _sums(self._entries), options.max_bytes
        newest = self._entries[-1]
        if kept[0] > _MOST * options.max_records + newest.records:
            self.violated(f"history has {kept[0]} records, of at most {options.max_records}")
        if most_bytes and kept[1] > _MOST * most_bytes + newest.size:
            self.violated(f"history has {kept[1]} bytes, of at most {most_bytes}")
        if not before or len(self._entries) == 1:
            return
        had = _sums(before)
        if had[0] <= options.max_records and not (most_bytes and had[1] > _LEAST * most_bytes):
            self.violated(
                f"{change.pool} trimmed {had[0]} records, though it keeps {options.max_records}"
            )
        few = kept[0] < _LEAST * options.max_records
        if few and not (most_bytes and kept[1] > _LEAST * most_bytes):
            self.violated(
                f"{change.pool} left {kept[0]} records of {had[0]}, and keeps {options.max_records}"
            )

    def _check_age(
        self,
        change: RedisChange,
        options: HistoryOptions,
        gone: Sequence[_Entry],
        first: _Entry | None,
    ) -> None:
        """Check what a pool has deleted by age."""
        if self.scene.conditions.undisturbed_s(change.pool) < _TOO_LATE_S:
            return  # its clock may be wrong, or its request was held up
        now_s, age_s = self.scene.true_s(), options.max_age_s
        if gone and (age_s is None or now_s - gone[-1].ms / _MS < age_s - _NEAR_S):
            self.violated(f"{change.pool} deleted a record of {now_s - gone[-1].ms / _MS:.1f} s")
        if first is not None and age_s is not None and now_s - first.ms / _MS > age_s + _NEAR_S:
            self.violated(f"{change.pool} left a record of {now_s - first.ms / _MS:.1f} s")

    def _check_delay(self, change: RedisChange, options: HistoryOptions, first: _Entry) -> None:
        """Check that a pool has deleted what is too old."""
        if options.max_age_s is None:
            return
        late_s = self.scene.true_s() - first.ms / _MS - options.max_age_s
        if late_s > _TOO_LATE_S < self.scene.conditions.undisturbed_s(change.pool):
            self.violated(f"a record should have been deleted {late_s:.1f} s ago")


def _is_near(options: HistoryOptions) -> bool:
    """Tell whether a world may reach a bound."""
    return (
        options.max_age_s is not None
        or options.max_records < _FAR_RECORDS
        or 0 < options.max_bytes < _FAR_BYTES
    )


def _sums(entries: Sequence[_Entry] | deque[_Entry]) -> tuple[int, int]:
    """Return how many records and bytes are in entries that follow one another."""
    first, last = entries[0], entries[-1]
    return (
        last.total - first.total + first.records,
        last.total_bytes - first.total_bytes + first.size,
    )


def _read(entries: Any) -> _Entry | None:
    if not isinstance(entries, list) or not entries:
        return None
    entry_id, fields = entries[0]
    ms, _, total = entry_id.decode().partition("-")
    named = dict(pairs(fields))
    return _Entry(int(ms), int(total), int(named[b"n"]), int(named[b"b"]), len(named[b"r"]))
