"""Lifespans: users' generators around all jobs of a run, which open and close what handlers use.

The code before the yield runs before the first job, the code behind it after the last. An async
generator runs in one task of the handlers' loop, a sync one on one thread. So task groups, cancel
scopes and connections that belong to a thread work across the yield.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from workkit.core import fingerprint
from workkit.core.options import shown
from workkit.engine.handling.handlers import Loop
from workkit.engine.handling.interrupt import responds
from workkit.engine.handling.results import label
from workkit.engine.handling.shapes import is_generator
from workkit.engine.handling.values import Values
from workkit.errors import InvalidHandler, LifespanFailed, PoolState

__all__ = ["Lifespan", "Lives", "Visit", "read_lifespan", "report_failure"]

_log = logging.getLogger("workkit")

_FORM: Final = "async def lifespan() or def lifespan(), without arguments and with one yield"
#: How often a start looks whether it was cancelled while a lifespan is entered, seconds.
_LOOK_S: Final = 0.05
#: A lifespan is left only if the handlers' loop answers within this time, seconds.
_BLOCKED_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Lifespan:
    """A registered lifespan.

    Attributes:
        function: A call makes its generator.
        is_async: Whether that is an async generator.
        name: The function's name, for messages.
    """

    function: Callable[[], Any]
    is_async: bool
    name: str


def read_lifespan(function: object) -> Lifespan:
    """Check a lifespan at its registration.

    Raises:
        InvalidHandler: It is not a generator function without arguments.
    """
    if not callable(function):
        raise InvalidHandler(f"a lifespan must be {_FORM}; got {shown(function)}")
    name = label(function)
    if not is_generator(function):
        remedy = ""
        if is_generator(getattr(function, "__wrapped__", None)):
            remedy = "; register the function without its decorator, such as @asynccontextmanager"
        raise InvalidHandler(f"the lifespan {name} is no generator: it must be {_FORM}{remedy}")
    with contextlib.suppress(ValueError):  # without a signature, the call shows errors
        signature = inspect.signature(function)
        try:
            signature.bind()
        except TypeError:
            raise InvalidHandler(
                f"the lifespan {name} has the signature {signature!s:.200}; it must be {_FORM}"
            ) from None
    call = getattr(function, "__call__", None)  # noqa: B004 - of an object that can be called
    is_async = any(map(inspect.isasyncgenfunction, (function, call)))
    return Lifespan(function, is_async, name)


class Visit:
    """One pass through a lifespan: its generator, entered and left once.

    Args:
        lifespan: The lifespan.

    Each method raises `LifespanFailed`, whose cause is the user's error.
    """

    def __init__(self, lifespan: Lifespan) -> None:
        self._name = lifespan.name
        self._function = lifespan.function
        self._generator: Any = None

    def enter(self) -> Any:
        """Run a sync generator up to its yield, and return the value."""
        try:
            self._generator = self._function()
            return next(self._generator)
        except StopIteration:
            raise self._never() from None
        except BaseException as error:
            raise self._failed("before its yield", error) from error

    async def enter_async(self) -> Any:
        """Run an async generator up to its yield, and return the value."""
        try:
            self._generator = self._function()
            return await anext(self._generator)
        except StopAsyncIteration:
            raise self._never() from None
        except BaseException as error:
            raise self._failed("before its yield", error) from error

    def leave(self) -> None:
        """Run a sync generator from its yield to its end."""
        try:
            next(self._generator)
        except StopIteration:
            return
        except BaseException as error:
            raise self._failed("after its yield", error) from error
        with contextlib.suppress(BaseException):  # the second yield is the error to report
            self._generator.close()
        raise self._twice()

    async def leave_async(self, thrown: BaseException | None = None) -> None:
        """Run an async generator from its yield to its end.

        Args:
            thrown: An error that ended the pool's wait, such as of a task group of the lifespan.
        """
        generator = self._generator
        try:
            await (anext(generator) if thrown is None else generator.athrow(thrown))
        except StopAsyncIteration:
            return
        except BaseException as error:
            raise self._failed("after its yield", error) from error
        with contextlib.suppress(BaseException):  # the second yield is the error to report
            await generator.aclose()
        raise self._twice()

    def _never(self) -> LifespanFailed:
        return LifespanFailed(
            f"the lifespan {self._name} ended without a yield; it must yield once, also on every "
            "branch"
        )

    def _twice(self) -> LifespanFailed:
        return LifespanFailed(f"the lifespan {self._name} yielded twice; it must yield once")

    def _failed(self, when: str, error: BaseException) -> LifespanFailed:
        text = fingerprint.error_text(error).partition("\n")[0]
        return LifespanFailed(f"the lifespan {self._name} failed {when}: {text}")


class _Life:
    """One lifespan during one run, on a task or a thread of its own.

    Attributes:
        entered: Set once the code before the yield has ended.
        left: Set once all code has ended.
        value: What it has yielded.
        error: Its error, or None.
    """

    def __init__(self, lifespan: Lifespan, loop: Loop) -> None:
        self.lifespan = lifespan
        self.entered = threading.Event()
        self.left = threading.Event()
        self.value: Any = None
        self.error: LifespanFailed | None = None
        self._visit = Visit(lifespan)
        self._loop = loop
        self._leave = threading.Event()
        self._leave_async: asyncio.Event | None = None
        self._task: asyncio.Task[Any] | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to enter it.

        Raises:
            RuntimeError: The system refuses a thread.
        """
        if self.lifespan.is_async:
            # A context of its own: the caller may be a handler of another pool.
            live = self._live_async()
            contextvars.Context().run(asyncio.run_coroutine_threadsafe, live, self._loop())
            return
        self._thread = threading.Thread(target=self._live, name="workkit-lifespan", daemon=True)
        self._thread.start()

    def runs_here(self) -> bool:
        """Tell whether the caller is the thread of a sync lifespan."""
        return threading.current_thread() is self._thread

    def ask(self) -> None:
        """Ask it to go on behind its yield.

        Raises:
            LifespanFailed: A handler blocks the loop, or the loop has ended.
        """
        self._leave.set()
        if not self.lifespan.is_async:
            return
        loop = self._loop()
        try:
            can_be_left = responds(loop, _BLOCKED_S)
            loop.call_soon_threadsafe(self._wake)
        except (RuntimeError, OSError):
            can_be_left = False
        if not can_be_left and not self.left.is_set():
            raise LifespanFailed(
                f"the lifespan {self.lifespan.name} could not be left: a handler blocks the event "
                "loop, or the loop has ended"
            )

    def cancel(self) -> None:
        """End it while it is being entered."""
        self._leave.set()
        if self.lifespan.is_async:
            with contextlib.suppress(RuntimeError, OSError):
                self._loop().call_soon_threadsafe(self._cancel)

    def _wake(self) -> None:
        if self._leave_async is not None:
            self._leave_async.set()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _live(self) -> None:
        try:
            self.value = self._visit.enter()
            self.entered.set()
            self._leave.wait()
            self._visit.leave()
        except LifespanFailed as error:
            self.error = error
        finally:
            self._end()

    async def _live_async(self) -> None:
        self._task, self._leave_async = asyncio.current_task(), asyncio.Event()
        try:
            self.value = await self._visit.enter_async()
            self.entered.set()
            thrown: BaseException | None = None
            try:
                await self._leave_async.wait()
            except BaseException as error:  # noqa: BLE001 - its generator decides what it means
                thrown = error
            await self._visit.leave_async(thrown)
        except LifespanFailed as error:
            self.error = error
            if self.entered.is_set() and not self._leave.is_set():
                report_failure(error, " while the pool ran")
        finally:
            self._end()

    def _end(self) -> None:
        self.left.set()
        self.entered.set()


class Lives:
    """All lifespans of one run of a pool.

    Args:
        lifespans: In the order in which they are entered.
        values: Receives what they yield.
        loop: Returns the handlers' loop.
    """

    def __init__(self, lifespans: Sequence[Lifespan], values: Values, loop: Loop) -> None:
        self._lifespans = lifespans
        self._values = values
        self._loop = loop
        self._lives: list[_Life] = []

    def enter(self, cancelled: Callable[[], bool]) -> None:
        """Enter all, one after the other.

        Args:
            cancelled: Tells whether the start was cancelled.

        Raises:
            LifespanFailed: One has failed. Those before it are still entered.
            PoolState: The start was cancelled.
        """
        for lifespan in self._lifespans:
            life = _Life(lifespan, self._loop)
            life.start()
            self._lives.append(life)
            try:
                while not life.entered.wait(_LOOK_S):
                    if cancelled():
                        raise PoolState("the start of the pool was cancelled")  # noqa: TRY301
            except BaseException:  # also a signal
                life.cancel()
                self._lives.remove(life)
                raise
            if life.error is not None:
                self._lives.remove(life)
                raise life.error
            self._values.add(life.value)

    def runs_here(self) -> bool:
        """Tell whether the caller is a sync lifespan."""
        return any(life.runs_here() for life in self._lives)

    def leave(self) -> list[LifespanFailed]:
        """Leave all, the last first; return the errors, which were logged."""
        failed = []
        while self._lives:
            life = self._lives.pop()
            try:
                life.ask()
                life.left.wait()
                error = life.error
            except LifespanFailed as blocked:
                error = blocked
            if error is not None:
                report_failure(error)
                failed.append(error)
        self._values.clear()
        return failed


def report_failure(error: LifespanFailed, when: str = "") -> None:
    """Log the error of a lifespan, with the user's traceback if that can be shown."""
    cause = error.__cause__
    shows = cause is not None and fingerprint.can_be_logged(fingerprint.without_own_frames(cause))
    _log.error("%s%s", error, when, exc_info=cause if shows else None)
