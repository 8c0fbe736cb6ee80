"""How the calls of scripts lay out their arguments: fixed ones first, then rows of one width.

The module of a script describes its fixed arguments and its rows as records. It packs a call from
them, and reads a call back for those who watch the commands, such as the simulator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from workkit.store.round_trip import Command

__all__ = ["head", "keys_and_args", "rows"]

R = TypeVar("R", bound=NamedTuple)


def keys_and_args(command: Command) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the keys and the other arguments of a command that `call` has made."""
    end = 2 + command[1]
    return command[2:end], command[end:]


def head(record: type[R], args: Sequence[Any]) -> tuple[R, Sequence[Any]]:
    """Split arguments into the record that they begin with, and the rest."""
    width = len(record._fields)
    return record._make(args[:width]), args[width:]


def rows(record: type[R], args: Sequence[Any]) -> list[R]:
    """Split arguments into records that follow each other.

    Raises:
        TypeError: The last record is incomplete.
    """
    width = len(record._fields)
    return [record._make(args[at : at + width]) for at in range(0, len(args), width)]
