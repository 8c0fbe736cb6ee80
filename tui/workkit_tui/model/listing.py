"""Lists that fit into memory: sorted by a column, filtered by words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, get_args

from workkit.admin.attention import Kind

__all__ = ["TROUBLE_WORDS", "Order", "narrowed", "ordered", "trouble_word"]

R = TypeVar("R")

_QUEUE: Final = "queue-"


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


def trouble_word(kind: Kind) -> str:
    """Return the word that picks the queues of a kind of concern, such as "is:paused"."""
    return f"is:{kind.removeprefix(_QUEUE)}"


#: The words that pick the queues of one trouble.
TROUBLE_WORDS: Final = tuple(
    trouble_word(kind) for kind in sorted(get_args(Kind)) if kind.startswith(_QUEUE)
)


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
