"""Imports the user's modules, and explains failures."""

from __future__ import annotations

import importlib
import logging
import os
import pkgutil
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import click

__all__ = ["LoadError", "dotted_name", "failure_text", "import_all", "import_module"]

_log = logging.getLogger("workkit")

#: Lines of the user's traceback that are shown.
_TRACEBACK_LINES: Final = 12
#: The directory of our own code, whose frames do not help with a mistake in the user's.
_OURS: Final = str(Path(__file__).parents[3])


class LoadError(click.ClickException):
    """The user's code cannot be loaded; the message contains the remedy."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """Write the message, which may have several lines, to stderr."""
        click.echo(f"workkit: {self.format_message()}", file=file, err=True)


def import_module(name: str) -> ModuleType:
    """Import a module, with the current directory on the path.

    Raises:
        LoadError: It does not exist, or its code fails.
    """
    here = os.getcwd()  # noqa: PTH109 - sys.path needs strings
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise LoadError(
                f"there is no module {error.name!r} in {here} or on Python's search path "
                "(PYTHONPATH, installed packages)"
            ) from None
        raise LoadError(failure_text(f"importing {name!r} failed", error)) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
        raise LoadError(failure_text(f"importing {name!r} failed", error)) from None


def import_all(names: Iterable[str]) -> None:
    """Import modules, and all submodules of those that are packages.

    Args:
        names: Names with dots.

    Raises:
        LoadError: One does not exist, or its code fails.
    """
    packages: list[ModuleType] = []
    for name in names:
        _check_name(name)
        packages += _import_below(import_module(name))
    for package in packages:
        _warn_of_plain_folders(package)


def _import_below(module: ModuleType) -> list[ModuleType]:
    """Import the submodules of a package, except its `__main__`, which is a program.

    Returns:
        The package and the packages in it.
    """
    if not hasattr(module, "__path__"):
        return []
    packages = [module]
    for found in sorted(pkgutil.iter_modules(module.__path__), key=lambda found: found.name):
        if found.name != "__main__":
            packages += _import_below(import_module(f"{module.__name__}.{found.name}"))
    return packages


def _warn_of_plain_folders(package: ModuleType) -> None:
    """Name folders of Python files that the search for submodules passes over."""
    for folder in map(Path, package.__path__):
        for below in sorted(folder.iterdir()) if folder.is_dir() else ():
            module = f"{package.__name__}.{below.name}"
            is_searched = (below / "__init__.py").exists() or module in sys.modules
            if below.name.isidentifier() and not is_searched and any(below.glob("*.py")):
                _log.warning(
                    "the modules in %s were not imported, because it has no __init__.py; "
                    "add one, or --import %s",
                    below, module,
                )  # fmt: skip


def _check_name(name: str) -> None:
    """Refuse file names, the most common mistake, and show the right spelling."""
    dotted = dotted_name(name)
    if not dotted:
        raise LoadError(f"{name!r} is not a module; write --import package.module")
    if dotted != name:
        raise LoadError(f"{name!r} is a file; name the module: --import {dotted}")


def dotted_name(name: str) -> str:
    """Return the name of a module for its file's name; "" if it cannot be one."""
    dotted = name
    if not all(part.isidentifier() for part in name.split(".")) or _is_file(name):
        dotted = name.removeprefix("./").removesuffix("/").removesuffix(".py").replace("/", ".")
    return dotted if all(part.isidentifier() for part in dotted.split(".")) else ""


def _is_file(name: str) -> bool:
    return name.endswith(".py") and Path(name).is_file()


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
