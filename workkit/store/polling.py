"""Waiting for sockets, on systems with `poll` and without.

`selectors` would do everywhere, at several times the cost; a reply that is looked for here may be
that of a job of a few microseconds.
"""

from __future__ import annotations

import select
import selectors
from typing import Any, Final, Protocol

__all__ = ["READABLE", "Poll", "new_poll"]

#: What `Poll.register` is given: tell when there is something to read.
READABLE: Final[int] = getattr(select, "POLLIN", 1)


class Poll(Protocol):
    """What is used of `select.poll`."""

    def register(self, fd: Any, eventmask: int = ..., /) -> None:
        """Watch a descriptor, or what has one."""
        ...

    def poll(self, timeout: float | None = ..., /) -> list[tuple[int, int]]:
        """Wait for so many milliseconds; returns the descriptors that are ready."""
        ...


class _SelectorPoll:
    """The same by `selectors`: Windows has no `poll`."""

    def __init__(self) -> None:
        self._files: list[Any] = []

    def register(self, fd: Any, _eventmask: int = READABLE, /) -> None:
        self._files.append(fd)

    def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]:
        # A selector a call: one that is kept would keep descriptors that are closed meanwhile.
        with selectors.SelectSelector() as selector:
            for file in self._files:
                selector.register(file, selectors.EVENT_READ)
            ready = selector.select(None if timeout is None else timeout / 1000)
        return [(key.fd, READABLE) for key, _ in ready]


def new_poll() -> Poll:
    """Return what waits for sockets; unlike `select.select`, `poll` takes any descriptor."""
    return select.poll() if hasattr(select, "poll") else _SelectorPoll()
