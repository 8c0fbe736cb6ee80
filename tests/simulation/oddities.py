"""Worlds with rare events: junk, wrong types, foreign locks, broken hooks, operators, long stops.

Each world is a function with its own assertions. The tests run them, and so does `measuring.py`.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable
from typing import Any, Final

from tests.support.handlers import fail, nothing
from workkit import HistoryOptions, InvalidHandler, InvalidName, InvalidOption, Job, PoolState
from workkit.errors import NotDeleted
from workkit.simulation import Simulation

__all__ = ["ODDITIES"]


def put(sim: Simulation, *command: Any) -> None:
    """Send Redis a command that no client of workkit would send."""
    sim.server.execute([command])


def junk_goes_to_the_dead_set() -> None:
    """Bytes that are not a job, jobs of other names, and junk in every place."""
    with Simulation() as sim:
        for _ in range(2):
            sim.pool().job("work", nothing, takes=2)
        keys = sim.keys
        now = int(sim.now_s)
        put(sim, "LPUSH", keys.jobs("work"), b"no json", b'{"name":"other","id":"1","t":1}')
        put(sim, "ZADD", keys.scheduled, now + 5, b"junk")
        put(sim, "ZADD", keys.retry, now + 5, b"rubbish")
        put(sim, "SADD", keys.known_jobs, b"work")
        sim.run_for(30)
        assert sim.client.dead_jobs().total == 4
        texts = [dead.job.last_err for dead in sim.client.dead_jobs().jobs]
        assert sum("undecodable" in text for text in texts) == 3
        assert sum("stray job" in text for text in texts) == 1
        sim.client.retry_all_dead_jobs()
        sim.run_for(30)
        assert sim.client.dead_jobs().total == 3  # the stray waits for somebody who knows it


def junk_in_the_hands_of_a_dead_pool_is_buried() -> None:
    """A pool that never existed holds junk, a job and a lock."""
    with Simulation(jump=False) as sim:
        sim.pool().job("work", nothing, max_concurrency=2)
        job = sim.enqueuer.enqueue("work", {"n": 1})
        sim.client.pause("work")
        sim.run_for(1)
        queue = sim.keys.queue("work", "gone")
        put(sim, "LPUSH", queue.inprogress, b"junk")
        put(sim, "LREM", queue.jobs, 1, job.raw)
        put(sim, "LPUSH", queue.inprogress, job.raw)
        put(sim, "SET", queue.lock, "7")
        put(sim, "HSET", queue.lock_info, "gone", "7")
        sim.client.unpause("work")
        sim.run_for(minutes=15)
        sim.assert_ran("work", times=1)
        assert sim.client.dead_jobs().total == 1
        assert sim.server.read(("GET", queue.lock)) in {b"0", None}
        assert sim.server.read(("HGETALL", queue.lock_info)) == {}


def orphans_are_found_without_a_lock() -> None:
    """A list of a pool of which nothing else is left."""
    with Simulation(jump=False) as sim:
        sim.pool().job("work", nothing)
        job = sim.enqueuer.enqueue("other", {"n": 1})
        put(sim, "LREM", sim.keys.jobs("other"), 1, job.raw)
        put(sim, "LPUSH", sim.keys.queue("other", "gone").inprogress, job.raw)
        sim.run_for(minutes=20)
        assert sim.client.queues()[0].count == 1


def keys_of_wrong_types_stop_nobody_else() -> None:
    """A queue whose keys have wrong types is left alone; the others go on."""
    with Simulation() as sim:
        pool = sim.pool()
        for name in ("work", "a", "b", "c"):
            pool.job(name, fail if name == "work" else nothing, max_fails=2)
        keys = sim.keys
        put(sim, "SET", keys.jobs("a"), "x")
        put(sim, "LPUSH", keys.paused("b"), "x")
        put(sim, "LPUSH", keys.queue("c", "").max_concurrency, "x")
        put(sim, "SET", keys.retry, "x")
        for name in ("work", "b", "c"):
            sim.enqueuer.enqueue(name)
        sim.run_for(30)
        put(sim, "DEL", keys.retry)
        sim.run_for(minutes=3)
        assert sim.client.dead_jobs().total == 1


def broken_hooks_and_backoffs_cost_nothing() -> None:
    """Hooks, backoffs and errors of users may fail in any way."""

    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    told: list[str] = []

    def odd(job: Job) -> None:
        raise OSError("\udce4") if job.arg_int("n") else Odd

    async def late(job: Job, error: BaseException) -> None:
        told.append(job.name)

    with Simulation() as sim:
        pool = sim.pool()
        backoffs: list[Callable[[Job], float]] = [
            lambda job: float("nan"), lambda job: -1, lambda job: float(job.arg_str("none")),
        ]  # fmt: skip
        for at, backoff in enumerate(backoffs):
            pool.job(f"odd{at}", odd, backoff=backoff, max_fails=2)
            sim.enqueuer.enqueue(f"odd{at}", {"n": at})
        pool.on("failed", late)
        pool.on("dead", lambda job, error: fail(job))
        pool.on("reaped", lambda reaped: fail(Job("reaped", "", 0, None)))
        pool.on_start(lambda: None)
        pool.on_stop(lambda: None)
        with contextlib.suppress(InvalidOption):
            pool.on("nothing", fail)
        with contextlib.suppress(InvalidHandler):
            pool.on("failed", 7)  # type: ignore[arg-type]
        sim.run_for(minutes=10)
        assert sim.client.dead_jobs().total == 3
        assert len(told) == 6


def wrong_registrations_are_refused() -> None:
    """Each mistake has its own error."""
    with Simulation() as sim:
        pool = sim.pool()
        mistakes: list[tuple[type[Exception], dict[str, Any]]] = [
            (InvalidName, {"name": "a,b"}), (InvalidName, {"name": ""}),
            (InvalidName, {"name": "a:lock"}), (InvalidName, {"name": "a\udce4"}),
            (InvalidOption, {"name": "a", "prio": 3}),
            (InvalidOption, {"name": "a", "timeout": -1}),
            (InvalidOption, {"name": "a", "priority": 0}),
            (InvalidOption, {"name": "a", "backoff": 3}),
        ]  # fmt: skip
        for error, options in mistakes:
            try:
                pool.job(handler=nothing, **options)
            except error:
                continue
            raise AssertionError(f"{options} was taken")
        pool.job("a", nothing)
        pool.periodically_enqueue("0 0 3 * * *", "a")
        for again in (
            lambda: pool.job("a", nothing),
            lambda: pool.periodically_enqueue("0 0 3 * * *", "a"),
        ):
            with contextlib.suppress(PoolState):
                again()
        sim.run_for(1)


def handlers_that_do_not_stop_are_abandoned() -> None:
    """One handler stops at its timeout, one does not; a pool full of the latter ends itself."""
    with Simulation() as sim:
        pool = sim.pool(concurrency=2)

        def deaf(job: Job) -> None:
            sim.sleep(10_000, interruptible=False)

        pool.job("deaf", deaf, timeout=3, max_fails=1)
        pool.job("quick", lambda job: sim.sleep(20), timeout=3, max_fails=1, max_concurrency=1)
        sim.enqueuer.enqueue("quick")
        sim.run_for(20)
        for _ in range(2):
            sim.enqueuer.enqueue("deaf")
        sim.run_for(minutes=2)
        assert sim.client.dead_jobs().total == 3
        assert not pool.running


def ghosts_count_against_a_limit() -> None:
    """A pool that was reaped while it was frozen knows which handlers still run."""
    with Simulation(seed=2) as sim:
        for _ in range(2):
            sim.pool(concurrency=3).job("work", nothing, takes=90, max_concurrency=1, timeout=80)
        for n in range(3):
            sim.enqueuer.enqueue("work", {"n": n})
        sim.run_for(5)
        (holder,) = [pool for pool in sim.pools if pool.busy]
        sim.freeze(holder, 40)
        sim.run_until_idle()
        assert len(sim.trace.of(kind="recovered")) == 1


def a_stop_gives_back_unfinished_jobs() -> None:
    """After a timeout, also if Redis does not answer."""
    with Simulation() as sim:
        first, second = (sim.pool(concurrency=2, name=name) for name in ("first", "second"))
        for pool in (first, second):
            pool.job("work", nothing, takes=300)
        for n in range(6):
            sim.enqueuer.enqueue("work", {"n": n})
        sim.run_for(10)
        first.stop(timeout=5)
        sim.run_for(30)
        assert not first.running
        assert len(sim.trace.of(kind="returned")) == 2
        sim.stop_redis(120)
        second.stop(timeout=5)
        sim.run_for(60)
        assert not second.running
        first.start()
        sim.run_for(minutes=30)
        sim.run_until_idle()
        assert {event.job_id for event in sim.trace.of(kind="done")} == {
            event.job_id for event in sim.trace.of(kind="enqueued")
        }


def missed_slots_run_once_or_not_at_all() -> None:
    """No pool was there to plan a slot, or the slot waited too long."""
    with Simulation() as sim:
        pool = sim.pool(concurrency=1)
        for name, catch_up_s in (("hourly", 3_600), ("strict", 0)):
            pool.job(name, nothing)
            pool.periodically_enqueue("CRON_TZ=UTC 0 0 * * * *", name, catch_up_s=catch_up_s)
        sim.run_for(hours=1, minutes=10)
        sim.crash(pool)
        sim.run_for(hours=3)
        sim.restart(pool)
        sim.client.pause("strict")
        sim.run_for(hours=1, minutes=30)
        sim.client.unpause("strict")
        sim.run_for(minutes=5)
        hours = [round(run.at / 3_600, 1) for run in sim.runs("hourly")]
        assert hours == [1.0, 4.2, 5.0]
        assert len(sim.runs("strict")) == 1


def a_slot_whose_owner_is_gone_is_taken_over() -> None:
    """Copies of a slot appear while its pool runs it, and after that pool has died."""
    with Simulation() as sim:
        for _ in range(3):
            pool = sim.pool(concurrency=2)
            pool.job("tick", nothing, takes=50)
            pool.periodically_enqueue("CRON_TZ=UTC 0 */5 * * * *", "tick")
        sim.run_for(minutes=4)
        (slot,) = [job for job in sim.client.scheduled_jobs().jobs if job.run_at % 600]
        sim.run_for(minutes=1, seconds=10)
        put(sim, "LPUSH", sim.keys.jobs("tick"), slot.job.raw)
        sim.run_for(5)
        (owner,) = [pool for pool in sim.pools if pool.busy]
        sim.crash(owner)
        put(sim, "SREM", sim.keys.worker_pools, b"nobody")
        sim.run_for(minutes=4)
        sim.assert_ran("tick", times=2)


def limits_go_with_those_who_declare_them() -> None:
    """A limit is lifted when no pool declares it any more, and locks are counted again."""
    with Simulation() as sim:
        old, other = sim.pool(name="old"), sim.pool(name="other")
        old.job("work", nothing, max_concurrency=1)
        other.job("else", nothing)
        sim.run_for(5)
        put(sim, "SET", sim.keys.queue("work", "").lock, "3")
        put(sim, "HSET", sim.keys.queue("work", "").lock_info, "stranger", "3")
        sim.run_for(minutes=3)
        old.stop()
        put(sim, "HSET", sim.keys.limits, "work", "1")
        sim.run_for(minutes=12)
        assert sim.server.read(("GET", sim.keys.queue("work", "").max_concurrency)) is None
        assert sim.server.read(("GET", sim.keys.queue("work", "").lock)) == b"0"


def history_is_bounded() -> None:
    """By number of records and by age."""
    with Simulation() as sim:
        history = HistoryOptions(max_records=20, max_age_s=600)
        sim.pool(history=history, context=dict).job("work", lambda ctx, job: None)
        for n in range(100):
            sim.at(n * 10, sim.enqueuer.enqueue, "work", {"n": n})
        sim.run_for(hours=1)
        assert not sim.server.read(("XLEN", sim.keys.history))


def everything_is_remembered() -> None:
    """History with all its details, and everything that readers show of a namespace."""
    with Simulation() as sim:
        details = HistoryOptions(args=True, checkins=True, version="1.2")
        pool = sim.pool(history=details)
        pool.periodically_enqueue("@every 1m", "tick")
        pool.job("tick", nothing)

        @pool.job("work", max_fails=2, backoff=lambda job: 5)
        def work(job: Job) -> None:
            job.checkin("one")
            sim.sleep(1)
            job.checkin("two")
            if job.arg_int("n") % 2:
                raise ValueError("odd")

        jobs = [sim.enqueuer.enqueue("work", {"n": n}) for n in range(4)]
        sim.enqueuer.enqueue_unique_in("work", 9_999, {"n": 8})
        sim.run_for(minutes=3)
        client = sim.client
        records = list(client.history())
        assert sum(record.name == "work" for record in records) == 6
        assert len(client.job_history(jobs[1].id)) == 2
        assert client.history_extent().kept == len(records)
        assert {queue.job_name for queue in client.overview().queues} == {"tick", "work"}
        assert client.cron()
        assert len(list(client.iter_dead_jobs())) == 2
        assert list(client.iter_scheduled_jobs())
        assert client.find(jobs[1].id) is not None


def operators_inspect_and_repair() -> None:
    """All actions of a client while pools work."""
    with Simulation() as sim:
        pool = sim.pool(concurrency=1)
        pool.job("work", fail, max_fails=2, backoff=lambda job: 40)
        pool.job("long", lambda job: job.checkin("here"), takes=5_000)
        pool.periodically_enqueue("@every 1h", "work")
        client, enqueuer = sim.client, sim.enqueuer
        long = enqueuer.enqueue("long", {"n": 1})
        sim.run_for(4_000)  # long enough for its observation to be renewed
        assert client.worker_observations()
        waiting = [enqueuer.enqueue("work", {"n": n}) for n in range(3)]
        later = enqueuer.enqueue_unique_in("work", 9_999, {"n": 9})
        assert later is not None
        client.delete_queued_job("work", waiting[0].id)
        client.delete_scheduled_job(later.run_at, later.job.id)
        assert client.find(long.id) is not None
        sim.run_until(lambda: client.retry_jobs().total)
        first = client.retry_jobs().jobs[0]
        client.delete_retry_job(first.retry_at, first.job.id)
        sim.run_until(lambda: client.dead_jobs().total)
        dead = client.dead_jobs().jobs[0]
        client.retry_dead_job(dead.died_at, dead.job.id)
        sim.run_until_idle()
        assert list(client.iter_dead_jobs())
        client.delete_all_dead_jobs()
        with contextlib.suppress(NotDeleted):
            client.delete_dead_job(dead.died_at, dead.job.id)
        assert client.dead_jobs().total == 0


def very_many_queues_cost_little() -> None:
    """More queues than an exchange looks at."""
    with Simulation() as sim:
        pool = sim.pool(concurrency=40)
        for n in range(80):
            pool.job(f"work{n}", nothing, takes=0.2)
            sim.enqueuer.enqueue_many([(f"work{n}", {"n": k}) for k in range(5)])
        sim.run_until_idle()
        assert len(sim.trace.of(kind="done")) == 400


def a_world_on_another_day() -> None:
    """A world that begins at a datetime, with all heartbeats."""
    start = datetime.datetime(2028, 2, 29, 12, tzinfo=datetime.UTC)
    with Simulation(start=start, jump=False) as sim:
        sim.pool().job("work", nothing)
        sim.enqueuer.enqueue_at("work", start + datetime.timedelta(minutes=3))
        sim.run_for(minutes=5)
        sim.assert_ran("work", at=180)


ODDITIES: Final[tuple[Callable[[], None], ...]] = (
    junk_goes_to_the_dead_set,
    junk_in_the_hands_of_a_dead_pool_is_buried,
    orphans_are_found_without_a_lock,
    keys_of_wrong_types_stop_nobody_else,
    broken_hooks_and_backoffs_cost_nothing,
    wrong_registrations_are_refused,
    handlers_that_do_not_stop_are_abandoned,
    ghosts_count_against_a_limit,
    a_stop_gives_back_unfinished_jobs,
    missed_slots_run_once_or_not_at_all,
    a_slot_whose_owner_is_gone_is_taken_over,
    limits_go_with_those_who_declare_them,
    history_is_bounded,
    everything_is_remembered,
    operators_inspect_and_repair,
    very_many_queues_cost_little,
    a_world_on_another_day,
)
