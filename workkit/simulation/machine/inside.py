"""Which host the running code belongs to: handlers, hooks and planned calls run on one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workkit.simulation.machine.host import Host

__all__ = ["HERE", "inside"]


class _Here(threading.local):
    """The host of the user's code that runs on the current thread.

    Attributes:
        host: The host, or None where code of the test or of the simulator itself runs.
    """

    host: Host | None = None


HERE = _Here()


@contextmanager
def inside(host: Host | None) -> Iterator[None]:
    """Run the user's code on a host; None for code of the simulator itself."""
    before, HERE.host = HERE.host, host
    try:
        yield
    finally:
        HERE.host = before
