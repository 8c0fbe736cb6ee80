"""Handles the results of users' functions: final values, awaitables, and code that never ran."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import inspect
import itertools
import sys
import types
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Generator
from typing import Any, Final

from workkit.core.call import Call
from workkit.engine.handling.interrupt import Crossing
from workkit.errors import InvalidHandler

__all__ = ["awaited", "discard", "finished", "is_done", "is_value", "label"]

#: Results that run only when iterated, entered or called, with a description.
_ASYNC_GENERATOR: Final = "an async generator, which nobody iterates"
_GENERATOR: Final = "a generator, which nobody iterates"
_CALL: Final = "the call of a task, which nobody enqueues"
_WAITED: Final = "a result of multiprocessing, for which nobody waits"
_ERROR: Final = "an exception, which nobody raises"
#: The mark of a collection, whose items decide.
_HOLDS: Final = "a collection"
#: Items of a collection, and of the collections in it, that are looked at.
_MOST_ITEMS: Final = 100
_DO_IT: Final = "do the work in the function itself, or return something to await"
#: What to do instead of returning it.
_ADVICE: Final = {
    _CALL: "write task.enqueue(...), or give the call to an enqueuer",
    _WAITED: "return what its get() returns",
    _ERROR: "write raise",
}
_VIEWS: Final[tuple[Any, ...]] = (type({}.values()), type({}.items()))
_IDLE: Final[tuple[tuple[Any, str], ...]] = (
    (AsyncGenerator, _ASYNC_GENERATOR),
    (Generator, _GENERATOR),
    (
        (
            map,
            filter,
            zip,
            enumerate,
            type(iter(int, 1)),
            *(kind for kind in vars(itertools).values() if isinstance(kind, type)),
        ),
        "a lazy iterator, which nobody iterates",
    ),
    (
        (type(contextlib.contextmanager(iter)([])), type(contextlib.asynccontextmanager(iter)([]))),  # type: ignore[arg-type]
        "a context manager, which nobody enters",
    ),
    ((types.FunctionType, types.MethodType, functools.partial), "a function, which nobody calls"),
    ((Call,), _CALL),
    ((BaseException,), _ERROR),
    ((list, tuple, set, frozenset, deque, dict, *_VIEWS), _HOLDS),
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
        if not why and _waits_elsewhere(kind):
            why = _WAITED
        if len(self) < _MOST_KINDS:
            self[kind] = why
        return why


_kinds: Final = _Kinds()


def _waits_elsewhere(kind: type) -> bool:
    """Tell whether a class is that of the results of `multiprocessing.Pool`, without its import."""
    pools = sys.modules.get("multiprocessing.pool")
    return pools is not None and issubclass(kind, pools.AsyncResult)


def is_done(result: object) -> bool:
    """Tell whether a result needs no more work."""
    if result is None:
        return True
    why = _kinds[type(result)]
    return why == "" or (why is _HOLDS and not any(map(_is_unfinished, _items(result))))


def _items(collection: Any) -> list[Any]:
    """Return the first items of a collection and of the collections in it; none if unreadable."""
    found: list[Any] = []
    waiting = deque([collection])
    seen = 0
    while waiting and seen < _MOST_ITEMS:
        items = _first(waiting.popleft(), _MOST_ITEMS - seen)
        seen += len(items)
        for item in items:
            (waiting if _kinds[type(item)] is _HOLDS else found).append(item)
    return found


def _first(collection: Any, most: int) -> list[Any]:
    try:
        each = collection.values() if isinstance(collection, dict) else collection
        return list(itertools.islice(each, most))
    except Exception:  # noqa: BLE001 - a user's class
        return []


def _is_unfinished(item: object) -> bool:
    """Tell whether an item of a collection stands for code that has not run to its end."""
    if inspect.iscoroutine(item):
        return inspect.getcoroutinestate(item) == inspect.CORO_CREATED
    if inspect.isgenerator(item):
        return inspect.getgeneratorstate(item) == inspect.GEN_CREATED
    if isinstance(item, (asyncio.Future, concurrent.futures.Future)):
        return not item.done() or item.cancelled() or item.exception() is not None
    return inspect.isasyncgen(item) or _kinds[type(item)] in {_CALL, _WAITED}


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
    if why is _HOLDS:
        failed = next(filter(None, map(_error_of, _items(result))), None)
        if failed is not None:
            raise failed
        kind = type(result).__name__
        why = f"a {kind} of coroutines, generators or unfinished futures, which nobody awaits"
        advice = "await them, or return asyncio.gather(*them) from an async function"
    else:
        advice = _ADVICE.get(why, _DO_IT)
    if isinstance(result, BaseException):
        raise InvalidHandler(
            f"{what} {label(function)} returned {why}, so the job would be done; {advice}"
        ) from result
    discard(result)
    raise InvalidHandler(
        f"{what} {label(function)} returned {why}, so its code has not run; {advice}"
    )


def _error_of(item: object) -> BaseException | None:
    """Return the error of a future that has ended with one."""
    futures = (asyncio.Future, concurrent.futures.Future)
    is_over = isinstance(item, futures) and item.done() and not item.cancelled()
    return item.exception() if is_over else None  # type: ignore[attr-defined] # it is a future


def discard(result: object) -> None:
    """Close generators and coroutines that will not run, so that Python does not warn."""
    if _kinds[type(result)] is _HOLDS:
        for item in _items(result):
            if _is_unfinished(item):
                discard(item)
    elif inspect.isgenerator(result) or inspect.iscoroutine(result):
        with contextlib.suppress(Exception):
            result.close()


def label(function: object) -> str:
    """Return the name of a user's function for messages."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else f"of class {type(function).__name__}"
