"""Walks: steps that also produce results on their way, such as the batches of a long list.

A walk is a generator that yields round trips, like a step, and `Item`s. `advance` is the step to
the next item. So a walk holds no connection between two items, and the caller may stop there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from workkit.errors import ServerError
from workkit.store.round_trip import RoundTrip, Step

__all__ = ["End", "Item", "Walk", "advance", "each", "each_async", "quietly"]

T = TypeVar("T")
R = TypeVar("R")


class Item(msgspec.Struct, Generic[T], frozen=True):
    """A result of a walk.

    Attributes:
        value: The result.
    """

    value: T


class End(msgspec.Struct, Generic[R], frozen=True):
    """The end of a walk.

    Attributes:
        result: What the walk returns.
    """

    result: R


#: A walk that produces `T` and returns `R`.
Walk: TypeAlias = Generator[RoundTrip[Any] | Item[T], Any, R]


def advance(walk: Walk[T, R], answer: object = None) -> Step[Item[T] | End[R]]:
    """Go on to the next item, or to the end.

    Args:
        walk: The walk.
        answer: What the walk receives for the last item.
    """
    try:
        request = walk.send(answer)
        while not isinstance(request, Item):
            try:
                replies = yield request
            except ServerError as error:
                request = walk.throw(error)
            else:
                request = walk.send(replies)
    except StopIteration as stop:
        return End(stop.value)
    return request


def quietly(walk: Walk[Any, R]) -> Step[R]:
    """Go on to the end; drop the items."""
    while True:
        found = yield from advance(walk)
        if isinstance(found, End):
            return found.result


def each(walk: Walk[T, None], carry: Callable[[Step[Any]], Any]) -> Iterator[T]:
    """Yield the items.

    Args:
        walk: The walk.
        carry: Carries out a step.
    """
    while isinstance(found := carry(advance(walk)), Item):
        yield found.value


async def each_async(
    walk: Walk[T, None], carry: Callable[[Step[Any]], Awaitable[Any]]
) -> AsyncIterator[T]:
    """Yield the items on an event loop; as `each`."""
    while isinstance(found := await carry(advance(walk)), Item):
        yield found.value
