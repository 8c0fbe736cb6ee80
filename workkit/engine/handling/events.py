"""Hooks: users' functions that the pool calls on events, outside the handlers' time.

Hooks run on one thread, in the order of the events, after Redis has confirmed the event. An error
of a hook is logged and has no other effect. An awaitable result is awaited on the handlers' loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Final, Literal

from workkit.core import fingerprint
from workkit.core.job import Job
from workkit.core.options import near_match, shown
from workkit.core.outcomes import OUTCOMES
from workkit.core.text import clean
from workkit.core.verdicts import Verdict
from workkit.engine.handling.execution import Fate
from workkit.engine.handling.forked import FORKS, leave
from workkit.engine.handling.handlers import Loop
from workkit.engine.handling.interrupt import responds, wait_for
from workkit.engine.handling.results import awaited, discard, is_value, label
from workkit.engine.handling.shapes import Shape, read_shape
from workkit.errors import InvalidOption, PoolState

__all__ = [
    "EventName",
    "Events",
    "ReapedPool",
    "call_hook",
    "call_stop_hooks",
    "check_plain_hook",
    "hook_failed",
    "run_hook",
]

_log = logging.getLogger("workkit")

EventName = Literal["failed", "dead", "reaped"]
_NAMES: Final = ("failed", "dead", "reaped")
#: At most this many hook calls wait: if a hook never returns, they would fill the memory.
_MOST_WAITING: Final = 10_000
_OF_A_JOB: Final = (("job", "error"),), "def hook(job, error), or the same with async def"
_OF_A_POOL: Final = (("pool",),), "def hook(reaped_pool), or the same with async def"
_SHAPES: Final = {"failed": _OF_A_JOB, "dead": _OF_A_JOB, "reaped": _OF_A_POOL}
#: At a stop, an async hook waits at most this long for a blocked event loop, seconds.
_BLOCKED_S: Final = 2.0


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
    """Receives events and calls the hooks.

    Attributes:
        hooks: Event -> its hooks.
        loop: Returns the loop that awaits the results of hooks; if None, each such hook gets a new
            loop.
    """

    def __init__(self) -> None:
        self.hooks: dict[str, list[Callable[..., Any]]] = {name: [] for name in _NAMES}
        self.loop: Loop | None = None
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
            InvalidHandler: The hook has another signature.
        """
        if not isinstance(name, str) or name not in self.hooks:
            near = near_match(name, _NAMES) if isinstance(name, str) else ""
            raise InvalidOption(
                f"there is no event {shown(name)}{near}; there are {', '.join(_NAMES)}"
            )
        forms, text = _SHAPES[name]
        read_shape(hook, Shape(f"the hook of {name!r}", forms, text))
        self.hooks[name].append(hook)

    def settled(self, fate: Fate) -> None:
        """Report the fate of a job that has failed."""
        outcome = fate.record.outcome
        if not OUTCOMES[outcome].becomes:
            return
        execution = fate.execution
        payload, fails, text = execution.payload, execution.fails, execution.error_text
        if not text:
            return
        error = execution.error
        headline, traceback = text.partition("\n")[0], None
        if error is None:
            error = RuntimeError(text)
        elif execution.can_be_logged:
            # After a verdict, the handler has said it all.
            if not isinstance(error, Verdict) and fingerprint.tells_where(error):
                traceback = (type(error), error, fingerprint.traceback_of(error))
        else:
            headline = text  # logging cannot format the error itself
        facts = {"job_name": payload.name, "job_id": payload.id, "fails": fails, "outcome": outcome}
        _log.warning(
            "job %r %s failed (%d of %d), %s: %s",
            payload.name, clean(payload.id), fails, execution.options.max_fails,
            OUTCOMES[outcome].becomes,
            "\n".join(map(clean, headline.split("\n"))),
            exc_info=traceback, extra=facts,
        )  # fmt: skip
        self.tell("failed", execution.job, error)
        if outcome == "dead":
            self.tell("dead", execution.job, error)
        execution.let_go()

    def reaped(self, pool: ReapedPool) -> None:
        """Report that a dead pool's jobs were recovered."""
        _log.warning(
            "recovered from dead pool %r: %d jobs requeued, %d dead",
            pool.pool_id, pool.requeued, pool.died, extra={"pool_id": pool.pool_id},
        )  # fmt: skip
        self.tell("reaped", pool)

    def tell(self, name: str, *arguments: Job | BaseException | ReapedPool) -> None:
        """Queue a call of an event's hooks; the simulator calls them in virtual time."""
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
        self._thread = thread  # before the start: a hook may call `runs_here`
        try:
            thread.start()
        except RuntimeError as error:
            _log.warning("hooks wait: the system refuses to start a thread for them: %s", error)

    def runs_here(self) -> bool:
        """Tell whether the caller is a hook."""
        return threading.current_thread() is self._thread

    def _serve(self) -> None:
        while self._call_next():
            pass

    def _call_next(self) -> bool:
        """Call the hooks of one event; a separate call, so that no job is kept during a wait."""
        item = self._queue.get()
        if item is None:
            return False
        name, arguments = item
        before = FORKS[0]
        for hook in self.hooks[name]:
            contextvars.Context().run(call_hook, hook, *arguments, loop=self.loop)
            if FORKS[0] != before:
                leave(None)
        return True

    def close(self, wait_s: float) -> None:
        """Run the hooks that are due, for a limited time."""
        if not self._queue.empty() and (self._thread is None or not self._thread.is_alive()):
            self._start()
        if self._thread is not None and self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(wait_s)
            self._thread = None


def check_plain_hook(what: str, hook: object) -> None:
    """Check a hook of `on_start` or `on_stop`.

    Raises:
        InvalidHandler: It is not a function without arguments.
    """
    read_shape(hook, Shape(what, ((),), "def hook(), or the same with async def"))


def run_hook(
    hook: Callable[..., Any],
    *arguments: Any,
    loop: Loop | None,
    patience_s: float | None = None,
) -> None:
    """Call a user's hook, and await its result.

    Args:
        hook: The hook.
        *arguments: Its arguments.
        loop: Returns the handlers' loop; None to make one for this call.
        patience_s: How long to wait for a blocked loop; None for no limit.

    Raises:
        PoolState: The loop was blocked.
        BaseException: The error of the hook.
    """
    result = hook(*arguments)
    if is_value(result):
        return
    waiting = awaited(result, hook, "the hook")
    if loop is None:
        asyncio.run(waiting)
        return
    running = loop()
    if patience_s is not None and not responds(running, patience_s):
        waiting.close()
        discard(result)
        raise PoolState("a handler blocks the event loop, so the hook cannot be awaited there")
    wait_for(waiting, running)


def call_hook(hook: Callable[..., Any], *arguments: Any, loop: Loop | None = None) -> None:
    """Call a user's hook and await its result; log its errors."""
    try:
        run_hook(hook, *arguments, loop=loop)
    except BaseException as error:  # noqa: BLE001 - the user's code may raise anything
        hook_failed(hook, error)


def call_stop_hooks(hooks: Iterable[Callable[[], Any]], loop: Loop) -> None:
    """Call the hooks of a stopped pool; log their errors."""
    for hook in hooks:
        try:
            run_hook(hook, loop=loop, patience_s=_BLOCKED_S)
        except BaseException as error:  # noqa: BLE001 - the user's code may raise anything
            hook_failed(hook, error)


def hook_failed(hook: Callable[..., Any], error: BaseException) -> None:
    """Log the error of a hook."""
    if fingerprint.can_be_logged(error):
        _log.error("hook %s failed", label(hook), exc_info=error)
    else:
        _log.error("hook %s failed: %s", label(hook), fingerprint.error_text(error))
