"""The sources of frames: a reader, or a path to a snapshot or an archive."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias, TypeGuard

from workkit.admin.reader import Reader
from workkit.core.options import shown
from workkit.errors import InvalidOption
from workkit.frames.files import FORMATS
from workkit.frames.recorded import is_recorded
from workkit.recording import Recording
from workkit.snapshot import Snapshot

__all__ = ["Source", "as_reader", "is_archive", "is_exported", "reader_of"]

#: A `Client`, a `Snapshot`, or a path to a snapshot or to the directory of an archive.
Source: TypeAlias = Reader | str | os.PathLike[str]


def is_archive(source: object) -> TypeGuard[str | os.PathLike[str]]:
    """Tell whether a source is the directory of an archive."""
    return isinstance(source, (str, os.PathLike)) and Path(source).is_dir()


def is_exported(source: object) -> bool:
    """Tell whether a source is the path of a file that `workkit export` or `write` wrote."""
    return (
        isinstance(source, (str, os.PathLike))
        and Path(source).suffix in FORMATS.values()
        and Path(source).is_file()
    )


def reader_of(source: object) -> Reader | None:
    """Return the reader behind a source; None for an archive, a frame and its file."""
    if isinstance(source, Reader):
        return source
    if not isinstance(source, (str, os.PathLike)) or is_archive(source) or is_exported(source):
        return None
    return as_reader(source)


def as_reader(source: Source | Recording) -> Reader:
    """Return a reader. A path is opened as a snapshot.

    Raises:
        InvalidOption: The source is neither, or it is an archive or a recording.
    """
    if isinstance(source, Recording) or is_recorded(source):
        name = source.name if isinstance(source, Recording) else source
        raise InvalidOption(
            f"{name} is a recording, which has many times: give Recording(path).moment(at_s); "
            "only the frame of queues takes a recording"
        )
    if isinstance(source, Reader):
        return source
    if not isinstance(source, (str, os.PathLike)):
        raise InvalidOption(
            f"a source must be a Client, a snapshot or a path, not {shown(source)}; a frame and a "
            "scan go to measures as they are"
        )
    if is_archive(source):
        raise InvalidOption(
            f"{os.fspath(source)} is an archive, which has only history; for other frames give a "
            "Client or a snapshot"
        )
    return Snapshot(source)
