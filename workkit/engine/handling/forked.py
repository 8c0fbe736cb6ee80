"""Ends the child of a fork that returns from user code into the pool's own code."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from typing import Final

__all__ = ["FORKS", "leave"]

#: How many forks lie between this process and the first one that has imported workkit. Runners
#: compare it after each handler, because asking the system for the process id takes longer.
FORKS: Final = [0]


def _count() -> None:
    FORKS[0] += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count)


def leave(error: BaseException | None) -> None:
    """End this process, which is a fork of the pool's process.

    The memory of such a child holds jobs that only the pool may run, and no thread that would
    settle them.

    Args:
        error: What the user code has raised, or None. It decides the exit code, as in a program.
    """
    code = 0
    with contextlib.suppress(BaseException):  # nothing may return from here
        if isinstance(error, SystemExit):
            code = _code(error.code)
        elif error is not None:
            code = 1
            traceback.print_exception(error)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _code(code: object) -> int:
    if isinstance(code, int):
        return code & 0xFF
    if code is not None:
        print(code, file=sys.stderr)  # noqa: T201 - as Python does
    return 0 if code is None else 1
