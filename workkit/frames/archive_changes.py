"""Changes of an archive that its readers do not notice.

Whoever reads holds a shared lock on the directory. Files that are merged or forgotten go to the
folder ``.aside``, where a reader that has listed them before still finds them; they are deleted
when nobody reads. The files of a day are exchanged with the merged one in a single step, so that
any program sees either these or that. The folder that they were in stays as it is for a moment: a
program that is just listing it would miss what is taken out. Whatever a killed process leaves in
``.aside`` is not part of the archive.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import itertools
import os
import shutil
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from workkit.core.clock import monotonic_s
from workkit.core.locking import lock, needs_locks, open_folder
from workkit.errors import InvalidOption
from workkit.frames.extra import pa

__all__ = [
    "ArchiveBusy",
    "Change",
    "added",
    "changing",
    "listed",
    "open_file",
    "owner_only",
    "purge",
    "reading",
    "sync",
]

#: The folder of what is not part of the archive: files in preparation, and replaced ones.
_ASIDE: Final = ".aside"
#: The end of the names of replaced files, so that nobody takes them for files of the archive.
_REPLACED: Final = ".replaced"
_OWNER_FOLDER: Final = 0o700
#: How long a folder that was exchanged stays as it is. To list a folder takes a millisecond.
_LISTING_S: Final = 0.25
_NEVER: Final = threading.Event()
_LOCAL: Final = "keep the archive on a local file system such as ext4, xfs, btrfs or APFS"
#: The functions that exchange two paths, and their number of the current directory. The flag is 2.
_EXCHANGES: Final = (("renameat2", -100), ("renameatx_np", -2))
_FLAG: Final = 2


class ArchiveBusy(InvalidOption):
    """Another process is changing the archive."""


@contextlib.contextmanager
def reading(root: Path) -> Iterator[None]:
    """Keep what is set aside until the end of the block."""
    handle = None
    # Without locks, a file may be deleted before it is read. The error then names it.
    with contextlib.suppress(OSError):
        handle = open_folder(root)
        lock(handle, shared=True, wait=True)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def open_file(root: Path, path: Path) -> Any:
    """Open a file of the archive for Arrow, also if it was set aside since it was listed.

    Raises:
        OSError: It cannot be opened.
    """
    aside = root / _ASIDE
    # A file only moves on in this order, so looking once at each place is enough.
    for place in (path, None, aside / f"{path.name}{_REPLACED}"):
        for found in aside.glob(f"*/{path.name}") if place is None else (place,):
            with contextlib.suppress(FileNotFoundError):
                return pa.OSFile(os.fspath(found))
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))


class Change:
    """A run that merges or forgets files of an archive; see `changing`.

    Args:
        root: The archive.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._aside = root / _ASIDE
        self._exchanged: deque[tuple[float, Path]] = deque()

    def prepared(self, day: str) -> Path:
        """Return a new folder in which the files of a day can be prepared."""
        for number in itertools.count(1):
            folder = self._aside / f"{day}.{number}"
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=_OWNER_FOLDER)
                return folder
        raise AssertionError  # pragma: no cover - counting has no end

    def exchange(self, day: str, new: Path, replaced: frozenset[str]) -> None:
        """Replace files of a day by those of a prepared folder, in one step.

        Args:
            day: The name of the day's folder.
            new: The prepared folder. Files of the day that are not replaced are linked to it.
            replaced: The names of the files that the prepared ones replace.

        Raises:
            InvalidOption: The file system cannot exchange two folders.
        """
        folder = self._root / day
        with _locked_day(folder):
            for path in folder.iterdir():
                if path.name not in replaced and not path.name.endswith(".partial"):
                    (new / path.name).hardlink_to(path)
            new.chmod(folder.stat().st_mode & 0o777)
            sync(new)
            _exchange(folder, new, self._root)
            sync(self._root)
        self._exchanged.append((monotonic_s(), new))
        while self._exchanged and monotonic_s() - self._exchanged[0][0] > _LISTING_S:
            self._retire(self._exchanged.popleft()[1])

    def set_aside(self, path: Path) -> None:
        """Take a file out of the archive."""
        with _locked_day(path.parent):
            path.rename(self._aside / f"{path.name}{_REPLACED}")
            sync(path.parent)
            with contextlib.suppress(OSError):  # it has other files
                path.parent.rmdir()

    def end(self) -> None:
        """Put all that is not part of the archive out of any program's sight."""
        for at, folder in self._exchanged:
            _NEVER.wait(max(at + _LISTING_S - monotonic_s(), 0))
            self._retire(folder)

    def _retire(self, folder: Path) -> None:
        """Take the files out of a folder that was exchanged."""
        day = self._root / folder.name.rpartition(".")[0]
        for path in folder.iterdir():
            if (day / path.name).exists():  # it was not replaced
                path.unlink()
            else:
                path.rename(self._aside / f"{path.name}{_REPLACED}")
        folder.rmdir()


@contextlib.contextmanager
def changing(root: Path) -> Iterator[Change]:
    """Keep other processes from merging or forgetting files. They may append files meanwhile.

    Yields:
        What changes the archive.

    Raises:
        ArchiveBusy: One of them is at it.
        InvalidOption: The directory cannot be changed.
    """
    needs_locks(str(root))
    aside = root / _ASIDE
    try:
        aside.mkdir(mode=_OWNER_FOLDER, exist_ok=True)
        handle = open_folder(aside)
    except OSError as error:
        raise InvalidOption(f"{root} cannot be changed: {error.strerror}") from None
    try:
        lock(handle)
    except BlockingIOError:
        os.close(handle)
        raise ArchiveBusy(f"another process is merging or forgetting files of {root}") from None
    except OSError as error:
        os.close(handle)
        raise InvalidOption(
            f"the file system of {root} cannot lock a folder ({error.strerror}), which merging and "
            f"forgetting need; {_LOCAL}"
        ) from None
    change = Change(root)
    try:
        purge(root)
        yield change
    except OSError as error:  # such as a full disk: all files of the archive are still there
        raise InvalidOption(f"{root} cannot be changed: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):  # the next change tries again
            change.end()
            purge(root)
        os.close(handle)


def purge(root: Path) -> bool:
    """Delete what was set aside, unless somebody reads; tell whether it is gone."""
    handle = open_folder(root)
    try:
        lock(handle)
        for left in (root / _ASIDE).iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


@contextlib.contextmanager
def _locked_day(folder: Path) -> Iterator[None]:
    """Lock the folder of a day, which is made if it does not exist, against an exchange."""
    while True:
        folder.mkdir(mode=_OWNER_FOLDER, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # its last file was forgotten
            handle = _held(folder, shared=False)
            break
    try:
        yield
    finally:
        os.close(handle)


def listed(folder: Path) -> list[Path]:
    """Return the paths in a folder of the archive as they are at one moment; none if it is gone.

    A folder that is exchanged while it is read would seem to have lost files, and an archiver would
    write their records again.

    Raises:
        OSError: It cannot be read.
    """
    handle = None
    with contextlib.suppress(PermissionError):  # Windows opens no folder, and exchanges none
        try:
            handle = _held(folder, shared=True)
        except FileNotFoundError:
            return []
    try:
        return list(folder.iterdir())
    finally:
        if handle is not None:
            os.close(handle)


def _held(folder: Path, *, shared: bool) -> int:
    """Return a descriptor of the folder of a day that keeps others from exchanging it.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    while True:
        handle = open_folder(folder)
        try:
            # Where folders cannot be locked, such as on NFS, nobody can exchange them either.
            with contextlib.suppress(OSError):
                lock(handle, shared=shared, wait=True)
            if os.path.samestat(os.fstat(handle), folder.stat()):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # it was exchanged before it was locked


def added(partial: Path, target: Path) -> None:
    """Make a complete file part of the archive."""
    with _locked_day(target.parent):
        partial.rename(target)
        sync(target.parent)


def _exchange(one: Path, two: Path, root: Path) -> None:
    """Let two folders change places in one step."""
    libc = ctypes.CDLL(None, use_errno=True)
    for name, here in _EXCHANGES:
        if (function := getattr(libc, name, None)) is None:
            continue
        if function(here, os.fsencode(one), here, os.fsencode(two), _FLAG) == 0:
            return
        number = ctypes.get_errno()
        if number not in {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}:
            raise OSError(number, os.strerror(number), os.fspath(one))
    raise InvalidOption(
        f"the file system of {root} cannot exchange two folders in one step, which merging needs; "
        f"{_LOCAL}"
    )


def owner_only(path: str, flags: int) -> int:
    """Open a file that only its owner can read: history may hold args and errors."""
    return os.open(path, flags, 0o600)


def sync(folder: Path) -> None:
    """Write the names of a folder's files to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
