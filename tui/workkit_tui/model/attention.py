"""The concerns of a namespace, in words, the worst first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from workkit.admin.explain import is_silent
from workkit.admin.obstacles import OBSTACLES, obstacles
from workkit.core.liveness import DEAD_S
from workkit.core.records import Overview, Queue
from workkit.core.text import age, clean, counted
from workkit_tui.model.trends import Trends
from workkit_tui.model.words import pool_name

__all__ = ["Concern", "concerns", "held_up"]

Level = Literal["bad", "warn"]

_LATE_S: Final = 30
_SLOW_S: Final = 300
_FAILING: Final = 0.2
_FEW: Final = 0.1
_MOSTLY: Final = 0.5
#: The failure rate of a queue counts from this many executions on.
_ENOUGH: Final = 10
#: Up to this many concerns of a kind have a line each; more share one line that names the worst.
_SINGLE: Final = 2
_NAMED: Final = 3
_RANK: Final = {"bad": 0, "warn": 1}
#: A concern about the whole namespace outweighs any single queue, whose weight is the age of its
#: oldest job, seconds.
_WHOLE: Final = 1e9


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that needs attention.

    Attributes:
        level: How bad it is.
        text: A sentence without a full stop.
        weight: Orders the concerns of a level, the greatest first.
        goes_to: The tab that helps with it.
        about: The queue to open; "" to go to the tab alone.
        name: The queue or pool that it names, made harmless.
    """

    level: Level
    text: str
    weight: float
    goes_to: str
    about: str = ""
    name: str = ""


def concerns(seen: Overview, trends: Trends, taken: Mapping[str, int]) -> list[Concern]:
    """Return the concerns of a namespace, the worst first.

    Args:
        seen: The overview.
        trends: Rates and recent executions up to then.
        taken: Job name → how many workers take its jobs, see `takers`.
    """
    found = [
        *_queues(seen, taken),
        *_pools(seen),
        *_due(seen),
        *_failures(trends),
    ]
    return sorted(found, key=lambda concern: (_RANK[concern.level], -concern.weight))


def held_up(queue: Queue, taken: Mapping[str, int]) -> tuple[str, Level | Literal[""]]:
    """Return in a word why the jobs of a queue do not run, and how bad that is.

    Args:
        queue: The queue.
        taken: Job name → how many workers take its jobs, see `takers`.

    Returns:
        Two empty texts if they run.
    """
    for obstacle in obstacles(queue, taken.get(queue.job_name, 0)):
        if obstacle != "full" or queue.count:
            return obstacle, OBSTACLES[obstacle]
    return "", ""


def _grouped(kind: Sequence[Concern], together: str) -> Iterator[Concern]:
    """Yield concerns of one kind: one by one if they are few, else as one line with a count.

    Args:
        kind: The concerns.
        together: The line for many; the names of the worst are added to it.
    """
    if len(kind) <= _SINGLE:
        yield from kind
        return
    worst = sorted(kind, key=lambda concern: (_RANK[concern.level], -concern.weight))
    names = [concern.name for concern in worst[:_NAMED]]
    rest = len(worst) - len(names)
    named = f"{', '.join(names)} and {rest} more" if rest else ", ".join(names)
    first = worst[0]
    weight = max(concern.weight for concern in worst)
    yield Concern(first.level, f"{together} ({named})", weight, first.goes_to)


def _queues(seen: Overview, taken: Mapping[str, int]) -> Iterator[Concern]:
    kinds: dict[str, list[Queue]] = {"broken": [], "no worker": [], "paused": [], "slow": []}
    for queue in seen.queues:
        if kind := _kind(queue, taken):
            kinds[kind].append(queue)
    for kind, queues in kinds.items():
        jobs = counted(sum(queue.count for queue in queues), "job")
        oldest = age(max((queue.latency for queue in queues), default=0))
        what = {
            "broken": "are broken: none of their jobs run, some of their keys have a wrong type",
            "no worker": f"have no live worker: {jobs}, oldest {oldest}",
            "paused": f"are paused: {jobs}, oldest {oldest}",
            "slow": f"are behind: {jobs}, oldest {oldest}",
        }[kind]
        head = f"{counted(len(queues), 'queue')} {what}"
        found = [_queue(kind, queue) for queue in queues]
        yield from _grouped(found, head)


def _kind(queue: Queue, taken: Mapping[str, int]) -> str:
    """Return the kind of concern about a queue; "" for none."""
    found = obstacles(queue, taken.get(queue.job_name, 0))
    if "broken" in found or not queue.count:
        return "broken" if "broken" in found else ""
    for obstacle in ("no worker", "paused"):
        if obstacle in found:
            return obstacle
    return "slow" if queue.latency > _SLOW_S else ""


def _queue(kind: str, queue: Queue) -> Concern:
    name, waits = clean(queue.job_name), age(queue.latency)
    jobs = counted(queue.count, "job")
    full = "full" in obstacles(queue, None)
    why = f", its limit of {queue.max_concurrency} is reached" if full else ""
    said = {
        "broken": "none of its jobs run, one of its keys has a wrong type",
        "no worker": f"no live worker takes its {jobs}, oldest {waits}",
        "paused": f"paused, {jobs}, oldest {waits}",
        "slow": f"{jobs}, oldest {waits}{why}",
    }[kind]
    level: Level = "bad" if kind in {"broken", "no worker"} else "warn"
    weight = _WHOLE if kind == "broken" else float(queue.latency)
    text = f"queue {name}: {said}"
    return Concern(level, text, weight, "queues", queue.job_name, name=name)


def _pools(seen: Overview) -> Iterator[Concern]:
    alive = any(not is_silent(pool, seen.taken_at) for pool in seen.pools)
    silent, abandoning = [], []
    for pool in seen.pools:
        silent_s = seen.taken_at - pool.heartbeat_at
        name = pool_name(pool)
        if is_silent(pool, seen.taken_at):
            busy = pool.totals.get("busy", 0)
            who = "another pool" if alive else "no live pool"
            holds = f"; {who} returns its {counted(busy, 'job')}" if busy else ""
            said = f"no heartbeat for {age(silent_s)}" if pool.heartbeat_at else "no heartbeat"
            text = f"pool {name}: {said}{holds}"
            level: Level = "bad" if silent_s > 10 * DEAD_S else "warn"
            silent.append(Concern(level, text, silent_s, "workers", name=name))
        if abandoned := pool.totals.get("abandoned", 0):
            ran_on = counted(abandoned, "handler runs", "handlers run")
            text = f"pool {name}: {ran_on} on after the timeout"
            abandoning.append(Concern("warn", text, abandoned, "workers", name=name))
    yield from _grouped(silent, f"{len(silent)} pools send no heartbeat")
    yield from _grouped(
        abandoning, f"{len(abandoning)} pools have handlers that run on after the timeout"
    )
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
            text = f"{what} are {age(late_s)} overdue, and no pool moves them to their queues"
            yield Concern("bad", text, _WHOLE + late_s, screen)


def _failures(trends: Trends) -> Iterator[Concern]:
    done, failed = trends.done_per_s or 0, trends.failed_per_s or 0
    if failed > _FEW and failed / (done + failed) > _FAILING:
        text = f"{100 * failed / (done + failed):.0f}% of all executions fail"
        yield Concern("bad", text, 2 * _WHOLE, "errors")
    failing = []
    for name, ran, bad in trends.outcomes():
        share = bad / ran
        if ran >= _ENOUGH and share > _FAILING:
            text = f"queue {clean(name)}: {100 * share:.0f}% of its last {ran:,} executions failed"
            level: Level = "bad" if share > _MOSTLY else "warn"
            concern = Concern(level, text, share * _SLOW_S, "errors", name=clean(name))
            failing.append(concern)
    yield from _grouped(
        failing, f"{len(failing)} queues fail more than {100 * _FAILING:.0f}% of their jobs"
    )
    if trends.died_recently > 0:
        died = counted(trends.died_recently, "job has", "jobs have")
        text = f"{died} died in the last {age(trends.remembered_s)}"
        yield Concern("warn", text, _WHOLE, "dead")
