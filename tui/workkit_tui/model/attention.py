"""What needs attention, in words, the worst first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from workkit.explain import SILENT_S, is_silent
from workkit.records import Overview, Queue, WorkerPoolHeartbeat
from workkit.text import age, clean
from workkit_tui.model.trends import Trends

__all__ = ["Concern", "concerns"]

Level = Literal["bad", "warn", "info"]

_LATE_S: Final = 30
_SLOW_S: Final = 300
_FAILING: Final = 0.2
_FEW: Final = 0.1
_RANK: Final = {"bad": 0, "warn": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that needs attention.

    Attributes:
        level: How bad it is.
        text: A sentence without a full stop.
        weight: What orders concerns of a level, the most first.
        goes_to: The screen where it is mended.
        about: The queue, if it is about one.
    """

    level: Level
    text: str
    weight: float
    goes_to: str
    about: str = ""


def concerns(seen: Overview, trends: Trends) -> list[Concern]:
    """Return what needs attention, the worst first."""
    found = [
        *_queues(seen),
        *_pools(seen),
        *_due(seen),
        *_failures(trends),
    ]
    return sorted(found, key=lambda concern: (_RANK[concern.level], -concern.weight))


def _queues(seen: Overview) -> Iterator[Concern]:
    alive = [pool for pool in seen.pools if not is_silent(pool, seen.taken_at)]
    handled = {name for pool in alive for name in pool.job_names}
    for queue in seen.queues:
        name, waits = clean(queue.job_name), age(queue.latency)
        if queue.broken:
            text = f"queue {name}: one of its keys has a wrong type, so nothing of it runs"
            yield Concern("bad", text, 10**9, "queues", queue.job_name)
        elif not queue.count:
            continue
        elif queue.job_name not in handled:
            text = f"queue {name}: {_oldest(queue)} waits {waits} and no live worker takes it"
            yield Concern("bad", text, queue.latency, "queues", queue.job_name)
        elif queue.paused:
            text = f"queue {name}: paused, {_jobs(queue)} wait, the oldest for {waits}"
            yield Concern("warn", text, queue.latency, "queues", queue.job_name)
        elif queue.latency > _SLOW_S:
            full = queue.max_concurrency and queue.running >= queue.max_concurrency
            why = f", its limit of {queue.max_concurrency} is reached" if full else ""
            text = f"queue {name}: the oldest of {_jobs(queue)} waits {waits}{why}"
            yield Concern("warn", text, queue.latency, "queues", queue.job_name)


def _oldest(queue: Queue) -> str:
    return "its only job" if queue.count == 1 else f"the oldest of {_jobs(queue)}"


def _jobs(queue: Queue) -> str:
    return "1 job" if queue.count == 1 else f"{queue.count:,} jobs"


def _pools(seen: Overview) -> Iterator[Concern]:
    for pool in seen.pools:
        silent_s = seen.taken_at - pool.heartbeat_at
        if is_silent(pool, seen.taken_at):
            busy = pool.totals.get("busy", 0)
            holds = f" with {busy} jobs" if busy else ""
            said = f"for {age(silent_s)}" if pool.heartbeat_at else "and has no heartbeat"
            text = f"pool {_where(pool)}: silent {said}{holds}; another pool returns its jobs"
            yield Concern("bad" if silent_s > 10 * SILENT_S else "warn", text, silent_s, "workers")
        if abandoned := pool.totals.get("abandoned", 0):
            text = f"pool {_where(pool)}: {abandoned} handlers ran on after their timeouts"
            yield Concern("warn", text, abandoned, "workers")
    if not seen.pools and (seen.queued or seen.scheduled or seen.retry):
        yield Concern("bad", "no pool is running, and jobs are waiting", 10**8, "workers")


def _where(pool: WorkerPoolHeartbeat) -> str:
    return clean(f"{pool.host}:{pool.pid}") if pool.host else pool.worker_pool_id


def _due(seen: Overview) -> Iterator[Concern]:
    for what, screen, at_s in (
        ("scheduled jobs", "scheduled", seen.next_scheduled_at),
        ("retries", "retry", seen.next_retry_at),
    ):
        late_s = seen.taken_at - at_s if at_s is not None else 0
        if late_s > _LATE_S:
            text = f"{what} are due since {age(late_s)} and nobody moves them to their queues"
            yield Concern("bad", text, late_s, screen)


def _failures(trends: Trends) -> Iterator[Concern]:
    done, failed = trends.done_per_s or 0, trends.failed_per_s or 0
    if failed > _FEW and failed / (done + failed) > _FAILING:
        text = f"{100 * failed / (done + failed):.0f}% of what runs fails"
        yield Concern("bad", text, failed, "errors")
    if trends.died_lately > 0:
        jobs = "1 job has" if trends.died_lately == 1 else f"{trends.died_lately:,} jobs have"
        text = f"{jobs} died in the last {age(trends.remembered_s)}"
        yield Concern("warn", text, trends.died_lately, "dead")
