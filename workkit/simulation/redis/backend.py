"""The servers of a simulated world: fakeredis, or a real one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from workkit.core.entropy import Entropy
from workkit.errors import MissingExtra, ServerError, ServerRefused
from workkit.store.connections.link import Link
from workkit.store.connections.refusals import NOT_NOW, refusal
from workkit.store.connections.target import Target
from workkit.store.round_trip import CONFIRMING, Command
from workkit.store.scripts import all_scripts

__all__ = [
    "Backend",
    "LinkBackend",
    "StockFake",
    "Visits",
    "confirmed",
    "is_outage",
    "require_extra",
]

#: Keys that expire in virtual time get this expiry on the server, in the year 9999. So a key that
#: lost its time to live differs from one that kept it.
_FAR_MS: Final = 253_402_300_799_000
#: More than the longest time to live that the engine sets, milliseconds.
_LONG_MS: Final = 10**14
_CHUNK: Final = 1_000
#: The codes of servers that refuse writes.
_REFUSALS: Final = frozenset({"OOM", "READONLY"})


class Visits(Protocol):
    """The parts of the world that a server needs to carry out a user's own commands.

    Attributes:
        start_s: When the world began, epoch seconds.
        dice: Makes the random choices of such commands.
    """

    start_s: float
    dice: Entropy

    def now_us(self) -> int:
        """Return the time, microseconds since the world began."""
        ...

    def admit(self) -> None:
        """Check that the server can be reached.

        Raises:
            ServerUnavailable: The server is away.
        """
        ...

    def arrives(self, verb: str, fields: Sequence[bytes], *, writes: bool) -> str:
        """Return why a command is refused, or ""; called before it is carried out."""
        ...

    def wrote(self, verb: str, keys: Sequence[bytes]) -> None:
        """Record the keys that a command has written."""
        ...


class Backend(Protocol):
    """A server that carries out commands at once."""

    @property
    def client(self) -> Any:
        """A redis-py client of the same server."""
        ...

    def receive(self, visits: Visits) -> None:
        """Attach the world; called once."""
        ...

    def send(self, commands: Sequence[Command]) -> list[Any]:
        """Carry out commands one after another; errors come back as `ServerRefused` values."""
        ...

    def ends_us(self, keys: Sequence[bytes]) -> list[int | None]:
        """Return when keys expire that have just been written, microseconds since the world began.

        The world deletes them then. None: never. -1: as before.
        """
        ...

    def wipe(self, keys: Sequence[bytes]) -> None:
        """Delete these keys, or everything on a server that belongs to the world alone."""
        ...

    def close(self) -> None:
        """Close the connection to the server."""
        ...


class LinkBackend:
    """A server that redis-py can reach; its own clock runs in real time.

    Args:
        client: A redis-py client.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self._visits: Visits | None = None
        self._link = Link(Target.of(client), name="workkit-simulation")
        # A script that the server does not know yet would run after the commands that follow it.
        loaded = self._link.send([("SCRIPT", "LOAD", each.source) for each in all_scripts()])
        for reply in loaded:
            if isinstance(reply, ServerRefused):
                raise reply

    def receive(self, visits: Visits) -> None:
        """Attach the world."""
        self._visits = visits

    def send(self, commands: Sequence[Command]) -> list[Any]:
        """Carry out commands one after another."""
        return self._link.send(commands)

    def ends_us(self, keys: Sequence[bytes]) -> list[int | None]:
        """Return when keys expire, and keep the server from expiring them itself."""
        ends: list[int | None] = []
        far: list[Command] = []
        now_us = self._visits.now_us() if self._visits is not None else 0
        for key, life_ms in zip(keys, self.send([("PTTL", key) for key in keys]), strict=True):
            if not isinstance(life_ms, int) or life_ms < 0:
                ends.append(None)
            elif life_ms >= _LONG_MS:
                ends.append(-1)
            else:
                # All times to live are whole seconds; some milliseconds of this one have passed.
                ends.append(now_us + -(-life_ms // 1000) * 1_000_000)
                far.append(("PEXPIREAT", key, _FAR_MS))
        if far:
            self.send(far)
        return ends

    def wipe(self, keys: Sequence[bytes]) -> None:
        """Delete the keys of the world, and nothing else."""
        for start in range(0, len(keys), _CHUNK):
            self.send([("DEL", *keys[start : start + _CHUNK])])

    def close(self) -> None:
        """Close the connection."""
        self._link.close()


class StockFake(LinkBackend):
    """fakeredis on its ordinary path.

    Raises:
        MissingExtra: fakeredis or lupa is not installed.
    """

    def __init__(self) -> None:
        require_extra()
        from fakeredis import FakeRedis, FakeServer

        super().__init__(FakeRedis(server=FakeServer()))

    def send(self, commands: Sequence[Command]) -> list[Any]:
        """Carry out commands one after another."""
        if not any(command[0] in CONFIRMING for command in commands):
            return super().send(commands)
        known = [command for command in commands if command[0] not in CONFIRMING]
        replies = iter(super().send(known) if known else ())
        return [
            confirmed(command) if command[0] in CONFIRMING else next(replies)
            for command in commands
        ]


def require_extra() -> None:
    """Check that fakeredis can be used.

    Raises:
        MissingExtra: fakeredis or lupa is not installed.
    """
    try:
        import fakeredis  # noqa: F401
        import lupa  # noqa: F401 - fakeredis runs scripts with it
    except ImportError:
        raise MissingExtra("the simulator", "simulation") from None


def confirmed(command: Command) -> Any:
    """Answer WAIT or WAITAOF as if all replicas asked for, and the disk, had everything."""
    verb, *counts = command
    return counts[0] if verb == "WAIT" else counts[:2]


def is_outage(error: Exception) -> bool:
    """Tell whether an error is one of workkit or redis-py that a fault of Redis can cause."""
    if isinstance(error, (ServerError, *NOT_NOW)):
        return True
    return type(error).__module__ == "redis.exceptions" and refusal(error).code in _REFUSALS  # type: ignore[arg-type] # its text counts, whatever its class
