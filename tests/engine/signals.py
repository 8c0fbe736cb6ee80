"""Signals from handlers and hooks on other threads, and waits for them."""

from __future__ import annotations

import threading
from typing import Any, Final

__all__ = ["PATIENCE_S", "Gate", "Notes", "await_event"]

#: A test fails if it waits this long for another thread, seconds.
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
        """The notes so far."""
        with self._changed:
            return list(self._items)

    def wait_for(self, count: int) -> list[Any]:
        """Wait for this many notes; fail if that takes too long."""
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self._items) >= count, PATIENCE_S)
            assert enough, f"{count} notes did not come in time; there are {self._items!r}"
            return list(self._items)


class Gate:
    """A gate: a handler waits here until the test opens it."""

    def __init__(self) -> None:
        self.arrived = Notes()
        self._open = threading.Event()

    def open(self) -> None:
        """Let all handlers pass from now on."""
        self._open.set()

    def pass_through(self, who: Any = None) -> None:
        """Note that the handler is here, and wait in C, where Python cannot interrupt it."""
        self.arrived(who)
        self._open.wait(3 * PATIENCE_S)

    def spin(self, who: Any = None) -> None:
        """Note that the handler is here, and wait in Python, where an interrupt arrives."""
        self.arrived(who)
        while not self._open.is_set():
            pass


def await_event(event: threading.Event, what: str) -> None:
    """Wait for a signal of another thread."""
    assert event.wait(PATIENCE_S), f"{what} did not come in time"
