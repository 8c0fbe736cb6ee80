"""Where functions are defined: the names around them, and whether one is defined again."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from workkit.engine.handling.results import label

__all__ = ["is_again", "is_interactive", "names_of", "place"]

#: The namespaces of functions that are defined again and again: notebooks and prompts.
_INTERACTIVE: Final = "__main__"


def names_of(frame: Any) -> dict[str, Any]:
    """Return the local names where a decorator was called, to resolve annotations in quotes."""
    caller = frame.f_back if frame is not None else None
    if caller is None or caller.f_locals is caller.f_globals:
        return {}
    return dict(caller.f_locals)


def is_interactive() -> bool:
    """Tell whether this is a session of cells or lines, such as a notebook, and not a script."""
    return not hasattr(sys.modules[_INTERACTIVE], "__file__")


def is_again(known: Callable[..., Any], function: Callable[..., Any]) -> bool:
    """Tell whether a function is the known one, defined again.

    That happens if a cell runs again, if a module is loaded again, and if a script is run and also
    imported by its name.
    """
    homes = {getattr(each, "__module__", "") for each in (known, function)}
    if label(known) != label(function) or len(homes - {_INTERACTIVE}) > 1:
        return False
    if homes == {_INTERACTIVE} and is_interactive():
        return True
    return _code(known) == _code(function)


def place(function: Callable[..., Any]) -> str:
    """Return the name of a function and where it is, for messages."""
    where = _code(function)
    name = f"{getattr(function, '__module__', '')}.{label(function)}"
    return f"{name} ({where})" if where else name


def _code(function: Callable[..., Any]) -> str:
    """Return the file and the line of a function; "" if it has none."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{Path(code.co_filename).absolute()}:{code.co_firstlineno}" if code is not None else ""
