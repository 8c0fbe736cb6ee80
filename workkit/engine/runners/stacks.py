"""Looks at the stacks of threads and tasks while they run."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final, TypeAlias

import workkit
from workkit.core.stacks import StackFrame

__all__ = ["Frames", "of_task", "of_thread", "told"]

#: Frames with the lines that they execute.
Frames: TypeAlias = list[tuple[FrameType, int]]

#: Deeper stacks are not followed to their beginning.
_DEEPEST: Final = 2_000
#: Where the code of workkit and of threads is.
_OWN: Final = (f"{Path(workkit.__file__).parent}{os.sep}", threading.__file__)


def of_thread(ident: int | None) -> Frames:
    """Return the calls of a thread, the outermost first; none if the thread is gone."""
    frame = sys._current_frames().get(ident or 0)  # noqa: SLF001 - the only way
    if frame is None:
        return []
    return list(itertools.islice(traceback.walk_stack(frame), _DEEPEST))[::-1]


def of_task(task: asyncio.Task[Any], loop_ident: int | None) -> Frames:
    """Return the calls of a task, the outermost first.

    Args:
        task: The task.
        loop_ident: The thread of its loop; if the task is executed just now, its calls are there.
    """
    if asyncio.current_task(task.get_loop()) is task:
        return of_thread(loop_ident)
    walked = itertools.islice(_awaiting(task.get_coro()), _DEEPEST)
    return [(frame, frame.f_lineno) for frame in walked]


def _awaiting(awaited: Any) -> Iterator[FrameType]:
    """Walk from a coroutine to what it awaits in the end."""
    while awaited is not None:
        kinds = (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await"))
        kind = next((each for each in kinds if hasattr(awaited, each[0])), None)
        if kind is None:
            return
        frame = getattr(awaited, kind[0])
        if frame is not None:
            yield frame
        awaited = getattr(awaited, kind[1])


def told(frames: Frames) -> list[StackFrame]:
    """Describe calls; those of a worker before the handler are left out. This reads source files.

    Args:
        frames: The calls, the outermost first.
    """
    begins = next((at for at, each in enumerate(frames) if not _is_ours(each[0])), 0)
    found = traceback.StackSummary.extract(iter(frames[begins:]), lookup_lines=True)
    return [
        StackFrame(each.filename, each.lineno or 0, each.name, each.line or "") for each in found
    ]


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_OWN)
