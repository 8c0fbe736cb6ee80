"""What needs attention, in words, the worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from workkit.admin.explain import is_silent
from workkit.core.liveness import DEAD_S
from workkit.core.records import Overview, Queue
from workkit.core.text import age, clean, counted
from workkit_tui.model.trends import Trends
from workkit_tui.model.words import pool_name

__all__ = ["Concern", "concerns", "held_up", "takers"]

Level = Literal["bad", "warn"]

_LATE_S: Final = 30
_SLOW_S: Final = 300
_FAILING: Final = 0.2
_FEW: Final = 0.1
_RANK: Final = {"bad": 0, "warn": 1}
#: What is wrong with the whole outweighs any single queue, whose weight is how long its oldest job
#: waits, seconds.
_WHOLE: Final = 1e9


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


def concerns(seen: Overview, trends: Trends, taken: Mapping[str, int]) -> list[Concern]:
    """Return what needs attention, the worst first.

    Args:
        seen: What was read.
        trends: What has changed until then.
        taken: How many workers take jobs of a name, as `takers` says.
    """
    found = [
        *_queues(seen, taken),
        *_pools(seen),
        *_due(seen),
        *_failures(trends),
    ]
    return sorted(found, key=lambda concern: (_RANK[concern.level], -concern.weight))


def takers(seen: Overview) -> Counter[str]:
    """Return how many workers of live pools take jobs of a name."""
    found: Counter[str] = Counter()
    for pool in seen.pools:
        if not is_silent(pool, seen.taken_at):
            for name in pool.job_names:
                found[name] += pool.concurrency
    return found


def held_up(queue: Queue, taken: Mapping[str, int]) -> tuple[str, Level | Literal[""]]:
    """Say in a word what keeps the jobs of a queue from running, and how bad that is.

    Args:
        queue: The queue.
        taken: How many workers take jobs of a name, as `takers` says.

    Returns:
        Two empty texts if nothing does.
    """
    if queue.broken:
        return "broken", "bad"
    if queue.paused:
        return "paused", "warn"
    if queue.count and not taken.get(queue.job_name):
        return "no worker", "bad"
    if queue.count and 0 < queue.max_concurrency <= queue.running:
        return "full", "warn"
    return "", ""


def _queues(seen: Overview, taken: Mapping[str, int]) -> Iterator[Concern]:
    for queue in seen.queues:
        name, waits = clean(queue.job_name), age(queue.latency)
        jobs = counted(queue.count, "job")
        if queue.broken:
            text = f"queue {name}: nothing of it runs, one of its keys has a wrong type"
            yield Concern("bad", text, _WHOLE, "queues", queue.job_name)
        elif not queue.count:
            continue
        elif not taken.get(queue.job_name):
            text = f"queue {name}: no live worker takes its {jobs}, oldest {waits}"
            yield Concern("bad", text, queue.latency, "queues", queue.job_name)
        elif queue.paused:
            text = f"queue {name}: paused, {jobs}, oldest {waits}"
            yield Concern("warn", text, queue.latency, "queues", queue.job_name)
        elif queue.latency > _SLOW_S:
            full = queue.max_concurrency and queue.running >= queue.max_concurrency
            why = f", its limit of {queue.max_concurrency} is reached" if full else ""
            text = f"queue {name}: {jobs}, oldest {waits}{why}"
            yield Concern("warn", text, queue.latency, "queues", queue.job_name)


def _pools(seen: Overview) -> Iterator[Concern]:
    alive = any(not is_silent(pool, seen.taken_at) for pool in seen.pools)
    for pool in seen.pools:
        silent_s = seen.taken_at - pool.heartbeat_at
        if is_silent(pool, seen.taken_at):
            busy = pool.totals.get("busy", 0)
            who = "another pool" if alive else "no live pool"
            holds = f" with {counted(busy, 'job')}; {who} returns them" if busy else ""
            said = f"for {age(silent_s)}" if pool.heartbeat_at else "and has no heartbeat"
            text = f"pool {pool_name(pool)}: silent {said}{holds}"
            yield Concern("bad" if silent_s > 10 * DEAD_S else "warn", text, silent_s, "workers")
        if abandoned := pool.totals.get("abandoned", 0):
            ran_on = counted(abandoned, "handler runs", "handlers run")
            text = f"pool {pool_name(pool)}: {ran_on} on after the timeout"
            yield Concern("warn", text, abandoned, "workers")
    if not alive and (seen.queued or seen.scheduled or seen.retry):
        text = "no pool is alive, and jobs are waiting"
        yield Concern("bad", text, 3 * _WHOLE, "workers")


def _due(seen: Overview) -> Iterator[Concern]:
    for what, screen, at_s in (
        ("scheduled jobs", "scheduled", seen.next_scheduled_at),
        ("retries", "retry", seen.next_retry_at),
    ):
        late_s = seen.taken_at - at_s if at_s is not None else 0
        if late_s > _LATE_S:
            text = f"{what} are due since {age(late_s)} and nobody moves them to their queues"
            yield Concern("bad", text, _WHOLE + late_s, screen)


def _failures(trends: Trends) -> Iterator[Concern]:
    done, failed = trends.done_per_s or 0, trends.failed_per_s or 0
    if failed > _FEW and failed / (done + failed) > _FAILING:
        text = f"{100 * failed / (done + failed):.0f}% of what runs fails"
        yield Concern("bad", text, 2 * _WHOLE, "errors")
    if trends.died_lately > 0:
        died = counted(trends.died_lately, "job has", "jobs have")
        text = f"{died} died in the last {age(trends.remembered_s)}"
        yield Concern("warn", text, _WHOLE, "dead")
