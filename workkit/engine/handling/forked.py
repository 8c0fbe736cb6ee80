"""Ends the child of a fork that returns from user code into the pool's own code."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback

__all__ = ["leave_if_forked"]


def leave_if_forked(pid: int, error: BaseException | None) -> None:
    """End this process if it is a fork of the pool's process.

    The memory of such a child holds jobs that only the pool may run, and no thread that would
    settle them.

    Args:
        pid: The pool's process.
        error: What the user code has raised, or None. It decides the exit code, as in a program.
    """
    if os.getpid() == pid:
        return
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
