"""Finds the value that does not fit, where msgspec's message has an ellipsis for a key."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

__all__ = ["pinpointed"]

#: The steps of a path: a field, an index, or some key.
_STEP: Final = re.compile(r"\.[^.\[]+|\[[^\]]*\]")
#: In a larger dict the wrong value is not searched for.
_MOST_KEYS: Final = 1_000


def pinpointed(text: str, value: Any, read: Callable[[Any], object]) -> str:
    """Return msgspec's message with the keys of dicts, for which it writes an ellipsis.

    Args:
        text: The message.
        value: What was read.
        read: Reads it, and raises the same error for a value with only the wrong item.
    """
    before, at, path = text.rpartition("`$")
    if "[...]" not in path:
        return text
    node: Any = (value := copy.deepcopy(value))
    shown = ""
    for step in _STEP.findall(path.removesuffix("`")):
        key: Any = step[1:] if step[0] == "." else step[1:-1]
        if step == "[...]":
            key = _failing(text, node, functools.partial(read, value))
            if key is None:
                return text
            shown += f".{key}" if isinstance(node, dict) else f"[{key}]"
            key = key if isinstance(node, dict) else 0
        else:
            shown += step
            key = int(key) if step[0] == "[" else key
        node = node[key]
    return f"{before}{at}{shown}`"


def _failing(text: str, node: Any, read: Callable[[], object]) -> Any:
    """Return the key whose value is wrong, and keep only that one; None if it is not found."""
    items = list(node.items() if isinstance(node, dict) else enumerate(node))
    for key, value in items[:_MOST_KEYS]:
        node.clear()
        if isinstance(node, dict):
            node[key] = value
        else:
            node.append(value)
        try:
            read()
        except msgspec.ValidationError as error:
            if str(error) == text:
                return key
    return None
