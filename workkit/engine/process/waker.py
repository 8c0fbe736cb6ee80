"""Wakes a waiting thread from another thread."""

from __future__ import annotations

import contextlib
import errno
import os

from workkit.store.polling import READABLE, new_poll

__all__ = ["Waker"]


class Waker:
    """A flag that one thread waits for and any thread can raise.

    It is a pipe, so that the thread can wait for it and a socket together. Raising it needs system
    calls only while a thread waits.

    Other code may close our descriptors by mistake, and the next opened file gets their numbers. So
    the pipe is checked before each use: the waker never writes to a foreign file.

    Attributes:
        broken: Whether other code has closed the pipe, as far as is known.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._asleep = False
        self._pipe = self._identity(self._read)
        self.broken = self._closed = False

    @staticmethod
    def _identity(descriptor: int) -> tuple[int, int] | None:
        """Return the identity of a descriptor's file; both ends of a pipe have the same."""
        try:
            status = os.fstat(descriptor)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _check(self, descriptor: int) -> None:
        if self._identity(descriptor) != self._pipe:
            self.broken = True
            raise OSError(errno.EBADF, "other code in this process has closed our descriptors")

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when the flag is raised."""
        return self._read

    def wake(self) -> None:
        """Raise the flag, if a thread waits or is about to wait."""
        if self._asleep:
            self._asleep = False
            with contextlib.suppress(BlockingIOError, OSError):
                self._check(self._write)
                os.write(self._write, b"\0")

    def arm(self) -> None:
        """Announce a wait. The caller then checks for work once more, and only then waits.

        Raises:
            OSError: Other code has closed the pipe.
        """
        if not self._closed:
            self._check(self._read)
            self._asleep = True

    def disarm(self) -> None:
        """End a wait and clear the flag.

        Raises:
            OSError: Other code has closed the pipe.
        """
        self._asleep = False
        if self._closed:
            return
        self._check(self._read)
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read, 512):
                pass

    def wait(self, timeout_s: float) -> None:
        """Wait for the flag only; call `arm` before and `disarm` after."""
        poll = new_poll()
        poll.register(self._read, READABLE)
        poll.poll(max(timeout_s, 0) * 1000)

    def close(self) -> None:
        """Free the descriptors; `wake` does nothing from then on."""
        self._asleep = False
        self._closed = True
        for descriptor in (self._read, self._write):
            with contextlib.suppress(OSError):
                self._check(descriptor)
                os.close(descriptor)
