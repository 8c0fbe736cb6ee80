"""The files that the demo processes: the source code of the running Python installation.

Installations differ: Debian packages the standard library without most of its tests, and a virtual
environment has its own `site-packages`. The demo counts the files that it leaves out.
"""

from __future__ import annotations

import os
import re
import site
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["LARGE_BYTES", "MAX_BYTES", "SourceFile", "Workload", "find_sources", "source_roots"]

#: Larger files get the job of which at most two run at once.
LARGE_BYTES: Final = 64 * 1024
#: Larger files are left out: they are tables rather than programs, and one delays everything.
MAX_BYTES: Final = 256 * 1024

_SKIPPED_FOLDERS: Final = frozenset({"__pycache__", "site-packages", "dist-packages"})
#: Where CPython keeps invalid source for tests: of its tokenizer, of its parser, and of 2to3.
_INVALID: Final = re.compile(
    r"(?:^|/)(?:test/(?:.+/)?bad[^/]*|lib2to3/tests/data/[^/]+|test/test_lib2to3/data/[^/]+)\.py$"
)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to process.

    Attributes:
        path: Where it is.
        name: Its path below its root, with slashes.
        package: The first folder below its root.
        size: Bytes.
    """

    path: str
    name: str
    package: str
    size: int

    @property
    def is_suspect(self) -> bool:
        """Whether CPython keeps it for tests of invalid source; not all of these fail to parse."""
        return _INVALID.search(self.name) is not None


@dataclass(frozen=True, slots=True)
class Workload:
    """The files of one run.

    Attributes:
        files: The files to process; suspects come first, so that their retries wait while the rest
            is processed.
        over_limit: How many files the limit leaves out.
        over_size: How many are left out because they are too large.
    """

    files: tuple[SourceFile, ...]
    over_limit: int
    over_size: int

    @property
    def suspects(self) -> int:
        """How many files CPython keeps for tests of invalid source."""
        return sum(file.is_suspect for file in self.files)

    @classmethod
    def choose(cls, found: Iterable[SourceFile], limit: int) -> Workload:
        """Choose up to `limit` files: suspects first, the others evenly from the whole tree."""
        every = list(found)
        fitting = [file for file in every if file.size <= MAX_BYTES]
        suspects = [file for file in fitting if file.is_suspect][:limit]
        others = [file for file in fitting if not file.is_suspect]
        count = min(len(others), limit - len(suspects))
        files = (*suspects, *(others[at * len(others) // count] for at in range(count)))
        return cls(files, len(fitting) - len(files), len(every) - len(fitting))


def source_roots() -> list[str]:
    """Return the folders of the running installation that hold source files."""
    paths = [*map(sysconfig.get_path, ("stdlib", "purelib", "platlib")), *site.getsitepackages()]
    real = dict.fromkeys(os.path.realpath(path) for path in paths if path)
    return [path for path in real if Path(path).is_dir()]


def find_sources(roots: Iterable[str]) -> Iterator[SourceFile]:
    """Walk folders for Python files in the order of their names, without installed packages.

    A file that has gone, or whose name is not valid text, is left out.
    """
    for root in roots:
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(set(folders) - _SKIPPED_FOLDERS)
            for name in sorted(name for name in names if name.endswith(".py")):
                path = os.path.join(folder, name)  # noqa: PTH118 - thousands; strings are enough
                with suppress(OSError, UnicodeEncodeError):
                    path.encode()
                    size = os.stat(path).st_size  # noqa: PTH116 - as above
                    below = path[len(root) :].lstrip(os.sep).replace(os.sep, "/")
                    package, slash, _ = below.partition("/")
                    package = package if slash else f"{Path(root).name} modules"
                    yield SourceFile(path, below, package, size)
