"""How enqueuers and clients reach a simulated server: from handlers, and from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from workkit.errors import ServerError
from workkit.simulation.parking import current_stack
from workkit.simulation.strands import Send
from workkit.store.round_trip import Step

if TYPE_CHECKING:
    from workkit.simulation.network import Network

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
        stack = current_stack()
        answer: Any = None
        try:
            exchange = next(step)
            while True:
                try:
                    if stack is not None:
                        answer = stack.ask(Send(exchange.commands))
                    else:
                        answer = self._network.at_once(exchange.commands)
                except ServerError as error:
                    exchange = step.throw(error)
                else:
                    exchange = step.send(answer)
        except StopIteration as stop:
            result: R = stop.value
            return result

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
