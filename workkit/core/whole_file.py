"""Files that appear when they are complete, so that a failed write leaves the old file."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from workkit.errors import InvalidOption

__all__ = ["whole_file", "whole_path"]

#: The longest beginning of the file's name that its partial file has: names have a limit.
_NAME_CHARS: Final = 100


@contextlib.contextmanager
def whole_path(path: str | os.PathLike[str], mode: int = 0o600) -> Iterator[Path]:
    """Give the path of an empty file beside `path`, which takes its place at the end.

    Only its owner can read a new file. A file that exists keeps its mode, and a link its target. If
    the block fails, the old file stays as it was, and nothing else is left.

    Args:
        path: The file.
        mode: The mode of a new file, if not only its owner may read it.

    Yields:
        The path to write to.

    Raises:
        InvalidOption: The file cannot be written: it is a folder, a device or a pipe, its folder is
            missing or not writable, or the disk is full.
    """
    named = Path(path)
    with _explained(named):
        target = Path(os.path.realpath(named))
        if target.exists() and not target.is_file():
            raise InvalidOption(f"{named} is not a regular file, so it cannot be replaced")
        mode = target.stat().st_mode & 0o777 if target.exists() else mode
        handle, made = tempfile.mkstemp(".partial", f".{target.name[:_NAME_CHARS]}.", target.parent)
        partial = Path(made)
        try:
            os.close(handle)
            yield partial
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.chmod(mode)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a file that appears when it is complete, see `whole_path`.

    Raises:
        InvalidOption: The file cannot be written.
    """
    with whole_path(path) as partial, partial.open("wb") as file:
        yield file


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidOption(f"{path} cannot be written: {error.strerror or error}") from None
