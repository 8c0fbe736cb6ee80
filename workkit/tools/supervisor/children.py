"""What a supervisor knows of its processes and of their places."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from workkit.core.entropy import Entropy

__all__ = ["Child", "Slot", "State", "Wait"]

#: Waits before a start after quick ends: doubled from the first to the longest, seconds.
_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 30.0
#: A process that has spoken and says nothing more for so long hangs, seconds; it speaks every two.
_SILENT_S: Final = 30.0
#: How long it may still speak when that was noticed: the whole machine may have been suspended.
_SURE_S: Final = 5.0


class State(Enum):
    """What a process is there for."""

    STARTING = auto()
    RUNNING = auto()
    RETIRING = auto()


@dataclass(slots=True)
class Wait:
    """When the next try may be made, after failures."""

    at_s: float = float("-inf")
    failures: int = 0

    def failed(self, now_s: float, entropy: Entropy) -> float:
        """Note a failure; returns how long to wait, seconds."""
        longest_s = min(_FIRST_WAIT_S * 2.0 ** min(self.failures, 16), _LONGEST_WAIT_S)
        wait_s = longest_s * entropy.uniform(0.5, 1.0)
        self.failures += 1
        self.at_s = now_s + wait_s
        return wait_s

    def reset(self) -> None:
        """Note a success."""
        self.at_s, self.failures = float("-inf"), 0


@dataclass(slots=True)
class Slot:
    """A place in which one process is to run."""

    number: int
    wait: Wait = field(default_factory=Wait)


@dataclass(slots=True, eq=False)
class Child:
    """One process."""

    slot: Slot
    since_s: float
    max_jobs: float
    is_replacement: bool = False
    state: State = State.STARTING
    pid: int = 0
    worn: bool = False
    heard_s: float = float("inf")
    doubted_s: float = float("inf")
    hung: bool = False

    @property
    def due_s(self) -> float:
        """When it is to be looked at, since it has said nothing."""
        if self.hung:
            return float("inf")
        return min(self.heard_s + _SILENT_S, self.doubted_s + _SURE_S)

    def __str__(self) -> str:
        pid = f" (pid {self.pid})" if self.pid else ""
        return f"process {self.slot.number}{pid}"

    def ending(self, code: int) -> str:
        """Say how it ended."""
        return "gave no sign of life and was killed" if self.hung else _ending(code)


def _ending(code: int) -> str:
    """Say how a process ended."""
    if code == 0:
        return "ended"
    if code > 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal
        name = f"signal {-code}"
    hint = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
    return f"was ended by {name}{hint}"
