"""The worker process of workkit that is measured: `python -m benchmarks.jobs`, or its `make_pool`.

The environment variable `BENCH_WORKER` has its work as JSON, see `WorkerSpec`. Everything
else is workkit's default. Every pool has one middleware.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, Self

from benchmarks.meter import Meter
from workkit import HistoryOptions, Job, Tasks, WorkerPool
from workkit.telemetry.worker import PoolMetrics

__all__ = ["VARIABLE", "Kind", "Remembering", "WorkerSpec", "burn", "make_pool", "queue_names"]

#: How often a supervised process sends its counts, seconds.
_SORT_S: Final = 0.2
#: The environment variable that holds the spec.
VARIABLE: Final = "BENCH_WORKER"

Kind = Literal["sync", "async", "typed", "typed async", "sleep", "takes", "burn", "lateness"]
Remembering = Literal["default", "args", "nothing"]


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """The work of one worker process.

    Attributes:
        url: The server.
        namespace: Prefix of all keys.
        kind: The work of a handler: "sync" and "async" read one argument; "typed" and "typed async"
            are tasks that get it; "sleep" sleeps 1 ms; "takes" sleeps as long as its argument says;
            "burn" computes for about 1 ms; "lateness" records how long after its second it started.
        queues: How many job names.
        concurrency: How many handlers run at once.
        loops: For "burn".
        remembering: The extent of history: the defaults, args and check-ins as well, or nothing.
        metrics: Whether the pool counts what it does, and sorts the counts as often as a supervised
            process does.
    """

    url: str
    namespace: str
    kind: Kind = "sync"
    queues: int = 10
    concurrency: int = 20
    loops: int = 0
    remembering: Remembering = "default"
    metrics: bool = False

    def dump(self) -> str:
        """Write the value of the environment variable."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls) -> Self:
        """Read the environment variable."""
        return cls(**json.loads(os.environ[VARIABLE]))


def queue_names(count: int) -> list[str]:
    """Return the names of that many queues."""
    return [f"job{i}" for i in range(count)]


def burn(loops: int) -> int:
    """Compute in pure Python."""
    x = 1
    for _ in range(loops):
        x = (x * 31 + 7) % 1_000_003
    return x


def make_pool() -> WorkerPool:
    """Make the pool that the environment asks for."""
    spec = WorkerSpec.read()
    history = {
        "default": HistoryOptions(),
        "args": HistoryOptions(args=True, checkins=True),
        "nothing": None,
    }[spec.remembering]
    tasks = _tasks(spec, Meter()) if spec.kind in {"typed", "typed async"} else None
    pool = WorkerPool(
        spec.namespace, spec.url, concurrency=spec.concurrency, history=history, tasks=tasks
    )
    if spec.kind in {"async", "typed async"}:
        pool.middleware(_pass_on_async)
    else:
        pool.middleware(_pass_on)
    if tasks is not None:
        return pool
    handler = _handler(spec, Meter())
    for name in queue_names(spec.queues):
        pool.job(name, handler)
    return pool


def _pass_on(_job: Job, next: Callable[[], None]) -> None:  # noqa: A002 - as documented
    next()


async def _pass_on_async(
    _job: Job,
    next: Callable[[], Awaitable[None]],  # noqa: A002 - as documented
) -> None:
    await next()


def _tasks(spec: WorkerSpec, meter: Meter) -> Tasks:
    """Return tasks that get what the other handlers read."""

    def take(i: int) -> None:
        del i
        meter.hit()

    async def take_async(i: int) -> None:
        del i
        meter.hit()

    tasks = Tasks()
    for name in queue_names(spec.queues):
        tasks.task(take if spec.kind == "typed" else take_async, name=name)
    return tasks


def _handler(spec: WorkerSpec, meter: Meter) -> Callable[[Job], Any]:
    def read(job: Job) -> None:
        job.arg_int("i")
        meter.hit()

    async def read_async(job: Job) -> None:
        job.arg_int("i")
        meter.hit()

    def sleep(job: Job) -> None:
        job.arg_int("i")
        time.sleep(0.001)
        meter.hit()

    def take_time(job: Job) -> None:
        time.sleep(job.arg_float("takes_s"))
        meter.hit()

    def compute(job: Job) -> None:
        job.arg_int("i")
        burn(spec.loops)
        meter.hit()

    def lateness(job: Job) -> None:
        meter.record(time.time() - job.arg_int("run_at"))

    handlers: dict[Kind, Callable[[Job], Any]] = {
        "sync": read,
        "async": read_async,
        "sleep": sleep,
        "takes": take_time,
        "burn": compute,
        "lateness": lateness,
    }
    return handlers[spec.kind]


def _count(pool: WorkerPool) -> None:
    """Let a pool count what it does."""
    metrics = PoolMetrics()
    pool.observe(metrics)

    def sort() -> None:
        while True:
            time.sleep(_SORT_S)
            metrics.take()

    threading.Thread(target=sort, daemon=True).start()


def main() -> None:
    """Run the pool until a line, or the end, of stdin.

    Then print the processor time that it took, and how long `stop` took, seconds.
    """
    pool = make_pool()
    if WorkerSpec.read().metrics:
        _count(pool)
    before_s = time.process_time()
    pool.start()
    print("ready", flush=True)
    sys.stdin.readline()
    print(time.process_time() - before_s, end=" ")
    before = time.monotonic()
    pool.stop()
    print(time.monotonic() - before, flush=True)


if __name__ == "__main__":
    main()
