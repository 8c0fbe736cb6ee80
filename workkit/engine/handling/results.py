"""Handles the results of users' functions: final values, awaitables, and code that never ran."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import inspect
import itertools
import types
from collections.abc import AsyncGenerator, Awaitable, Generator
from typing import Any, Final

from workkit.engine.handling.interrupt import Crossing
from workkit.errors import InvalidHandler

__all__ = ["awaited", "discard", "finished", "is_done", "is_value", "label"]

#: Results that run only when iterated, entered or called, with a description.
_ASYNC_GENERATOR: Final = "an async generator, which nobody iterates"
_GENERATOR: Final = "a generator, which nobody iterates"
_IDLE: Final[tuple[tuple[Any, str], ...]] = (
    (AsyncGenerator, _ASYNC_GENERATOR),
    (Generator, _GENERATOR),
    ((map, filter, itertools.starmap), "a lazy iterator, which nobody iterates"),
    (
        (type(contextlib.contextmanager(iter)([])), type(contextlib.asynccontextmanager(iter)([]))),  # type: ignore[arg-type]
        "a context manager, which nobody enters",
    ),
    ((types.FunctionType, functools.partial), "a function, which nobody calls"),
)
_NO_VALUE: Final = frozenset({None, _ASYNC_GENERATOR, _GENERATOR})
#: Classes that are remembered, at most; a handler may make a class per job.
_MOST_KINDS: Final = 1_000
#: The deepest nesting of awaitables.
_DEEP: Final = 10


class _Kinds(dict[type, "str | None"]):
    """Maps a result's class to None (await it), the reason why it is idle, or "" (done)."""

    def __missing__(self, kind: type) -> str | None:
        if issubclass(kind, (Awaitable, concurrent.futures.Future)):
            return None
        why = next((why for classes, why in _IDLE if issubclass(kind, classes)), "")
        if len(self) < _MOST_KINDS:
            self[kind] = why
        return why


_kinds: Final = _Kinds()


def is_done(result: object) -> bool:
    """Tell whether a result needs no more work."""
    return result is None or _kinds[type(result)] == ""


def is_value(result: object) -> bool:
    """Tell whether a result is final, rather than a generator or an awaitable."""
    return _kinds[type(result)] not in _NO_VALUE


async def awaited(result: object, function: object, what: str) -> Any:
    """Await a result that is not a value, and return the value; see `finished`."""
    return await _awaitable(result, function, what)


async def finished(result: object, function: object, what: str) -> None:
    """Await a result until there is nothing left to await.

    Args:
        result: The function's result.
        function: The function, for the message.
        what: Its role: "the handler", "the middleware".

    Raises:
        InvalidHandler: The result stands for code that has not run and that nobody will run.
        BaseException: The error of an awaited result.
    """
    for _ in range(_DEEP):
        if is_done(result):
            return
        before = result
        result = await _awaitable(before, function, what)
        if result is before:  # some connection pools return themselves
            return
    discard(result)
    raise InvalidHandler(f"{what} {label(function)} returned awaitables more than {_DEEP} deep")


def _awaitable(result: Any, function: object, what: str) -> Awaitable[Any]:
    why = _kinds[type(result)]
    if why is None:
        if not isinstance(result, concurrent.futures.Future):
            return result  # type: ignore[no-any-return] # `_kinds` has checked it
        if isinstance(asyncio.get_running_loop(), Crossing):
            concurrent.futures.wait([result])  # real threads take no virtual time
        return asyncio.wrap_future(result)
    if inspect.isawaitable(result):  # a generator made by `types.coroutine`
        return result
    discard(result)
    raise InvalidHandler(
        f"{what} {label(function)} returned {why}, so its code has not run; do the work in the "
        "function itself, or return something to await"
    )


def discard(result: object) -> None:
    """Close a generator or a coroutine that will not run, so that Python does not warn."""
    if inspect.isgenerator(result) or inspect.iscoroutine(result):
        with contextlib.suppress(Exception):
            result.close()


def label(function: object) -> str:
    """Return the name of a user's function for messages."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else f"of class {type(function).__name__}"
