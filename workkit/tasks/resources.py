"""What the lifespans of a registry have yielded, for the handlers of one pool."""

from __future__ import annotations

import contextlib
import inspect
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from typing import Any, Final

from workkit.errors import InvalidHandler, PoolState

__all__ = ["Resources", "as_context", "check_lifespan", "yields"]

_FORM: Final = "async def resources(): ...; yield value, without parameters; def is accepted too"


def check_lifespan(function: object) -> None:
    """Check the function of a lifespan.

    Raises:
        InvalidHandler: It is not a generator function without parameters.
    """
    is_right = inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function)
    if not is_right or not callable(function) or inspect.signature(function).parameters:
        raise InvalidHandler(f"a lifespan must be {_FORM}")


def yields(function: Callable[..., Any]) -> Any:
    """Return the class that a lifespan says it yields; None if it does not say so."""
    try:
        hint = typing.get_type_hints(function).get("return")
    except Exception:  # noqa: BLE001 - names that only type checkers know; then the value decides
        return None
    inside = typing.get_args(hint)
    return inside[0] if inside and isinstance(inside[0], type) else None


class Resources:
    """Finds what a parameter gets by its annotation.

    Args:
        values: Objects that no lifespan has to yield.
    """

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self._values: list[Any] = list(values)

    def find(self, kind: Any, task: str, parameter: str) -> Any:
        """Return the value for a parameter.

        Raises:
            PoolState: No lifespan has yielded an object of that class.
        """
        for value in reversed(self._values):  # a process that has crashed leaves older ones
            if kind is Any or isinstance(value, kind):
                return value
        raise PoolState(
            f"task {task!r}: {parameter} wants {getattr(kind, '__name__', kind)}, but no lifespan "
            "of its registry has yielded one; in a test, give one to tasks.inline(...)"
        )

    def watch(self, function: Callable[[], Any]) -> Callable[[], Any]:
        """Return a lifespan that keeps what another one yields while it is open."""
        if inspect.isasyncgenfunction(function):
            opened = contextlib.asynccontextmanager(function)

            async def lifespan() -> AsyncGenerator[Any, None]:
                async with opened() as value:
                    with self._kept(value):
                        yield value

            return lifespan
        opened_here = contextlib.contextmanager(function)

        def lifespan_here() -> Iterator[Any]:
            with opened_here() as value, self._kept(value):
                yield value

        return lifespan_here

    @contextlib.contextmanager
    def _kept(self, value: Any) -> Iterator[None]:
        self._values.append(value)
        try:
            yield
        finally:
            self._values.remove(value)


def as_context(lifespan: Callable[[], Any]) -> contextlib.AbstractAsyncContextManager[Any]:
    """Return a lifespan, sync or async, as an async context manager."""
    if inspect.isasyncgenfunction(lifespan):
        return contextlib.asynccontextmanager(lifespan)()
    return _as_async(contextlib.contextmanager(lifespan)())


@contextlib.asynccontextmanager
async def _as_async(context: contextlib.AbstractContextManager[Any]) -> AsyncIterator[Any]:
    with context as value:
        yield value
