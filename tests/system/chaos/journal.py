"""Notes of handlers on disk, which outlive every process and every Redis.

Each process appends to its own file, one line a note, one `write` a line: `s NUMBER TIME` when a
handler starts, `e NUMBER TIME` when it ends. Times are those of the monotonic clock, which all
processes of a machine share.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["TICK", "Journal", "Pen"]

#: Stands for the cron job, which nobody has enqueued.
TICK: Final = 0


class Pen:
    """Writes the notes of one process.

    Args:
        directory: The journal's directory.
    """

    def __init__(self, directory: Path) -> None:
        self._file = os.open(
            directory / str(os.getpid()), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600
        )

    def started(self, number: int) -> None:
        """Note that the handler of a job has started."""
        os.write(self._file, b"s %d %.6f\n" % (number, time.monotonic()))

    def ended(self, number: int) -> None:
        """Note that the handler of a job has ended."""
        os.write(self._file, b"e %d %.6f\n" % (number, time.monotonic()))


@dataclass(slots=True)
class _Page:
    """One process's notes, as far as they have been read."""

    offset: int = 0
    running: dict[int, float] = field(default_factory=dict)


class Journal:
    """All that was noted, read as it grows.

    Args:
        directory: Where the processes write.

    Attributes:
        starts: Number of a job -> (process id, when its handler started, monotonic s), in the order
            in which it was read.
        ends: Number of a job -> when its handler ended.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.starts: dict[int, list[tuple[int, float]]] = {}
        self.ends: dict[int, list[tuple[int, float]]] = {}
        self._pages: dict[int, _Page] = {}

    def read(self) -> None:
        """Read what was added since the last time."""
        for path in self.directory.iterdir():
            pid = int(path.name)
            page = self._pages.setdefault(pid, _Page())
            with path.open("rb") as file:
                file.seek(page.offset)
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            page.offset += len(whole)
            for line in whole.splitlines():
                kind, number, at = line.split()
                self._note(pid, page, kind == b"s", int(number), float(at))

    def _note(self, pid: int, page: _Page, is_start: bool, number: int, at: float) -> None:
        if is_start:
            self.starts.setdefault(number, []).append((pid, at))
            page.running[number] = at
        else:
            self.ends.setdefault(number, []).append((pid, at))
            page.running.pop(number, None)

    def running(self, pid: int) -> int:
        """Tell how many handlers a process is in the middle of; of a dead one, at its death."""
        self.read()
        page = self._pages.get(pid)
        return len(page.running) if page else 0

    def duplicates(self) -> int:
        """Count handlers that were started for a job that had been started before."""
        return sum(len(runs) - 1 for number, runs in self.starts.items() if number != TICK)

    def ran(self) -> int:
        """Count jobs whose handler has ended at least once."""
        return len(self.ends.keys() - {TICK})

    def missing(self, numbers: Iterable[int]) -> set[int]:
        """Return those of some jobs whose handler has never ended."""
        return set(numbers) - self.ends.keys()

    def recovery_s(self, number: int, pid: int, after: float) -> float | None:
        """Tell how long a job that a process held at a fault took to be taken up again.

        Args:
            number: The job.
            pid: The process that held it.
            after: When the fault was, monotonic seconds.

        Returns:
            Seconds until another process started it, or this one ended it; None if neither came.
        """
        again = [at for who, at in self.starts.get(number, ()) if who != pid and at >= after]
        again += [at for _, at in self.ends.get(number, ()) if at >= after]
        return min(again) - after if again else None

    def first_start_after(self, moment: float) -> float | None:
        """Return when the next handler started after a moment, monotonic seconds."""
        later = (at for runs in self.starts.values() for _, at in runs if at > moment)
        return min(later, default=None)

    def starts_between(self, moment: float, later: float) -> int:
        """Count handlers that have started between two moments, monotonic seconds."""
        self.read()
        return sum(moment < at < later for runs in self.starts.values() for _, at in runs)

    def started_since(self, number: int, moment: float) -> bool:
        """Tell whether a handler of a job has started after a moment, monotonic seconds."""
        self.read()
        return any(at > moment for _, at in self.starts.get(number, ()))

    def most_started(self) -> Mapping[int, int]:
        """Return how often each of the jobs that started most often did so."""
        often = Counter({n: len(runs) for n, runs in self.starts.items() if n != TICK})
        return dict(often.most_common(5))
