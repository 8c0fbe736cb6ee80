"""Counts the runs of handlers, inside their processes; the same for every library.

It needs the standard library only, since it runs in the environments of other libraries too. A
handler calls `Meter.hit`, which appends one reading of the monotonic clock to a list: that clock is
the same in all processes of a machine, so readings of several workers can be put together. A thread
of the meter tells the measuring process through a small file how many there are, 50 times a
second, and writes all of them once it is asked to.
"""

from __future__ import annotations

import os
import threading
import time
from array import array
from pathlib import Path

__all__ = ["DIRECTORY", "Meter", "Readings"]

#: The environment variable that names the directory in which meters leave their files.
DIRECTORY = "BENCH_METER"

_FINISH = "finish"
_TOLD_EVERY_S = 0.02


class Meter:
    """Takes readings in one process; safe to share among threads.

    The first reading starts the thread, so that a meter may be made before a fork.
    """

    def __init__(self) -> None:
        self._directory = Path(os.environ[DIRECTORY])
        self._values: list[float] = []
        self._lock = threading.Lock()
        self._begun = False

    def hit(self) -> None:
        """Note that a handler has done its work now."""
        if not self._begun:
            self._begin()
        self._values.append(time.monotonic())

    def record(self, value: float) -> None:
        """Store a number that the handler has measured."""
        if not self._begun:
            self._begin()
        self._values.append(value)

    def _begin(self) -> None:
        with self._lock:
            if not self._begun:
                self._begun = True
                threading.Thread(target=self._tell, name="meter", daemon=True).start()

    def _tell(self) -> None:
        base = self._directory / str(os.getpid())
        told = -1
        while not (self._directory / _FINISH).exists():
            if told != len(self._values):
                told = len(self._values)
                _replace(base.with_suffix(".count"), str(told).encode())
            time.sleep(_TOLD_EVERY_S)
        _replace(base.with_suffix(".values"), array("d", self._values).tobytes())


class Readings:
    """The readings of the meters of all workers, for the measuring process.

    Args:
        directory: An empty directory; workers find it in the variable `DIRECTORY`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def count(self) -> int:
        """Return how many readings there are, at most 20 ms old."""
        return sum(int(path.read_bytes()) for path in self._directory.glob("*.count"))

    def ask(self) -> None:
        """Ask the meters to write their readings down."""
        (self._directory / _FINISH).touch()

    def complete(self) -> bool:
        """Tell whether all meters have written."""
        written = {path.stem for path in self._directory.glob("*.values")}
        return written >= {path.stem for path in self._directory.glob("*.count")}

    def values(self) -> list[float]:
        """Return all readings, each meter's in its own order."""
        values = array("d")
        for path in sorted(self._directory.glob("*.values")):
            values.frombytes(path.read_bytes())
        return list(values)


def _replace(path: Path, content: bytes) -> None:
    part = path.with_suffix(path.suffix + ".part")
    part.write_bytes(content)
    part.replace(path)
