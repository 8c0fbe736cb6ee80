"""What handlers and hooks on other threads tell a test, and how the test waits for it."""

from __future__ import annotations

import threading
from typing import Any, Final

__all__ = ["PATIENCE_S", "Gate", "Notes", "await_event"]

#: How long a test waits for what another thread does, before it fails.
PATIENCE_S: Final = 20.0


class Notes:
    """A list that any thread may append to, and a test may wait for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: list[Any] = []

    def __call__(self, item: Any = None) -> None:
        """Append; a note serves as a handler or as a hook of one argument."""
        with self._changed:
            self._items.append(item)
            self._changed.notify_all()

    @property
    def items(self) -> list[Any]:
        """What has been noted so far."""
        with self._changed:
            return list(self._items)

    def wait_for(self, count: int) -> list[Any]:
        """Wait until so much has been noted; fail if that takes too long."""
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self._items) >= count, PATIENCE_S)
            assert enough, f"waited in vain for {count} notes, there are {self._items!r}"
            return list(self._items)


class Gate:
    """Where a handler waits until the test lets it go on."""

    def __init__(self) -> None:
        self.arrived = Notes()
        self._open = threading.Event()

    def open(self) -> None:
        """Let everybody through, from now on."""
        self._open.set()

    def pass_through(self, who: Any = None) -> None:
        """Note who is here, and wait in C, where no interrupt of Python's reaches."""
        self.arrived(who)
        self._open.wait(3 * PATIENCE_S)

    def spin(self, who: Any = None) -> None:
        """Note who is here, and wait in Python, where an interrupt reaches."""
        self.arrived(who)
        while not self._open.is_set():
            pass


def await_event(event: threading.Event, what: str) -> None:
    """Wait for a signal of another thread."""
    assert event.wait(PATIENCE_S), f"waited in vain for {what}"
