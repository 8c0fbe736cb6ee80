"""Threads of sync handlers. Only one thread runs at a time: the world's or a handler's.

A sync handler needs its own stack, so that it can stop in the middle while virtual time passes. Its
thread is parked at each request and continues when the world answers.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from workkit.core.clock import processor_s
from workkit.core.guarding import Unwinding
from workkit.errors import WorkkitError
from workkit.simulation.machine.host import Host
from workkit.simulation.machine.inside import HERE, inside

__all__ = ["Abandoned", "HandlerBlocked", "ParkedThreads", "Stack", "current_stack"]

#: A handler that has not returned after this long, and makes no progress, really blocks; seconds of
#: real time.
BLOCKED_S: Final = 5.0
#: A handler that makes progress may take this many times as long.
_WORKING: Final = 20

#: How often an abandoned handler may catch `Abandoned` before it stays parked for ever.
_PATIENCE: Final = 10

_here = threading.local()


class HandlerBlocked(WorkkitError):
    """A handler waits for something real, which never happens in virtual time."""


class Abandoned(Unwinding):
    """Unwinds a stack once the world is over, such as one of a crashed process."""


class Stack:
    """A stack that runs a function, step by step.

    Args:
        body: The function.
        what: A name for the function, for the error that it blocks.
        host: The machine that it runs on.

    Attributes:
        ended: Whether the function has returned.
        error: The exception that it raised, or None.
        request: Its unanswered request, while it is parked.
        abandoned: Whether its requests are no longer answered.
    """

    def __init__(self, body: Callable[[], object], what: str, host: Host) -> None:
        self._body = body
        self._what = what
        self._host = host
        self._worker: _ParkedThread | None = None
        self._answer: Any = None
        self._thrown: BaseException | None = None
        self.ended = False
        self.error: BaseException | None = None
        self.request: Any = None
        self.abandoned = False

    def ask(self, request: Any) -> Any:
        """Park this thread with a request until it is answered; called on the stack itself.

        Raises:
            BaseException: The exception that the world throws in.
        """
        if self.abandoned:
            raise Abandoned
        assert self._worker is not None  # noqa: S101 - it runs on one
        self.request = request
        self._worker.hand_back()
        thrown, self._thrown = self._thrown, None
        if thrown is not None:
            raise thrown
        return self._answer

    def go_on(
        self, threads: ParkedThreads, answer: Any = None, error: BaseException | None = None
    ) -> None:
        """Run the stack until it parks again or ends; called by the world.

        Raises:
            HandlerBlocked: It neither parks nor ends.
        """
        self._answer, self._thrown, self.request = answer, error, None
        if self._worker is None:
            self._worker = threads.take()
            self._worker.stack = self
        worker = self._worker
        if not worker.run():
            frames = sys._current_frames().get(worker.thread.ident or 0)  # noqa: SLF001 - the only way
            where = "".join(traceback.format_stack(frames)) if frames is not None else ""
            raise HandlerBlocked(
                f"{self._what} has blocked for {BLOCKED_S:g} s of real time. In a simulation a "
                "handler may wait with time.sleep, Event.wait, Queue.get and the like, or with "
                "asyncio if it is async, but not for a lock that another handler keeps while it "
                f"waits; here is where it waits:\n{where}"
            )
        if self.ended:
            threads.give(worker)

    def unwind(self, threads: ParkedThreads) -> None:
        """End the stack; one that keeps catching `Abandoned` stays parked."""
        self.abandoned = True
        for _ in range(_PATIENCE):
            if self.ended or self._worker is None or self._worker.given_up:
                return
            self.go_on(threads, error=Abandoned())

    def run(self) -> None:
        """Run the function on the current thread."""
        _here.stack, HERE.host = self, self._host
        try:
            self._body()
        except BaseException as error:  # noqa: BLE001 - handed over to the world
            self.error = error
        finally:
            _here.stack = HERE.host = None
            self.ended = True


def current_stack() -> Stack | None:
    """Return the stack that runs on this thread, or None on the world's own."""
    stack: Stack | None = getattr(_here, "stack", None)
    return stack


class _ParkedThread:
    """A thread that runs one stack after another, and only when the world allows it."""

    def __init__(self) -> None:
        self._to_worker = threading.Lock()
        self._to_world = threading.Lock()
        self._to_worker.acquire()
        self._to_world.acquire()
        self.given_up = False
        self.stack: Stack | None = None
        # Not "workkit-...": a thread that blocks for ever outlives its world, and tests look for
        # leftover threads of engines by that name.
        self.thread = threading.Thread(target=self._work, name="simulated-handler", daemon=True)
        with inside(None):  # this thread is the simulator's, whoever needs it
            self.thread.start()

    def run(self) -> bool:
        """Run the thread until it lets the world run. If it blocks, give it up and return False."""
        self._to_worker.release()
        before: tuple[int, int, float] | None = None
        for _ in range(2 * _WORKING):
            if self._to_world.acquire(timeout=BLOCKED_S / 2):
                return True
            place = self._place()
            if place is not None and place == before:
                break
            before = place
        self.given_up = True
        return False

    def _place(self) -> tuple[int, int, float] | None:
        """Return a mark of the handler's progress: its instruction and its processor time.

        None while a busy machine delays it: then the thread has not left the place where it was
        parked, or it waits for a processor.
        """
        ident = self.thread.ident or 0
        frame = sys._current_frames().get(ident)  # noqa: SLF001 - the only way
        if frame is None or frame.f_code.co_filename == __file__ or self._is_runnable():
            return None
        return id(frame), frame.f_lasti, processor_s(ident)

    def _is_runnable(self) -> bool:
        """Tell whether the thread runs or waits for a processor; False if the system cannot say."""
        try:
            stat = Path(f"/proc/self/task/{self.thread.native_id}/stat").read_bytes()
        except OSError:
            return False
        return stat.rpartition(b") ")[2].startswith(b"R")

    def hand_back(self) -> None:
        """Let the world run, and wait until it lets this thread run again.

        Raises:
            Abandoned: The world has given this thread up.
        """
        if self.given_up:
            raise Abandoned
        self._to_world.release()
        self._to_worker.acquire()

    def _work(self) -> None:
        while True:
            self._to_worker.acquire()
            if self.stack is None:
                return
            self.stack.run()
            self.stack = None
            if self.given_up:
                return
            self._to_world.release()

    def end(self) -> None:
        """End an idle thread."""
        self.stack = None
        self._to_worker.release()
        self.thread.join()


class ParkedThreads:
    """A pool of threads, so that not every short handler starts a new one."""

    def __init__(self) -> None:
        self._idle: list[_ParkedThread] = []

    def take(self) -> _ParkedThread:
        """Return an idle thread."""
        return self._idle.pop() if self._idle else _ParkedThread()

    def give(self, worker: _ParkedThread) -> None:
        """Take a thread back."""
        self._idle.append(worker)

    def close(self) -> None:
        """End the idle threads and wait until they have ended."""
        while self._idle:
            self._idle.pop().end()
