"""How enqueuers and clients reach a simulated server: from handlers, and from outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from workkit.simulation.machine.network import Network
from workkit.simulation.machine.parking import current_stack
from workkit.simulation.machine.strands import SendRequest
from workkit.store.carry import carry
from workkit.store.round_trip import Command, Step

__all__ = ["SimulatedAsyncCarrier", "SimulatedCarrier"]

R = TypeVar("R")


class SimulatedCarrier:
    """Carries steps.

    On the stack of a sync handler, an exchange passes through the pool's network and takes virtual
    time. From anywhere else it happens at once.

    Args:
        network: The way to the server.
    """

    def __init__(self, network: Network) -> None:
        self._network = network

    @property
    def label(self) -> str:
        """A name for people."""
        return "a simulated server"

    def carry(self, step: Step[R]) -> R:
        """Carry out a step.

        Raises:
            ServerError: What the step did not handle itself.
        """
        return carry(step, self._send)

    def _send(self, commands: Sequence[Command]) -> list[Any]:
        stack = current_stack()
        if stack is None:
            return self._network.at_once(commands)
        replies: list[Any] = stack.ask(SendRequest(commands))
        return replies

    def close(self) -> None:
        """Close nothing; there are no sockets."""


class SimulatedAsyncCarrier:
    """The same for tasks.

    Args:
        carrier: What carries out the steps.
    """

    def __init__(self, carrier: SimulatedCarrier) -> None:
        self._carrier = carrier

    async def carry(self, step: Step[R]) -> R:
        """Carry out a step.

        Raises:
            ServerError: What the step did not handle itself.
        """
        return self._carrier.carry(step)

    async def close(self) -> None:
        """Close nothing."""
