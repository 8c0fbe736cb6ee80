"""Runs the command line: in this process to read its output, as a process to see its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner, Result

from workkit import Client, Enqueuer, Job, Tasks, WorkerPool
from workkit.core.clock import SystemClock
from workkit.store.calls.publish import Signatures
from workkit.store.keys import Keys
from workkit.tools.cli.app import cli

if TYPE_CHECKING:
    from redis import Redis

__all__ = [
    "START",
    "Shell",
    "busy_pool",
    "environment",
    "now_s",
    "publish",
    "put",
    "run_some",
    "spawn",
]

ROOT = Path(__file__).resolve().parents[3]
#: The program `workkit`; a test runner may make its children ignore SIGINT.
START = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from workkit.tools.cli import main
main()
"""


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a process that finds the project but no settings of the user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WORKKIT_")}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "COLUMNS": "80"} | more


@contextmanager
def spawn(*args: str, env: Mapping[str, str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run `workkit` as a process; killed at the end if the test has not ended it."""
    streams: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    }
    with subprocess.Popen(
        [sys.executable, "-c", START, *args],
        env=env,
        text=True,
        **(streams | options),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@dataclass(frozen=True)
class Shell:
    """A namespace, and commands that are run on it."""

    url: str
    namespace: str

    @property
    def env(self) -> dict[str, str]:
        return environment(WORKKIT_REDIS_URL=self.url, WORKKIT_NAMESPACE=self.namespace)

    @property
    def client(self) -> Client:
        return Client(self.namespace, self.url)

    @property
    def enqueuer(self) -> Enqueuer:
        return Enqueuer(self.namespace, self.url)

    def run(self, *args: str, code: int = 0, stdin: str | bytes | None = None) -> Result:
        """Run a command and check its exit code."""
        result = CliRunner().invoke(cli, args, env=self.env, input=stdin, catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    def lines(self, *args: str) -> list[str]:
        """Return the lines that a command prints."""
        return self.run(*args).stdout.splitlines()

    def json(self, *args: str, code: int = 0) -> Any:
        """Return the output of a command with --json."""
        return json.loads(self.run(*args, "--json", code=code).stdout)

    def complaint(self, *args: str, code: int) -> str:
        """Return the message of a command that fails; it must print nothing else."""
        result = self.run(*args, code=code)
        assert result.stdout == ""
        return result.stderr


def now_s() -> int:
    """Return the wall time in epoch seconds."""
    return SystemClock().read().epoch_s


def put(client: Redis, namespace: str, place: str, score: int, **fields: Any) -> str:
    """Put a job into a set, as another service would."""
    job = {"name": "import_rows", "id": "ab" * 12, "t": score - 100, "args": {"n": 1}} | fields
    client.zadd(f"{namespace}:{place}", {json.dumps(job): score})
    return str(job["id"])


@contextmanager
def busy_pool(shell: Shell) -> Iterator[tuple[WorkerPool, Job]]:
    """Run a pool in which one of two workers runs a job until the end."""
    pool = WorkerPool(shell.namespace, shell.url, concurrency=2)
    started, release = threading.Event(), threading.Event()

    @pool.job
    def hold(job: Job) -> None:
        job.checkin("page 12 of 40")
        started.set()
        release.wait(60)

    running = shell.enqueuer.enqueue("hold", {"n": 7})
    with pool:
        assert started.wait(10)
        try:
            yield pool, running
        finally:
            release.set()


def run_some(shell: Shell, count: int) -> list[Job]:
    """Let jobs run: all is well but for the one called 0 of "charge"."""
    pool = WorkerPool(shell.namespace, shell.url, concurrency=1)

    @pool.job
    def send(job: Job) -> None:
        del job

    @pool.job(max_fails=1)
    def charge(job: Job) -> None:
        del job
        raise ValueError("declined")

    jobs = shell.enqueuer.enqueue_many([("send", {"n": n}) for n in range(count)])
    jobs += [shell.enqueuer.enqueue("charge")]
    with pool:
        assert pool.drain(10).complete
    return jobs


def publish(shell: Shell, redis_client: Redis) -> None:
    """Publish what import_rows takes, as a pool does."""

    def import_rows(n: int, *, tags: list[str] | None = None) -> None: ...

    signatures = Signatures.of({"import_rows": Tasks().task(import_rows).signature})
    keys = Keys(shell.namespace)
    for name, signature in signatures.by_name.items():
        redis_client.hset(keys.signatures(signatures.digest), name, signature)
    redis_client.sadd(keys.worker_pools, "p")
    redis_client.hset(keys.pool("p"), "job_names", "import_rows")
    redis_client.hset(keys.pool("p"), "signatures", signatures.digest)
