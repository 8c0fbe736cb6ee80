"""Supervised workers as processes: what tests start, read and kill."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.tools.cli.shell import Shell, spawn

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["TASKS", "Supervised", "held", "ran", "supervised"]

#: A user's module; its handlers report through Redis which jobs ran, and where.
TASKS: Final = """
import os, threading
import redis
from workkit import WorkerPool

with open("pids", "a") as pids:
    print(os.getpid(), file=pids)

url, namespace = os.environ["WORKKIT_REDIS_URL"], os.environ["WORKKIT_NAMESPACE"]
pool = WorkerPool(namespace, url, concurrency=4)
client = redis.Redis.from_url(url, socket_timeout=None)
pause = threading.Event()
hoard = []

@pool.job
def note(job):
    pause.wait(0.002)
    client.rpush(namespace + ":ran", job.arg_int("n"))

@pool.job
def hold(job):
    client.rpush(namespace + ":holding", os.getpid())
    client.blpop(namespace + ":release", 60)
    client.rpush(namespace + ":ran", job.arg_int("n"))

@pool.job
def grow(job):
    hoard.append(os.urandom(1 << 20) * 200)

@pool.job
def look(job):
    client.rpush(namespace + ":seen", VERSION, *(n for n in os.environ if "SUPERVISED" in n))

VERSION = "first"
"""
RUNS: Final = re.compile(r"process (\d+) \(pid (\d+)\) runs")


@dataclass
class Supervised:
    """A running `workkit worker` and what it has logged so far."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(iter(self.process.stderr.readline, ""))

    @property
    def log(self) -> str:
        return "".join(self.lines)

    def pids(self) -> list[int]:
        """The ids of all processes that ever ran, in the order of their start."""
        return [int(pid) for _, pid in RUNS.findall(self.log)]

    def ends(self) -> int:
        """Wait until it has ended and all that it started as well; returns the exit code."""
        code = self.process.wait(60)
        self._reading.join(60)
        assert not self._reading.is_alive(), f"a process still holds stderr: {self.log}"
        return code

    def kill(self, here: Path) -> None:
        """End all processes, even if the test has failed."""
        self.process.kill()
        pids = here / "pids"
        for pid in pids.read_text().split() if pids.exists() else ():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        self.ends()


@contextmanager
def supervised(shell: Shell, here: Path, *args: str, tasks: str = TASKS) -> Iterator[Supervised]:
    """Run `workkit worker` with options in a directory that holds tasks.py."""
    (here / "tasks.py").write_text(tasks)
    with spawn("worker", "tasks:pool", *args, env=shell.env, cwd=here) as process:
        worker = Supervised(process)
        try:
            yield worker
        finally:
            worker.kill(here)


def ran(client: Redis, namespace: str) -> Counter[int]:
    return Counter(int(n) for n in client.lrange(f"{namespace}:ran", 0, -1))


def held(client: Redis, namespace: str) -> int:
    return int(client.llen(f"{namespace}:holding"))
