"""Carry out a step: send each of its round trips, and resume it with the replies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from workkit.errors import ServerError
from workkit.store.round_trip import Command, Step

__all__ = ["StepCarrier", "carry", "carry_async"]

R = TypeVar("R")


class StepCarrier(Protocol):
    """Carries out a step: a connection, or the simulator."""

    def __call__(self, step: Step[Any]) -> Any:
        """Return what the step returns.

        Raises:
            ServerError: Redis did not answer, or refused.
        """
        ...


def carry(step: Step[R], send: Callable[[Sequence[Command]], list[Any]]) -> R:
    """Carry out a step.

    Args:
        step: The step.
        send: Sends the commands of a round trip and returns their replies.

    Raises:
        ServerError: `send` raised it and the step did not handle it.
    """
    try:
        trip = next(step)
        while True:
            try:
                replies = send(trip.commands)
            except ServerError as error:
                trip = step.throw(error)
            else:
                trip = step.send(replies)
    except StopIteration as stop:
        result: R = stop.value
        return result


async def carry_async(
    step: Step[R], send: Callable[[Sequence[Command]], Awaitable[list[Any]]]
) -> R:
    """Carry out a step on an event loop; as `carry`."""
    try:
        trip = next(step)
        while True:
            try:
                replies = await send(trip.commands)
            except ServerError as error:
                trip = step.throw(error)
            else:
                trip = step.send(replies)
    except StopIteration as stop:
        result: R = stop.value
        return result
