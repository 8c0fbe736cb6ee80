"""Something happens between two steps of the interpreter, as a signal or a job's timeout does."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from typing import Any, NoReturn

#: Behind these the interpreter looks for signals and for exceptions from other threads.
_NAMES = {"CALL", "CALL_FUNCTION_EX", "CALL_KW", "JUMP_BACKWARD", "RESUME"}
LOOKS = frozenset(number for name, number in dis.opmap.items() if name in _NAMES)


class Struck(BaseException):
    """Ends what it strikes, as no `except Exception` stops it."""


def strike() -> NoReturn:
    """Raise `Struck`."""
    raise Struck


def at_step(
    step: int,
    act: Callable[[], object],
    work: Callable[[], object],
    *,
    within: str,
    behind: frozenset[int] | None = None,
) -> bool:
    """Do some work, and something else before one of its steps; tell whether it came so far.

    Args:
        step: The number of the step, from 1.
        act: What happens before this step.
        work: The work.
        within: Only steps of files count whose path contains this.
        behind: Only steps behind these instructions count; None for all.

    Returns:
        True if the work has that many steps.
    """
    count = 0
    before_it: dict[Any, int] = {}

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal count
        if within not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            counts = behind is None or before_it.get(frame) in behind
            before_it[frame] = frame.f_code.co_code[frame.f_lasti]
            count += counts
            if counts and count == step:
                sys.settrace(None)
                act()
        return trace

    before = sys.gettrace()
    # CPython 3.12 traces instructions only if a frame had asked for them before `settrace`.
    sys._getframe().f_trace_opcodes = True
    sys.settrace(trace)
    try:
        work()
    except Struck:
        return True
    finally:
        sys.settrace(before)
    return count >= step
