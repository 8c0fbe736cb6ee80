"""Kills a process that changes an archive, right before one of its steps on the file system.

`python -m tests.frames.killing` reads a line of JSON for each life: what the process does, and at
which step it is killed. It answers with "killed" or "ended". Each life is a fork, so that a hundred
of them need not import pandas a hundred times.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import workkit.frames.archive_changes as changes
from tests.support.recorded import DAY_MS, NOON_MS, Recorded
from workkit import frames
from workkit.frames import archiving

__all__ = ["Killer", "killer"]

_ROOT = Path(__file__).parents[2]
#: What Python says that it is about to do to the file system.
_STEPS = {
    "open", "os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "fcntl.flock",
}  # fmt: skip


def _past_of(jobs: int) -> Recorded:
    """Return a history of so many jobs, in entries of three, a tenth of a day apart."""
    past = Recorded()
    for number in range(jobs // 3):
        past.write_jobs(3, NOON_MS + number * DAY_MS // 10)
    return past


class Killer:
    """Lets processes live up to a step."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def live(self, what: str, directory: Path, step: int, **more: Any) -> bool:
        """Do something to an archive; tell whether it was killed before its end.

        Args:
            what: "archive", "compact" or "forget".
            directory: The archive.
            step: The step that it does not do any more.
            more: How many `jobs` history has, or the time `before` which it is forgotten.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"what": what, "directory": str(directory), "step": step, **more}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer in {"killed", "ended"}, answer
        return answer == "killed"


@contextmanager
def killer() -> Iterator[Killer]:
    """Start the process whose forks are killed."""
    command = [sys.executable, "-m", "tests.frames.killing"]
    process = subprocess.Popen(
        command, cwd=_ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield Killer(process)
    finally:
        process.communicate()


def _live(order: dict[str, Any]) -> None:
    left = order["step"]

    def step(event: str, args: tuple[Any, ...]) -> None:
        nonlocal left
        named = [each for each in args if isinstance(each, str)]
        inside = any(each.startswith(order["directory"]) for each in named)
        if event in _STEPS and (inside or event == "fcntl.flock"):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    exchange = changes._exchange

    def exchanged_between_steps(one: Path, two: Path, root: Path) -> None:
        exchange(one, two, root)
        step("os.rename", (order["directory"],))

    sys.addaudithook(step)
    changes._exchange = exchanged_between_steps
    changes._LISTING_S = 0.0  # type: ignore[misc]  # nobody else is there
    directory = order["directory"]
    if order["what"] == "compact":
        frames.compact(directory)
    elif order["what"] == "forget":
        frames.forget(directory, order["before"])
    else:
        archiving._FILE_RECORDS = 6  # type: ignore[misc]
        frames.archive(_past_of(order["jobs"]), directory)  # type: ignore[arg-type]


def _serve() -> None:
    for line in sys.stdin:
        if not (child := os.fork()):
            _live(json.loads(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        sys.stdout.write({0: "ended", -signal.SIGKILL: "killed"}.get(code, f"exit {code}") + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
