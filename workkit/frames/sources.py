"""The sources of frames: a reader, or a path to a snapshot or an archive."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

from workkit.admin.reader import Reader
from workkit.errors import InvalidOption
from workkit.snapshot import Snapshot

__all__ = ["Source", "as_reader", "is_archive"]

#: A `Client`, a `Snapshot`, or a path to a snapshot or to the directory of an archive.
Source: TypeAlias = Reader | str | os.PathLike[str]


def is_archive(source: Source) -> bool:
    """Tell whether a source is the directory of an archive."""
    return isinstance(source, (str, os.PathLike)) and Path(source).is_dir()


def as_reader(source: Source) -> Reader:
    """Return a reader. A path is opened as a snapshot.

    Raises:
        InvalidOption: The source is neither, or it is an archive.
    """
    if not isinstance(source, (str, os.PathLike)):
        return source
    if is_archive(source):
        raise InvalidOption(
            f"{os.fspath(source)} is an archive, which has only history; for other frames give a "
            "Client or a snapshot"
        )
    return Snapshot(source)
