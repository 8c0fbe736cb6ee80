"""History from whatever has it: a server, a snapshot, an archive, a frame or its file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from workkit.admin.reader import Reader
from workkit.core.options import shown
from workkit.errors import InvalidOption
from workkit.frames.executions import Told, history
from workkit.frames.extra import pd
from workkit.frames.files import read
from workkit.frames.scanning import Scan
from workkit.frames.schema import conform
from workkit.frames.sources import Source, is_exported
from workkit.frames.times import Time, epoch_s, moment

__all__ = ["any_history"]


def any_history(
    source: Source | Any,
    *,
    since: Time | None = None,
    until: Time | None = None,
    told: Told | None = None,
) -> Any:
    """Return executions as `history` does, also from a frame of history or the file of one.

    Args:
        source: A source as `history` takes it, a frame of history or its file, or a `Scan`.
        since: Only executions that finished then or later.
        until: Only executions that finished before.
        told: Receives the number of records read so far.

    Raises:
        InvalidOption: The source has no history, or a time is not valid.
        ServerError: Redis did not answer or refused.
    """
    if isinstance(source, pd.DataFrame):
        return _within(conform(source, "history"), since, until)
    if isinstance(source, Scan):
        return _within(source.pandas(), since, until)
    if isinstance(source, (str, os.PathLike)):
        if not Path(source).exists():
            raise InvalidOption(f"there is no file or directory {os.fspath(source)!r}")
        if is_exported(source):
            return _within(read(source, "history"), since, until)
    elif not isinstance(source, Reader):
        raise InvalidOption(
            "history comes from a Client, a snapshot, an archive, a frame or its file, "
            f"not from {shown(source)}"
        )
    return history(source, since=since, until=until, told=told)


def _within(frame: Any, since: Time | None, until: Time | None) -> Any:
    if (first_s := epoch_s(since)) is not None:
        frame = frame[frame["finished_at"] >= moment(first_s)]
    if (end_s := epoch_s(until)) is not None:
        frame = frame[frame["finished_at"] < moment(end_s)]
    return frame
