"""Notices edits of files, for `workkit worker --reload`.

The library watchfiles waits for events of the file system, one thread for each call of `add`. An
event, and the end of each second, only gives the reason to look: a file is edited if its time, size
or inode have changed. So no edit is missed while a watch is not established yet.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
import threading
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple

from workkit.errors import MissingExtra

try:
    import watchfiles
except ImportError:
    raise MissingExtra("workkit worker --reload", "reload") from None

__all__ = ["Edits", "Watcher", "forget_compiled"]

_log = logging.getLogger("workkit")

#: How long events are collected: an editor or a checkout writes several files, milliseconds.
_QUIET_MS: Final = 50
_LONGEST_MS: Final = 400
#: A look happens this often without events, milliseconds.
_LOOK_MS: Final = 1_000
_CHUNK: Final = 4096


class _Stamp(NamedTuple):
    """Changes with every edit of a file."""

    mtime_ns: int
    size: int
    inode: int


class Edits(NamedTuple):
    """The changes since the last look.

    Attributes:
        edited: Watched files that were changed, replaced or deleted, and new modules.
        others: Other Python files and directories that were changed beside them.
    """

    edited: list[str]
    others: list[str]


class Watcher:
    """Watches files; close it in the end.

    Attributes:
        wakeups: Is readable when `read` may have news.
    """

    def __init__(self) -> None:
        self.wakeups, self._waker = socket.socketpair()
        for end in (self.wakeups, self._waker):
            end.setblocking(False)
        self._stamps: dict[str, _Stamp | None] = {}
        self._folders: set[str] = set()
        self._discovered: set[str] = set()
        self._events: SimpleQueue[str] = SimpleQueue()
        self._is_python = watchfiles.PythonFilter()
        self._may_be_package = watchfiles.DefaultFilter()
        self._closed = threading.Event()

    @property
    def files(self) -> AbstractSet[str]:
        """The watched files."""
        return self._stamps.keys()

    def add(self, paths: Iterable[str], since_ms: int) -> list[str]:
        """Watch further files and directories.

        Args:
            paths: Absolute paths.
            since_ms: When somebody may have begun to read them, epoch milliseconds.

        Returns:
            New files that were edited since then.
        """
        late: list[str] = []
        folders: set[str] = set()
        for path in paths:
            if Path(path).is_dir():
                folders.add(path)
            elif path not in self._stamps:
                folders.add(str(Path(path).parent))
                stamp = self._stamps[path] = _stamp(path)
                if stamp is None or stamp.mtime_ns > since_ms * 1_000_000:
                    late.append(path)
        if new := sorted(folders - self._folders):
            self._folders.update(new)
            threading.Thread(
                target=self._watch, args=(new,), name="workkit-watch", daemon=True
            ).start()
        return late

    def discover(self, folders: Iterable[str]) -> None:
        """Take new modules in some folders for edits."""
        self._discovered.update(folders)
        self.add(self._discovered, 0)

    def read(self) -> Edits:
        """Look at all files."""
        with suppress(BlockingIOError):
            while self.wakeups.recv(_CHUNK):
                pass
        edited = []
        for path, before in self._stamps.items():
            stamp = _stamp(path)
            if stamp != before:
                self._stamps[path] = stamp
                edited.append(path)
        others = set()
        with suppress(Empty):
            while True:
                others.add(self._events.get_nowait())
        others -= self._stamps.keys()
        modules = {path for path in others if str(Path(path).parent) in self._discovered}
        return Edits([*edited, *sorted(modules)], sorted(others - modules))

    def close(self) -> None:
        """Stop watching; the threads end within their next step."""
        self._closed.set()
        self.wakeups.close()
        self._waker.close()

    def _watch(self, folders: list[str]) -> None:
        try:
            for changes in watchfiles.watch(
                *folders,
                watch_filter=self._matters,
                debounce=_LONGEST_MS,
                step=_QUIET_MS,
                stop_event=self._closed,
                rust_timeout=_LOOK_MS,
                yield_on_timeout=True,
                recursive=False,
            ):
                for _, path in changes:
                    self._events.put(os.path.realpath(path))
                self._wake()
        except Exception as error:  # noqa: BLE001 - the system's limit of watches, a vanished folder
            _log.warning("no events from %s: %s; looking every second", ", ".join(folders), error)
            while not self._closed.wait(_LOOK_MS / 1_000):
                self._wake()

    def _matters(self, change: watchfiles.Change, path: str) -> bool:
        return (
            path in self._stamps
            or self._is_python(change, path)
            or (Path(path).is_dir() and self._may_be_package(change, path))
        )

    def _wake(self) -> None:
        with suppress(OSError):  # closed, or full of wake-ups that nobody has read yet
            self._waker.send(b"\0")


def forget_compiled(paths: Iterable[str]) -> None:
    """Delete the compiled form of sources.

    Python recognises it by the whole second and the size of the source. So it would run the old
    code after a second edit within a second that keeps the size.
    """
    for path in paths:
        with suppress(OSError, NotImplementedError, ValueError):
            Path(importlib.util.cache_from_source(path)).unlink()


def _stamp(path: str) -> _Stamp | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return _Stamp(found.st_mtime_ns, found.st_size, found.st_ino)
