"""Locks of files between processes. Windows has none of this kind; what only reads does without."""

from __future__ import annotations

import errno
import importlib
import os
from pathlib import Path
from typing import Any

from workkit.errors import InvalidOption

__all__ = ["lock", "needs_locks", "open_folder"]

_fcntl: Any
try:
    _fcntl = importlib.import_module("fcntl")
except ImportError:
    _fcntl = None


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
