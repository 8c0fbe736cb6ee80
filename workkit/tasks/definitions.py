"""Where functions are defined: the names around them, and whether one is defined again."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any, Final
from weakref import ReferenceType, ref

from workkit.engine.handling.results import label

__all__ = ["is_again", "is_interactive", "names_of", "place", "run_of"]

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


def run_of(frame: Any) -> ReferenceType[CodeType] | None:
    """Return what stands for one run of the code around a decorator.

    A module that is loaded again is compiled again, so each run has another code object.
    """
    caller = frame.f_back if frame is not None else None
    return ref(caller.f_code) if caller is not None else None


def is_again(
    known: Callable[..., Any], function: Callable[..., Any], *, is_later_run: bool = False
) -> bool:
    """Tell whether a function is the known one, defined again.

    That happens if a cell runs again, if a module is loaded again, also after an edit, and if a
    script is run and also imported by its name.

    Args:
        known: The function that is registered.
        function: The other one.
        is_later_run: Whether the code around it runs for another time, rather than defining two
            functions of one name.
    """
    homes = {getattr(each, "__module__", "") for each in (known, function)}
    if label(known) != label(function) or len(homes - {_INTERACTIVE}) > 1:
        return False
    if homes == {_INTERACTIVE} and is_interactive():
        return True
    if is_later_run and _file(known) == _file(function):
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
    return f"{_file(function)}:{code.co_firstlineno}" if code is not None else ""


def _file(function: Callable[..., Any]) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return str(Path(code.co_filename).absolute()) if code is not None else ""
