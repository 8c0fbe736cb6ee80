"""The stack of a running handler, as its pool tells it on request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from workkit.core.text import clip

__all__ = ["RunningStack", "StackFrame", "bounded", "decode", "encode"]

#: So many frames are told: the outermost ones, and more of the innermost.
_OUTER: Final = 15
_INNER: Final = 60
#: Longer texts are cut, characters.
_LONGEST: Final = 240
_VERSION: Final = 1


class StackFrame(NamedTuple):
    """One call.

    Attributes:
        file: The file of the code.
        line: The line that is executed.
        function: The name of the function.
        code: The text of the line, without secrets; "" if the file cannot be read.
    """

    file: str
    line: int
    function: str
    code: str


class RunningStack(msgspec.Struct, frozen=True):
    """Where a handler is.

    Attributes:
        job_id: Its job.
        job_name: The job's name; "" if the job was not running any more.
        worker_id: The worker that runs it.
        kind: "thread", "task", or "" if the job was not running any more.
        taken_ms: When the pool has looked, epoch milliseconds.
        started_ms: When the handler has started, epoch milliseconds.
        frames: The calls, the outermost first.
        left_out: How many frames in the middle are left out.
        v: The version of the format.
    """

    job_id: str
    job_name: str = ""
    worker_id: str = ""
    kind: str = ""
    taken_ms: int = 0
    started_ms: int = 0
    frames: tuple[StackFrame, ...] = ()
    left_out: int = 0
    v: int = _VERSION

    @property
    def lines(self) -> list[str]:
        """The stack as Python writes it."""
        written = []
        for at, frame in enumerate(self.frames):
            if self.left_out and at == _OUTER:
                written.append(f"  ... {self.left_out} frames are left out")
            written.append(f'  File "{frame.file}", line {frame.line}, in {frame.function}')
            if frame.code:
                written.append(f"    {frame.code}")
        return written


def bounded(frames: Sequence[StackFrame]) -> tuple[tuple[StackFrame, ...], int]:
    """Leave out frames in the middle, and cut long texts.

    Args:
        frames: The calls, the outermost first.

    Returns:
        The frames that are told, and how many are left out.
    """
    left_out = max(len(frames) - _OUTER - _INNER, 0)
    kept = (*frames[:_OUTER], *frames[_OUTER + left_out :])
    return tuple(map(_cut, kept)), left_out


def _cut(frame: StackFrame) -> StackFrame:
    file, function, code = (
        clip(text, _LONGEST) for text in (frame.file, frame.function, frame.code.strip())
    )
    return StackFrame(file, frame.line, function, code)


def encode(stack: RunningStack) -> bytes:
    """Write a stack as JSON."""
    return msgspec.json.encode(stack)


def decode(raw: bytes) -> RunningStack | None:
    """Read a stack from JSON; None if it is not one."""
    try:
        stack = msgspec.json.decode(raw, type=RunningStack)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return stack if stack.v == _VERSION else None
