"""The network between simulated hosts and the server, with its faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias

from workkit.core.entropy import Entropy
from workkit.errors import PoolState, ServerError, ServerUnavailable
from workkit.simulation.machine.host import Host, NetworkLine
from workkit.simulation.machine.parking import Abandoned
from workkit.simulation.machine.world import World, microseconds
from workkit.simulation.redis.commands import command_name, keys_of
from workkit.simulation.redis.server import SimulatedServer
from workkit.store.round_trip import Command

__all__ = ["Answer", "Caller", "Network"]

#: How long a request takes in a world without faults, microseconds; the reply takes no time.
_LATENCY_US: Final = 200

#: The replies to a request, or an error if no reply will come.
Answer: TypeAlias = "list[Any] | ServerError"
OnAnswer: TypeAlias = Callable[[Any], None]
OnArrival: TypeAlias = Callable[[tuple[bytes, ...]], None]


class Caller(Protocol):
    """The sender of requests: a connection.

    Attributes:
        host: The machine that it belongs to.
        timeout_us: How long it waits for a reply, microseconds.
    """

    host: Host
    timeout_us: int

    def hung_up(self) -> None:
        """The server has closed the connection."""
        ...


class Network:
    """Carries requests to the server and replies back.

    Args:
        world: The virtual clock and its events.
        server: The server that requests go to.
        entropy: Draws latencies.

    Attributes:
        server: The server that requests go to.
        latency: Minimum and maximum time for one way, seconds; None in a world without faults.
        away_until_us: The server refuses connections before this time.
        closes_at_bytes: The server closes a connection whose reply has more bytes; 0 for no limit.
        over: Whether the world is over; a stack that still sends something is unwound.
        closed: Whether all stacks are unwound as well; then every request is refused.
        before_outsiders: Called with the keys of a request that comes from outside the world.
    """

    def __init__(self, world: World, server: SimulatedServer, entropy: Entropy) -> None:
        self._world = world
        self._entropy = entropy
        self.server = server
        self.latency: tuple[float, float] | None = None
        self.away_until_us = 0
        self.closes_at_bytes = 0
        self.over = False
        self.closed = False
        self.before_outsiders: Callable[[Sequence[bytes]], None] | None = None
        server.gate, server.before_visits = self._admit, self._announce_outsider

    @property
    def is_troubled(self) -> bool:
        """Whether something is wrong with the whole network."""
        return self.latency is not None or self.is_away

    @property
    def is_away(self) -> bool:
        """Whether the server refuses connections."""
        return self.away_until_us > self._world.now_us

    def carry(
        self,
        connection: Caller,
        commands: Sequence[Command],
        then: OnAnswer,
        watch: OnArrival | None = None,
    ) -> None:
        """Carry a request.

        Args:
            connection: The sender.
            commands: The commands of the request.
            then: Called on the sender's host with the replies or the error.
            watch: Called with the keys of the request when it reaches the server.
        """
        line = connection.host.line
        now_us = self._world.now_us
        if self.away_until_us > now_us:
            self._fail(connection, then, _LATENCY_US, "connection refused")
            return
        if line.loses_requests(now_us):
            self._fail(connection, then, connection.timeout_us, "timed out")
            return
        there_us = self._one_way(line) + max(line.hold_until_us - now_us, 0)
        back_us = self._one_way(line) if self.latency or line.slow_until_us > now_us else 0
        if there_us + back_us > connection.timeout_us:
            # The caller gives up, but the request still arrives.
            self._fail(connection, then, connection.timeout_us, "timed out")
            then, watch = _nobody, None
        self._world.after(there_us, self._arrive, connection, commands, then, watch, back_us)

    def _one_way(self, line: NetworkLine) -> int:
        if line.slow_until_us > self._world.now_us:
            return line.slow_us
        return microseconds(self._entropy.uniform(*self.latency)) if self.latency else _LATENCY_US

    def _fail(self, connection: Caller, then: OnAnswer, delay_us: int, why: str) -> None:
        error = ServerUnavailable(f"no answer from the simulated Redis: {why}")
        self._world.after(delay_us, connection.host.happen, then, error)

    def _arrive(
        self,
        connection: Caller,
        commands: Sequence[Command],
        then: OnAnswer,
        watch: OnArrival | None,
        back_us: int,
    ) -> None:
        host = connection.host
        if self.away_until_us > self._world.now_us:
            self._fail(connection, then, 0, "the connection was closed")
            return
        host.sent += len(commands)
        outcome: list[Any] | None
        if host.line.traps:
            outcome = self._trapped(connection, commands)
        else:
            outcome = self.server.execute(commands, connection)
        if watch is not None and outcome is not None:
            watch(tuple(key for each in commands for key in keys_of(each)))
        if outcome is None:
            self._fail(connection, then, connection.timeout_us, "the reply was lost")
        elif self.closes_at_bytes and _bytes_in(outcome) > self.closes_at_bytes:
            self._fail(connection, then, 0, "the connection was closed")
        elif back_us or host.line.loses_replies(self._world.now_us):
            self._world.after(back_us, self._return, connection, then, outcome)
        else:
            host.happen(then, outcome)

    def _trapped(self, connection: Caller, commands: Sequence[Command]) -> list[Any] | None:
        """Carry out commands one by one; None if the reply is lost."""
        line = connection.host.line
        replies: list[Any] = []
        answered = True
        for command in commands:
            name = command_name(command)
            sprung = [trap for trap in line.traps if trap.counts(name)]
            line.traps = [trap for trap in line.traps if trap not in sprung]
            if not all(trap.spring(name) for trap in sprung if trap.when == "before"):
                return None
            replies += self.server.execute([command], connection)
            if not all(trap.spring(name) for trap in sprung if trap.when == "after"):
                answered = False
            if connection.host.crashed:
                return None
        return replies if answered else None

    def _return(self, connection: Caller, then: OnAnswer, outcome: list[Any]) -> None:
        if connection.host.line.loses_replies(self._world.now_us):
            self._fail(connection, then, connection.timeout_us, "the reply was lost")
        else:
            connection.host.happen(then, outcome)

    def announce(self, connection: Caller, announced: Callable[[], None]) -> None:
        """Carry a change announcement from the server to a connection."""
        line = connection.host.line
        if not line.loses_replies(self._world.now_us):
            self._world.after(self._one_way(line), connection.host.happen, announced)

    def hang_up(self) -> None:
        """Close the connections that listen; the others notice when they next send."""
        for connection in self.server.listeners():
            connection.hung_up()

    def at_once(self, commands: Sequence[Command]) -> list[Any]:
        """Carry out a request from outside the world, without any virtual time.

        Raises:
            ServerUnavailable: The server is away.
        """
        self._admit()
        if self.before_outsiders is not None:
            self._announce_outsider([key for command in commands for key in keys_of(command)])
        return self.server.execute(commands)

    def _admit(self) -> None:
        if self.closed:
            raise PoolState("the simulation is closed")
        if self.over:
            raise Abandoned
        if self.away_until_us > self._world.now_us:
            raise ServerUnavailable("no answer from the simulated Redis: connection refused")

    def _announce_outsider(self, keys: Sequence[bytes]) -> None:
        hook, self.before_outsiders = self.before_outsiders, None
        if hook is not None:  # the hook sends requests from outside itself
            hook(keys)
            self.before_outsiders = hook


def _bytes_in(reply: Any) -> int:
    """Count the bytes of a reply, without those that only say where its parts end."""
    if isinstance(reply, list):
        return sum(map(_bytes_in, reply))
    return len(reply) if isinstance(reply, bytes) else 0


def _nobody(outcome: Answer) -> None:
    """Ignore a reply: its caller has given up."""
    del outcome
