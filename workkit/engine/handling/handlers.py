"""Handlers and middleware: their accepted signatures, and the chain that runs one job."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from workkit.core.job import Job
from workkit.core.options import JobOptions
from workkit.core.probes import Watch
from workkit.engine.handling.interrupt import Waiting, Waits, wait_for
from workkit.engine.handling.proceeding import (
    MIDDLEWARE,
    Call,
    Next,
    await_middleware,
    drop,
    ended,
    too_late,
)
from workkit.engine.handling.results import awaited, finished, is_done, is_value
from workkit.engine.handling.shapes import Shape, is_async, read_shape
from workkit.engine.handling.values import Values
from workkit.errors import InvalidHandler

__all__ = [
    "Chain",
    "Handler",
    "Middleware",
    "Registration",
    "Waits",
    "check_context_function",
    "read_handler",
    "read_middleware",
]

#: Returns the event loop on which async parts run.
Loop: TypeAlias = Callable[[], asyncio.AbstractEventLoop]
#: How a thread reaches that loop.
Way: TypeAlias = "tuple[Loop | None, Waiting | None]"

_READS: Final = (
    "; a handler takes the job and reads the args from it: {reads}, or any of them in job.args"
)
_FACTORY: Final = "the context function"
_HANDLER: Final = "the handler"
_HANDLER_SHAPES: Final = "def handler(job), def handler(ctx, job), or the same with async def"
_MIDDLEWARE_SHAPES: Final = (
    "def middleware(job, next), def middleware(ctx, job, next), or the same with async def"
)


@dataclass(frozen=True, slots=True)
class Handler:
    """A user's function for jobs of one name.

    Attributes:
        function: Takes ``(job)`` or ``(ctx, job)``.
        is_async: Whether it is awaited.
        takes_context: Whether it takes the context first.
    """

    function: Callable[..., Any]
    is_async: bool
    takes_context: bool


@dataclass(frozen=True, slots=True)
class Middleware:
    """A user's function around every job; it calls `next()` to continue.

    Attributes:
        function: Takes ``(job, next)`` or ``(ctx, job, next)``.
        is_async: Whether it, and its `next()`, are awaited.
        takes_context: Whether it takes the context first.
    """

    function: Callable[..., Any]
    is_async: bool
    takes_context: bool


@dataclass(frozen=True, slots=True)
class Registration:
    """A job name with its handler and options.

    Attributes:
        name: The job's name.
        handler: Runs it.
        options: How it is processed.
        signature: What its args must be, as pools publish it; nothing if that is not known.
    """

    name: str
    handler: Handler
    options: JobOptions
    signature: bytes = b""


def read_handler(function: object, name: str, *, has_context: bool) -> Handler:
    """Check a handler at its registration.

    Args:
        function: The user's function.
        name: The job's name, for the message.
        has_context: Whether the pool makes contexts.

    Raises:
        InvalidHandler: Its signature is not accepted.
    """
    what = f"the handler of {name!r}"
    form = read_shape(function, Shape(what, (("job",), ("ctx", "job")), _HANDLER_SHAPES, _READS))
    _check_context(what, form, has_context=has_context, other="(job)")
    assert callable(function)  # noqa: S101 - read_shape has checked
    return Handler(function, is_async(function), form[0] == "ctx")


def read_middleware(function: object, *, has_context: bool) -> Middleware:
    """Check a middleware at its registration.

    Raises:
        InvalidHandler: Its signature is not accepted.
    """
    what, forms = "a middleware", (("job", "next"), ("ctx", "job", "next"))
    form = read_shape(function, Shape(what, forms, _MIDDLEWARE_SHAPES))
    _check_context(what, form, has_context=has_context, other="(job, next)")
    assert callable(function)  # noqa: S101 - read_shape has checked
    return Middleware(function, is_async(function), form[0] == "ctx")


def check_context_function(function: object) -> None:
    """Check the function that makes contexts.

    Raises:
        InvalidHandler: It cannot be called without arguments, or contains yield.
    """
    text = "a function without arguments that returns a context, with def or async def, or a class"
    read_shape(function, Shape("context", ((),), text, may_be_class=True))


def _check_context(what: str, form: Sequence[str], *, has_context: bool, other: str) -> None:
    if form[0] == "ctx" and not has_context:
        raise InvalidHandler(
            f"{what} takes ({', '.join(form)}), but the pool makes no contexts; "
            f"give WorkerPool(context=...) a function that returns one, or take {other}"
        )


class Chain:
    """The middleware of a pool around the handler of one job.

    A chain is `on_loop` when handler and middleware are all async. Any other chain runs on a
    thread; its async parts run on the pool's event loop while the thread waits, and sync parts
    behind an async part run on another thread. An awaitable result of a part is awaited on that
    loop before the part counts as ended.

    Each job runs in a new `contextvars` context.

    Attributes:
        on_loop: Whether it runs on the event loop.
        values: The values of the pool's lifespans.
        watch: What watches its jobs; None for nothing. Its pool sets it.
    """

    def __init__(
        self,
        handler: Handler,
        middleware: Sequence[Middleware],
        context: Callable[[], Any] | None,
        values: Values | None = None,
    ) -> None:
        self.watch: Watch | None = None
        self.values = values if values is not None else Values()
        self._make_context = context
        self.on_loop = handler.is_async and all(layer.is_async for layer in middleware)
        # The fast path: no middleware and no context.
        self._function = handler.function if not middleware and context is None else None
        self._on_thread = _last_on_thread(handler)
        self._on_loop = _last_on_loop(handler)
        for layer in reversed(middleware):
            self._on_thread = _around_on_thread(layer, self._on_thread)
            self._on_loop = _around_on_loop(layer, self._on_loop)

    def run(self, job: Job, loop: Loop | None = None, waiting: Waiting | None = None) -> None:
        """Run one job on this thread.

        Args:
            job: The job.
            loop: Returns the event loop, on another thread, for async parts.
            waiting: Stores the futures that are waited for; cancelling the last interrupts the job.

        Raises:
            Exception: The error of the handler or of a middleware.
        """
        # A copy, so that no job sees the variables of an earlier one; the thread's own context
        # holds only its worker.
        own, function = contextvars.copy_context(), self._function
        if function is None:
            if self._make_context is None:
                own.run(self._on_thread, None, job, (loop, waiting))
            else:
                own.run(self._run, self._make_context, job, (loop, waiting))
            return
        result = own.run(function, job)
        if result is not None and not is_done(result):
            own.run(_wait, finished(result, function, _HANDLER), (loop, waiting))

    def _run(self, make_context: Callable[[], Any], job: Job, way: Way) -> None:
        context = make_context()
        if not is_value(context):
            context = _wait(awaited(context, make_context, _FACTORY), way)
        self._on_thread(context, job, way)

    async def run_async(self, job: Job) -> None:
        """Run one job on the event loop; only for a chain that is `on_loop`.

        Raises:
            Exception: The error of the handler or of a middleware.
        """
        if self._function is not None:
            result = await self._function(job)
            if result is not None:
                await finished(result, self._function, _HANDLER)
            return
        context = self._make_context() if self._make_context is not None else None
        if context is not None and not is_value(context):
            context = await awaited(context, self._make_context, _FACTORY)
        await self._on_loop(context, job)


# On a thread. A part is called with the context, the job and the way to the loop.


def _last_on_thread(handler: Handler) -> Callable[[Any, Job, Way], None]:
    function, takes_context = handler.function, handler.takes_context

    def go(context: Any, job: Job, way: Way) -> None:
        result = function(context, job) if takes_context else function(job)
        if result is not None and not is_done(result):
            _wait(finished(result, function, _HANDLER), way)

    return go


def _around_on_thread(
    layer: Middleware, inner: Callable[[Any, Job, Way], None]
) -> Callable[[Any, Job, Way], None]:
    function, takes_context = layer.function, layer.takes_context

    def go(context: Any, job: Job, way: Way) -> None:
        proceed = Next(functools.partial(inner, context, job, way), function)
        try:
            result = (
                function(context, job, proceed.call)
                if takes_context
                else function(job, proceed.call)
            )
            if result is not None and not is_done(result):
                # A coroutine that has not begun: it calls `next` on the loop.
                calls: list[Call] = []
                proceed.calls = calls
                _wait(await_middleware(result, function, calls), way)
        except BaseException:
            proceed.close()
            raise
        proceed.end()

    return go


def _wait(coroutine: Coroutine[Any, Any, Any], way: Way) -> Any:
    """Run a coroutine on the loop while this thread waits, and return its result."""
    loop, waiting = way
    assert loop is not None  # noqa: S101 - runners give one
    if waiting is None:
        return wait_for(coroutine, loop())
    if waiting.waits is None:
        waiting.waits = []
    return wait_for(coroutine, loop(), waiting.waits)


# On the loop. A part is called with the context and the job.


def _last_on_loop(handler: Handler) -> Callable[[Any, Job], Coroutine[Any, Any, Any]]:
    function, takes_context = handler.function, handler.takes_context

    async def go(context: Any, job: Job) -> None:
        result = await (function(context, job) if takes_context else function(job))
        if result is not None:
            await finished(result, function, _HANDLER)

    return go


def _around_on_loop(
    layer: Middleware, inner: Callable[[Any, Job], Coroutine[Any, Any, Any]]
) -> Callable[[Any, Job], Coroutine[Any, Any, Any]]:
    function, takes_context = layer.function, layer.takes_context

    async def go(context: Any, job: Job) -> None:
        calls: list[Call] = []
        over = False

        def proceed() -> Call:
            if over:
                raise too_late(function)
            call = inner(context, job)
            calls.append(call)
            return call

        try:
            result = await (
                function(context, job, proceed) if takes_context else function(job, proceed)
            )
            if result is not None:
                await finished(result, function, MIDDLEWARE)
            for call in calls:
                if call.cr_frame is not None:
                    await ended(function, calls)
        except BaseException:
            drop(calls)
            raise
        finally:
            over = True

    return go
