"""Between the parameters of a task and the args of a job: both directions, with msgspec.

On the wire the args are ``{"parameter": value}``. Values are written as Go writes them, so that a
unique job of Go and of Python has the same key.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from workkit.core.options import near_match, shown
from workkit.engine.handling.values import named as name_of
from workkit.errors import ArgsMismatch, InvalidArgs, InvalidHandler
from workkit.tasks.models import decode_model, encode_model, is_model
from workkit.tasks.pinpoint import pinpointed
from workkit.tasks.schemas import published
from workkit.tasks.signature import Parameter

__all__ = ["Codec"]

_EMPTY: Final = inspect.Parameter.empty
#: msgspec can hold these as defaults itself.
_PLAIN: Final = (type(None), bool, int, float, str, bytes)
#: Values that are their own JSON form.
_LEAVES: Final = frozenset({str, int, float, bool, type(None)})
_MESSAGE: Final = re.compile(
    r"(?P<what>.*?)(?: - at (?P<key>`key` in )?`(?P<path>\$[^`]*)`)?", re.DOTALL
)
_FIELD: Final = re.compile(r"Object (contains unknown|missing required) field `(.*)`", re.DOTALL)
#: The scalars that are text on the wire.
_SCALARS: Final = (
    bytes, bytearray, datetime.datetime, datetime.date, datetime.time, datetime.timedelta,
    UUID, decimal.Decimal,
)  # fmt: skip
#: The same, as msgspec describes types.
_TEXTS: Final = (
    msgspec.inspect.BytesType, msgspec.inspect.ByteArrayType, msgspec.inspect.DateTimeType,
    msgspec.inspect.DateType, msgspec.inspect.TimeType, msgspec.inspect.TimeDeltaType,
    msgspec.inspect.UUIDType, msgspec.inspect.DecimalType,
)  # fmt: skip
_MINUTE: Final = datetime.timedelta(minutes=1)
_TOO_DEEP: Final = "nested too deeply, or contains itself"
_SIMPLE: Final = frozenset({*_PLAIN, *_SCALARS})
_CONTAINERS: Final = (list, set, frozenset, tuple, typing.Union, types.UnionType)
#: Makes of an object of a subclass one of the class, whatever methods the subclass has. The classes
#: are bound here, since libraries that freeze the time in tests put others in their place later.
_SUBCLASSED: Final[tuple[tuple[type, Callable[..., Any]], ...]] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, bytes),
    (decimal.Decimal, decimal.Decimal),
    (
        datetime.datetime,
        lambda at, make=datetime.datetime.combine: make(at.date(), at.time(), at.tzinfo),
    ),
    (datetime.date, lambda day, make=datetime.date: make(day.year, day.month, day.day)),
    (
        datetime.timedelta,
        lambda span, make=datetime.timedelta: make(span.days, span.seconds, span.microseconds),
    ),
)
_FRACTION: Final = re.compile(r"\.\d+")


class Codec:
    """Writes and reads the args of one task.

    Args:
        name: The task's name, for messages.
        parameters: Its parameters that are args.
        ignore_unknown: Whether args that it does not take are ignored.
        upgrade: Makes the args of older payloads those of today, or None.
        provided: The annotations of the parameters that lifespans provide, by name, for messages.

    Raises:
        InvalidHandler: msgspec cannot read the types.
    """

    def __init__(
        self,
        name: str,
        parameters: Sequence[Parameter],
        *,
        ignore_unknown: bool = False,
        upgrade: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
        provided: Mapping[str, Any] | None = None,
    ) -> None:
        self._name = name
        self._provided = provided or {}
        self._names = [parameter.name for parameter in parameters]
        self._types = {parameter.name: parameter.type for parameter in parameters}
        self._text = {each.name for each in parameters if _is_text(each.type)}
        self._upgrade = upgrade
        self._signature = inspect.Signature(
            [
                inspect.Parameter(
                    each.name,
                    inspect.Parameter.KEYWORD_ONLY
                    if each.by_name
                    else inspect.Parameter.POSITIONAL_OR_KEYWORD,
                    default=each.default,
                )
                for each in sorted(parameters, key=lambda each: each.by_name)
            ]
        )
        try:
            self._struct = msgspec.defstruct(
                "Args",
                [_field(parameter) for parameter in parameters],
                kw_only=True,
                forbid_unknown_fields=not ignore_unknown,
                gc=False,
            )
            self._read(dict.fromkeys(self._names))
        except ArgsMismatch:
            pass
        except (TypeError, ValueError) as error:
            raise InvalidHandler(f"task {name!r}: {error}") from None

    def encode(self, args: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        """Return the args of a job for a call of the task.

        Args:
            args: The arguments by position.
            named: The arguments by name.

        Raises:
            InvalidArgs: The call does not fit the parameters; the message names the place.
        """
        try:
            given = self._signature.bind(*args, **named).arguments
        except TypeError as error:
            raise self._misfit(named, error) from None
        try:
            if not self._text and all(type(value) in _LEAVES for value in given.values()):
                encoded = given
            else:
                encoded = {
                    name: value
                    if type(value) in _LEAVES and not (type(value) is str and name in self._text)
                    else self._wire(name, value)
                    for name, value in given.items()
                }
            self._read(encoded)
        except ArgsMismatch as error:
            raise InvalidArgs(f"{self._name}: {error}") from None
        return encoded

    def _misfit(self, named: Mapping[str, Any], error: TypeError) -> InvalidArgs:
        """Return the error of a call with wrong arguments.

        `bind` complains about a missing argument first, where a misspelt one is the cause.
        """
        unknown = [name for name in named if name not in self._names]
        hint = near_match(unknown[0], self._names) if unknown else ""
        why = f"got an unexpected keyword argument {unknown[0]!r}{hint}" if unknown else str(error)
        others = "".join(
            f"; a lifespan provides {each}, since {name_of(kind)} has no JSON form"
            for each, kind in self._provided.items()
        )
        return InvalidArgs(f"{self._name}: {why}; it takes ({', '.join(self._names)}){others}")

    def _wire(self, name: str, value: Any) -> Any:
        """Return the JSON form of one arg.

        Its scalars are checked before they become text, in which bytes and a string look alike.
        """
        try:
            native = msgspec.to_builtins(
                value,
                builtin_types=_SCALARS,
                str_keys=True,
                enc_hook=_encode,
                order="deterministic",
            )
        except (TypeError, NotImplementedError):  # such as scalars as keys of a dict
            return self._plain(name, value)
        except ValueError as error:  # of a model
            raise ArgsMismatch(f"args.{name}: {error}") from None
        except RecursionError:
            raise ArgsMismatch(f"args.{name}: {_TOO_DEEP}") from None
        try:
            self._read_native(name, native)
        except msgspec.ValidationError as error:
            read = functools.partial(self._read_native, name)
            text = pinpointed(str(error), native, read)
            raise ArgsMismatch(self._explained(text, f"args.{name}")) from None
        return _in_text(native)

    def _plain(self, name: str, value: Any) -> Any:
        try:
            return msgspec.to_builtins(
                value, str_keys=True, enc_hook=_encode, order="deterministic"
            )
        except (TypeError, ValueError, NotImplementedError) as error:
            raise ArgsMismatch(f"args.{name}: {error}") from None
        except RecursionError:
            raise ArgsMismatch(f"args.{name}: {_TOO_DEEP}") from None

    @property
    def published(self) -> bytes:
        """The signature as pools publish it; nothing if a type cannot be described."""
        return published(self._struct, upgrades=self._upgrade is not None)

    @property
    def plain(self) -> Any:
        """The struct's class if `msgspec.convert` alone reads all args into it, else None.

        A job spends less time there than in `decode`, which is needed for everything else.
        """
        simple = self._upgrade is None and all(_is_simple(each) for each in self._types.values())
        return self._struct if simple else None

    def decode(self, args: dict[str, Any] | None) -> Any:
        """Return the args of a job as a struct, whose fields are the parameters.

        Raises:
            ArgsMismatch: The args do not fit; the message begins with the path of the value.
            InvalidHandler: `upgrade` returns something else than args.
        """
        if self._upgrade is not None:
            upgraded: object = self._upgrade(dict(args or {}))
            if not isinstance(upgraded, Mapping):
                raise InvalidHandler(
                    f"task {self._name!r}: upgrade must return the args as a dict, not "
                    f"{shown(upgraded)}; end it with return args"
                )
            args = dict(upgraded)
        return self._read(args or {})

    def _read_native(self, name: str, native: Any) -> None:
        msgspec.convert(
            native, self._types[name], builtin_types=_SCALARS, str_keys=True, dec_hook=_decode
        )

    def _read(self, args: dict[str, Any]) -> Any:
        try:
            return self._convert(args)
        except msgspec.ValidationError as error:
            text = pinpointed(str(error), args, self._convert)
        except RecursionError:
            raise ArgsMismatch(f"args: {_TOO_DEEP}") from None
        raise ArgsMismatch(self._explained(text))

    def _convert(self, args: dict[str, Any]) -> Any:
        return msgspec.convert(args, self._struct, str_keys=True, dec_hook=_decode)

    def _explained(self, text: str, root: str = "args") -> str:
        """Return msgspec's message with the path first, and without its marks."""
        match = _MESSAGE.fullmatch(text)
        assert match is not None  # noqa: S101 - the expression matches every text
        what, path = match["what"], (match["path"] or "$").replace("$", root, 1)
        if field := _FIELD.fullmatch(what):
            problem, name = field.groups()
            if problem.startswith("missing"):
                return f"{path}.{name}: missing"
            return f"{path}.{name}: unknown{self._nearest(name) if path == 'args' else ''}"
        if what.startswith((".", "[")):  # a model names the place within itself
            return f"{path}{what}"
        what = what.replace("`", "")
        return f"{path}: {'a key: ' if match['key'] else ''}{what[:1].lower()}{what[1:]}"

    def _nearest(self, name: str) -> str:
        return near_match(name, self._names) or (
            f"; {self._name} takes {', '.join(self._names) or 'none'}"
        )


def _field(parameter: Parameter) -> Any:
    """Return the field of a parameter; its default is the object that the function has."""
    default = parameter.default
    if default is _EMPTY:
        return (parameter.name, parameter.type)
    if isinstance(default, _PLAIN):
        return (parameter.name, parameter.type, default)
    return (parameter.name, parameter.type, msgspec.field(default_factory=lambda: default))


def _is_text(hint: Any) -> bool:
    """Tell whether values of a type may be scalars that are text on the wire.

    A call with a string in their place is refused: nothing says whether it is meant as base64.
    """
    info = msgspec.inspect.type_info(hint)
    while isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    parts = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    return any(isinstance(each, _TEXTS) for each in parts)


def _is_simple(hint: Any) -> bool:
    """Tell whether a type has no dicts, whose keys need care, and no models."""
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return True
    if origin is not None:
        inside = [each for each in typing.get_args(hint) if each is not Ellipsis]
        return origin in _CONTAINERS and all(_is_simple(each) for each in inside)
    return hint in _SIMPLE or (isinstance(hint, type) and issubclass(hint, enum.Enum))


def _encode(value: Any) -> Any:
    """Write a value whose type msgspec does not know: of a subclass of a scalar, or a model.

    Type checkers take subclasses: the safe strings of templates, and the times of many libraries.
    """
    for kind, plain in _SUBCLASSED:
        if isinstance(value, kind):
            return plain(value)
    return encode_model(value)


def _decode(kind: type[Any], value: Any) -> Any:
    """Read a value whose type msgspec does not know."""
    if is_model(kind):
        return decode_model(kind, value)
    raise NotImplementedError(kind)


def _in_text(value: Any) -> Any:
    """Write scalars that are not JSON's as text."""
    kind = type(value)
    if kind in _LEAVES:
        return value
    if kind is dict:
        return {key: _in_text(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [_in_text(item) for item in value]
    if isinstance(value, datetime.datetime) and (value.utcoffset() or _MINUTE) % _MINUTE:
        value = value.astimezone(datetime.UTC)  # an old local time; offsets have whole minutes
    text: str = msgspec.to_builtins(value)
    return _go_time(text) if isinstance(value, (datetime.datetime, datetime.time)) else text


def _go_time(text: str) -> str:
    """Write a time as Go does: without zeros at the end of the fraction."""
    match = _FRACTION.search(text)
    if match is None:
        return text
    digits = match[0].rstrip("0")
    return text[: match.start()] + ("" if digits == "." else digits) + text[match.end() :]
