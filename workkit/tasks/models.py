"""Models of pydantic as parameters, without a dependency on it.

msgspec reads dataclasses, TypedDicts, attrs classes and its own structs by itself.
"""

from __future__ import annotations

import contextlib
import json
import typing
from typing import Any, Final

__all__ = ["decode_model", "encode_model", "is_model", "unchecked", "unwritten"]


def is_model(kind: Any) -> bool:
    """Tell whether a class is a model of pydantic."""
    return isinstance(kind, type) and hasattr(kind, "__pydantic_validator__")


def unwritten(kind: Any) -> str:
    """Return a field of an attrs class that msgspec leaves out when it writes; "" if none.

    Those are the private ones. One that the constructor does not take is made again by the reader.
    """
    fields = getattr(kind, "__attrs_attrs__", ())
    return next((each.name for each in fields if each.name[:1] == "_" and each.init), "")


def encode_model(value: Any) -> Any:
    """Return the JSON form of a model.

    Raises:
        NotImplementedError: The value is not a model.
        ValueError: It has no JSON form, or one that stands for another value.
    """
    kind: Any = type(value)
    if not is_model(kind):
        raise NotImplementedError(f"{kind.__name__} has no JSON form")
    try:
        wire = value.model_dump(mode="json", by_alias=True, round_trip=True)
    except ValueError as error:
        raise ValueError(f"{kind.__name__} has no JSON form: {error}") from None
    try:
        read = _validated(kind, wire)
    except Exception as error:  # noqa: BLE001 - the reader explains what else does not fit
        if absent := _absent(error):
            raise ValueError(
                f"{kind.__name__} is written without {absent}, which its reader needs; name fields "
                "with alias=..., which both use, and do not exclude them"
            ) from None
        return wire
    if changed := _changed(value, read):
        raise ValueError(
            f"the field {changed} of {kind.__name__} would reach the job with another value; "
            "it is excluded, its serializer hides it, as that of SecretStr does, or its validator "
            "changes it again"
        )
    return wire


def _absent(error: Any) -> str:
    """Return the path of the field that a model misses in its own JSON form; "" if none."""
    first = error.errors()[0] if hasattr(error, "errors") else {}
    return ".".join(map(str, first["loc"])) if first.get("type") == "missing" else ""


def _changed(value: Any, read: Any) -> str:
    """Return a field that a reader gets with another value; "" if there is none."""
    try:
        after, before = read.model_dump(round_trip=True), value.model_dump(round_trip=True)
        changed = (name for name in before if _differ(before[name], after[name]))
        return next(changed, "") or _excluded(value, read)
    except Exception:  # noqa: BLE001 - values may compare oddly
        return ""


def _differ(one: Any, other: Any) -> bool:
    return bool(one != other and one == one)  # noqa: PLR0124 - nan is refused where it is written


def _excluded(value: Any, read: Any) -> str:
    """Return a field that is never written, and differs; also one of a model within it."""
    if is_model(type(value)):
        for name, field in getattr(type(value), "model_fields", {}).items():
            mine, theirs = getattr(value, name), getattr(read, name, None)
            if field.exclude and mine != theirs:
                return str(name)
            if inner := _excluded(mine, theirs):
                return f"{name}.{inner}"
    elif isinstance(value, (list, tuple)):
        return next(filter(None, map(_excluded, value, read)), "")
    elif isinstance(value, dict):
        return next(filter(None, map(_excluded, value.values(), read.values())), "")
    return ""


def decode_model(kind: type[Any], value: Any) -> Any:
    """Make a model from its JSON form.

    Raises:
        ValueError: It does not fit; the message begins with the path of the value in it.
    """
    try:
        return _validated(kind, value)
    except ValueError as error:
        details = getattr(error, "errors", None)
        if details is None:
            raise
        first = details(include_url=False, include_context=False, include_input=False)[0]
        path = "".join(f"[{at}]" if isinstance(at, int) else f".{at}" for at in first["loc"])
        raise ValueError(f"{path}: {first['msg']}") from None


def _validated(kind: Any, value: Any) -> Any:
    """Make a model. A strict one takes a text for a time, a `UUID` or a `Decimal` only as JSON."""
    try:
        return kind.model_validate(value)
    except ValueError as error:
        try:
            return kind.model_validate_json(json.dumps(value))
        except Exception as later:  # not JSON, or not a model of pydantic
            errors = later.errors() if hasattr(later, "errors") else []
            if not errors or errors[0].get("type") == "json_invalid":
                raise error from None
            raise


#: What says nothing that a task would have to check.
_REMARKS: Final = frozenset({"DocInfo", "Examples", "SkipValidation", "Strict", "Unit"})
#: What classes of plain values have: dataclasses, attrs, structs, `TypedDict`, `NamedTuple`.
_OF_DATA: Final = (
    "__dataclass_fields__", "__attrs_attrs__", "__struct_fields__", "__total__", "_fields",
)  # fmt: skip


def unchecked(hint: Any, seen: set[Any] | None = None) -> Any:
    """Return a constraint or a class in an annotation that pydantic checks only in its models.

    Args:
        hint: The annotation.
        seen: The classes that were looked at.

    Returns:
        The first one; None if there is none.
    """
    seen = set() if seen is None else seen
    if (found := next(filter(_checks, getattr(hint, "__metadata__", ())), None)) is not None:
        return found
    hint = getattr(hint, "__value__", hint)  # of an alias
    inside = [*typing.get_args(hint)] if typing.get_origin(hint) is not typing.Literal else []
    if isinstance(hint, type) and hint not in seen and not is_model(hint):
        seen.add(hint)
        if _home(hint) in {"pydantic", "pydantic_extra_types"}:
            return hint
        if any(hasattr(hint, mark) for mark in _OF_DATA):
            with contextlib.suppress(Exception):  # names that cannot be resolved, or any code
                inside += typing.get_type_hints(hint, include_extras=True).values()
    return next((bad for each in inside if (bad := unchecked(each, seen)) is not None), None)


def _checks(remark: Any) -> bool:
    """Tell whether a part of `Annotated` is a constraint of pydantic."""
    kind = type(remark)
    if any(each.__name__ == "FieldInfo" for each in kind.__mro__):  # also a Query of FastAPI
        return bool(getattr(remark, "metadata", ()) or getattr(remark, "alias", ""))
    return _home(kind) in {"annotated_types", "pydantic"} and kind.__name__ not in _REMARKS


def _home(kind: type) -> str:
    return getattr(kind, "__module__", "").partition(".")[0]
