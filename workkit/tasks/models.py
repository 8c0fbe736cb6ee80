"""Models of pydantic as parameters, without a dependency on it.

msgspec reads dataclasses, TypedDicts, attrs classes and its own structs by itself.
"""

from __future__ import annotations

from typing import Any

__all__ = ["decode_model", "encode_model", "is_model", "unwritten"]


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
    if changed := _changed(kind, value, wire):
        raise ValueError(
            f"the field {changed} of {kind.__name__} would reach the job with another value; "
            "its serializer hides it, as that of SecretStr does, or its validator changes it again"
        )
    return wire


def _changed(kind: Any, value: Any, wire: Any) -> str:
    """Return a field that a reader would get with another value; "" if there is none."""
    try:
        after = kind.model_validate(wire).model_dump(round_trip=True)
        before = value.model_dump(round_trip=True)
        return next((name for name in before if before[name] != after[name]), "")
    except Exception:  # noqa: BLE001 - the reader explains what does not fit; values compare oddly
        return ""


def decode_model(kind: type[Any], value: Any) -> Any:
    """Make a model from its JSON form.

    Raises:
        ValueError: It does not fit; the message begins with the path of the value in it.
    """
    try:
        return kind.model_validate(value)
    except ValueError as error:
        details = getattr(error, "errors", None)
        if details is None:
            raise
        first = details(include_url=False, include_context=False, include_input=False)[0]
        path = "".join(f"[{at}]" if isinstance(at, int) else f".{at}" for at in first["loc"])
        raise ValueError(f"{path}: {first['msg']}") from None
