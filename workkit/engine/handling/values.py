"""The values that the lifespans of a running pool have yielded, for its handlers."""

from __future__ import annotations

from typing import Any, TypeVar

from workkit.core.current import execution_here
from workkit.errors import PoolState

__all__ = ["Values", "value_of"]

T = TypeVar("T")


class Values:
    """The values that the lifespans of one run have yielded, in the order of registration."""

    def __init__(self) -> None:
        self._values: list[Any] = []
        self._found: dict[type, Any] = {}

    def add(self, value: Any) -> None:
        """Add a value; None is left out."""
        if value is not None:
            self._values.append(value)
            self._found.clear()

    def clear(self) -> None:
        """Forget all values."""
        self._values.clear()
        self._found.clear()

    def find(self, kind: type[T]) -> T:
        """Return the value of a class: the first of exactly this class, or of a subclass.

        Raises:
            PoolState: No lifespan has yielded one.
        """
        try:
            found: T = self._found[kind]
        except KeyError:
            exact = [value for value in self._values if type(value) is kind]
            fitting = exact or [value for value in self._values if isinstance(value, kind)]
            if not fitting:
                there = ", ".join(type(value).__name__ for value in self._values) or "nothing"
                raise PoolState(
                    f"no lifespan of the pool has yielded a {kind.__name__}, but {there}"
                ) from None
            found = self._found[kind] = fitting[0]
        return found


def value_of(kind: type[T]) -> T:
    """Return what a lifespan has yielded for the pool whose handler runs the calling code.

    Args:
        kind: The class of the value.

    Raises:
        PoolState: The caller is no handler, or no lifespan has yielded such a value.
    """
    execution = execution_here()
    if execution is None:
        raise PoolState("the value of a lifespan is asked for outside of a handler")
    values: Values = execution.chain.values
    return values.find(kind)
