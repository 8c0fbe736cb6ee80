"""What the demo works on: the source files of the running Python installation.

Real installations differ: Debian packages the standard library without most of its tests, a virtual
environment has its own `site-packages`. What is there is taken as it is, and what is left out is
counted, never made up.
"""

from __future__ import annotations

import os
import re
import site
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["LARGE_BYTES", "MAX_BYTES", "SourceFile", "Workload", "find_sources", "source_roots"]

#: Files above this size go through the queue that runs two jobs at once.
LARGE_BYTES: Final = 64 * 1024
#: Files above this size are left out: they are tables, not programs, and one holds up everybody.
MAX_BYTES: Final = 256 * 1024

_SKIPPED_DIRECTORIES: Final = frozenset({"__pycache__", "site-packages", "dist-packages"})
#: Where CPython keeps source that is wrong on purpose: for its tokenizer, its parser, and 2to3.
_WRONG: Final = re.compile(
    r"(?:^|/)(?:test/(?:.+/)?bad[^/]*|lib2to3/tests/data/[^/]+|test/test_lib2to3/data/[^/]+)\.py$"
)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to process.

    Attributes:
        path: Where it is.
        name: Its path below its root, with slashes.
        package: The package it belongs to: the first folder below its root.
        size: Bytes.
    """

    path: str
    name: str
    package: str
    size: int

    @property
    def is_large(self) -> bool:
        """Whether it goes through the queue for large files."""
        return self.size > LARGE_BYTES

    @property
    def is_suspect(self) -> bool:
        """Whether it is one of those that CPython keeps for tests of wrong source.

        Not all of them are wrong in a way that the parser minds.
        """
        return _WRONG.search(self.name) is not None


@dataclass(frozen=True, slots=True)
class Workload:
    """The files of one run.

    Attributes:
        roots: The folders that were searched.
        files: What is processed; suspects come first, so that their retries wait while the rest is
            processed.
        found: How many files there are.
        over_limit: How many the limit leaves out.
        over_size: How many are left out for their size.
    """

    roots: tuple[str, ...]
    files: tuple[SourceFile, ...]
    found: int
    over_limit: int
    over_size: int

    @property
    def packages(self) -> int:
        """How many packages the files belong to."""
        return len({file.package for file in self.files})

    @property
    def suspects(self) -> int:
        """How many files are kept for tests of wrong source."""
        return sum(file.is_suspect for file in self.files)

    @classmethod
    def choose(cls, roots: Sequence[str], found: Iterable[SourceFile], limit: int) -> Workload:
        """Choose what to process.

        Suspects are always in. The others are taken evenly from the whole tree rather than from its
        start, so that every corner has its share.

        Args:
            roots: The folders that were searched.
            found: What is in them.
            limit: How many files at most.
        """
        every = list(found)
        fitting = [file for file in every if file.size <= MAX_BYTES]
        suspects = [file for file in fitting if file.is_suspect][:limit]
        others = [file for file in fitting if not file.is_suspect]
        count = min(len(others), limit - len(suspects))
        chosen = [others[at * len(others) // count] for at in range(count)]
        files = (*suspects, *chosen)
        return cls(
            tuple(roots),
            files,
            found=len(every),
            over_limit=len(fitting) - len(files),
            over_size=len(every) - len(fitting),
        )


def source_roots() -> list[str]:
    """Return the folders of the running installation that hold source files."""
    wanted = [
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("purelib"),
        sysconfig.get_path("platlib"),
        *site.getsitepackages(),
    ]
    real = dict.fromkeys(os.path.realpath(path) for path in wanted if path)
    return [path for path in real if Path(path).is_dir()]


def find_sources(roots: Iterable[str]) -> Iterator[SourceFile]:
    """Walk folders for Python files, in the order of their names.

    Args:
        roots: The folders. Those of installed packages are not searched as parts of another.
    """
    for root in roots:
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(set(folders) - _SKIPPED_DIRECTORIES)
            for name in sorted(names):
                if name.endswith(".py"):
                    path = os.path.join(folder, name)  # noqa: PTH118 - thousands; strings are enough
                    file = _source_file(root, path)
                    if file is not None:
                        yield file


def _source_file(root: str, path: str) -> SourceFile | None:
    """Describe a file; one that has gone, or whose name is no text, is none."""
    try:
        size = os.stat(path).st_size  # noqa: PTH116 - as above
        path.encode()
    except (OSError, UnicodeEncodeError):
        return None
    name = path[len(root) :].lstrip(os.sep).replace(os.sep, "/")
    package = name.partition("/")[0] if "/" in name else f"{Path(root).name} modules"
    return SourceFile(path, name, package, size)
