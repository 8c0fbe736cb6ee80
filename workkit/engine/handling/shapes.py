"""Reads the signatures of users' functions at registration, and refuses wrong ones."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from workkit.core.job import Job
from workkit.core.options import shown
from workkit.errors import InvalidHandler

__all__ = [
    "AnyHandler",
    "AnyMiddleware",
    "Shape",
    "is_async",
    "is_generator",
    "read_shape",
]

# For type checkers; `next` is Any, since it returns nothing in sync and an awaitable in async ones.
AnyHandler: TypeAlias = Callable[[Job], object] | Callable[[Any, Job], object]
AnyMiddleware: TypeAlias = Callable[[Job, Any], object] | Callable[[Any, Job, Any], object]

#: Parameter names that show a role. Other names show none.
_ROLES: Final = {
    "job": frozenset({"job"}),
    "ctx": frozenset({"ctx", "context"}),
    "next": frozenset({"next", "next_", "proceed", "call_next", "next_call"}),
    "error": frozenset({"error", "err", "exc", "exception"}),
    "count": frozenset({"attempt", "attempts", "fails", "failures", "retries", "tries"}),
}
_PARAMETERS: Final = {
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
}
_MOST_ARGS: Final = 4
#: Annotations that do not distinguish a job or a context from an arg.
_VAGUE: Final[tuple[Any, ...]] = (
    inspect.Parameter.empty, Any, object, str, int, float, bool, bytes,
)  # fmt: skip
#: A job's accessors for args of some types, for messages.
_ACCESSORS: Final = {"int": "arg_int", "float": "arg_float", "bool": "arg_bool"}


@dataclass(frozen=True, slots=True)
class Shape:
    """The accepted signatures of a user's function.

    Attributes:
        what: The function's role, for messages.
        forms: The accepted lists of parameters by their roles, the shortest first.
        text: The accepted signatures, for messages.
        remedy: A hint for parameters that should be args of a job, with ``{reads}`` for the way to
            read them; "" for no hint.
        may_be_class: Whether a class is accepted, because the call is meant to make an object.
    """

    what: str
    forms: tuple[tuple[str, ...], ...]
    text: str
    remedy: str = ""
    may_be_class: bool = False


def read_shape(function: object, shape: Shape) -> tuple[str, ...]:
    """Check a function, and return the roles of its parameters.

    The function may have more parameters if they have defaults.

    Raises:
        InvalidHandler: The signature is not accepted. The message shows the accepted ones.
    """
    what, text = shape.what, shape.text
    if not callable(function):
        raise InvalidHandler(f"{what} must be a function: {text}; got {shown(function)}")
    inner = _unwrapped(function)
    if isinstance(inner, type) and not shape.may_be_class:
        raise InvalidHandler(
            f"{what} is the class {inner.__name__}, and a call only makes an object of it; "
            f"it must be {text}"
        )
    if is_generator(function):
        raise InvalidHandler(
            f"{what} contains yield, so a call runs none of its code; it must be {text}"
        )
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return shape.forms[0]  # a built-in without a signature; the first call shows errors
    positional = _positional(signature, inner)
    for form in reversed(shape.forms):
        if _binds(signature, form) and _fits(positional, form, shape.forms[0]):
            return form
    raise InvalidHandler(
        f"{what} has the signature {signature!s:.200}; it must be {text}{_remedy(signature, shape)}"
    )


def is_async(function: object) -> bool:
    """Tell whether a call returns a coroutine, as far as inspection shows."""
    return _is(inspect.iscoroutinefunction, function)


def is_generator(function: object) -> bool:
    """Tell whether a call returns a generator, sync or async, which runs no code by itself."""
    if _is(inspect.isasyncgenfunction, function):
        return True
    return _is(inspect.isgeneratorfunction, function) and not _is(_is_old_coroutine, function)


def _is(test: Callable[[Any], bool], function: object) -> bool:
    function = _unwrapped(function)
    return test(function) or test(getattr(function, "__call__", None))  # noqa: B004 - of an object


def _is_old_coroutine(function: object) -> bool:
    """Tell whether a generator function was made a coroutine function by `types.coroutine`."""
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return isinstance(code, types.CodeType) and bool(code.co_flags & inspect.CO_ITERABLE_COROUTINE)


def _unwrapped(function: object) -> object:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _positional(signature: inspect.Signature, function: object) -> list[inspect.Parameter]:
    """Return the positional parameters, with annotations in quotes resolved."""
    function = inspect.unwrap(function) if callable(function) else function
    found = getattr(function, "__globals__", None)
    if found is None:
        found = getattr(getattr(function, "__call__", None), "__globals__", {})  # noqa: B004
    return [
        p.replace(annotation=_resolved(p.annotation, found))
        for p in signature.parameters.values()
        if p.kind in _PARAMETERS
    ]


def _resolved(hint: object, names: dict[str, Any]) -> object:
    if not isinstance(hint, str):
        return hint

    def stub() -> None: ...

    stub.__annotations__ = {"it": hint}
    try:
        return typing.get_type_hints(stub, names, include_extras=True)["it"]
    except Exception:  # noqa: BLE001 - names that only type checkers know, or other errors
        return inspect.Parameter.empty


def _binds(signature: inspect.Signature, form: tuple[str, ...]) -> bool:
    try:
        signature.bind(*form)
    except TypeError:
        return False
    return True


def _fits(
    positional: list[inspect.Parameter], form: tuple[str, ...], shortest: tuple[str, ...]
) -> bool:
    required = sum(p.default is p.empty for p in positional)
    if required < len(form) and form != shortest:
        return False  # the user set the default; we must not fill the parameter
    taken = dict(zip(form, positional, strict=False))
    if not all(_may_be(parameter, role) for role, parameter in taken.items()):
        return False
    if "job" not in taken or _looks_like(taken["job"], "job"):
        return True
    # Nothing identifies the job. So with more than one parameter, they may well be args.
    return len(positional) == 1 or ("ctx" in taken and _looks_like(taken["ctx"], "ctx"))


def _may_be(parameter: inspect.Parameter, role: str) -> bool:
    """Tell whether name and annotation of a parameter allow its role."""
    if any(parameter.name in names for other, names in _ROLES.items() if other != role):
        return False
    if role != "job":
        return parameter.annotation is not Job
    try:
        return _takes_job(parameter.annotation)
    except Exception:  # noqa: BLE001 - annotations may be anything; unreadable ones are allowed
        return True


def _looks_like(parameter: inspect.Parameter, role: str) -> bool:
    name = parameter.name.lower()
    if name.startswith("_") or len(name) == 1 or any(each in name for each in _ROLES[role]):
        return True
    # An informative annotation; `_may_be` has found that it allows the role.
    return parameter.annotation not in _VAGUE


def _takes_job(hint: Any) -> bool:
    """Tell whether a parameter of this annotation accepts a job."""
    if hint is Any:  # a class since Python 3.11
        return True
    if isinstance(hint, typing.NewType):
        return _takes_job(hint.__supertype__)
    if hasattr(hint, "__value__"):  # type X = ...
        return _takes_job(hint.__value__)
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _takes_job(inside[0])
    if origin in {typing.Union, types.UnionType}:
        return any(_takes_job(each) for each in inside)
    if origin is typing.Literal or hint is None or typing.is_typeddict(hint):
        return False
    kind = hint if origin is None else origin
    if not isinstance(kind, type) or kind is inspect.Parameter.empty:
        return True
    return getattr(kind, "_is_protocol", False) or issubclass(Job, kind) or issubclass(kind, Job)


def _remedy(signature: inspect.Signature, shape: Shape) -> str:
    """Explain how to read the args of a job that a function has as parameters."""
    roles = frozenset({"self", "cls"}).union(*_ROLES.values())
    args = [
        f'job.{_accessor(p)}("{p.name}")'
        for p in signature.parameters.values()
        if p.name not in roles and p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}
    ]
    return shape.remedy.format(reads=", ".join(args[:_MOST_ARGS])) if args else ""


def _accessor(parameter: inspect.Parameter) -> str:
    hint = parameter.annotation
    return _ACCESSORS.get(
        hint if isinstance(hint, str) else getattr(hint, "__name__", ""), "arg_str"
    )
