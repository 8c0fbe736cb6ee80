"""Loads the pool for `workkit worker`, and explains failures."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from workkit.pool import WorkerPool

__all__ = ["LoadError", "failure_text", "load_pool"]

#: Lines of the user's traceback that are shown.
_TRACEBACK_LINES: Final = 12
#: The directory of our own code, whose frames do not help with a mistake in the user's.
_OURS: Final = str(Path(__file__).parents[3])


class LoadError(click.ClickException):
    """The pool cannot be loaded; the message contains the remedy."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """Write the message, which may have several lines, to stderr."""
        click.echo(f"workkit: {self.format_message()}", file=file, err=True)


def load_pool(target: str) -> WorkerPool:
    """Import a module and return the pool in it.

    Args:
        target: "package.module:pool", where "pool" is a `WorkerPool` or a function without
            arguments that makes one; dots select attributes of attributes.

    Raises:
        LoadError: The module or the pool does not exist, or its code fails.
    """
    from workkit.engine.running import IMPORTING

    module_name, _, path = target.partition(":")
    path = path.removesuffix("()")
    _check_module_name(module_name, path)
    token = IMPORTING.set(module_name)
    try:
        return _find(target, _import(module_name), path)
    finally:
        IMPORTING.reset(token)


def _find(target: str, module: ModuleType, path: str) -> WorkerPool:
    module_name = module.__name__
    if not path:
        raise LoadError(f"name the pool of {module_name!r} to run.{_suggest(module)}")
    found: Any = module
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise LoadError(f"{module_name!r} has no {path!r}.{_suggest(module)}") from None
    return _as_pool(found, target, module)


def _check_module_name(module_name: str, path: str) -> None:
    """Refuse file names, the most common mistake, and show the right spelling."""
    is_name = all(part.isidentifier() for part in module_name.split("."))
    is_file = module_name.endswith(".py") and Path(module_name).is_file()
    if is_name and not is_file:
        return
    dotted = module_name.removeprefix("./").removesuffix(".py").replace("/", ".")
    if dotted and all(part.isidentifier() for part in dotted.split(".")):
        raise LoadError(
            f"{module_name!r} is a file; name the module: workkit worker {dotted}:{path or 'pool'}"
        )
    raise LoadError(f"{module_name!r} is not a module; write workkit worker package.module:pool")


def _import(module_name: str) -> ModuleType:
    here = os.getcwd()  # noqa: PTH109 - sys.path needs strings
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise LoadError(
                f"there is no module {error.name!r} in {here} or on Python's search path "
                "(PYTHONPATH, installed packages)"
            ) from None
        raise LoadError(failure_text(f"importing {module_name!r} failed", error)) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
        raise LoadError(failure_text(f"importing {module_name!r} failed", error)) from None


def _as_pool(found: Any, target: str, module: ModuleType) -> WorkerPool:
    from workkit.pool import WorkerPool

    if isinstance(found, WorkerPool):
        return _not_started(found, target, module)
    if not callable(found) or isinstance(found, type):
        raise LoadError(
            f"{target!r} is {_article(found)}, not a WorkerPool or a function that makes one."
            f"{_suggest(module)}"
        )
    try:
        made = found()
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything
        raise LoadError(failure_text(f"{target!r} failed when it was called", error)) from None
    if not isinstance(made, WorkerPool):
        raise LoadError(
            f"{target!r} returned {_article(made)}, not a WorkerPool.{_suggest(module)}"
        )
    return _not_started(made, target, module)


def _not_started(pool: WorkerPool, target: str, module: ModuleType) -> WorkerPool:
    """Refuse a pool that was started by the import of its module, as in a script."""
    if pool.pool_id:
        raise LoadError(
            f"{target!r} was started while {module.__name__!r} was imported: put pool.start(), "
            'pool.run() and other code only for a script below `if __name__ == "__main__":`'
        )
    return pool


def _article(value: object) -> str:
    return "a class" if isinstance(value, type) else f"an object of type {type(value).__name__!r}"


def _suggest(module: ModuleType) -> str:
    """Name the pools of a module."""
    from workkit.pool import WorkerPool

    names = [name for name, value in vars(module).items() if isinstance(value, WorkerPool)]
    if not names:
        return f" No WorkerPool was found in {module.__name__!r}."
    commands = " or ".join(f"workkit worker {module.__name__}:{name}" for name in names)
    return f" Try {commands}"


def failure_text(what: str, error: BaseException) -> str:
    """Return the end of a traceback, without the frames of the import system and of workkit.

    Args:
        what: The operation that failed.
        error: Its error.
    """
    trace = error.__traceback__
    frames = [
        frame
        for frame in traceback.extract_tb(trace)
        if frame.filename != importlib.__file__
        and not frame.filename.startswith(("<frozen importlib", _OURS))
    ]
    lines = [*traceback.format_list(frames), *traceback.format_exception_only(error)]
    text = "".join(lines).rstrip().splitlines()
    return "\n".join([f"{what}:", *(f"  {line}" for line in text[-_TRACEBACK_LINES:])])
