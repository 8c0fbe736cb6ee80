"""Simulated machines, and the state of their way to the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from workkit.simulation.machine.world import HostClock, Timer, World

__all__ = ["Host", "NetworkLine", "Trap"]


class Trap:
    """Something that happens to a host at one of its next commands.

    Args:
        when: "before" the server has carried it out, or "after".
        count: At so many commands that match from now on, 1 for the next.
        command: The name of a command or a script; "" for any.
        spring: What happens. It returns whether the reply comes all the same.
    """

    def __init__(
        self,
        when: Literal["before", "after"],
        count: int,
        command: str,
        spring: Callable[[str], bool],
    ) -> None:
        self.when = when
        self._left = count
        self._command = command
        self.spring = spring

    def counts(self, name: str) -> bool:
        """Count a command; tell whether it is the one."""
        if self._command in {"", name}:
            self._left -= 1
            return self._left == 0
        return False


class NetworkLine:
    """The state of a host's way to the server.

    Attributes:
        traps: What lies in wait.
        cut_until_us: Nothing gets through before this time.
        slow_until_us: Everything is slow before this time.
        slow_us: What slow means, microseconds for one way.
    """

    def __init__(self) -> None:
        self.traps: list[Trap] = []
        self.cut_until_us = 0
        self.slow_until_us = 0
        self.slow_us = 0


class Host:
    """A machine with one process on it, from its start to its crash.

    Args:
        world: Where time passes.
        name: What the trace calls it.
        clock: Its clocks.

    Attributes:
        crashed: Whether it is gone; nothing happens on it any more.
        frozen_until_us: Nothing happens on it before this time.
        line: The state of its way to the server.
        sent: How many of its commands have reached the server.
    """

    def __init__(self, world: World, name: str, clock: HostClock) -> None:
        self.world = world
        self.name = name
        self.clock = clock
        self.crashed = False
        self.frozen_until_us = 0
        self.line = NetworkLine()
        self.sent = 0

    @property
    def is_well(self) -> bool:
        """Whether the host runs and nothing is or will be wrong with its connections."""
        now_us = self.world.now_us
        line = self.line
        return not (
            self.crashed
            or line.traps
            or self.frozen_until_us > now_us
            or line.cut_until_us > now_us
            or line.slow_until_us > now_us
        )

    def happen(self, action: Callable[..., object], *args: Any) -> None:
        """Let something happen on this host: now, when it thaws, or never."""
        if self.crashed:
            return
        if self.frozen_until_us > self.world.now_us:
            self.world.at(self.frozen_until_us, self.happen, action, *args)
            return
        action(*args)

    def soon(self, action: Callable[..., object], *args: Any) -> Timer:
        """Have something happen on this host, behind all that is due now."""
        return self.world.after(0, self._due, action, args)

    def later(self, delay_us: int, action: Callable[..., object], *args: Any) -> Timer:
        """Have something happen on this host after a while."""
        return self.world.after(delay_us, self._due, action, args)

    def _due(self, action: Callable[..., object], args: tuple[Any, ...]) -> None:
        """Let something happen that was planned, and may still be called off while it is frozen."""
        if self.crashed:
            return
        if self.frozen_until_us > self.world.now_us:
            self.world.put_off(self.frozen_until_us)
        else:
            action(*args)
