"""Worker processes, and the faults that hit them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.system.chaos.journal import Journal
from tests.system.chaos.place import Place
from tests.system.chaos.waiting import await_that

__all__ = ["Fleet", "fleet"]

ROOT: Final = Path(__file__).resolve().parents[3]


class Fleet:
    """Some `workkit worker` processes.

    Args:
        place: Where they work.
        journal: The notes of their handlers.
        log: Their log.
        work_ms: How long a handler takes, milliseconds.
        concurrency: How many handlers a process runs at once.

    Attributes:
        processes: Those that run, or should.
    """

    def __init__(
        self, place: Place, journal: Journal, log: Path, *, work_ms: float, concurrency: int
    ) -> None:
        self._log = log
        self._journal = journal.directory
        self._environment = {
            **os.environ,
            **place.environment(),
            "CHAOS_JOURNAL": str(journal.directory),
            "CHAOS_WORK_MS": str(work_ms),
            "CHAOS_CONCURRENCY": str(concurrency),
            "PYTHONPATH": str(ROOT),
        }
        self.concurrency = concurrency
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, count: int = 1) -> None:
        """Start some processes, without waiting for them."""
        for _ in range(count):
            with self._log.open("ab") as log:
                self.processes.append(
                    subprocess.Popen(
                        [
                            sys.executable,
                            "-m",
                            "workkit",
                            "worker",
                            "tests.system.chaos.tasks:pool",
                        ],
                        env=self._environment,
                        cwd=ROOT,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                    )
                )

    def replace(self, process: subprocess.Popen[bytes]) -> None:
        """Start a process in the place of one that has ended."""
        process.wait()
        self.processes.remove(process)
        self.start()

    def check(self) -> None:
        """Make sure that nobody has ended unasked.

        Raises:
            RuntimeError: One has.
        """
        for process in self.processes:
            if process.poll() is not None:
                raise RuntimeError(
                    f"a worker ended with status {process.returncode}; {self.log_tail()}"
                )

    def stop(self) -> None:
        """End all with SIGTERM.

        Raises:
            RuntimeError: One ended otherwise than in good order.
        """
        for process in self.processes:
            process.terminate()
        # A process that was still importing has no handler for SIGTERM yet.
        ends = [(process.wait(60), self.works(process)) for process in self.processes]
        self.processes.clear()
        if any(code for code, worked in ends if worked):
            raise RuntimeError(f"workers ended with {ends} after SIGTERM; {self.log_tail()}")

    def works(self, process: subprocess.Popen[bytes]) -> bool:
        """Tell whether a process has started a handler."""
        page = self._journal / str(process.pid)
        return page.exists() and page.stat().st_size > 0

    def log_tail(self, lines: int = 15) -> str:
        """Return the end of what the processes logged."""
        with suppress(FileNotFoundError):
            return "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-lines:])
        return ""

    def close(self) -> None:
        """Kill what still runs."""
        for process in self.processes:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait()

    def await_work(self) -> None:
        """Wait until every process has started a handler.

        Raises:
            RuntimeError: One has ended, or has not done so for a minute.
        """

        def all_work() -> bool:
            self.check()
            return all(map(self.works, self.processes))

        await_that(all_work, lambda: f"the workers do not work; {self.log_tail()}")


@contextmanager
def fleet(
    place: Place,
    journal: Journal,
    directory: Path,
    *,
    processes: int,
    work_ms: float,
    concurrency: int = 10,
) -> Iterator[Fleet]:
    """Run some worker processes, which are gone afterwards."""
    workers = Fleet(
        place, journal, directory / "workers.log", work_ms=work_ms, concurrency=concurrency
    )
    try:
        workers.start(processes)
        yield workers
    finally:
        workers.close()
