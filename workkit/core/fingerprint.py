"""Error texts and their fingerprints: which failures are the same failure.

An error text is the exception's type and message on the first line, then a blank line and a bounded
traceback. The fingerprint is made from that text alone, so that jobs of Go pools, dead jobs of last
year and records of history group the same way.
"""

from __future__ import annotations

import hashlib
import os
import re
import traceback
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

__all__ = ["ErrorParts", "error_text", "fingerprint", "of_parts", "parts", "without_own_frames"]

_HERE: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep  # noqa: PTH120 - compared with frames' names
_FRAMES: Final = 20
_HEADLINE_CHARS: Final = 2_000
_DIGITS: Final = 12
_FRAME: Final = re.compile(
    r'^  File "(?P<file>[^"]+)", line \d+, in (?P<function>.+)$', re.MULTILINE
)
_FOREIGN: Final = re.compile(r"site-packages|dist-packages|lib/python\d|<frozen ")
_TYPE: Final = re.compile(r"^(?P<type>[A-Za-z_][\w.]*)(?:: |$)")
#: What varies, and what stands there instead. Errors can be megabytes of unbroken text, so each
#: pattern has to pass over a text once: none may begin at every character of a run.
_VARIABLE: Final[tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]] = (
    (
        re.compile(
            r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE
        ),
        "<uuid>",
    ),
    (re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE), "<hex>"),
    (re.compile(r"'[^']*'|\"[^\"]*\""), "<text>"),
    (re.compile(r"[\w./-]+"), lambda run: _without_path(run[0])),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{12,}\b", re.IGNORECASE), "<hex>"),
    (re.compile(r"\d+(?:\.\d+)*"), "<n>"),
)


class ErrorParts(NamedTuple):
    """What makes two failures the same.

    Attributes:
        type: The exception's type; "" where the text does not start with one.
        message: The message with what varies (numbers, ids, quoted texts, paths) blanked.
        frame: The innermost frame of the user's own code, ``file:function``; "" if unknown.
    """

    type: str
    message: str
    frame: str


def error_text(error: BaseException) -> str:
    """Write an exception as it is stored: headline, blank line, traceback of the last frames."""
    name = type(error).__name__
    message = _message(error)
    headline = _as_text((f"{name}: {message}" if message else name)[:_HEADLINE_CHARS])
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [at for at in frames if not at[0].f_code.co_filename.startswith(_HERE)] or frames
    if not own:
        return headline
    # Extracted this way, frames have no columns. To mark those, `traceback` parses each line again,
    # and before Python 3.12.3 that breaks what another thread happens to parse at that moment.
    lines = traceback.StackSummary.extract(iter(own[-_FRAMES:])).format()
    trace = _as_text("".join(lines).rstrip())
    return f"{headline}\n\nTraceback (innermost last):\n{trace}"


def _as_text(text: str) -> str:
    """Replace what UTF-8 cannot carry, such as the bytes of an odd file name."""
    return text.encode("utf-8", "replace").decode("utf-8")


def without_own_frames(error: BaseException) -> BaseException:
    """Drop the outer frames of a traceback that are workkit's: they tell the user nothing."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE):
        trace = trace.tb_next
    return error.with_traceback(trace) if trace is not None else error


def _message(error: BaseException) -> str:
    """Return the message, also of an exception whose own `__str__` fails."""
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001 - user code; anything can come out of it
        return f"(its message cannot be shown: {type(broken).__name__})"


def parts(text: str) -> ErrorParts:
    """Take an error text apart."""
    headline = text.partition("\n")[0]
    match = _TYPE.match(headline)
    kind = match["type"] if match else ""
    message = headline[match.end() :] if match else headline
    for pattern, blank in _VARIABLE:
        message = pattern.sub(blank, message)
    return ErrorParts(kind, " ".join(message.split()), _own_frame(text[len(headline) :]))


def _without_path(run: str) -> str:
    """Blank a run of the characters that paths are made of, if it is a path; not its last slash."""
    path = run.rstrip("/")
    return "<path>" + run[len(path) :] if "/" in path else run


@lru_cache(maxsize=1_024)
def _own_frame(trace: str) -> str:
    """Find the innermost frame of the user's own code; failures of a kind share their traceback."""
    own = ""
    for frame in _FRAME.finditer(trace):
        if not _FOREIGN.search(frame["file"]):
            own = f"{frame['file'].rpartition('/')[2]}:{frame['function']}"
    return own


def fingerprint(text: str) -> str:
    """Return 12 hexadecimal digits that are equal for equal failures; "" for no error."""
    return of_parts(parts(text)) if text else ""


def of_parts(found: ErrorParts) -> str:
    """Return the fingerprint of an error that was taken apart."""
    joined = "\0".join(found)
    return hashlib.sha256(joined.encode("utf-8", "replace")).hexdigest()[:_DIGITS]
