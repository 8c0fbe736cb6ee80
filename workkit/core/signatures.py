"""What a typed task takes, as pools publish it, and whether args fit.

A signature is a JSON schema, as msgspec writes it. It comes from Redis, so anybody may have written
it: what cannot be understood refuses nothing, and a check takes a bounded number of steps.
"""

from __future__ import annotations

import datetime
import decimal
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final
from uuid import UUID

import msgspec

from workkit.core.options import near_match

__all__ = ["Signature", "read_signature"]

#: So many complaints are told at once.
_COMPLAINTS: Final = 5
#: A check that takes more steps ends without a further complaint.
_STEPS: Final = 100_000
_DEEPEST: Final = 100
#: How far names of types within types are written out.
_WORDS_DEEP: Final = 3
_WORDS: Final = {
    "integer": "int", "number": "float", "string": "str", "boolean": "bool", "null": "null",
    "array": "array", "object": "object",
}  # fmt: skip
#: Texts with a form that msgspec reads.
_FORMS: Final[dict[str, Any]] = {
    "date-time": datetime.datetime, "date": datetime.date, "time": datetime.time,
    "duration": datetime.timedelta, "uuid": UUID, "base64": bytes, "decimal": decimal.Decimal,
}  # fmt: skip
_BOUNDS: Final[dict[str, tuple[str, Callable[[Any, Any], bool]]]] = {
    "minimum": (">=", operator.ge), "maximum": ("<=", operator.le),
    "exclusiveMinimum": (">", operator.gt), "exclusiveMaximum": ("<", operator.lt),
}  # fmt: skip
_LENGTHS: Final[dict[str, tuple[type[str | list[Any] | dict[str, Any]], str]]] = {
    "minLength": (str, ">="), "maxLength": (str, "<="),
    "minItems": (list, ">="), "maxItems": (list, "<="),
    "minProperties": (dict, ">="), "maxProperties": (dict, "<="),
}  # fmt: skip
_EMPTY: Final[dict[str, Any]] = {
    "integer": 0, "number": 0.0, "string": "", "boolean": False, "array": [], "object": {},
}  # fmt: skip

_Node = Any


class _Exhausted(Exception):
    """A check has taken too many steps."""


class Signature:
    """What one task takes.

    Args:
        schema: A JSON schema of the args.
        upgrades: Whether the task makes the args of older payloads those of today.

    Attributes:
        upgrades: The same.
    """

    def __init__(self, schema: Mapping[str, Any], *, upgrades: bool = False) -> None:
        self.upgrades = upgrades
        self._named = _mapping(schema.get("$defs"))
        self._root = self._resolved(schema)
        self._left = 0

    @property
    def names(self) -> list[str]:
        """The names of the args, in the order of the parameters."""
        return list(_mapping(self._root.get("properties")))

    @property
    def required(self) -> list[str]:
        """The names of the args that have no default."""
        wanted = _sequence(self._root.get("required"))
        return [name for name in self.names if name in wanted]

    @property
    def takes(self) -> str:
        """What it takes, for people: "to: str, retries: int = ..."."""
        properties, required = _mapping(self._root.get("properties")), self.required
        parts = (
            f"{name}: {self._words(node)}{'' if name in required else ' = ...'}"
            for name, node in properties.items()
        )
        return ", ".join(parts) or "no args"

    def template(self) -> dict[str, Any]:
        """Return args to begin with: those without a default, each with an empty value."""
        properties = _mapping(self._root.get("properties"))
        return {name: self._empty(properties[name]) for name in self.required}

    def complaints(self, args: Mapping[str, Any] | None) -> list[str]:
        """Return why args do not fit, such as "args.sizes[2]: expected int, got str".

        What msgspec would accept is not refused. Patterns of texts and the fields of pydantic's
        models are not checked.

        Args:
            args: The args of a job.
        """
        self._left = _STEPS
        found: list[str] = []
        problems = self._problems(self._root, dict(args or {}), "args", 0)
        try:
            for each in islice(problems, _COMPLAINTS):
                found.append(each)  # noqa: PERF402 - those before the exception count
        except (_Exhausted, RecursionError):
            pass
        return found

    # Reading the schema.

    def _resolved(self, node: _Node) -> dict[str, Any]:
        """Return a node, or the one that it refers to."""
        for _ in range(_DEEPEST):
            if not isinstance(node, Mapping) or "$ref" not in node:
                break
            node = self._named.get(str(node["$ref"]).removeprefix("#/$defs/"), {})
        return dict(node) if isinstance(node, Mapping) and "$ref" not in node else {}

    def _words(self, node: _Node, deep: int = 0) -> str:
        """Name the type of a node, as Python would."""
        node = self._resolved(node)
        if options := _sequence(node.get("anyOf")):
            deeper = options if deep < _WORDS_DEEP else ()
            names = dict.fromkeys(self._words(each, deep + 1) for each in deeper)
            return " | ".join(names) or "any"
        if "enum" in node:
            return " | ".join(map(_shown, _sequence(node["enum"]))) or "any"
        kind = node.get("type")
        if kind == "array" and deep < _WORDS_DEEP and "items" in node and "prefixItems" not in node:
            return f"list[{self._words(node['items'], deep + 1)}]"
        if kind == "object" and isinstance(node.get("title"), str):
            return str(node["title"])
        if kind == "string":
            return _form(node) or "str"
        return _WORDS.get(str(kind), str(node.get("title") or "any"))

    def _empty(self, node: _Node, deep: int = 0) -> Any:
        node = self._resolved(node)
        options = _sequence(node.get("anyOf"))
        if any(self._resolved(each).get("type") == "null" for each in options):
            return None
        if options:
            return self._empty(options[0], deep + 1) if deep < _WORDS_DEEP else None
        if values := _sequence(node.get("enum")):
            return values[0]
        if node.get("type") == "object":
            properties = _mapping(node.get("properties"))
            wanted = _sequence(node.get("required"))
            return {name: None for name in properties if name in wanted}
        return _EMPTY.get(str(node.get("type")))

    # Checking.

    def _problems(self, node: _Node, value: Any, at: str, deep: int) -> Iterator[str]:
        self._left -= 1
        if self._left < 0 or deep > _DEEPEST:
            raise _Exhausted
        if node is False:
            yield f"{at}: unknown"
            return
        node = self._resolved(node)
        if options := _sequence(node.get("anyOf")):
            yield from self._of_any(options, node, value, at, deep)
        elif "enum" in node:
            values = _sequence(node["enum"])
            if values and not any(_same(value, each) for each in values):
                yield f"{at}: expected {' or '.join(map(_shown, values))}"
        elif (kind := node.get("type")) is not None and not _is_of(kind, node, value):
            yield f"{at}: expected {self._words(node)}, got {_kind(value)}"
        elif isinstance(value, str) and not _has_form(node, value):
            yield f"{at}: expected {_form(node)}, got another text"
        else:
            yield from _bounded(node, value, at)
            yield from self._inside(node, value, at, deep)

    def _inside(self, node: Mapping[str, Any], value: Any, at: str, deep: int) -> Iterator[str]:
        if isinstance(value, list):
            first, rest = _sequence(node.get("prefixItems")), node.get("items", True)
            for index, item in enumerate(value):
                inner = first[index] if index < len(first) else rest
                yield from self._problems(inner, item, f"{at}[{index}]", deep + 1)
        elif isinstance(value, dict):
            properties = _mapping(node.get("properties"))
            for name in _sequence(node.get("required")):
                if isinstance(name, str) and name not in value:
                    yield f"{at}.{name}: missing"
            others = node.get("additionalProperties", True)
            for name, item in value.items():
                if name in properties:
                    yield from self._problems(properties[name], item, f"{at}.{name}", deep + 1)
                elif others is False:
                    hint = near_match(name, list(properties))
                    yield f"{at}.{name}: unknown{hint or f'; it takes {_joined(properties)}'}"
                else:
                    yield from self._problems(others, item, f"{at}.{name}", deep + 1)

    def _of_any(
        self, options: Sequence[_Node], node: Mapping[str, Any], value: Any, at: str, deep: int
    ) -> Iterator[str]:
        """Complain if a value fits none of the options; about the one that it was meant for."""
        tried = []
        for each in options:
            problems = list(islice(self._problems(each, value, at, deep + 1), _COMPLAINTS))
            if not problems:
                return
            tried.append(problems)
        tag = _mapping(node.get("discriminator")).get("propertyName")
        for problems in tried:
            if not any(text.startswith((f"{at}: ", f"{at}.{tag}: ")) for text in problems):
                yield from problems  # its type is right, and something inside is wrong
                return
        yield f"{at}: expected {self._words(node)}, got {_kind(value)}"


def read_signature(raw: bytes) -> Signature | None:
    """Read what a pool has published; None if it is not a signature.

    Args:
        raw: A JSON object with the members `v` (1), `args` (a schema) and `upgrade`.
    """
    try:
        told = msgspec.json.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or told.get("v") != 1 or not isinstance(told.get("args"), dict):
        return None
    return Signature(told["args"], upgrades=told.get("upgrade") is True)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _kind(value: Any) -> str:
    names = {bool: "bool", int: "int", float: "float", str: "str", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _joined(names: Mapping[str, Any]) -> str:
    return ", ".join(names) or "no args"


def _same(value: Any, other: Any) -> bool:
    return type(value) is type(other) and bool(value == other)


def _is_of(kind: Any, node: Mapping[str, Any], value: Any) -> bool:
    """Tell whether a value has a type of JSON schema, or one of several."""
    if isinstance(kind, list):
        return any(_is_of(each, node, value) for each in kind)
    if kind == "string" and node.get("format") == "decimal":  # numbers are read as well
        return _kind(value) in {"int", "float", "str"}
    if kind == "number":
        return _kind(value) in {"int", "float"}
    return not isinstance(kind, str) or _kind(value) == _WORDS.get(kind, _kind(value))


def _form(node: Mapping[str, Any]) -> str:
    """Name the form of a text; "" if any text will do."""
    form = str(node.get("format", node.get("contentEncoding")))
    return form if node.get("type") == "string" and form in _FORMS else ""


def _has_form(node: Mapping[str, Any], value: str) -> bool:
    try:
        msgspec.convert(value, _FORMS.get(_form(node), str))
    except (msgspec.ValidationError, ValueError):
        return False
    return True


def _bounded(node: Mapping[str, Any], value: Any, at: str) -> Iterator[str]:
    """Complain about a number or a length that is out of its bounds."""
    if _kind(value) in {"int", "float"}:
        for keyword, (sign, holds) in _BOUNDS.items():
            bound = node.get(keyword)
            if _kind(bound) in {"int", "float"} and not holds(value, bound):
                yield f"{at}: expected {_kind(value)} {sign} {bound}"
    for keyword, (kind, sign) in _LENGTHS.items():
        least_or_most = node.get(keyword)
        if not isinstance(value, kind) or type(least_or_most) is not int:
            continue
        size = len(value)
        if size < least_or_most if sign == ">=" else size > least_or_most:
            yield f"{at}: expected a length {sign} {least_or_most}, got {size}"
