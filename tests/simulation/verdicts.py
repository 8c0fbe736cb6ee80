"""Two pools with typed tasks whose handlers decide by exceptions what becomes of their jobs."""

from __future__ import annotations

import asyncio

from workkit import Discard, Fail, Job, Retry, Tasks
from workkit.simulation import Simulation

__all__ = ["verdicts"]


class _OverloadedError(ConnectionError):
    """An error of a kind that `retry_on` names through its base class."""


def _tasks(asked: dict[int, int]) -> Tasks:
    """Return tasks with every verdict.

    Args:
        asked: Job's number -> how often it was postponed.
    """
    tasks = Tasks()

    @tasks.task(max_fails=3)
    def decides(n: int) -> None:
        if n % 5 == 0:
            raise Retry("later", in_s=6.5)
        if n % 5 == 1:
            raise Fail("never")
        if n % 5 == 2:
            raise Discard("not needed")
        if n % 5 == 3 and asked.setdefault(n, 0) < 4:
            asked[n] += 1
            raise Retry("not yet", in_s=3, counts=False)

    @tasks.task(max_fails=3, retry_on=(ConnectionError,), fail_on=(OSError,))
    async def listed(n: int) -> None:
        raise (_OverloadedError, PermissionError, ValueError, ConnectionError)[n % 4](f"job {n}")

    @tasks.task(max_fails=3)
    async def together(n: int) -> None:
        errors = (Fail("never"), ValueError("not yet"), Retry("soon", in_s=4), Discard("no"))
        raise ExceptionGroup("several", [errors[n % 4], errors[(n + 1 + n % 3) % 4]])

    @tasks.task(timeout=2, max_fails=3, retry_on=(ConnectionError,))
    async def outlasts(n: int) -> None:
        await asyncio.sleep(n % 3 * 5)

    _add_others(tasks, asked)
    return tasks


def _add_others(tasks: Tasks, asked: dict[int, int]) -> None:
    """Add a task that skips the dead set, and one that the clock enqueues."""

    @tasks.task(max_fails=1, skip_dead=True)
    def once(n: int) -> None:
        if asked.setdefault(-n, 0) < 2:
            asked[-n] += 1
            raise Retry(in_s=2, counts=False)
        raise Fail

    @tasks.cron("@every 30s")
    def tick(n: int = 0) -> None:
        if asked.setdefault(10_000, 0) % 2:
            asked[10_000] += 1
            raise Retry(in_s=9, counts=False)
        asked[10_000] += 1


def _by_failure(job: Job, error: BaseException) -> float:
    """Return a backoff that depends on everything that it is told of a failure."""
    if job.args == {"n": "none"}:
        return 0
    return 0.3 + 3 * job.fails + job.failed_at % 5 + len(job.last_err) % 3 + len(str(error)) % 2


def verdicts(sim: Simulation) -> None:
    """Jobs of all these tasks, also unique ones, spread over some time."""
    tasks = _tasks({})

    def careless(job: Job) -> None:
        job.arg_int("n")  # and nobody reads that it is a text

    for _ in range(2):
        pool = sim.pool(tasks=tasks, concurrency=3)
        pool.job("careless", careless, max_fails=3, backoff=_by_failure)
    for n in range(10):
        sim.at(9 * n, sim.enqueuer.enqueue, "careless", {"n": "two" if n % 3 else "none"})
    enqueuer = sim.enqueuer
    decides, listed, once = (tasks[name] for name in ("decides", "listed", "once"))
    for n in range(1, 90):
        if n % 3 == 0:
            sim.at(n, enqueuer.enqueue, listed.call(n))
        elif n % 7 == 0:
            sim.at(n, enqueuer.enqueue, once.call(n))
        elif n % 2:
            sim.at(n, enqueuer.enqueue_unique, decides.call(n % 20))
        else:
            sim.at(n, enqueuer.enqueue, decides.call(n))
    for n in range(12):
        sim.at(5 * n, enqueuer.enqueue, tasks["together"].call(n))
        sim.at(5 * n + 2, enqueuer.enqueue, tasks["outlasts"].call(n))
    sim.at(40, enqueuer.enqueue, "decides", {"n": "four"})
    sim.at(70, sim.client.retry_all_dead_jobs)
