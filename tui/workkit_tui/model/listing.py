"""Lists that fit into memory: sorted by a column, filtered by words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

__all__ = ["Order", "narrowed", "ordered"]

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Order(Generic[R]):
    """A sort order.

    Attributes:
        title: The title of its column.
        key: Returns the value to compare.
        falling: Whether the greatest come first.
    """

    title: str
    key: Callable[[R], Any]
    falling: bool = False


def ordered(rows: Iterable[R], order: Order[R], *, inverted: bool) -> list[R]:
    """Return sorted rows; `inverted` reverses the order."""
    return sorted(rows, key=order.key, reverse=order.falling != inverted)


def narrowed(rows: Sequence[R], words: str, text: Callable[[R], str]) -> list[R]:
    """Return the rows that contain each word, and no word written after a "-"; case is ignored.

    Args:
        rows: The rows.
        words: Words with spaces between.
        text: Returns the text of a row to search in.
    """
    wanted = words.casefold().split()

    def fits(row: R) -> bool:
        found = text(row).casefold()
        return all(
            word[1:] not in found if word.startswith("-") and len(word) > 1 else word in found
            for word in wanted
        )

    return [row for row in rows if fits(row)]
