"""Logging of `workkit worker`: to stderr, unless the application has set up its own.

The courier's thread writes the lines, so a pipe that nobody reads blocks only the log. An error may
contain args of a job, which anybody may have chosen. So control characters are escaped, and only
our own lines begin at the left margin.
"""

from __future__ import annotations

import copy
import datetime
import json
import logging
import math
import os
from typing import Any, Final

from workkit.core.current import stamp
from workkit.engine.process.courier import COURIER

__all__ = ["WorkerLogging"]

#: The attribute of a record that has reached our handler: it may be on two loggers for a moment.
_WRITTEN: Final = "_workkit_written"
#: The standard attributes of a record; other attributes come from `extra`.
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    _WRITTEN,
}
#: The fields of a JSON line; an `extra` of the same name gets an underscore appended.
_TAKEN: Final = frozenset({"time", "level", "process", "pid", "logger", "message", "traceback"})
_INDENT: Final = "    "


class WorkerLogging:
    """Logs workkit's records from the start, and all records after the application is loaded.

    Args:
        level: A level's name; None for "info" unless the application sets a level.
        as_json: One JSON object per line instead of text.
        process: This process's number under a supervisor, for every line; None without one.
    """

    def __init__(self, level: str | None, *, as_json: bool, process: int | None = None) -> None:
        self._level = level.upper() if level else None
        self._handler = _Handler()
        self._handler.setFormatter((_JsonFormatter if as_json else _TextFormatter)(process))
        self._workkit = logging.getLogger("workkit")
        self._workkit.addHandler(self._handler)
        self._workkit.setLevel(self._level or logging.INFO)

    def application_loaded(self) -> None:
        """Yield to the application's own logging; log all records if it has none."""
        root = logging.getLogger()
        if not root.handlers:
            # Added before it is removed below: the courier may be delivering a record meanwhile.
            root.addHandler(self._handler)
            root.setLevel(self._level or logging.INFO)
        self._workkit.removeHandler(self._handler)


class _Handler(logging.StreamHandler[Any]):
    """Writes to stderr, on the courier's thread if the courier is open; never waits for a lock."""

    def createLock(self) -> None:  # noqa: N802 - logging's own name
        """Use no lock: its holder may hang in a write."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Queue a record; the calling thread knows the job."""
        if vars(record).get(_WRITTEN) is self or not self.filter(record):
            return False
        if record.name == "workkit":  # other records reach only one of the two loggers
            setattr(record, _WRITTEN, self)
        record = _with_job(record)
        if not COURIER.carry(self.emit, record):
            self.emit(record)
        return True


def _with_job(record: logging.LogRecord) -> logging.LogRecord:
    """Return a copy that names the job of the current thread or task."""
    record = copy.copy(record)
    stamp(record)
    try:
        record.msg, record.args = record.getMessage(), None  # the arguments may change
    except Exception:  # noqa: BLE001 - foreign objects; the formatter reports the error
        return record
    return record


class _TextFormatter(logging.Formatter):
    """Time with the host's offset, job, level, process number and pid, logger, message."""

    def __init__(self, process: int | None) -> None:
        self._which = "" if process is None else f"[{process}:{os.getpid()}] "
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        """Format one record: one line, and further lines indented below it."""
        first, *more = _message(record).split("\n")
        job = "" if record.name == "workkit" else _job_of(record)
        head = (
            f"{_time(record)} {job}{record.levelname:<7} {self._which}{_clean(record.name)}: "
            f"{_clean(first)}"
        )
        more += _traceback(self, record).split("\n") if record.exc_info else []
        more += record.stack_info.split("\n") if record.stack_info else []
        return "\n".join([head, *(_INDENT + _clean(line) for line in more)])


class _JsonFormatter(logging.Formatter):
    """The same fields and those of `extra`, as one JSON object."""

    def __init__(self, process: int | None) -> None:
        super().__init__()
        self._which = {} if process is None else {"process": process, "pid": os.getpid()}

    def format(self, record: logging.LogRecord) -> str:
        """Format one record as one line."""
        fields: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            **self._which,
            "logger": _clean(record.name),
            "message": _clean_lines(_message(record)),
        }
        if record.exc_info:
            fields["traceback"] = _clean_lines(_traceback(self, record))
        if record.stack_info:
            fields["stack"] = _clean_lines(record.stack_info)
        for name, value in vars(record).items():
            if name not in _OWN:
                fields[f"{name}_" if name in _TAKEN else name] = value
        return json.dumps(_plain(fields), ensure_ascii=False)


def _message(record: logging.LogRecord) -> str:
    """Return the message of a record, or a note if it cannot be formatted."""
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - foreign objects
        return f"{record.msg!r:.200} could not be formatted: {type(error).__name__}"


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    try:
        return formatter.formatException(record.exc_info)  # type: ignore[arg-type]  # it is there
    except Exception as error:  # noqa: BLE001 - as `_message`
        return f"the traceback could not be formatted: {type(error).__name__}"


def _job_of(record: logging.LogRecord) -> str:
    """Return the job in which an application's line was logged."""
    name, job_id = getattr(record, "job_name", None), getattr(record, "job_id", None)
    if job_id is None:
        return ""
    attempt = getattr(record, "job_attempt", None)
    which = "" if attempt is None else f" attempt {_clean(str(attempt))}"
    return f"[{_clean(str(name))} {_clean(str(job_id))}{which}] "


def _clean(line: str) -> str:
    """Make foreign text harmless: it cannot move the cursor or begin a line."""
    from workkit.core.text import clean

    return clean(line.replace("\t", "    "))


def _clean_lines(text: str) -> str:
    return "\n".join(_clean(line) for line in text.split("\n"))


_DEEPEST: Final = 6
#: Larger integers, in bits, are written as text: Python refuses to print very long ones.
_MOST_BITS: Final = 1_000


def _plain(value: object, depth: int = 0) -> object:
    """Convert a value for JSON: an `extra` may be any object, and may contain itself."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and value.bit_length() <= _MOST_BITS:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, str):
        return _clean_lines(value)
    if depth < _DEEPEST and isinstance(value, dict):
        return {_clean(str(name)): _plain(each, depth + 1) for name, each in value.items()}
    if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return [_plain(each, depth + 1) for each in value]
    try:
        return _clean_lines(str(value))
    except Exception as error:  # noqa: BLE001 - as `_message`
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def _time(record: logging.LogRecord) -> str:
    utc = datetime.datetime.fromtimestamp(record.created, tz=datetime.UTC)
    return utc.astimezone().isoformat(timespec="milliseconds")
