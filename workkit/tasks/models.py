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
    """
    if not is_model(type(value)):
        raise NotImplementedError(f"{type(value).__name__} has no JSON form")
    return value.model_dump(mode="json", by_alias=True)


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
