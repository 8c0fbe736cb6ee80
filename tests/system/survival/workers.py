"""Worker processes that tests kill: `python -m` targets and the means to start them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["ROOT", "worker_process"]

ROOT = Path(__file__).resolve().parents[3]

#: A pool whose handler notes each job in Redis, so that runs are known even if a process dies.
POOL = """
import os, sys, threading
import redis
from workkit import WorkerPool

url, namespace = os.environ["TEST_URL"], os.environ["TEST_NAMESPACE"]
client = redis.Redis.from_url(url, socket_timeout=None)
pool = WorkerPool(namespace, url, concurrency=int(os.environ.get("TEST_CONCURRENCY", "10")))
pause = threading.Event()

@pool.job
def note(job):
    pause.wait(0.002)
    client.rpush(namespace + ":ran", job.arg_int("n"))

@pool.job(max_fails=1)
def poison(job):
    client.rpush(namespace + ":poisoned", job.id)
    os.kill(os.getpid(), 9)

@pool.job
def hold(job):
    client.rpush(namespace + ":holding", job.arg_int("n"))
    client.blpop(namespace + ":release", 60)
    client.rpush(namespace + ":ran", job.arg_int("n"))

if __name__ == "__main__":
    pool.run(timeout=float(os.environ.get("TEST_TIMEOUT", "20")))
"""


@contextmanager
def worker_process(
    url: str, namespace: str, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker process; killed at the end if the test has not done so."""
    process = subprocess.Popen(
        [sys.executable, "-c", POOL],
        env=os.environ
        | {"TEST_URL": url, "TEST_NAMESPACE": namespace, "PYTHONPATH": str(ROOT)}
        | environment,
        stdin=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
