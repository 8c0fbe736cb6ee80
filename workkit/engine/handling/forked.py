"""Ends the child of a fork that returns from user code into the pool's own code."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback

__all__ = ["forks", "leave_if_forked"]

_forks = 0


def _forked() -> None:
    global _forks  # noqa: PLW0603 - a fork copies the whole process, so its count is global
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def forks() -> int:
    """Return how many forks lie between this process and the first one that has imported workkit.

    Runners compare it after each handler; asking the system for the process id takes longer.
    """
    return _forks


def leave_if_forked(before: int, error: BaseException | None) -> None:
    """End this process if it is a fork of the pool's process.

    The memory of such a child holds jobs that only the pool may run, and no thread that would
    settle them.

    Args:
        before: The number of forks in the pool's process; see `forks`.
        error: What the user code has raised, or None. It decides the exit code, as in a program.
    """
    if _forks == before:
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
