"""Error texts, and fingerprints that are equal for equal failures.

The first line of an error text holds the exception's type and message. A blank line and a bounded
traceback follow. A fingerprint depends on this text only. So jobs of Go pools, old dead jobs and
records of history have the same fingerprint for the same failure.
"""

from __future__ import annotations

import hashlib
import os
import re
import traceback
from abc import ABCMeta
from collections.abc import Callable
from functools import lru_cache
from types import FrameType, TracebackType
from typing import Any, Final, NamedTuple

from workkit.errors import WorkkitError

__all__ = [
    "ErrorParts",
    "can_be_logged",
    "error_text",
    "fingerprint",
    "of_parts",
    "parts",
    "tells_where",
    "text_of",
    "traceback_of",
    "type_name",
    "without_own_frames",
]

_HERE: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep  # noqa: PTH120 - compared with frames' names
_FRAMES: Final = 20
_HEADLINE_CHARS: Final = 2_000
_DIGITS: Final = 12
#: The most chained exceptions that a log formats.
_MOST_CHAINED: Final = 200
#: The log shows only the bounded text of an exception that is longer than this, characters.
_MOST_LOGGED: Final = 65_536
# The interpreter's own attributes: a class can define properties with the same names.
_NAME: Final[Any] = vars(type)["__name__"]
_TRACEBACK: Final[Any] = vars(BaseException)["__traceback__"]
_CAUSE: Final[Any] = vars(BaseException)["__cause__"]
_CONTEXT: Final[Any] = vars(BaseException)["__context__"]
_GROUPED: Final[Any] = vars(BaseExceptionGroup)["exceptions"]
#: Attributes of an exception that `traceback` reads without catching errors.
_READ: Final = frozenset(
    {
        "__bool__", "__cause__", "__class__", "__context__", "__getattr__", "__getattribute__",
        "__len__", "__notes__", "__suppress_context__", "__traceback__", "exceptions",
    }
)  # fmt: skip
_FRAME: Final = re.compile(
    r'^  File "(?P<file>[^"]+)", line \d+, in (?P<function>.+)$', re.MULTILINE
)
_FOREIGN: Final = re.compile(r"site-packages|dist-packages|lib/python\d|<frozen ")
_TYPE: Final = re.compile(r"^(?P<type>[A-Za-z_][\w.]*)(?:: |$)")
#: Patterns of the parts that vary, and their replacements. An error can be megabytes of text
#: without a break. So each pattern must run in linear time: it must not start at every character
#: of a run.
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
    """The parts of an error that its fingerprint is made from.

    Attributes:
        type: The exception's type; "" if the text does not start with one.
        message: The message, with placeholders for numbers, ids, quoted texts and paths.
        frame: The innermost frame in the user's code, ``file:function``; "" if unknown.
    """

    type: str
    message: str
    frame: str


def error_text(error: BaseException, message: str | None = None) -> str:
    """Write an exception as it is stored: headline, blank line, traceback of the last frames.

    It never raises, even if the exception's own code does.

    Args:
        error: The exception.
        message: A message in place of its own, which its own code makes.
    """
    name, message = type_name(error), _message(error) if message is None else message
    headline = _as_text((f"{name}: {message}" if message else name)[:_HEADLINE_CHARS])
    try:
        trace = _trace(error)
    except BaseException as broken:  # noqa: BLE001 - loaders and file names of users' modules
        trace = f"(its traceback cannot be shown: {type_name(broken)})"
    return f"{headline}\n\nTraceback (innermost last):\n{trace}" if trace else headline


def tells_where(error: BaseException) -> bool:
    """Tell whether the traceback of an exception helps its reader."""
    return bool(_frames(error))


def _frames(error: BaseException) -> list[tuple[FrameType, int]]:
    """Return the frames of a traceback; only the user's own, if it has some.

    An error that workkit itself raises, such as `ArgsMismatch`, says everything in its message.
    """
    frames = list(traceback.walk_tb(traceback_of(error)))
    own = [at for at in frames if not at[0].f_code.co_filename.startswith(_HERE)]
    return own if own or issubclass(type(error), WorkkitError) else frames


def _trace(error: BaseException) -> str:
    """Write the last frames of a traceback."""
    own = _frames(error)
    # Frames extracted this way have no columns. To mark columns, `traceback` parses each line
    # again. Before Python 3.12.3, that breaks another thread that parses at the same time.
    lines = traceback.StackSummary.extract(iter(own[-_FRAMES:])).format()
    return _as_text("".join(lines).rstrip())


def _as_text(text: str) -> str:
    """Replace characters that UTF-8 cannot encode, such as bytes of an invalid file name."""
    return text.encode("utf-8", "replace").decode("utf-8")


def traceback_of(error: BaseException) -> TracebackType | None:
    """Return an exception's traceback, even if its class redefines the attribute."""
    trace: TracebackType | None = _TRACEBACK.__get__(error)
    return trace


def without_own_frames(error: BaseException) -> BaseException:
    """Drop the outer frames of a traceback that are workkit's: they tell the user nothing."""
    trace = traceback_of(error)
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE):
        trace = trace.tb_next
    if trace is not None:
        _TRACEBACK.__set__(error, trace)
    return error


def can_be_logged(error: BaseException) -> bool:
    """Tell whether a log can format an exception and the exceptions that it is chained to.

    `traceback` reads attributes of the exception and of its class. A class can redefine them with
    code that raises anything, even an exception that ends a thread. So this is tried first.
    """
    try:
        if len(text := str(error)) > _MOST_LOGGED:
            return False
        text.encode()
        found = _formatted(error)
        if found is None:
            return False
        if not all(map(_is_plain, found)):
            text = "".join(traceback.format_exception(error))
            text.encode()
            return len(text) <= _MOST_LOGGED
        return sum(len(str(one)) + len(_NAME.__get__(type(one))) for one in found) <= _MOST_LOGGED
    except BaseException:  # noqa: BLE001 - user code; anything can come out of it
        return False


def _formatted(error: BaseException) -> list[BaseException] | None:
    """Return the exceptions that a log formats for one exception; None if there are too many.

    `traceback` formats a member of several groups once for each of them. So a few groups, each of
    which holds another one twice, would never end.
    """
    found: list[BaseException] = []
    chained: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None:
            continue
        found.append(one)
        if len(found) > _MOST_CHAINED:
            return None
        for other in (_CAUSE.__get__(one), _CONTEXT.__get__(one)):
            if other is not None and id(other) not in chained:
                chained.add(id(other))
                waiting.append(other)
        if issubclass(type(one), BaseExceptionGroup):
            waiting += _GROUPED.__get__(one)
    return found


def _is_plain(error: BaseException) -> bool:
    """Tell whether formatting an exception runs only `__str__` of its class."""
    return _is_plain_class(type(error)) and not getattr(error, "__notes__", None)


def _is_plain_class(kind: type[BaseException]) -> bool:
    if type(kind) not in {type, ABCMeta} or issubclass(kind, SyntaxError):
        return False
    own = kind.__mro__[: kind.__mro__.index(BaseException)]
    return all(base.__module__ == "builtins" or _READ.isdisjoint(vars(base)) for base in own)


def type_name(error: BaseException) -> str:
    """Return the name of an exception's class, even if its metaclass hides it."""
    name: str = _NAME.__get__(type(error))
    return name if name.isprintable() else _as_text(repr(name))


def _message(error: BaseException) -> str:
    """Return the message, also of an exception whose own `__str__` fails."""
    return text_of(error, "its message cannot be shown", _HEADLINE_CHARS)


def text_of(
    value: object,
    without: str,
    most: int,
    *,
    show: Callable[[object], str] = str,
    through: type[BaseException] | tuple[()] = (),
) -> str:
    """Return the beginning of a user's value as text; it does not raise.

    Args:
        value: The value.
        without: The text to return if the value's own code raises.
        most: Characters at most.
        show: Makes the text: `str` or `repr`.
        through: Exceptions that are raised and not replaced.
    """
    try:
        return str.__getitem__(show(value), slice(most))
    except through:
        raise
    except BaseException as broken:  # noqa: BLE001 - user code; anything can come out of it
        return f"({without}: {type_name(broken)})"


def parts(text: str) -> ErrorParts:
    """Split an error text into the parts of its fingerprint."""
    headline = text.partition("\n")[0]
    match = _TYPE.match(headline)
    kind = match["type"] if match else ""
    message = headline[match.end() :] if match else headline
    for pattern, blank in _VARIABLE:
        message = pattern.sub(blank, message)
    return ErrorParts(kind, " ".join(message.split()), _own_frame(text[len(headline) :]))


def _without_path(run: str) -> str:
    """Replace a run of path characters by ``<path>`` if it holds a slash; keep its last slash."""
    path = run.rstrip("/")
    return "<path>" + run[len(path) :] if "/" in path else run


@lru_cache(maxsize=1_024)
def _own_frame(trace: str) -> str:
    """Return the innermost frame in the user's code. Cached: equal failures have equal traces."""
    own = ""
    for frame in _FRAME.finditer(trace):
        if not _FOREIGN.search(frame["file"]):
            own = f"{frame['file'].rpartition('/')[2]}:{frame['function']}"
    return own


def fingerprint(text: str) -> str:
    """Return 12 hexadecimal digits that are equal for equal failures; "" for no error."""
    return of_parts(parts(text)) if text else ""


def of_parts(found: ErrorParts) -> str:
    """Return the fingerprint of the parts of an error."""
    joined = "\0".join(found)
    return hashlib.sha256(joined.encode("utf-8", "replace")).hexdigest()[:_DIGITS]
