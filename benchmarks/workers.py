"""Worker processes of workkit, with their meters."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from benchmarks.jobs import VARIABLE, WorkerSpec
from benchmarks.meter import DIRECTORY, Readings

__all__ = ["ROOT", "Metered", "Workers", "cli_takes_processes"]

ROOT: Final = Path(__file__).parents[1]

_POLL_S: Final = 0.02
_STALLED_S: Final = 60.0
_STOP_S: Final = 5.0


class Metered:
    """Programs whose handlers have a meter; they end with this object.

    Args:
        variables: Environment variables, in addition to ours and the meter's.

    Attributes:
        environment: All variables that they get.
        readings: The readings of their meters.
        processes: Those that were started.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="bench-")
        directory = Path(self._home.name)
        self.readings = Readings(directory / "meter")
        (directory / "meter").mkdir()
        self._log = (directory / "log").open("w+b")
        self.environment = {
            **os.environ,
            **variables,
            DIRECTORY: str(directory / "meter"),
            "PYTHONPATH": str(ROOT),
        }
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, command: Sequence[str]) -> subprocess.Popen[str]:
        """Start a program."""
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=ROOT,
            env=self.environment,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def await_count(self, count: int) -> None:
        """Wait until the meters have that many readings.

        Raises:
            RuntimeError: A program has ended, or nothing has happened for a minute.
        """
        seen, since = -1, time.monotonic()
        while (now := self.readings.count()) < count:
            if now != seen:
                seen, since = now, time.monotonic()
            self._check()
            if time.monotonic() - since > _STALLED_S:
                raise RuntimeError(f"stalled at {now} of {count} jobs; {self.log_tail()}")
            time.sleep(_POLL_S)

    def values(self) -> list[float]:
        """Return all readings; the meters take no more afterwards."""
        self.readings.ask()
        while not self.readings.complete():
            self._check()
            time.sleep(_POLL_S)
        return self.readings.values()

    def log_tail(self, lines: int = 8) -> str:
        """Return the last lines that the programs wrote to stderr."""
        self._log.seek(0)
        text = self._log.read().decode("utf-8", "replace")
        return "\n".join(text.splitlines()[-lines:])

    def close(self) -> None:
        """End all programs, with SIGTERM if that is enough."""
        for process in self.processes:
            _close(process.stdin)
            process.terminate()
        for process in self.processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_S)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # it leads its own group
            process.wait()
            _close(process.stdout)
        self._log.close()
        self._home.cleanup()

    def _check(self) -> None:
        for process in self.processes:
            if process.poll() is not None:
                raise RuntimeError(
                    f"{process.args!r} ended with status {process.returncode}; {self.log_tail()}"
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Workers(Metered):
    """Worker processes of workkit, started and ready.

    Args:
        spec: Their work.
        processes: How many.
        supervised: Let `workkit worker --processes` start them.
    """

    def __init__(self, spec: WorkerSpec, processes: int = 1, *, supervised: bool = False) -> None:
        super().__init__({VARIABLE: spec.dump()})
        if supervised:
            workkit = str(Path(sys.executable).with_name("workkit"))
            target = "benchmarks.jobs:make_pool"
            self.start([workkit, "worker", target, "--processes", str(processes)])
            return
        for _ in range(processes):
            self.start([sys.executable, "-m", "benchmarks.jobs"])
        for process in self.processes:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            if process.stdout.readline() != "ready\n":
                process.wait()
                trouble = self.log_tail()
                self.close()
                raise RuntimeError(f"the worker did not start: {trouble}")

    def stop(self) -> float:
        """Stop the first worker.

        Returns:
            How long `WorkerPool.stop` took, seconds.
        """
        return self._stopped()[1]

    def processor_s(self) -> float:
        """Stop the first worker.

        Returns:
            The processor time that its pool took, seconds.
        """
        return self._stopped()[0]

    def _stopped(self) -> tuple[float, float]:
        words, _ = self.processes[0].communicate("\n", timeout=60)
        processor_s, stop_s = map(float, words.split())
        return processor_s, stop_s


@cache
def cli_takes_processes() -> bool:
    """Tell whether `workkit worker` can start several processes."""
    workkit = Path(sys.executable).with_name("workkit")
    shown = subprocess.run(
        [workkit, "worker", "--help"], capture_output=True, text=True, check=False
    )
    return "--processes" in shown.stdout


def _close(stream: IO[str] | None) -> None:
    if stream is not None:
        stream.close()
