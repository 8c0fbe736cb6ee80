"""Locks of files between processes.

Windows has none of the kind that archives need; what only reads does without. To change a small
file, `one_at_a_time` needs only what every system has.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from workkit.errors import InvalidOption

__all__ = ["lock", "needs_locks", "one_at_a_time", "open_folder"]

#: How often a lock is tried, and the time between, seconds. A change takes some milliseconds.
_TRIES: Final = 100
_PAUSE_S: Final = 0.02
#: What systems say if somebody else has the lock. Windows has the last two.
_BUSY: Final = {errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK}


def _module(name: str) -> Any:
    """Return a module that only some systems have; None on others."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


_fcntl, _msvcrt = _module("fcntl"), _module("msvcrt")


def lock(handle: int, *, shared: bool = False, wait: bool = False) -> None:
    """Lock an open file or folder until it is closed.

    Args:
        handle: Its descriptor.
        shared: Whether others may lock it in this way at the same time.
        wait: Whether to wait for others.

    Raises:
        BlockingIOError: Another process has locked it.
        OSError: The system or the file system has no such locks.
    """
    if _fcntl is None:
        raise OSError(errno.ENOSYS, "this system has no locks of files")
    kind = _fcntl.LOCK_SH if shared else _fcntl.LOCK_EX
    _fcntl.flock(handle, kind if wait else kind | _fcntl.LOCK_NB)


def needs_locks(what: str) -> None:
    """Refuse to change something where no file can be locked.

    Args:
        what: What would be changed.

    Raises:
        InvalidOption: This system has no such locks.
    """
    if _fcntl is None:
        raise InvalidOption(
            f"{what} cannot be changed here: this system has no locks of files, such as Linux and "
            "macOS have. Write it there; reading it works here"
        )


def open_folder(path: Path) -> int:
    """Return a descriptor of a folder.

    Raises:
        OSError: It cannot be opened; on Windows, no folder can.
    """
    return os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))


@contextlib.contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Keep others from changing a file while the block reads it and replaces it.

    The lock is on an empty file beside it, which stays: the file itself is replaced, and others may
    wait for the lock. If a process dies, the system takes its lock away. A file system without
    locks holds nobody back.

    Args:
        path: The file. Everybody who changes it must ask for the same one.

    Raises:
        InvalidOption: Somebody has held the lock for two seconds.
    """
    handle = _open_beside(Path(os.path.realpath(path)))
    if handle is None:
        yield
        return
    try:
        if not _gets(handle):
            raise InvalidOption(
                f"{path} is being changed by another program for {_TRIES * _PAUSE_S:g} s; try again"
            )
        yield
    finally:
        os.close(handle)


def _open_beside(path: Path) -> int | None:
    """Open the file that is locked for another; None where none can be made, so nor the other."""
    try:
        # Who may replace the other one may lock this one; for that, it need not be writable.
        return os.open(path.with_name(f".{path.name}.lock"), os.O_RDONLY | os.O_CREAT, 0o644)
    except OSError:
        return None


def _gets(handle: int) -> bool:
    """Lock a file as soon as possible; tell whether somebody else still has it."""
    never = threading.Event()
    for _ in range(_TRIES):
        try:
            if _fcntl is None and _msvcrt is not None:
                _msvcrt.locking(handle, _msvcrt.LK_NBLCK, 1)
            else:
                lock(handle)
        except OSError as error:
            if error.errno not in _BUSY:
                return True  # there are no locks
            never.wait(_PAUSE_S)
        else:
            return True
    return False
