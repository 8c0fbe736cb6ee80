"""A way to end another thread's wait."""

from __future__ import annotations

import contextlib
import errno
import os

from workkit.store.polling import READABLE, new_poll

__all__ = ["Waker"]


class Waker:
    """A flag that one thread waits for and any thread can raise.

    It is a pipe, so that the waiting thread can watch it together with a socket. Raising it costs
    system calls only while somebody waits.

    A handler may close descriptors that it does not own, and what is opened next gets their
    numbers. So the pipe is looked at before it is used: nothing is written to a file of others.

    Attributes:
        broken: Whether others were seen to have closed the pipe.
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
        """Return which file a descriptor leads to; both ends of a pipe are one."""
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
        """Raise the flag, if somebody is about to wait or waits."""
        if self._asleep:
            self._asleep = False
            with contextlib.suppress(BlockingIOError, OSError):
                self._check(self._write)
                os.write(self._write, b"\0")

    def arm(self) -> None:
        """Announce a wait. The caller then looks once more for work, and only then waits.

        Raises:
            OSError: Other code has closed the pipe.
        """
        if not self._closed:
            self._check(self._read)
            self._asleep = True

    def disarm(self) -> None:
        """End a wait and take down the flag.

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
        """Wait for the flag alone; `arm` comes before, `disarm` after."""
        poll = new_poll()
        poll.register(self._read, READABLE)
        poll.poll(max(timeout_s, 0) * 1000)

    def close(self) -> None:
        """Free the descriptors; raising the flag does nothing from now on."""
        self._asleep = False
        self._closed = True
        for descriptor in (self._read, self._write):
            with contextlib.suppress(OSError):
                self._check(descriptor)
                os.close(descriptor)
