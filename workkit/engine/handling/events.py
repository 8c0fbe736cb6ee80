"""Hooks: what a user wants to be told, outside the handlers' time.

Hooks run on one thread of their own, in the order of what happened, after Redis has confirmed it.
What they raise is logged and goes no further.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Final, Literal

from workkit.core.job import Job
from workkit.engine.handling.execution import Fate
from workkit.errors import InvalidHandler, InvalidOption

__all__ = ["EventName", "Events", "ReapedPool", "call_hook"]

_log = logging.getLogger("workkit")

EventName = Literal["failed", "dead", "reaped"]
_NAMES: Final = ("failed", "dead", "reaped")
#: How many calls of hooks wait at most; behind a hook that never returns they would fill memory.
_MOST_WAITING: Final = 10_000


@dataclass(frozen=True, slots=True)
class ReapedPool:
    """A dead pool whose jobs were recovered.

    Attributes:
        pool_id: Its id.
        requeued: Jobs that went back to the front of their queues.
        died: Jobs that had been recovered too often and went to the dead set.
    """

    pool_id: str
    requeued: int
    died: int


class Events:
    """Takes what happened and calls the hooks.

    Attributes:
        hooks: Event -> what is called.
    """

    def __init__(self) -> None:
        self.hooks: dict[str, list[Callable[..., Any]]] = {name: [] for name in _NAMES}
        self._queue: SimpleQueue[tuple[str, tuple[Any, ...]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_full = False

    def on(self, name: str, hook: Callable[..., Any]) -> None:
        """Register a hook.

        Args:
            name: "failed" and "dead" call ``hook(job, error)``, "reaped" ``hook(reaped_pool)``.
            hook: A function, sync or async.

        Raises:
            InvalidOption: The event is unknown.
            InvalidHandler: The hook is not a function.
        """
        if name not in self.hooks:
            raise InvalidOption(f"unknown event {name!r}; known are {', '.join(_NAMES)}")
        if not callable(hook):
            raise InvalidHandler(f"a hook must be a function, not {hook!r}")
        self.hooks[name].append(hook)

    def settled(self, fate: Fate) -> None:
        """Tell what became of a job."""
        outcome = fate.record.outcome
        if outcome in {"done", "returned"}:
            return
        execution = fate.execution
        payload, fails, text = execution.payload, execution.fails, execution.error_text
        if not text:
            return
        error = execution.error or RuntimeError(text)
        headline, traceback = text.partition("\n")[0], None
        if execution.error is not None:
            if _is_text(error):
                traceback = (type(error), error, error.__traceback__)
            else:
                headline = text  # a log cannot take the error itself
        facts = {"job_name": payload.name, "job_id": payload.id, "fails": fails, "outcome": outcome}
        _log.warning(
            "job %r %s failed (%d of %d), %s: %s",
            payload.name, payload.id, fails, execution.options.max_fails, _BECOMES[outcome],
            headline,
            exc_info=traceback, extra=facts,
        )  # fmt: skip
        self.tell("failed", execution.job, error)
        if outcome == "dead":
            self.tell("dead", execution.job, error)

    def reaped(self, pool: ReapedPool) -> None:
        """Tell that a dead pool's jobs were recovered."""
        _log.warning(
            "recovered from dead pool %s: %d jobs requeued, %d dead",
            pool.pool_id, pool.requeued, pool.died, extra={"pool_id": pool.pool_id},
        )  # fmt: skip
        self.tell("reaped", pool)

    def tell(self, name: str, *arguments: Job | BaseException | ReapedPool) -> None:
        """Have the hooks of an event called; the simulator calls them in its own time."""
        if not self.hooks[name]:
            return
        if self._queue.qsize() >= _MOST_WAITING:
            if not self._is_full:
                self._is_full = True
                _log.error("%d calls of hooks wait; more are dropped until one ends", _MOST_WAITING)
            return
        self._is_full = False
        self._queue.put((name, arguments))
        if self._thread is None or not self._thread.is_alive():
            self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._serve, name="workkit-hooks", daemon=True)
        self._thread = thread  # before it runs: a hook may ask where it is
        try:
            thread.start()
        except RuntimeError as error:
            _log.warning("hooks wait, since the system starts no thread for them: %s", error)

    def runs_here(self) -> bool:
        """Tell whether this is called from within a hook."""
        return threading.current_thread() is self._thread

    def _serve(self) -> None:
        while (item := self._queue.get()) is not None:
            name, arguments = item
            for hook in self.hooks[name]:
                call_hook(hook, *arguments)

    def close(self, wait_s: float) -> None:
        """Let the hooks that are due run, for a while."""
        if not self._queue.empty() and (self._thread is None or not self._thread.is_alive()):
            self._start()
        if self._thread is not None and self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(wait_s)
            self._thread = None


def _is_text(error: BaseException) -> bool:
    """Tell whether an error can be written to a log at all; odd file names cannot."""
    try:
        str(error).encode()
    except Exception:  # noqa: BLE001 - the user's class; anything can come out of it
        return False
    return True


def call_hook(hook: Callable[..., Any], *arguments: Any) -> None:
    """Call a user's function whose failure must not matter."""
    try:
        result = hook(*arguments)
        if inspect.isawaitable(result):
            asyncio.run(_awaited(result))
    except BaseException:  # noqa: BLE001 - the user's code; anything can come out of it
        _log.exception("hook %r failed", getattr(hook, "__qualname__", hook))


async def _awaited(result: Any) -> None:
    await result


_BECOMES: Final = {
    "retry": "will be retried",
    "dead": "is dead",
    "discarded": "was discarded",
    "fenced": "belongs to another pool",
}
