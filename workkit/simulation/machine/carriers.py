"""Carry the steps of enqueuers and clients to a simulated server."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeVar

from workkit.errors import InvalidOption
from workkit.simulation.machine.handler_stack import SendRequest
from workkit.simulation.machine.inside import inside
from workkit.simulation.machine.network import Network
from workkit.simulation.machine.parking import current_stack
from workkit.store.carry import carry
from workkit.store.keys import Keys
from workkit.store.round_trip import Command, Step

__all__ = ["SimulatedAsyncCarrier", "SimulatedCarrier"]

R = TypeVar("R")


class SimulatedCarrier:
    """Carries steps.

    On the stack of a sync handler, a round trip passes through the pool's network and takes virtual
    time. From anywhere else it takes no time.

    Args:
        network: The network between hosts and the server.
        keys: The namespace of the world.
        others: Namespaces of other services.
    """

    def __init__(self, network: Network, keys: Keys, others: Collection[str]) -> None:
        self._network = network
        self._keys = keys
        self._known = {Keys(each).known_jobs for each in (keys.namespace, *others)}

    def check_namespace(self, namespace: str) -> None:
        """Refuse a namespace in which no pool of the world runs jobs.

        Raises:
            InvalidOption: It is not the namespace of the world, nor one of the others.
        """
        if namespace and Keys(namespace).known_jobs not in self._known:
            own = self._keys.namespace
            raise InvalidOption(
                f"the simulation has the namespace {own!r}, and its pools run no jobs of "
                f"{namespace!r}; write sim.namespace, or Simulation(namespace={namespace!r}); "
                "if another service runs these jobs, "
                f"Simulation(other_namespaces=[{namespace!r}])"
            )

    @property
    def label(self) -> str:
        """A name for people."""
        return "a simulated server"

    def carry(self, step: Step[R]) -> R:
        """Carry out a step.

        Raises:
            ServerError: An error that the step did not handle.
        """
        return carry(step, self._send)

    def _send(self, commands: Sequence[Command]) -> list[Any]:
        stack = current_stack()
        if stack is None:
            with inside(None):  # an async handler may have sent it; the server has its own time
                return self._network.at_once(commands)
        replies: list[Any] = stack.ask(SendRequest(commands))
        return replies

    def close(self) -> None:
        """Close nothing; there are no sockets."""


class SimulatedAsyncCarrier:
    """The same for async callers."""

    def __init__(self, carrier: SimulatedCarrier) -> None:
        self._carrier = carrier
        self.check_namespace = carrier.check_namespace

    @property
    def label(self) -> str:
        """A name for people."""
        return self._carrier.label

    async def carry(self, step: Step[R]) -> R:
        """Carry out a step.

        Raises:
            ServerError: An error that the step did not handle.
        """
        return self._carrier.carry(step)

    async def close(self) -> None:
        """Close nothing."""
