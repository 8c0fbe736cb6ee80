"""Simulated machines and the state of their network lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from workkit.simulation.machine.world import HostClock, Timer, World

__all__ = ["Host", "NetworkLine", "Trap"]


class Trap:
    """A fault that strikes a host at one of its next commands.

    Args:
        when: "before" the server has carried it out, or "after".
        count: At which matching command from now on; 1 is the next.
        command: The name of a command or a script; "" matches any.
        spring: Causes the fault. It returns whether the reply still arrives.
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
        """Count a command; tell whether the trap causes its fault now."""
        if self._command in {"", name}:
            self._left -= 1
            return self._left == 0
        return False


class NetworkLine:
    """The state of a host's connections to the server.

    Attributes:
        traps: Faults that strike at later commands.
        cut_until_us: Nothing gets through before this time.
        unheard_until_us: No request gets through before this time.
        deaf_until_us: No reply gets through before this time.
        hold_until_us: Requests wait until this time.
        slow_until_us: Everything is slow before this time.
        slow_us: The latency of a slow line, microseconds for one way.
    """

    def __init__(self) -> None:
        self.traps: list[Trap] = []
        self.cut_until_us = 0
        self.unheard_until_us = 0
        self.deaf_until_us = 0
        self.hold_until_us = 0
        self.slow_until_us = 0
        self.slow_us = 0

    def loses_requests(self, now_us: int) -> bool:
        """Tell whether requests are lost."""
        return max(self.cut_until_us, self.unheard_until_us) > now_us

    def loses_replies(self, now_us: int) -> bool:
        """Tell whether replies and announcements are lost."""
        return max(self.cut_until_us, self.deaf_until_us) > now_us

    def is_troubled(self, now_us: int) -> bool:
        """Tell whether it has a fault, present or planned."""
        until_us = max(
            self.cut_until_us, self.unheard_until_us, self.deaf_until_us, self.hold_until_us,
            self.slow_until_us,
        )  # fmt: skip
        return until_us > now_us or bool(self.traps)


class Host:
    """A machine with one process on it, from its start to its crash.

    Args:
        world: The virtual clock and its events.
        name: Its name in the trace.

    Attributes:
        crashed: Whether it is gone; nothing happens on it any more.
        frozen_until_us: Nothing happens on it before this time.
        line: The state of its connections to the server.
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
    def is_healthy(self) -> bool:
        """Whether the host runs, and its connections have no fault, present or planned."""
        now_us = self.world.now_us
        if self.crashed or self.frozen_until_us > now_us:
            return False
        return not self.line.is_troubled(now_us)

    def happen(self, action: Callable[..., object], *args: Any) -> None:
        """Run an action on this host: now, when it thaws, or never if it has crashed."""
        if self.crashed:
            return
        if self.frozen_until_us > self.world.now_us:
            self.world.at(self.frozen_until_us, self.happen, action, *args)
            return
        action(*args)

    def soon(self, action: Callable[..., object], *args: Any) -> Timer:
        """Run an action on this host after everything that is due now."""
        return self.world.after(0, self._due, action, args)

    def later(self, delay_us: int, action: Callable[..., object], *args: Any) -> Timer:
        """Run an action on this host after a delay."""
        return self.world.after(delay_us, self._due, action, args)

    def _due(self, action: Callable[..., object], args: tuple[Any, ...]) -> None:
        """Run a planned action; while the host is frozen, it can still be cancelled."""
        if self.crashed:
            return
        if self.frozen_until_us > self.world.now_us:
            self.world.put_off(self.frozen_until_us)
        else:
            action(*args)
