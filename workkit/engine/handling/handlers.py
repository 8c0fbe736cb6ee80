"""Handlers and middleware: their accepted shapes, and the chain that runs one job."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from workkit.core.job import Job
from workkit.core.options import JobOptions
from workkit.engine.handling.interrupt import Crossing, run_on_thread
from workkit.errors import InvalidHandler, JobTimeout

__all__ = [
    "Chain",
    "Handler",
    "Middleware",
    "Registration",
    "Waits",
    "read_handler",
    "read_middleware",
]

#: What threads of one execution wait for, the innermost last.
Waits: TypeAlias = "list[concurrent.futures.Future[BaseException | None]]"


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

    def call(self, context: Any, job: Job) -> Any:
        """Call the function; an async one returns its coroutine."""
        return self.function(context, job) if self.takes_context else self.function(job)

    def in_chain(self) -> Callable[[Any, Job], Any]:
        """Return the innermost part of a chain."""
        function = self.function
        return function if self.takes_context else lambda _, job: function(job)


@dataclass(frozen=True, slots=True)
class Middleware:
    """A user's function around every job; it calls `next()` to go on.

    Attributes:
        function: Takes ``(job, next)`` or ``(ctx, job, next)``.
        is_async: Whether it, and its `next()`, are awaited.
        takes_context: Whether it takes the context first.
    """

    function: Callable[..., Any]
    is_async: bool
    takes_context: bool

    def call(self, context: Any, job: Job, proceed: Callable[[], Any]) -> Any:
        """Call the function; an async one returns its coroutine."""
        if self.takes_context:
            return self.function(context, job, proceed)
        return self.function(job, proceed)

    def around(self, inner: Callable[[Any, Job], Any]) -> Callable[[Any, Job], Any]:
        """Return a part of a chain: this middleware around what is further in."""
        function, partial = self.function, functools.partial
        if self.takes_context:
            return lambda context, job: function(context, job, partial(inner, context, job))
        return lambda context, job: function(job, partial(inner, context, job))


@dataclass(frozen=True, slots=True)
class Registration:
    """A job name with its handler and options."""

    name: str
    handler: Handler
    options: JobOptions


def read_handler(function: object, name: str, *, has_context: bool) -> Handler:
    """Check a handler where it is registered.

    Args:
        function: What the user gave.
        name: The job's name, for the message.
        has_context: Whether the pool makes contexts.

    Raises:
        InvalidHandler: Its signature is not one of the accepted ones.
    """
    count = _positional(function, f"the handler of {name!r}", (1, 2), _HANDLER_SHAPES)
    if count == 2 and not has_context:  # noqa: PLR2004 - (ctx, job)
        raise InvalidHandler(
            f"the handler of {name!r} takes (ctx, job), but the pool makes no contexts; "
            "give WorkerPool(context=...) a function that returns one, or take (job)"
        )
    assert callable(function)  # noqa: S101 - _positional has checked
    return Handler(function, _is_async(function), count == 2)  # noqa: PLR2004


def read_middleware(function: object, *, has_context: bool) -> Middleware:
    """Check a middleware where it is registered.

    Raises:
        InvalidHandler: Its signature is not one of the accepted ones.
    """
    count = _positional(function, "a middleware", (2, 3), _MIDDLEWARE_SHAPES)
    if count == 3 and not has_context:  # noqa: PLR2004 - (ctx, job, next)
        raise InvalidHandler(
            "a middleware takes (ctx, job, next), but the pool makes no contexts; "
            "give WorkerPool(context=...) a function that returns one, or take (job, next)"
        )
    assert callable(function)  # noqa: S101 - _positional has checked
    return Middleware(function, _is_async(function), count == 3)  # noqa: PLR2004


def _is_async(function: object) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
    )


def _positional(function: object, what: str, accepted: tuple[int, int], shapes: str) -> int:
    """Return how many arguments to pass, or say which signatures are right."""
    if not callable(function):
        raise InvalidHandler(f"{what} must be a function: {shapes}; got {function!r}")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return accepted[0]  # a built-in without a signature; the first call will tell
    for count in reversed(accepted):
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        required = [
            p
            for p in signature.parameters.values()
            if p.default is p.empty and p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}
        ]
        if len(required) < count and count != accepted[0]:
            continue  # a default is the user's own business, not a place for ours
        return count
    raise InvalidHandler(f"{what} has the signature {signature}; it must be {shapes}")


class Chain:
    """The middleware of a pool around the handler of one job.

    A chain is `on_loop` when handler and middleware are all async. Any other chain runs on a
    thread; async parts in it are run on the pool's event loop while the thread waits, and sync
    parts behind an async one on another thread.
    """

    def __init__(
        self,
        handler: Handler,
        middleware: Sequence[Middleware],
        context: Callable[[], Any] | None,
    ) -> None:
        self._handler = handler
        self._middleware = tuple(middleware)
        self._context = context
        parts = [handler.is_async, *(layer.is_async for layer in middleware)]
        self.on_loop = all(parts)
        self.needs_loop = any(parts)
        self._call = _nested(handler, middleware)

    def run(
        self,
        job: Job,
        loop: asyncio.AbstractEventLoop | None = None,
        waits: Waits | None = None,
    ) -> None:
        """Run one job on this thread.

        Args:
            job: The job.
            loop: Where async parts run; given if `needs_loop`.
            waits: Where to leave what is waited for; cancelling the last interrupts the job.

        Raises:
            Exception: Whatever the handler or a middleware raised.
        """
        context = self._context() if self._context is not None else None
        if self.needs_loop:
            self._descend(context, job, 0, loop, waits if waits is not None else [])
        else:
            self._call(context, job)

    def _descend(
        self,
        context: Any,
        job: Job,
        depth: int,
        loop: asyncio.AbstractEventLoop | None,
        waits: Waits,
    ) -> None:
        if depth == len(self._middleware):
            result = self._handler.call(context, job)
            if self._handler.is_async:
                _wait_for(result, loop, waits)
            return
        layer = self._middleware[depth]

        def proceed() -> None:
            self._descend(context, job, depth + 1, loop, waits)

        async def proceed_async() -> None:
            await run_on_thread(proceed)

        result = layer.call(context, job, proceed_async if layer.is_async else proceed)
        if layer.is_async:
            _wait_for(result, loop, waits)

    async def run_async(self, job: Job) -> None:
        """Run one job on the event loop; only for a chain that is `on_loop`.

        Raises:
            Exception: Whatever the handler or a middleware raised.
        """
        context = self._context() if self._context is not None else None
        await self._call(context, job)


def _nested(handler: Handler, middleware: Sequence[Middleware]) -> Callable[[Any, Job], Any]:
    """Put all layers into one function of context and job.

    It serves chains whose parts are all sync, and those whose parts are all async: then each call
    returns what is to be awaited.
    """
    nested = handler.in_chain()
    for layer in reversed(middleware):
        nested = layer.around(nested)
    return nested


def _wait_for(coroutine: Any, loop: asyncio.AbstractEventLoop | None, waits: Waits) -> None:
    """Run a coroutine on the loop while this thread waits.

    A thread that waits here is interrupted by cancelling what it waits for: an exception thrown
    into it could leave the locks of the future behind.
    """
    assert loop is not None  # noqa: S101 - the runner starts the loop for chains that need one
    if isinstance(loop, Crossing):
        loop.await_on_thread(coroutine)
        return
    ready = asyncio.Event()
    future = asyncio.run_coroutine_threadsafe(_contained(coroutine, ready), loop)
    try:
        waits.append(future)  # before the coroutine starts, so that it is never out of reach
        loop.call_soon_threadsafe(ready.set)
        error = future.result()
    except concurrent.futures.CancelledError:
        raise JobTimeout from None
    except BaseException:
        future.cancel()
        raise
    finally:
        if future in waits:
            waits.remove(future)
    if error is not None:
        raise error


async def _contained(coroutine: Any, ready: asyncio.Event) -> BaseException | None:
    """Await a user's coroutine; a SystemExit of its must not end the loop."""
    try:
        await ready.wait()
    except asyncio.CancelledError:
        coroutine.close()
        raise
    try:
        await coroutine
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - raised again on the waiting thread
        return error
    return None
