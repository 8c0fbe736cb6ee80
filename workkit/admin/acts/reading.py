"""Reads the record of acts, the newest first, without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from workkit.admin.acts.act import Act
from workkit.core.options import check_time, check_whole, shown
from workkit.errors import InvalidOption
from workkit.store.calls import acts
from workkit.store.calls.acts import ActRow
from workkit.store.keys import Keys
from workkit.store.walking import Item, Walk

__all__ = ["ActFilter", "Story"]

_PAGE: Final = 500
#: With a limit, the first page has this many entries for each act: most acts have two.
_ENTRIES_AN_ACT: Final = 3
_LATEST_S: Final = 10**12
_MOST: Final = 10**12


@dataclass(frozen=True, slots=True)
class ActFilter:
    """Picks acts.

    Attributes:
        since: Only acts that began then or later, epoch seconds.
        until: Only acts that began before, epoch seconds.
        by: Only acts of this user: NAME@HOST, or the name alone.
        verb: Only acts of this kind.
        limit: At most this many.

    Raises:
        InvalidOption: A filter is not valid.
    """

    since: float | None = None
    until: float | None = None
    by: str | None = None
    verb: str | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        for name, at in (("since", self.since), ("until", self.until)):
            if at is not None:
                check_time(name, at)
                if not 0 <= at <= _LATEST_S:
                    raise InvalidOption(f"{name} must be epoch seconds, not {shown(at)}")
        if self.limit is not None:
            check_whole("limit", self.limit, 0, _MOST)

    def wants(self, act: Act) -> bool:
        """Tell whether an act matches."""
        return (
            (self.since is None or act.at_ms >= self.since * 1_000)
            and (self.until is None or act.at_ms < self.until * 1_000)
            and (self.by is None or self.by in {act.by, act.by.partition("@")[0]})
            and (self.verb is None or self.verb == act.verb)
        )

    def walk(self, keys: Keys) -> Walk[Act, None]:
        """Walk the matching acts, the newest first."""
        story, high, left = Story(), "+", self.limit
        low = str(int(self.since * 1_000)) if self.since else "-"
        count = _PAGE if left is None else min(max(left * _ENTRIES_AN_ACT, 1), _PAGE)
        while left is None or left > 0:
            rows = yield from acts.read(keys, low, high, count, newest_first=True)
            for row in rows:
                act = story.told(row)
                if act is None or not self.wants(act):
                    continue
                yield Item(act)
                left = left - 1 if left is not None else None
                if left == 0:
                    return
            if len(rows) < count:
                return
            count, high = _PAGE, f"({rows[-1].entry_id}"


#: What an end may tell in the place of the beginning.
_OF_ENDS: Final = ("after", "note", "ids", "digest")


@dataclass(slots=True)
class Story:
    """Joins the entries of each act; they come from the newest to the oldest."""

    _ends: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _undone: dict[str, Act] = field(default_factory=dict)

    def told(self, row: ActRow) -> Act | None:
        """Return the act that an entry begins; None for any other entry.

        Entries that workkit has not written, and those of later versions, begin no act.
        """
        found = _body(row)
        if found.get("phase") == "end":
            self._ends.setdefault(_text(found, "id"), found)
            return None
        if found.get("phase") not in {"begin", "whole"}:
            return None
        act = _act(row, found, self._ends.pop(_text(found, "id"), {}))
        undone = self._undone.pop(act.operation_id, None) if act.operation_id else None
        if act.verb == "undo":
            self._undone.setdefault(act.undoes, act)
        if undone is None:
            return act
        return replace(act, undone_by=undone.by, undone_ms=undone.at_ms, undone=undone.done)


def _body(row: ActRow) -> Mapping[str, Any]:
    """Return the fields of an entry; none if it was not written by workkit."""
    if not row.number:
        return {}
    try:
        found = msgspec.json.decode(row.body)
    except msgspec.MsgspecError:
        return {}
    return found if isinstance(found, dict) else {}


def _act(row: ActRow, began: Mapping[str, Any], ended: Mapping[str, Any]) -> Act:
    both = {**began, **{name: ended[name] for name in _OF_ENDS if name in ended}}
    verb, before, after = _text(both, "verb"), _text(both, "before"), _text(both, "after")
    whole = began.get("phase") == "whole"
    if row.result and verb in {"pause", "unpause"}:
        before = "paused" if row.result == b"1" else "running"
    return Act(
        row.number,
        _text(both, "id"),
        _number(both, "at"),
        _text(both, "by"),
        _text(both, "program"),
        verb,
        _text(both, "subject"),
        _text(both, "place"),
        _text(both, "queue"),
        _text(both, "query"),
        _number(both, "planned"),
        _number(ended, "done") if isinstance(ended.get("done"), int) else None,
        tuple(each for each in _list(both, "ids") if isinstance(each, str)),
        _text(both, "digest"),
        before,
        after,
        _text(both, "operation"),
        _text(both, "undoes"),
        _number(both if whole else ended, "at"),
        _text(both, "note"),
    )


def _text(fields: Mapping[str, Any], name: str) -> str:
    found = fields.get(name)
    return found if isinstance(found, str) else ""


def _number(fields: Mapping[str, Any], name: str) -> int:
    found = fields.get(name)
    return found if isinstance(found, int) and 0 <= found < _MOST * 1_000 else 0


def _list(fields: Mapping[str, Any], name: str) -> list[Any]:
    found = fields.get(name)
    return found if isinstance(found, list) else []
