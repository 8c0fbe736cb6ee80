"""Finds the concerns of a namespace, in words, the worst first.

The console lists them, and `workkit watch` reports when one begins and ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from workkit.admin.explain import is_silent, pool_name
from workkit.admin.obstacles import OBSTACLES, obstacles
from workkit.admin.trends import Trends
from workkit.core.liveness import DEAD_S
from workkit.core.records import Overview, Queue
from workkit.core.text import age, clean, counted

__all__ = [
    "LATE_S",
    "SLOW_S",
    "Concern",
    "Kind",
    "Level",
    "concerns",
    "each_concern",
    "held_up",
    "in_lines",
    "troubles",
]

Level: TypeAlias = Literal["bad", "warn"]
#: The kinds of concerns.
Kind: TypeAlias = Literal[
    "queue-broken", "queue-unserved", "queue-paused", "queue-slow", "queue-failing",
    "pool-silent", "pool-abandoning", "pools-gone",
    "scheduled-late", "retry-late", "failing", "dying",
]  # fmt: skip

#: A set is late if its first job has been due for longer, seconds.
LATE_S: Final = 30
#: A queue is slow if its oldest job has waited longer, seconds.
SLOW_S: Final = 300
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
        kind: Its kind.
        level: How bad it is.
        text: A sentence without a full stop.
        weight: Orders the concerns of a level, the greatest first.
        about: The name of the queue or the id of the pool, as Redis has it; "" for the whole
            namespace, and for a line that stands for several.
        name: The name of that queue or pool for people.
    """

    kind: Kind
    level: Level
    text: str
    weight: float
    about: str = ""
    name: str = ""


def concerns(seen: Overview, trends: Trends, taken: Mapping[str, int]) -> list[Concern]:
    """Return the concerns of a namespace for people, the worst first.

    If there are many of a kind, one line stands for them.

    Args:
        seen: The overview.
        trends: Rates and recent executions up to then.
        taken: Job name → how many workers take its jobs, see `takers`.
    """
    return in_lines(seen, each_concern(seen, trends, taken))


def in_lines(seen: Overview, each_one: Iterable[Concern]) -> list[Concern]:
    """Return concerns for people, the worst first; one line stands for many of a kind.

    Args:
        seen: The overview in which they were found.
        each_one: Concerns, one for each queue and pool.
    """
    kinds: dict[Kind, list[Concern]] = {}
    for concern in each_one:
        kinds.setdefault(concern.kind, []).append(concern)
    found: list[Concern] = []
    for kind, each in kinds.items():
        together = _TOGETHER.get(kind)
        if together is None or len(each) <= _SINGLE:
            found += each
        else:
            found.append(_grouped(each, together(seen, {concern.about for concern in each})))
    return sorted(found, key=_order)


def each_concern(seen: Overview, trends: Trends, taken: Mapping[str, int]) -> Iterator[Concern]:
    """Yield all concerns of a namespace, one for each queue and pool, without an order.

    Args:
        seen: The overview.
        trends: Rates and recent executions up to then.
        taken: Job name → how many workers take its jobs, see `takers`.
    """
    yield from _queues(seen, taken)
    yield from _pools(seen)
    yield from _due(seen)
    yield from _failures(trends)


def troubles(seen: Overview, trends: Trends, taken: Mapping[str, int]) -> dict[str, list[Kind]]:
    """Return the queues that need attention: name → the kinds of the concerns about it."""
    found: dict[str, list[Kind]] = {}
    for concern in (*_queues(seen, taken), *_failures(trends)):
        if concern.about:
            found.setdefault(concern.about, []).append(concern.kind)
    return found


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


def _order(concern: Concern) -> tuple[int, float]:
    return _RANK[concern.level], -concern.weight


def _grouped(each: Sequence[Concern], together: str) -> Concern:
    """Return one concern for many of a kind; it names the worst."""
    worst = sorted(each, key=_order)
    names = [concern.name for concern in worst[:_NAMED]]
    rest = len(worst) - len(names)
    named = f"{', '.join(names)} and {rest} more" if rest else ", ".join(names)
    weight = max(concern.weight for concern in worst)
    return Concern(worst[0].kind, worst[0].level, f"{together} ({named})", weight)


def _many_queues(what: str) -> Callable[[Overview, set[str]], str]:
    """Return a function that writes the line for many queues.

    Args:
        what: The line after their number. It may name their `{jobs}` and the `{oldest}`.
    """

    def line(seen: Overview, names: set[str]) -> str:
        queues = [queue for queue in seen.queues if queue.job_name in names]
        jobs = counted(sum(queue.count for queue in queues), "job")
        oldest = age(max((queue.latency for queue in queues), default=0))
        return f"{len(names)} queues {what.format(jobs=jobs, oldest=oldest)}"

    return line


#: The line for many concerns of a kind. Other kinds have at most one, or a line each.
_TOGETHER: Final[Mapping[Kind, Callable[[Overview, set[str]], str]]] = {
    "queue-broken": _many_queues(
        "are broken: none of their jobs run, some of their keys have a wrong type"
    ),
    "queue-unserved": _many_queues("have no live worker: {jobs}, oldest {oldest}"),
    "queue-paused": _many_queues("are paused: {jobs}, oldest {oldest}"),
    "queue-slow": _many_queues("are behind: {jobs}, oldest {oldest}"),
    "queue-failing": _many_queues(f"fail more than {100 * _FAILING:.0f}% of their jobs"),
    "pool-silent": lambda _, pools: f"{len(pools)} pools send no heartbeat",
    "pool-abandoning": lambda _, pools: (
        f"{len(pools)} pools have handlers that run on after the timeout"
    ),
}


def _queues(seen: Overview, taken: Mapping[str, int]) -> Iterator[Concern]:
    for queue in seen.queues:
        if kind := _kind(queue, taken):
            yield _queue(kind, queue)


def _kind(queue: Queue, taken: Mapping[str, int]) -> Kind | None:
    """Return the kind of concern about a queue; None without one."""
    found = obstacles(queue, taken.get(queue.job_name, 0))
    if "broken" in found or not queue.count:
        return "queue-broken" if "broken" in found else None
    if "no worker" in found:
        return "queue-unserved"
    if "paused" in found:
        return "queue-paused"
    return "queue-slow" if queue.latency > SLOW_S else None


def _queue(kind: Kind, queue: Queue) -> Concern:
    name, waits = clean(queue.job_name), age(queue.latency)
    jobs = counted(queue.count, "job")
    full = "full" in obstacles(queue, None)
    why = f", its limit of {queue.max_concurrency} is reached" if full else ""
    said = {
        "queue-broken": "none of its jobs run, one of its keys has a wrong type",
        "queue-unserved": f"no live worker takes its {jobs}, oldest {waits}",
        "queue-paused": f"paused, {jobs}, oldest {waits}",
        "queue-slow": f"{jobs}, oldest {waits}{why}",
    }[kind]
    level: Level = "bad" if kind in {"queue-broken", "queue-unserved"} else "warn"
    weight = _WHOLE if kind == "queue-broken" else float(queue.latency)
    return Concern(kind, level, f"queue {name}: {said}", weight, queue.job_name, name)


def _pools(seen: Overview) -> Iterator[Concern]:
    alive = any(not is_silent(pool, seen.taken_at) for pool in seen.pools)
    for pool in seen.pools:
        silent_s = seen.taken_at - pool.heartbeat_at
        about, name = pool.worker_pool_id, pool_name(pool)
        if is_silent(pool, seen.taken_at):
            busy = pool.totals.get("busy", 0)
            who = "another pool" if alive else "no live pool"
            holds = f"; {who} returns its {counted(busy, 'job')}" if busy else ""
            said = f"no heartbeat for {age(silent_s)}" if pool.heartbeat_at else "no heartbeat"
            text = f"pool {name}: {said}{holds}"
            level: Level = "bad" if silent_s > 10 * DEAD_S else "warn"
            yield Concern("pool-silent", level, text, silent_s, about, name)
        if abandoned := pool.totals.get("abandoned", 0):
            ran_on = counted(abandoned, "handler runs", "handlers run")
            text = f"pool {name}: {ran_on} on after the timeout"
            yield Concern("pool-abandoning", "warn", text, abandoned, about, name)
    if not alive and (seen.queued or seen.scheduled or seen.retry):
        text = "no pool is alive, and jobs are waiting"
        yield Concern("pools-gone", "bad", text, 3 * _WHOLE)


def _due(seen: Overview) -> Iterator[Concern]:
    kinds: tuple[tuple[Kind, str, int | None], ...] = (
        ("scheduled-late", "scheduled jobs", seen.next_scheduled_at),
        ("retry-late", "retries", seen.next_retry_at),
    )
    for kind, what, at_s in kinds:
        late_s = seen.taken_at - at_s if at_s is not None else 0
        if late_s > LATE_S:
            text = f"{what} are {age(late_s)} overdue, and no pool moves them to their queues"
            yield Concern(kind, "bad", text, _WHOLE + late_s)


def _failures(trends: Trends) -> Iterator[Concern]:
    done, failed = trends.done_per_s or 0, trends.failed_per_s or 0
    if failed > _FEW and failed / (done + failed) > _FAILING:
        text = f"{100 * failed / (done + failed):.0f}% of all executions fail"
        yield Concern("failing", "bad", text, 2 * _WHOLE)
    for name, ran, bad in trends.outcomes():
        share = bad / ran
        if ran >= _ENOUGH and share > _FAILING:
            text = f"queue {clean(name)}: {100 * share:.0f}% of its last {ran:,} executions failed"
            level: Level = "bad" if share > _MOSTLY else "warn"
            yield Concern("queue-failing", level, text, share * SLOW_S, name, clean(name))
    if trends.died_recently > 0:
        died = counted(trends.died_recently, "job has", "jobs have")
        text = f"{died} died in the last {age(trends.remembered_s)}"
        yield Concern("dying", "warn", text, _WHOLE)
