"""The objects that parameters get from lifespans."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from workkit.engine.handling.values import class_of, named
from workkit.errors import PoolState

__all__ = ["Finder", "Resources", "no_value", "yields"]


def yields(function: Callable[..., Any]) -> Any:
    """Return the class, or the classes, that a lifespan says it yields; None if it does not."""
    try:
        hint = typing.get_type_hints(function).get("return")
    except Exception:  # noqa: BLE001 - names that only type checkers know; then the value decides
        return None
    inside = typing.get_args(hint)
    if not inside or inside[0] is Any:
        return None
    try:
        return class_of(inside[0])
    except TypeError:
        return None


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
            if isinstance(value, kind):
                return value
        raise no_value(kind, task, parameter)


def no_value(kind: Any, task: str, parameter: str) -> PoolState:
    """Return the error of a parameter that no lifespan provides for."""
    return PoolState(
        f"task {task!r}: {parameter} wants {named(kind)}, but no lifespan "
        "of its registry has yielded one; in a test, give one to tasks.inline(...)"
    )
