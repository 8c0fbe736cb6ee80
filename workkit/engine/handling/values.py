"""The values that the lifespans of a running pool have yielded, for its handlers."""

from __future__ import annotations

import functools
import operator
import types
import typing
from typing import Any, TypeVar

from workkit.core.current import execution_here
from workkit.errors import InvalidOption, PoolState

__all__ = ["Values", "class_of", "named", "value_of"]

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
            InvalidOption: It is not a class.
        """
        try:
            found: T = self._found[kind]
        except KeyError:
            try:
                wanted = class_of(kind)
            except TypeError as error:
                raise InvalidOption(f"lifespan_value needs a class: {error}") from None
            exact = [value for value in self._values if type(value) is wanted]
            fitting = exact or [value for value in self._values if isinstance(value, wanted)]
            if not fitting:
                there = ", ".join(type(value).__name__ for value in self._values) or "nothing"
                raise PoolState(
                    f"no lifespan of the pool has yielded a {named(kind)}, but {there}"
                ) from None
            found = self._found[kind] = fitting[0]
        return found


def class_of(hint: Any) -> Any:
    """Return the class, or the union of classes, to which the objects of an annotation belong.

    Parameters of generics, such as those of ``Pool[Record]``, and None are left out.

    Raises:
        TypeError: `isinstance` cannot tell.
    """
    if hint is Any:
        return object
    if isinstance(hint, typing.NewType):
        return class_of(hint.__supertype__)
    if (alias := getattr(typing, "TypeAliasType", None)) and isinstance(hint, alias):
        return class_of(hint.__value__)
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return class_of(inside[0])
    if origin in {typing.Union, types.UnionType}:
        classes = [class_of(each) for each in inside if each is not types.NoneType]
        return functools.reduce(operator.or_, classes)
    kind = hint if origin is None else origin
    try:
        isinstance(None, kind)
    except TypeError:
        remedy = (
            "; decorate it with @runtime_checkable" if getattr(kind, "_is_protocol", False) else ""
        )
        raise TypeError(f"isinstance does not take {named(hint)}{remedy}") from None
    return kind


def named(hint: Any) -> str:
    """Return an annotation as short text for a message."""
    return hint.__name__ if isinstance(hint, type) else str(hint).removeprefix("typing.")


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
