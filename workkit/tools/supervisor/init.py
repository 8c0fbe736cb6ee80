"""The first process of a container: passes signals on and reaps, while the worker runs in a child.

The kernel treats process 1 of a PID namespace specially. It drops signals that the process does not
handle, and gives it every orphan to reap. A worker cannot reap orphans itself: a wait for any
process would take exit codes away from processes that its handlers have started. So the worker
continues in a child, and this code stays behind.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import Final

__all__ = ["leave_init_behind"]

#: Signals for this process alone, that cannot be blocked, or from a terminal for its own group.
_KEPT: Final = frozenset({
    signal.SIGCHLD, signal.SIGKILL, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU,
    signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP,
    signal.SIGSYS,
})  # fmt: skip


def leave_init_behind() -> None:
    """Continue in a child; call it in process 1, before there are threads.

    The process left behind ends with the child's exit code, or with 128 plus the child's signal.
    """
    passed = signal.valid_signals() - _KEPT
    # Blocked signals are not lost: they wait for `sigwait`, or the child receives them.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*passed, signal.SIGCHLD})
    child = os.fork()
    if child:
        os._exit(_serve(child, {*passed, signal.SIGCHLD}))
    _take_terminal()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _take_terminal() -> None:
    """Become a separate process group: Ctrl-C reaches it once, not a second time through init."""
    os.setpgid(0, 0)
    with suppress(OSError, ValueError, AttributeError):  # no stdin, or no terminal
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        try:
            os.tcsetpgrp(sys.stdin.fileno(), os.getpgrp())
        finally:
            signal.signal(signal.SIGTTOU, before)


def _serve(child: int, awaited: set[int]) -> int:
    """Pass signals on and reap until the child has ended; return the exit code."""
    while True:
        number = signal.sigwait(awaited)
        if number != signal.SIGCHLD:
            with suppress(ProcessLookupError):
                os.kill(child, number)
            continue
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            if not pid:
                break
