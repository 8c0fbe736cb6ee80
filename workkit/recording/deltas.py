"""Successive states as differences: bytes are needed only for what has changed.

A state maps keys to values. A delta names each key once, with its first value; from then on the key
is its number. Deltas are packed together in segments, each of which begins with a whole state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

import msgspec

from workkit.core.packing import packed

__all__ = [
    "Delta",
    "Differ",
    "State",
    "key",
    "key_of",
    "known_name",
    "name_of",
    "played",
]

#: Key, as `key` writes it → a value of lists, texts, bytes and numbers.
State: TypeAlias = dict[bytes, Any]

_NAME: Final = msgspec.msgpack.Decoder(tuple[Any, ...]).decode


class Delta(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The difference between two states.

    Attributes:
        at_ms: The time of the later state, epoch milliseconds.
        keys: Keys that were not in this segment before; they get the next numbers.
        numbers: The numbers of the keys whose values are new.
        values: These values.
        removed: The numbers of the keys that are gone.
        event: What belongs to this time only.
    """

    at_ms: int
    keys: list[bytes]
    numbers: list[int]
    values: list[Any]
    removed: list[int]
    event: Any = None


def key(*parts: Any) -> bytes:
    """Return the key of a name of several parts."""
    return packed(parts)


@lru_cache(maxsize=65_536)
def key_of(kind: str, name: str) -> bytes:
    """Return the key of a name that each reading has, such as that of a queue."""
    return packed((kind, name))


def name_of(written: bytes) -> tuple[Any, ...]:
    """Return the parts of a key's name."""
    return _NAME(written)


#: The same for names that each reading has; not for those that hold payloads.
known_name: Final = lru_cache(maxsize=65_536)(_NAME)


class Differ:
    """Writes successive states as deltas. A new one begins with a whole state."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._before: State = {}

    def delta(self, at_ms: int, state: Mapping[bytes, Any], event: Any = None) -> Delta:
        """Return the difference from the state before.

        Args:
            at_ms: The time of the state, epoch milliseconds.
            state: The state.
            event: What belongs to this time only.
        """
        before, known = self._before, self._numbers
        keys: list[bytes] = []
        numbers: list[int] = []
        values: list[Any] = []
        for name, value in state.items():
            number = known.get(name)
            if number is None:
                number = known[name] = len(known)
                keys.append(name)
            elif before.get(name) == value:
                continue
            numbers.append(number)
            values.append(value)
        removed = [known[name] for name in before if name not in state]
        self._before = dict(state)
        return Delta(at_ms, keys, numbers, values, removed, event)


def played(deltas: Iterable[Delta]) -> Iterator[tuple[Delta, State]]:
    """Yield each delta with its state, from the beginning of a segment.

    The state is the same object each time.

    Raises:
        ValueError: The deltas do not belong together.
    """
    keys: list[bytes] = []
    state: State = {}
    for delta in deltas:
        keys += delta.keys
        try:
            for number in delta.removed:
                state.pop(keys[number], None)
            for number, value in zip(delta.numbers, delta.values, strict=True):
                state[keys[number]] = value
        except IndexError:
            raise ValueError("a part is missing") from None
        yield delta, state
