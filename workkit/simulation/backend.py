"""The servers that a simulated world can stand on: memory, fakeredis, or a real one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from workkit.errors import InvalidOption, MissingExtra, ServerRefused
from workkit.simulation.memory import MemoryBackend
from workkit.store.connections.link import Link
from workkit.store.connections.target import Target, client_of
from workkit.store.round_trip import Command
from workkit.store.scripts import all_scripts

__all__ = ["Backend", "LinkBackend", "open_backend"]


class Backend(Protocol):
    """A server that carries out commands at once; it knows nothing of virtual time."""

    @property
    def client(self) -> Any:
        """A redis-py client of the same server."""
        ...

    def send(self, commands: Sequence[Command]) -> list[Any]:
        """Carry out commands in a row; errors come back as `ServerRefused` values."""
        ...

    def close(self) -> None:
        """Let go of the server."""
        ...


class LinkBackend:
    """Any server that redis-py can reach, fakeredis included.

    Args:
        client: A redis-py client.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self._link = Link(Target.of(client), name="workkit-simulation")
        # A script that the server learned on the way would run after the commands behind it.
        loaded = self._link.send([("SCRIPT", "LOAD", each.source) for each in all_scripts()])
        for reply in loaded:
            if isinstance(reply, ServerRefused):
                raise reply

    def send(self, commands: Sequence[Command]) -> list[Any]:
        """Carry out commands in a row."""
        return self._link.send(commands)

    def close(self) -> None:
        """Close the connection."""
        self._link.close()


def open_backend(server: object) -> Backend:
    """Open what `Simulation(server=...)` names.

    Args:
        server: None for one in memory, "fakeredis", a URL, a redis-py client, or an
            `EmbeddedServer` that runs.

    Raises:
        MissingExtra: What it needs is not installed.
        InvalidOption: It is none of these.
    """
    if server is None:
        return MemoryBackend()
    if server == "fakeredis":
        try:
            import lupa  # noqa: F401 - fakeredis runs scripts with it
            from fakeredis import FakeRedis, FakeServer
        except ImportError:
            raise MissingExtra("the simulator", "simulation") from None
        return LinkBackend(FakeRedis(server=FakeServer()))
    url = getattr(server, "url", server)
    if isinstance(url, str):
        return LinkBackend(client_of(url))
    if hasattr(server, "connection_pool"):
        return LinkBackend(server)
    raise InvalidOption(
        'server must be None, "fakeredis", a URL, a redis-py client or an EmbeddedServer, '
        f"not {type(server).__name__}"
    )
