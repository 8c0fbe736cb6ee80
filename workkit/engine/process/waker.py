"""A way to end another thread's wait."""

from __future__ import annotations

import contextlib
import os
import select

__all__ = ["Waker"]


class Waker:
    """A flag that one thread waits for and any thread can raise.

    It is a pipe, so that the waiting thread can watch it together with a socket. Raising it costs a
    system call only while somebody waits.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._asleep = False

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when the flag is raised."""
        return self._read

    def wake(self) -> None:
        """Raise the flag, if somebody is about to wait or waits."""
        if self._asleep:
            self._asleep = False
            with contextlib.suppress(BlockingIOError, OSError):
                os.write(self._write, b"\0")

    def arm(self) -> None:
        """Announce a wait. The caller then looks once more for work, and only then waits."""
        self._asleep = True

    def disarm(self) -> None:
        """End a wait and take down the flag."""
        self._asleep = False
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read, 512):
                pass

    def wait(self, timeout_s: float) -> None:
        """Wait for the flag alone; `arm` comes before, `disarm` after."""
        poll = select.poll()  # `select.select` refuses descriptors above 1,023
        poll.register(self._read, select.POLLIN)
        poll.poll(max(timeout_s, 0) * 1000)

    def close(self) -> None:
        """Free the descriptors; raising the flag does nothing from now on."""
        self._asleep = False
        for descriptor in (self._read, self._write):
            with contextlib.suppress(OSError):
                os.close(descriptor)
