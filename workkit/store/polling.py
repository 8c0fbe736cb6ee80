"""Wait for sockets, on systems with `poll` and without.

`selectors` works everywhere, but costs several times as much. A wait for a reply can come with each
job, and a job may take only a few microseconds.
"""

from __future__ import annotations

import select
import selectors
from typing import Any, Final, Protocol

__all__ = ["READABLE", "Poll", "new_poll"]

#: Event mask for `Poll.register`: report when there is something to read.
READABLE: Final[int] = getattr(select, "POLLIN", 1)


class Poll(Protocol):
    """The part of `select.poll` that workkit uses."""

    def register(self, fd: Any, eventmask: int = ..., /) -> None:
        """Watch a descriptor, or an object that has one."""
        ...

    def poll(self, timeout: float | None = ..., /) -> list[tuple[int, int]]:
        """Wait for at most `timeout` milliseconds; return the descriptors that are ready."""
        ...


class _SelectorPoll:
    """The same by `selectors`: Windows has no `poll`."""

    def __init__(self) -> None:
        self._files: list[Any] = []

    def register(self, fd: Any, _eventmask: int = READABLE, /) -> None:
        self._files.append(fd)

    def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]:
        # Make a new selector for each call: an old one would keep closed descriptors.
        with selectors.SelectSelector() as selector:
            for file in self._files:
                selector.register(file, selectors.EVENT_READ)
            ready = selector.select(None if timeout is None else timeout / 1000)
        return [(key.fd, READABLE) for key, _ in ready]


def new_poll() -> Poll:
    """Return an object that waits for sockets; `poll`, unlike `select`, takes any descriptor."""
    return select.poll() if hasattr(select, "poll") else _SelectorPoll()
