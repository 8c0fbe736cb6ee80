"""The supervisor's view of its processes and their slots."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from workkit.core.entropy import Entropy

__all__ = ["Awaited", "Child", "Limits", "Slot", "State", "Wait"]

#: Waits before a restart after quick ends: doubled from the first to the longest, seconds.
_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 30.0
#: A process that stops sending messages for this long hangs, seconds; it sends one every two.
_SILENT_S: Final = 30.0
#: A hanging process gets this much more time: the whole machine may have been suspended, seconds.
_SURE_S: Final = 5.0


class State(Enum):
    """The state of a process."""

    STARTING = auto()
    RUNNING = auto()
    RETIRING = auto()


class Awaited(Enum):
    """An event that must come before a process is started."""

    NOTHING = auto()
    EDIT = auto()
    LAST_END = auto()


@dataclass(slots=True)
class Wait:
    """The time of the next attempt, after failures."""

    at_s: float = float("-inf")
    failures: int = 0

    def failed(self, now_s: float, entropy: Entropy) -> float:
        """Record a failure; return how long to wait, seconds."""
        longest_s = min(_FIRST_WAIT_S * 2.0 ** min(self.failures, 16), _LONGEST_WAIT_S)
        wait_s = longest_s * entropy.uniform(0.5, 1.0)
        self.failures += 1
        self.at_s = now_s + wait_s
        return wait_s

    def reset(self) -> None:
        """Record a success."""
        self.at_s, self.failures = float("-inf"), 0


@dataclass(frozen=True, slots=True)
class Limits:
    """The options of a supervisor.

    Attributes:
        processes: How many run at once.
        max_jobs: A process is replaced after this many jobs, and up to a tenth more.
        max_rss_bytes: A process is replaced above this much resident memory.
        explained: Exit codes of processes that have reported themselves why they did not start.
        mendable: Those of them after which only an edit of the application helps.
    """

    processes: int
    max_jobs: int | None = None
    max_rss_bytes: int | None = None
    explained: frozenset[int] = frozenset()
    mendable: frozenset[int] = frozenset()


@dataclass(slots=True)
class Slot:
    """A place for one process."""

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
    worn: str = ""
    unloadable: bool = False
    stopped: bool = False
    heard_s: float = float("inf")
    doubted_s: float = float("inf")
    hung: bool = False

    @property
    def due_s(self) -> float:
        """When it must be checked, because it has been silent."""
        if self.hung:
            return float("inf")
        return min(self.heard_s + _SILENT_S, self.doubted_s + _SURE_S)

    def __str__(self) -> str:
        pid = f" (pid {self.pid})" if self.pid else ""
        return f"process {self.slot.number}{pid}"

    def cause(self, code: int) -> str:
        """Return why it ended, as a word for metrics."""
        return "hung" if self.hung else "signal" if code < 0 else "exit"

    def ending(self, code: int) -> str:
        """Describe how it ended."""
        return "gave no sign of life and was killed" if self.hung else _ending(code)


def _ending(code: int) -> str:
    """Describe how a process ended."""
    if code == 0:
        return "ended"
    if code > 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal
        name = f"signal {-code}"
    hint = ", perhaps for lack of memory" if -code == signal.SIGKILL else ""
    return f"was ended by {name}{hint}"
