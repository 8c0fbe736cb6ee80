"""Logging of `workkit worker`: to stderr, unless the application has set up its own."""

from __future__ import annotations

import datetime
import json
import logging
import os

__all__ = ["WorkerLogging"]


class WorkerLogging:
    """Logs of workkit from the beginning, and of everybody once the application is loaded.

    Args:
        level: A level's name, or None for "info" where the application does not decide.
        as_json: One JSON object a line instead of text.
        process: This process's number under a supervisor, for every line; None without one.
    """

    def __init__(self, level: str | None, *, as_json: bool, process: int | None = None) -> None:
        self._level = level.upper() if level else None
        self._handler = logging.StreamHandler()
        self._handler.setFormatter((_JsonFormatter if as_json else _TextFormatter)(process))
        self._workkit = logging.getLogger("workkit")
        self._workkit.addHandler(self._handler)
        self._workkit.setLevel(self._level or logging.INFO)

    def application_loaded(self) -> None:
        """Leave the field to the application's own logging, or log everything if it has none."""
        self._workkit.removeHandler(self._handler)
        root = logging.getLogger()
        if not root.handlers:
            root.addHandler(self._handler)
            root.setLevel(self._level or logging.INFO)


class _TextFormatter(logging.Formatter):
    """Time with the host's offset, level, process and its id, logger, message."""

    def __init__(self, process: int | None) -> None:
        which = "" if process is None else f"[{process}:{os.getpid()}] "
        super().__init__(f"%(asctime)s %(levelname)-7s {which}%(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's own name
        del datefmt
        return _time(record)


class _JsonFormatter(logging.Formatter):
    """The same, and the traceback, as one JSON object."""

    def __init__(self, process: int | None) -> None:
        super().__init__()
        self._which = {} if process is None else {"process": process, "pid": os.getpid()}

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            **self._which,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    utc = datetime.datetime.fromtimestamp(record.created, tz=datetime.UTC)
    return utc.astimezone().isoformat(timespec="milliseconds")
