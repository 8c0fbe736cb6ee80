"""Lists that fit into memory: sorted by a column, narrowed by words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

__all__ = ["Order", "narrowed", "ordered"]

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Order(Generic[R]):
    """A way to sort.

    Attributes:
        title: The column that it is called by.
        key: What is compared.
        falling: Whether the greatest come first.
    """

    title: str
    key: Callable[[R], Any]
    falling: bool = False


def ordered(rows: Iterable[R], order: Order[R], *, inverted: bool) -> list[R]:
    """Return rows in an order, or the other way round."""
    return sorted(rows, key=order.key, reverse=order.falling != inverted)


def narrowed(rows: Sequence[R], words: str, text: Callable[[R], str]) -> list[R]:
    """Return the rows whose text holds all words, in any case; a word after "-" is not to be there.

    Args:
        rows: The rows.
        words: Words with spaces between.
        text: What of a row is searched.
    """
    wanted = words.casefold().split()

    def fits(row: R) -> bool:
        found = text(row).casefold()
        return all(
            word[1:] not in found if word.startswith("-") and len(word) > 1 else word in found
            for word in wanted
        )

    return [row for row in rows if fits(row)]
