"""The signature of a task as pools publish it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

__all__ = ["published"]

#: What nobody needs for a check. A default may be a secret.
_LEFT_OUT: Final = frozenset({"default", "description", "examples"})
_MAPS: Final = frozenset({"properties", "$defs"})


def published(struct: type[Any], *, upgrades: bool) -> bytes:
    """Return the signature of a task as JSON, for `workkit.core.signatures`.

    Args:
        struct: The struct of its args.
        upgrades: Whether it makes the args of older payloads those of today.

    Returns:
        The signature, or nothing if msgspec cannot describe a type.
    """
    try:
        schema = msgspec.json.schema(struct, schema_hook=_of_model)
    except Exception:  # noqa: BLE001 - classes may hold any code, and the task runs without
        return b""
    told: dict[str, Any] = {"v": 1, "args": _bare(schema)}
    if upgrades:
        told["upgrade"] = True
    return msgspec.json.encode(told)


def _of_model(kind: type[Any]) -> dict[str, Any]:
    """Describe a model of pydantic by its name: pydantic reads more than its schema says."""
    return {"title": kind.__name__}


def _bare(node: Any) -> Any:
    """Return a part of a schema without what is left out."""
    if isinstance(node, list):
        return [_bare(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: _bare(each) for name, each in value.items()} if key in _MAPS else _bare(value)
        for key, value in node.items()
        if key not in _LEFT_OUT
    }
