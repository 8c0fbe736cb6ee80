"""Handlers and middleware that return before their work is done, or that never do it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import itertools
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from workkit import Call, Job

__all__ = ["idle_handlers", "pending_handlers", "plain_decorator"]

Note = Callable[[str], object]
Handler = Callable[[Job], Any]


def plain_decorator(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function with a decorator that forgets that it may be async."""

    @functools.wraps(function)
    def inner(*args: Any) -> Any:
        return function(*args)

    return inner


class _Lazily:
    """Does its work when it is awaited."""

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self._work = work

    def __await__(self) -> Generator[Any, None, None]:
        return self._work().__await__()


def pending_handlers(note: Note) -> dict[str, Handler]:
    """Return handlers that return an awaitable; each notes "ran" once it is done."""

    async def work(job: Job) -> None:
        await asyncio.sleep(0)
        note("ran")

    async def forgets_to_await(job: Job) -> Any:
        return work(job)

    async def starts_a_task(job: Job) -> Any:
        return asyncio.get_running_loop().create_task(work(job))

    class Plain:
        def __call__(self, job: Job) -> Any:
            return work(job)

    class Async:
        async def __call__(self, job: Job) -> None:
            await work(job)

    @types.coroutine
    def old(job: Job) -> Generator[Any, Any, None]:
        yield from work(job).__await__()

    def done_future(job: Job) -> Any:
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        future.set_result(None)
        note("ran")
        return future

    return {
        "a lambda": lambda job: work(job),  # noqa: PLW0108 - a lambda is the point
        "a decorator": plain_decorator(work),
        "a decorator without wraps": lambda *args: work(*args),  # noqa: PLW0108
        "a partial": functools.partial(lambda _, job: work(job), "x"),
        "an object": Plain(),
        "an async object": Async(),
        "a wrapped async object": plain_decorator(Async()),
        "an object to await": lambda job: _Lazily(lambda: work(job)),
        "a coroutine of a coroutine": plain_decorator(forgets_to_await),
        "an async one that forgets to await": forgets_to_await,
        "an async one that returns a task": starts_a_task,
        "a generator made a coroutine": old,
        "a future of a thread": done_future,
    }


def idle_handlers(note: Note) -> dict[str, Handler]:
    """Return handlers of which a call runs nothing; each would note "ran" if it did."""

    def generator(job: Job) -> Iterator[None]:
        note("ran")
        yield

    async def async_generator(job: Job) -> AsyncIterator[None]:
        note("ran")
        yield

    async def returns_a_generator(job: Job) -> Any:
        return generator(job)

    def returns_a_function(job: Job) -> Any:
        return lambda: note("ran")

    async def work(job: Job) -> None:
        note("ran")

    async def returns_a_list(job: Job) -> Any:
        return [work(job)]

    class Sender:
        def send(self) -> None:
            note("ran")

    return {
        "a list of coroutines": lambda job: [work(job), work(job)],
        "a comma too many": lambda job: (work(job),),
        "a dict of coroutines": lambda job: {"first": work(job)},
        "a set of coroutines": lambda job: {work(job)},
        "a list of generators": lambda job: [generator(job)],
        "a list of futures": lambda job: [concurrent.futures.Future()],
        "a list of an async one": returns_a_list,
        "pairs with a coroutine": lambda job: [("a", work(job)), ("b", work(job))],
        "a dict of lists of coroutines": lambda job: {"all": [work(job)]},
        "the values of a dict": lambda job: {"first": work(job)}.values(),
        "an iterator that calls": lambda job: iter(lambda: note("ran"), 1),
        "the call of a task": lambda job: Call("other", {"x": 1}),
        "calls of tasks": lambda job: [Call("other", {"x": 1})],
        "a chain": lambda job: itertools.chain(generator(job)),
        "a zip": lambda job: zip(map(note, ["ran"]), strict=False),
        "an enumeration": lambda job: enumerate(map(note, ["ran"])),
        "what takes while": lambda job: itertools.takewhile(note, ["ran"]),
        "what accumulates": lambda job: itertools.accumulate(["ran"], lambda _, b: note(b)),
        "a method": lambda job: Sender().send,
        "a generator": lambda job: generator(job),  # noqa: PLW0108 - a lambda is the point
        "a decorated generator": plain_decorator(generator),
        "a generator expression": lambda job: (note("ran") for _ in range(3)),
        "an async generator": lambda job: async_generator(job),  # noqa: PLW0108
        "a decorated async generator": plain_decorator(async_generator),
        "a generator of an async one": returns_a_generator,
        "a map": lambda job: map(note, ["ran"]),
        "a context manager": contextmanager(generator),
        "an async context manager": asynccontextmanager(async_generator),
        "a function": returns_a_function,
        "a partial function": lambda job: functools.partial(note, "ran"),
    }
