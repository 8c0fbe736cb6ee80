"""The objects that parameters get from lifespans."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from workkit.errors import InvalidHandler, PoolState

__all__ = ["Finder", "Resources", "check_lifespan", "no_value", "yields"]

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


class Finder(Protocol):
    """Finds what a parameter gets by its annotation."""

    def find(self, kind: Any, task: str, parameter: str) -> Any:
        """Return the value for a parameter.

        Raises:
            PoolState: There is no object of that class.
        """
        ...


class Resources:
    """Finds values among given objects, where no pool has opened lifespans.

    Args:
        values: The objects.
    """

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self._values = list(values)

    def find(self, kind: Any, task: str, parameter: str) -> Any:
        """Return the value for a parameter.

        Raises:
            PoolState: No object has that class.
        """
        for value in self._values:
            if kind is Any or isinstance(value, kind):
                return value
        raise no_value(kind, task, parameter)


def no_value(kind: Any, task: str, parameter: str) -> PoolState:
    """Return the error of a parameter that no lifespan provides for."""
    return PoolState(
        f"task {task!r}: {parameter} wants {getattr(kind, '__name__', kind)}, but no lifespan "
        "of its registry has yielded one; in a test, give one to tasks.inline(...)"
    )
