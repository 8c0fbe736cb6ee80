"""Reads the signature of a task at its registration, and refuses what cannot be the args of a job.

The args of a job are a JSON object. So each parameter needs a name and an annotation.
"""

from __future__ import annotations

import functools
import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from workkit.core.job import Job
from workkit.core.options import shown
from workkit.engine.handling.results import label
from workkit.engine.handling.shapes import is_async, is_generator
from workkit.engine.handling.values import class_of, named
from workkit.errors import InvalidHandler, InvalidOption
from workkit.tasks.models import is_model, unchecked, unwritten

__all__ = ["RESOURCE", "Parameter", "check_upgrade", "read_parameters"]

_RIGHT: Final = "def send_email(address: str, retries: int = 3) -> None"
_UNRESOLVED: Final = (
    "cannot be resolved ({}); define or import the name at the top of the module, not below if "
    "TYPE_CHECKING"
)
_JOB_NAMES: Final = frozenset({"job", "_job"})


class _Resource:
    """The default of a parameter that gets what a lifespan has yielded."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"{name}: this parameter gets its value from the pool; "
            "pass one when you call the function yourself"
        )

    def __repr__(self) -> str:
        return "tasks.resource"


#: The one such default.
RESOURCE: Final = _Resource()


class Parameter(NamedTuple):
    """A parameter of a task.

    Attributes:
        name: Its name, which is the key in the args of jobs.
        type: Its annotation, resolved; of a resource, the class or the union of classes.
        default: Its default; `inspect.Parameter.empty` without one.
        by_name: Whether it can only be passed by its name.
        is_resource: Whether the pool passes what a lifespan has yielded, rather than an arg.
    """

    name: str
    type: Any
    default: Any
    by_name: bool
    is_resource: bool


def read_parameters(
    name: str, function: Callable[..., Any], names: Mapping[str, Any]
) -> list[Parameter]:
    """Return the parameters of a task.

    Args:
        name: The task's name, for messages.
        function: The user's function.
        names: The names where it was defined, to resolve annotations in quotes.

    Raises:
        InvalidHandler: The function cannot be a task; the message shows the right form.
    """
    what = f"task {name!r}"
    if isinstance(function, classmethod):
        raise _is_method(what, "cls")
    if not callable(function):
        raise InvalidHandler(f"{what} must be a function such as {_RIGHT}; got {shown(function)}")
    if isinstance(function, type):
        raise InvalidHandler(
            f"{what} is the class {function.__name__}; write a function such as {_RIGHT}"
        )
    if is_generator(function):
        raise InvalidHandler(
            f"{what} contains yield, so a call runs none of its code; use return, or enqueue a "
            "task for each item"
        )
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        raise InvalidHandler(
            f"{what} has no signature that can be read; wrap {label(function)} in a function such "
            f"as {_RIGHT}"
        ) from None
    except NameError as error:  # from Python 3.14 on, annotations are evaluated here
        raise InvalidHandler(f"{what}: an annotation {_UNRESOLVED.format(error)}") from None
    found = list(signature.parameters.values())
    for at, parameter in enumerate(found):
        _check_kind(what, parameter, first=at == 0)
    hints = _hints(what, function, names)
    return [_parameter(what, parameter, hints) for parameter in found]


def check_upgrade(name: str, upgrade: object) -> None:
    """Refuse an upgrade that cannot be called with the args, or that nobody would await.

    Raises:
        InvalidOption: The message shows the right form.
    """
    if upgrade is None:
        return
    what = f"task {name!r}: upgrade must be a function of the args, "
    form = "such as def upgrade(args: dict[str, Any]) -> dict[str, Any]"
    if not callable(upgrade):
        raise InvalidOption(f"{what}{form}, not {shown(upgrade)}")
    if is_async(upgrade) or is_generator(upgrade):
        raise InvalidOption(f"{what}{form}, without async and without yield")
    try:
        signature = inspect.signature(upgrade)
    except (TypeError, ValueError):
        return  # a built-in without a signature; the first call shows errors
    try:
        signature.bind({})
    except TypeError:
        raise InvalidOption(f"{what}{form}; it has the signature {signature!s:.200}") from None


def _check_kind(what: str, parameter: inspect.Parameter, *, first: bool) -> None:
    """Refuse a parameter that the args of a job cannot fill."""
    own = parameter.name
    if first and own in {"self", "cls"}:
        raise _is_method(what, own)
    if own.startswith("__"):
        raise InvalidHandler(f"{what}: {own} begins with two underscores; give it another name")
    if parameter.kind is parameter.VAR_POSITIONAL:
        raise InvalidHandler(
            f"{what} takes *{own}, but the args of a job have names; write a parameter with a "
            f"list instead: {own}: list[str]"
        )
    if parameter.kind is parameter.VAR_KEYWORD:
        raise InvalidHandler(
            f"{what} takes **{own}; name each parameter, or write one with a dict: "
            f'{own}: dict[str, int]. To ignore args that it does not take, use unknown="ignore"'
        )
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise InvalidHandler(
            f"{what} takes {own} only by position, but the args of a job have names; remove the / "
            "behind it"
        )
    if parameter.annotation is parameter.empty and parameter.default is not RESOURCE:
        if own in _JOB_NAMES:
            raise _takes_job(what, own)
        raise InvalidHandler(
            f"{what}: the parameter {own} has no annotation, so its type is unknown; write "
            f"{own}: int or {own}: str, or {own}: Any for any JSON value"
        )


def _is_method(what: str, own: str) -> InvalidHandler:
    return InvalidHandler(
        f"{what} takes {own}, so it is a method, and a job has no object to call it on; write "
        f"a function outside the class, such as {_RIGHT}, and pass what it needs as args"
    )


def _takes_job(what: str, own: str) -> InvalidHandler:
    return InvalidHandler(
        f"{what} takes the job as {own}, but its parameters are the job's args; call "
        "current_job() in the function, or register a handler that takes (job) with pool.job"
    )


def _hints(what: str, function: Callable[..., Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the annotations, those in quotes resolved."""
    inner: Any = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inspect.unwrap(inner.func)
    annotated = inner if hasattr(inner, "__annotations__") else type(inner).__call__
    own = {key: each for key, each in annotated.__annotations__.items() if key != "return"}
    hints: dict[str, Any] = {}
    for key, hint in own.items():

        def stub() -> None: ...

        stub.__annotations__ = {key: hint}
        stub.__module__ = getattr(annotated, "__module__", __name__)
        try:
            found = getattr(annotated, "__globals__", None) or {}
            hints.update(typing.get_type_hints(stub, dict(found), dict(names), include_extras=True))
        except Exception as error:  # noqa: BLE001 - an annotation may hold any code
            raise InvalidHandler(
                f"{what}: the annotation {hint!s} of {key} {_UNRESOLVED.format(error)}"
            ) from None
    return hints


def _parameter(what: str, parameter: inspect.Parameter, hints: Mapping[str, Any]) -> Parameter:
    own, default = parameter.name, parameter.default
    hint = hints.get(own, Any)
    if isinstance(hint, type) and issubclass(hint, Job):
        raise _takes_job(what, own)
    is_resource = default is RESOURCE
    if not is_resource and (ignored := unchecked(hint)) is not None:
        one = named(ignored) if isinstance(ignored, type) else shown(ignored)
        raise InvalidHandler(
            f"{what}: {own}: pydantic checks {one} only in its models; put it into a BaseModel, or "
            f"write a constraint that tasks check: {own}: Annotated[int, msgspec.Meta(gt=0)]"
        )
    if not is_resource and (alien := _alien(what, own, hint)) is not None:
        if alien is not hint or default is not parameter.empty or _is_standard(alien):
            raise InvalidHandler(
                f"{what}: {own} has the type {named(hint)}, and {named(alien)} has no JSON form; "
                "pass an id or a path, or a dataclass of plain values. For an object that a "
                f"lifespan opens, write {own}: {named(hint)} = tasks.resource"
            )
        is_resource = True
    if is_resource:
        try:
            hint = class_of(hint)
        except TypeError as error:
            raise InvalidHandler(
                f"{what}: {own} takes the value of a lifespan, but {error}"
            ) from None
    by_name = parameter.kind is parameter.KEYWORD_ONLY
    return Parameter(own, hint, default, by_name, is_resource)


def _is_standard(kind: Any) -> bool:
    module = getattr(kind, "__module__", "").partition(".")[0]
    return not isinstance(kind, type) or module in sys.stdlib_module_names


def _alien(what: str, own: str, hint: Any) -> Any:
    """Return the class within an annotation that has no JSON form; None if all have one.

    Raises:
        InvalidHandler: The annotation as a whole cannot be read.
    """
    try:
        info = msgspec.inspect.type_info(hint)
    except Exception as error:  # noqa: BLE001 - classes may hold any code
        remedy = next((each for part, each in _REMEDIES.items() if part in str(error)), "")
        raise InvalidHandler(
            f"{what}: {own} has a type that cannot be read: {error}{remedy}"
        ) from None
    try:
        return _alien_in(info, set())
    except InvalidHandler as error:
        raise InvalidHandler(f"{what}: {own} has the type {named(hint)}, and {error}") from None


def _alien_in(info: Any, seen: set[int]) -> Any:
    if id(info) in seen:
        return None
    seen.add(id(info))
    if isinstance(info, msgspec.inspect.DictType):
        _check_keys(info.key_type)
    if isinstance(info, msgspec.inspect.CustomType):
        return None if is_model(info.cls) else info.cls
    if isinstance(info, msgspec.inspect.DataclassType) and is_model(info.cls):
        raise InvalidHandler(
            f"{info.cls.__name__} is a dataclass of pydantic, whose validators would not run; make "
            "it a BaseModel, or a dataclass of Python"
        )
    if isinstance(info, msgspec.inspect.DataclassType) and (private := unwritten(info.cls)):
        raise InvalidHandler(
            f"the field {private} of {info.cls.__name__} would not be written, since it begins "
            "with an underscore; give it another name"
        )
    if isinstance(info, (list, tuple)):
        return next((bad for each in info if (bad := _alien_in(each, seen)) is not None), None)
    if isinstance(info, (msgspec.inspect.Type, msgspec.inspect.Field)):
        parts = tuple(getattr(info, field) for field in info.__struct_fields__)
        inner = [each for each in parts if isinstance(each, (tuple, list, *_INFO))]
        return _alien_in(inner, seen)
    return None


def _check_keys(info: Any) -> None:
    """Refuse dicts whose keys do not come back from the wire, where each key is a text."""
    if isinstance(info, _NO_KEYS):
        raise InvalidHandler("the keys of its dict have no text form; use str or int keys")
    kinds = info.types if isinstance(info, msgspec.inspect.UnionType) else ()
    if len([each for each in kinds if isinstance(each, _KEYS)]) > 1:
        raise InvalidHandler(
            'the keys 1 and "1" of its dict are the same on the wire; use keys of one type'
        )


#: What helps, by a part of msgspec's message.
_REMEDIES: Final = {
    "more than one custom type": "; put the union into a model: pydantic.RootModel[A | B]",
    "containing a custom type": "; put the union into a model: pydantic.RootModel[A | B]",
    "more than one dataclass": "; write structs with tags: class A(msgspec.Struct, tag=True)",
    "more than one dict-like": "; write structs with tags: class A(msgspec.Struct, tag=True)",
    "must be tagged": ": class A(msgspec.Struct, tag=True)",
    "more than one str-like": "; write two parameters, or str, and parse it in the function",
    "more than one array-like": "; write one of them, such as list",
    "Enums must contain": "; write values of one kind",
    "is not defined": "; define or import the name at the top of the module, not below if "
    "TYPE_CHECKING",
    "InitVar": "; make it a field, or write a dataclass only for the args",
    "Literal may only contain": "; write their values, or the enum itself",
    "ForwardRef(": "; an alias cannot contain itself here: write Any, or a class of such a field",
    "maximum recursion": "; an alias cannot contain itself: write Any, or a class of such a field",
}
_INFO: Final = (msgspec.inspect.Type, msgspec.inspect.Field)
#: Types that are no keys of a JSON object.
_NO_KEYS: Final = (
    msgspec.inspect.CollectionType,
    msgspec.inspect.TupleType,
    msgspec.inspect.DictType,
    msgspec.inspect.StructType,
    msgspec.inspect.DataclassType,
    msgspec.inspect.BoolType,
    msgspec.inspect.NoneType,
)
_KEYS: Final = (msgspec.inspect.StrType, msgspec.inspect.IntType, msgspec.inspect.FloatType)
