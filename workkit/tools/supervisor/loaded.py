"""The files of the application that a process has loaded, or has failed to load.

A file belongs to the application if it is neither part of Python nor of workkit, and was not
installed: packages in `site-packages` do not change while somebody works.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

__all__ = ["Loaded", "folders_of"]

_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
#: This process's own program, which is not a module of the application.
_MAIN: Final = frozenset({"__main__", "__mp_main__"})


class Loaded:
    """Tells which files the application has loaded since the last question."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._modules = 0
        libraries = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
        ours = str(Path(__file__).parents[2])
        self._foreign = tuple(f"{os.path.realpath(path)}{os.sep}" for path in (*libraries, ours))

    def news(self, error: BaseException | None = None) -> list[str]:
        """Return files that were not returned before; also directories that hold no file yet.

        Args:
            error: Why the application was not loaded. The files in its traceback count as loaded.
        """
        if error is None and len(sys.modules) == self._modules:
            return []
        self._modules = len(sys.modules)
        found = {path for module in list(sys.modules.values()) for path in _paths(module)}
        if error is not None:
            found |= {*_mentioned(error), os.path.realpath(sys.path[0] or os.curdir)}
        new = sorted(path for path in found - self._known if self._is_ours(path))
        self._known.update(new)
        return new

    def _is_ours(self, path: str) -> bool:
        return not path.startswith(self._foreign) and _INSTALLED.isdisjoint(Path(path).parts)


def folders_of(packages: Iterable[str]) -> list[str]:
    """Return the folders of loaded packages and of the packages in them.

    Args:
        packages: Names of modules; those that are not packages have no folder.
    """
    names = tuple(packages)
    within = tuple(f"{name}." for name in names)
    found: set[str] = set()
    for name, module in list(sys.modules.items()):
        if name in names or name.startswith(within):
            found.update(map(os.path.realpath, getattr(module, "__path__", ())))
    return sorted(found)


def _paths(module: ModuleType) -> Iterator[str]:
    """Yield the file of a module, or the directories of a package without a file."""
    if getattr(module, "__name__", None) in _MAIN:
        return
    try:
        file, folders = getattr(module, "__file__", None), getattr(module, "__path__", ())
        for path in [file] if file is not None else list(folders):
            if Path(path).is_absolute():
                yield os.path.realpath(path)
    except Exception:  # noqa: BLE001 - an object that only stands in for a module
        return


def _mentioned(error: BaseException) -> Iterator[str]:
    """Yield the files in the tracebacks of an error and of the errors that led to it."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        trace = link.__traceback__
        files = [link.filename] if isinstance(link, SyntaxError) else []
        while trace is not None:
            files.append(trace.tb_frame.f_code.co_filename)
            trace = trace.tb_next
        yield from (os.path.realpath(file) for file in files if file and Path(file).is_file())
        link = link.__cause__ or link.__context__
