"""Worlds in which pools must keep a namespace in order, and one whose pools are measured."""

from __future__ import annotations

from typing import Any, Final, Literal

from tests.support.handlers import fail, nothing
from workkit import Job, Place
from workkit.core.entropy import Entropy
from workkit.simulation import Checker, SimulatedPool, Simulation
from workkit.simulation.checkers import RedisChange
from workkit.store import scripts
from workkit.store.calls.acts import act_keys
from workkit.store.round_trip import call
from workkit.telemetry.counts import BOUNDS_S, Counts
from workkit.telemetry.worker import PoolMetrics

__all__ = [
    "MetricsAreTrue", "absent", "interrupted", "measured", "quiet", "recorded", "returning",
    "upkeep",
]  # fmt: skip

#: For how long the jobs of `interrupted` take long, seconds.
_INTERRUPTED_S: Final = 280.0
#: Names of jobs that no pool of `upkeep` handles.
_UNKNOWN: Final = ("sent", "sent-later", "sent-once", "sent-once-later", "sent-by-key")


def upkeep(sim: Simulation) -> None:
    """Pools with limits come and go, one of them for good; jobs come of names that nobody knows."""
    entropy = Entropy(f"{sim.seed}/upkeep")
    for _ in range(2):
        pool = sim.pool(concurrency=3)
        pool.job("work", nothing, takes=(0.5, 4))
        pool.job("limited", nothing, takes=(0.5, 4), max_concurrency=2)
    former = sim.pool(concurrency=2, name="former")
    former.job("limited", nothing, takes=(0.5, 4), max_concurrency=2)
    former.job("work", nothing, takes=(0.5, 2))
    former.periodically_enqueue("@every 15s", "work")
    former.job("dropped", nothing, takes=(0.5, 2), max_concurrency=1)
    for n in range(90):
        sim.at(2.2 * n, sim.enqueuer.enqueue, ("work", "limited")[n % 2], {"n": n})
    for n in range(6):
        sim.at(1 + n, sim.enqueuer.enqueue, "dropped", {"n": n})
    leaves_s = entropy.uniform(20, 50)
    sim.at(leaves_s, former.stop, 10.0)
    sim.at(leaves_s, sim.client.pause, "dropped")  # nobody will run what is left
    enqueuer = sim.enqueuer
    sim.at(entropy.uniform(50, 70), _evict_a_limit, sim)
    for name in _UNKNOWN:
        sim.client.pause(name)
    sends: tuple[Any, ...] = (
        (enqueuer.enqueue, "sent"), (enqueuer.enqueue_in, "sent-later", 9),
        (enqueuer.enqueue_unique, "sent-once"), (enqueuer.enqueue_unique_in, "sent-once-later", 9),
        (enqueuer.enqueue_unique_by_key, "sent-by-key"),
    )  # fmt: skip
    for turn in range(3):
        for send, *args in sends:
            keyed = ({"k": turn},) if args[0] == "sent-by-key" else ()
            sim.at(entropy.uniform(0, 200), send, *args, {"n": turn}, *keyed)


def _evict_a_limit(sim: Simulation) -> None:
    """Delete a limit, as a server without memory does."""
    sim.disturbances.strike("", 5, "evict")
    sim.server.evict(sim.keys.queue("limited", "").max_concurrency)


def quiet(sim: Simulation) -> None:
    """One idle pool, on connections that fall silent; seldom somebody sends a job.

    Some jobs come just after their queue had a wrong type for a moment.
    """
    entropy = Entropy(f"{sim.seed}/quiet")
    sim.pool(concurrency=2).job("work", nothing, takes=(0, 2))
    at_s = 10.0
    while at_s < 300:
        sim.at(at_s, sim.enqueuer.enqueue, "work", {"at": at_s})
        if entropy.below(3) == 0:
            sim.at(at_s - 0.6, _spoil, sim, sim.keys.jobs("work"))
        at_s += entropy.uniform(20, 60)


def _spoil(sim: Simulation, key: bytes) -> None:
    """Give a key that does not exist a wrong type for half a second."""
    if not sim.server.read(("EXISTS", key)):
        sim.disturbances.strike("", 0.5, "mistype")
        sim.server.execute([("SET", key, "junk")])
        sim.at(sim.now + 0.5, sim.server.execute, [("DEL", key)])


def interrupted(sim: Simulation) -> None:
    """Cron jobs that may not be late, and that run for so long that pools die or stop before."""

    entropy = Entropy(f"{sim.seed}/interrupted")

    def strict(job: Job) -> None:
        sim.sleep(entropy.uniform(20, 110) if sim.now < _INTERRUPTED_S else 1)

    def fails_once(job: Job) -> None:
        if sim.now < _INTERRUPTED_S:
            sim.sleep(30)
            if not job.fails:
                fail(job)

    for _ in range(2):
        pool = sim.pool(concurrency=3)
        pool.job("strict", strict)
        pool.job("failing", fails_once, max_fails=2, backoff=lambda job: 60)
        pool.periodically_enqueue("@every 45s", "strict", catch_up_s=0)
        pool.periodically_enqueue("@every 80s", "failing", catch_up_s=0)
    for at_s in (40, 160):
        sim.at(at_s, sim.client.pause, "strict")
        sim.at(at_s + 95, sim.client.unpause, "strict")


def returning(sim: Simulation) -> None:
    """Unique jobs whose pools die; before they run again, they are updated or deleted, and undone.

    A pool dies before a job begins, or while it runs.
    """
    for _ in range(2):
        sim.pool(concurrency=2).job("work", nothing, takes=(4, 8), max_fails=2)
    entropy = Entropy(f"{sim.seed}/returning")
    for turn in range(5):
        at_s = 5 + 36 * turn
        runs = entropy.below(2)
        sim.at(at_s, _crash_with_the_next, sim, "before" if not runs else "after")
        sim.at(at_s + 1, _keyed, sim, turn, 0)
        sim.at(at_s + 3, sim.client.pause, "work")
        if runs:
            sim.at(at_s + 21, _delete_and_undo, sim)
        else:
            sim.at(at_s + 20 + entropy.uniform(0, 4), _keyed, sim, turn, 1)
        sim.at(at_s + 26, sim.client.unpause, "work")


def _keyed(sim: Simulation, key: int, version: int) -> None:
    """Send a unique job, or an update of it."""
    sim.enqueuer.enqueue_unique_by_key("work", {"k": key, "v": version}, {"k": key})


def _crash_with_the_next(sim: Simulation, when: Literal["before", "after"]) -> None:
    """Let each pool crash before or after the next job begins there."""
    for pool in sim.pools:
        if pool.running:
            sim.crash(pool, **{when: "begin"}, restart_after=1)


def _delete_and_undo(sim: Simulation) -> None:
    actions = sim.client.actions
    plan = actions.plan("delete", Place("queued", "work"))
    if plan is not None and plan.count:
        actions.undo(actions.apply(plan, by="tests").operation_id)


def absent(sim: Simulation) -> None:
    """Pools with cron entries that are all away for minutes, so that slots are missed."""
    entropy = Entropy(f"{sim.seed}/absent")
    for _ in range(2):
        pool = sim.pool(concurrency=3)
        for every_s, catch_up_s in ((20, 3_600), (50, 120), (90, 0)):
            pool.job(f"tick{every_s}", nothing, takes=(0, 2))
            pool.periodically_enqueue(f"@every {every_s}s", f"tick{every_s}", catch_up_s=catch_up_s)
    leaves_s, comes_s = entropy.uniform(20, 60), entropy.uniform(330, 560)
    for pool in sim.pools:
        sim.at(leaves_s, pool.stop, 5.0)
        sim.at(comes_s + entropy.uniform(0, 40), sim.restart, pool)


def recorded(sim: Simulation) -> None:
    """So many acts that the record of them is trimmed."""
    sim.pool(concurrency=1).job("work", nothing)
    entropy = Entropy(f"{sim.seed}/acts")
    kept = 5 + entropy.below(20)
    for n in range(60):
        sim.at(2.0 * n, _act, sim, n, kept)
        if n % 9 == 0:
            sim.at(2.0 * n + 1, (sim.client.pause, sim.client.unpause)[n % 2], "work")
            sim.at(2.0 * n + 1.5, sim.client.unpause, "work")
        sim.at(2.0 * n, sim.enqueuer.enqueue, "work", {"n": n})


def _act(sim: Simulation, number: int, kept: int) -> None:
    """Record an act, or its end, as a program does that keeps fewer of them."""
    phase = ("begin", "end")[number % 2]
    body = b'{"id":"act-%d","phase":"%s","verb":"enqueue"}' % (number // 2, phase.encode())
    at_ms = int(sim.now_s * 1000)
    sim.server.execute([call(scripts.ACT, act_keys(sim.keys), [at_ms, kept, body])])


def measured(sim: Simulation) -> None:
    """Pools that run many equal jobs at once, and some that differ; one dies now and then."""

    def work(job: Job) -> None:
        if job.arg_int("n") % 4 == 0:
            fail(job)

    def add(pool: SimulatedPool) -> None:
        pool.job("equal", nothing)
        pool.job("work", work, max_fails=2, backoff=lambda job: 3)
        pool.job("long", nothing, takes=(0.5, 20))

    for _ in range(2):
        add(sim.pool(concurrency=8))
    for turn in range(20):
        sim.at(8 * turn, sim.enqueuer.enqueue_many, [("equal", {"n": n}) for n in range(12)])
        sim.at(8 * turn + 1, sim.enqueuer.enqueue_many, [("work", {"n": n}) for n in range(6)])
        sim.at(8 * turn, sim.enqueuer.enqueue, "long", {"n": turn})
        sim.at(8 * turn, sim.enqueuer.enqueue_in, "equal", 4, {"n": turn})


class MetricsAreTrue(Checker):
    """The metrics of a pool count what its observers hear, once, with its times."""

    rule = "metrics count what has happened"

    def __init__(self) -> None:
        self._metrics: dict[str, PoolMetrics] = {}
        self._right: dict[str, Counts] = {}

    def heard(self, pool: str, what: str, report: Any) -> None:
        """Let metrics hear it, and count it here."""
        metrics = self._metrics.setdefault(pool, PoolMetrics())
        right = self._right.setdefault(pool, Counts())
        getattr(metrics, what)(report)
        if what == "executed":
            for each in report:
                _count(right, each.queue, each.record)
        elif what == "requeued":
            for late_s in report:
                _observe(right, ("workkit_schedule_lateness_seconds",), late_s)
        else:
            right.counters[("workkit_pools_reaped",)] += 1

    def changed(self, change: RedisChange) -> None:
        """Compare both from time to time."""
        if change.command == "beat" and change.pool in self._metrics:
            self._compare(change.pool)

    def at_rest(self) -> None:
        """Compare both."""
        for pool in self._metrics:
            self._compare(pool)

    def _compare(self, pool: str) -> None:
        said, right = self._metrics[pool].take(), self._right.pop(pool, Counts())
        if +said.counters != +right.counters:
            self.violated(f"{pool} counts {+said.counters}, it was {+right.counters}")
        if _shape(said) != _shape(right):
            self.violated(f"{pool} has measured {_shape(said)}, it was {_shape(right)}")


def _count(right: Counts, queue: str, record: Any) -> None:
    right.counters["workkit_executions", queue, record.outcome] += 1
    if not record.started_ms:
        return
    run_s = (record.finished_ms - record.started_ms) / 1000
    _observe(right, ("workkit_run_seconds", queue, record.outcome), run_s)
    wait_ms = record.started_ms - 1000 * record.enqueued_at - record.enqueued_millis
    _observe(right, ("workkit_wait_seconds", queue), wait_ms / 1000)


def _observe(right: Counts, series: tuple[str, ...], seconds: float) -> None:
    """Put a duration into its bucket, by a search of the slow kind."""
    right.observe(series, 0, 0)
    histogram, seconds = right.histograms[series], max(seconds, 0.0)
    at = sum(seconds > bound for bound in BOUNDS_S)
    histogram.buckets[at] += 1
    histogram.sum_s += seconds


def _shape(counts: Counts) -> dict[tuple[str, ...], tuple[list[int], float]]:
    return {
        series: (each.buckets, round(each.sum_s, 3))
        for series, each in sorted(counts.histograms.items())
    }
