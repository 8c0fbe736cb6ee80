"""Connections of simulated hosts, and the loops that run on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from workkit.errors import ServerError, ServerUnavailable
from workkit.simulation.machine.host import Host
from workkit.simulation.machine.network import Answer, Network
from workkit.simulation.machine.world import Timer, World, microseconds
from workkit.store.connections.routine import Routine, Wait, WatchRequest
from workkit.store.round_trip import PING, Command, RoundTrip

__all__ = ["Connection", "RoutineDriver"]


class Connection:
    """One connection of a host.

    Args:
        host: The machine that it belongs to.
        network: Carries its requests.
        timeout_s: How long it waits for a reply, seconds.
    """

    def __init__(self, host: Host, network: Network, *, timeout_s: float = 5.0) -> None:
        self.host = host
        self.timeout_us = microseconds(timeout_s)
        self._network = network
        self._listening: tuple[bytes, ...] = ()
        self._heard: list[bytes] = []
        self._patient: frozenset[bytes] = frozenset()
        self.stale: set[bytes] = set()
        self._announced: Callable[[], None] | None = None
        self._broken: Callable[[], None] | None = None

    @property
    def armed(self) -> bool:
        """Whether the watch is still active: nothing was announced or sent since it began.

        Patient keys do not count; `stale` has those that have changed.
        """
        return bool(self._listening)

    def send(self, commands: Sequence[Command], then: Callable[[Answer], None]) -> None:
        """Send commands; `then` is called on this host with the replies or the error."""
        if commands is not PING:
            self._disarm()
        self._network.carry(self, commands, then)

    def watch(
        self,
        request: WatchRequest,
        then: Callable[[Answer], None],
        announced: Callable[[], None],
        broken: Callable[[], None],
    ) -> None:
        """Send a look. After it has reached the server, changes of its keys are announced.

        Args:
            request: The look.
            then: Called with its result.
            announced: Called at the first change.
            broken: Called if the server closes the connection during the watch.
        """
        self.stale = set()
        if not request.again:
            self._disarm()
            self._patient = request.patient
        self._announced, self._broken = announced, broken
        arm = self._arm_again if request.again else self._arm
        self._network.carry(self, request.round_trip.commands, then, watch=arm)

    def _arm(self, keys: tuple[bytes, ...]) -> None:
        self._listening = keys
        self._network.server.listen(self, keys, self._on_change)

    def _arm_again(self, keys: tuple[bytes, ...]) -> None:
        if self.armed:  # otherwise the watch has ended on the way here
            self._arm((*self._listening, *keys))

    def _on_change(self, keys: Sequence[bytes]) -> None:
        changed = {key for key in keys if key in self._listening}
        patient = changed & self._patient
        self.stale |= patient
        if changed - patient:
            self._heard += sorted(changed - patient)
            self._disarm()
        else:
            self._network.server.unlisten(self, sorted(patient))
            self._listening = tuple(key for key in self._listening if key not in patient)
        if self._announced is not None:
            self._network.announce(self, self._announced)

    def take_announced(self) -> list[bytes]:
        """Return the keys whose change was announced since the last call, without patient ones."""
        heard, self._heard = self._heard, []
        return heard

    def hung_up(self) -> None:
        """End the watch, because the server has closed the connection."""
        self._disarm()
        if self._broken is not None:
            self.host.soon(self._broken)

    def _disarm(self) -> None:
        if self._listening:
            self._network.server.unlisten(self, self._listening)
            self._listening = ()

    def close(self) -> None:
        """End the watch."""
        self._disarm()


class RoutineDriver:
    """Runs a routine in virtual time, and serves as the alarm of its loop.

    Args:
        host: The machine that it runs on.
        connection: Sends its round trips.
    """

    def __init__(self, host: Host, connection: Connection) -> None:
        self._host = host
        self._connection = connection
        self._routine: Routine | None = None
        self._ended: Callable[[], object] | None = None
        self._waiting: Timer | None = None
        self._listens = False
        self._armed = False
        self._woken = False

    def start(self, routine: Routine, ended: Callable[[], object] | None = None) -> None:
        """Begin.

        Args:
            routine: The routine.
            ended: Called when the routine has ended.
        """
        self._routine, self._ended = routine, ended
        self._host.soon(self._advance, routine.send, None)

    def _advance(self, resume: Callable[[Any], Any], value: Any) -> None:
        try:
            request = resume(value)
        except StopIteration:
            self._connection.close()
            if self._ended is not None:
                self._ended()
            return
        if type(request) is Wait:
            self._wait(request)
        elif type(request) is WatchRequest:
            self._connection.watch(
                request,
                partial(self._looked, request.round_trip),
                self._announced,
                self._cut,
            )
        else:
            self._connection.send(request.commands, self._answered)

    def _answered(self, outcome: Answer) -> None:
        assert self._routine is not None  # noqa: S101 - it was started
        resume = self._routine.throw if isinstance(outcome, ServerError) else self._routine.send
        self._advance(resume, outcome)

    def _looked(self, round_trip: RoundTrip[Any], outcome: Answer) -> None:
        if not isinstance(outcome, ServerError):
            errors = [reply for reply in outcome if isinstance(reply, ServerError)]
            errors = [] if round_trip.tolerant else errors
            outcome = errors[0] if errors else round_trip.parse(outcome)
        if isinstance(outcome, ServerError):
            self._connection.close()  # nobody knows what the look has read
        self._answered(outcome)

    # Waiting.

    def _wait(self, wait: Wait) -> None:
        self._listens = wait.listen
        deaf = wait.listen and not self._connection.armed  # announced on the way here
        # At least 1 us: a wait of 0 for a time that is a rounding error away would never end.
        delay_us = 0 if self._woken or deaf else max(microseconds(wait.for_s), 1)
        self._waiting = self._host.later(delay_us, self._waited)

    def _waited(self) -> None:
        if self._waiting is not None:
            self._waiting = None
            assert self._routine is not None  # noqa: S101 - it was started
            self._advance(self._routine.send, None)

    def _end_wait(self) -> None:
        if self._waiting is not None:
            World.cancel(self._waiting)
            self._waiting = self._host.soon(self._waited)

    def _announced(self) -> None:
        if self._listens:
            self._end_wait()

    def _cut(self) -> None:
        if self._listens and self._waiting is not None:
            World.cancel(self._waiting)
            self._waiting = None
            self._answered(ServerUnavailable("the simulated Redis closed the connection"))

    def wake(self) -> None:
        """End the current or announced wait."""
        if self._waiting is not None:
            self._end_wait()
        elif self._armed:
            self._woken = True

    def arm(self) -> None:
        """Announce a wait."""
        self._armed, self._woken = True, False

    def disarm(self) -> None:
        """End a wait."""
        self._armed = self._woken = False
