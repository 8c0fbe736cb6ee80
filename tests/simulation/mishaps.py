"""Worlds in which something happens between two commands that belong together.

Like the oddities, each world is a function with its own assertions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tests.simulation.oddities import put
from tests.support.handlers import fail, nothing
from workkit.simulation import SimulatedPool, Simulation
from workkit.simulation.checkers import all_checkers
from workkit.simulation.machine.host import Trap

__all__ = ["MISHAPS"]


def before_next(
    pool: SimulatedPool, command: str, action: Callable[[], object], *, at: int = 1
) -> None:
    """Call an action just before Redis carries out the pool's Nth command of a name from now."""

    def spring(_command: str) -> bool:
        action()
        return True

    pool.host.line.traps.append(Trap("before", at, command, spring))


def done_once(sim: Simulation) -> None:
    """Assert that every enqueued job is done or dead, and that nothing is left of it."""
    sim.run_until_idle()
    ended = {event.job_id for kind in ("done", "died") for event in sim.trace.of(kind=kind)}
    assert ended >= {event.job_id for event in sim.trace.of(kind="enqueued")}
    sim.check_at_rest()


def replies_are_lost() -> None:
    """Replies of all scripts are lost repeatedly while the pool works."""
    with Simulation(checkers=all_checkers()) as sim:
        pool = sim.pool(concurrency=2)
        pool.job("work", fail, takes=(0, 2), max_fails=2, backoff=lambda job: 3)
        pool.job("plain", nothing, takes=(0, 2))
        pool.job("limited", nothing, takes=1, max_concurrency=1)
        scripts = ("exchange", "exchange", "begin", "resync", "exchange", "beat")
        for n in range(60):
            sim.at(n, sim.lose_reply, pool, scripts[n % len(scripts)])
            sim.at(n + 0.1, sim.enqueuer.enqueue_unique, "work", {"n": n % 7})
            sim.at(n + 0.2, sim.enqueuer.enqueue, "plain", {"n": n})
            sim.at(n + 0.3, sim.enqueuer.enqueue, "limited", {"n": n})
        sim.run_for(minutes=1)
        pool.host.line.traps.clear()
        done_once(sim)


def what_a_lost_reply_has_claimed_may_be_junk() -> None:
    """The junk goes back with the jobs, and to the dead set when it is claimed again."""
    with Simulation() as sim:
        pool = sim.pool()
        pool.job("work", nothing)
        sim.run_for(1)
        sim.lose_reply(pool, "exchange")
        put(sim, "LPUSH", sim.keys.jobs("work"), b"no job")
        sim.run_for(minutes=1)
        assert sim.client.dead_jobs().total == 1


def a_pool_is_expelled_while_it_settles() -> None:
    """It goes on under a new id, whether this happens before `exchange`, `begin` or `resync`."""
    with Simulation(checkers=all_checkers()) as sim:
        pool = sim.pool(concurrency=2)
        pool.job("work", nothing, takes=1)
        key = sim.keys.pool
        sim.run_for(1)
        for command in ("exchange", "begin", "resync"):
            before = pool.pool_id
            before_next(pool, command, lambda: put(sim, "HDEL", key(pool.pool_id), "fence"))
            for n in range(3):
                sim.enqueuer.enqueue_unique("work", {"n": n})
            sim.run_for(minutes=2)
            assert pool.pool_id != before
        done_once(sim)


def a_fence_is_not_the_expected_one() -> None:
    """The pool resyncs its in-progress lists and goes on, as after a lost reply."""
    with Simulation(checkers=all_checkers()) as sim:
        pool = sim.pool(concurrency=2)
        pool.job("work", nothing, takes=1)
        sim.run_for(1)
        for command in ("exchange", "begin"):
            before_next(
                pool, command, lambda: put(sim, "HSET", sim.keys.pool(pool.pool_id), "fence", 9_999)
            )
            sim.enqueuer.enqueue_unique("work", {"by": command})
            sim.run_for(30)
        done_once(sim)
        sim.assert_ran("work", times=2)


def a_job_is_taken_away_while_it_runs() -> None:
    """Its result does not count; the result of another job in the same exchange does."""
    with Simulation() as sim:
        pool = sim.pool(concurrency=2)
        pool.job("work", nothing, takes=5)
        jobs = [sim.enqueuer.enqueue("work", {"n": n}) for n in range(2)]
        sim.run_for(1)
        put(sim, "LREM", sim.keys.queue("work", pool.pool_id).inprogress, 1, jobs[0].raw)
        sim.run_for(minutes=1)
        assert [event.job_id for event in sim.trace.of(kind="done")] == [jobs[1].id]
        outcomes = {record.job_id: record.outcome for record in sim.client.history()}
        assert outcomes == {jobs[0].id: "fenced", jobs[1].id: "done"}
        assert not pool.busy


def an_update_that_only_looks_like_a_job_is_buried() -> None:
    """It does not replace the unique job, which runs; it goes to the dead set."""
    with Simulation() as sim:
        pool = sim.pool(concurrency=1)
        pool.job("work", nothing)
        sim.run_for(1)
        sim.client.pause("work")
        job = sim.enqueuer.enqueue_unique_by_key("work", {"n": 1}, {"k": 1})
        assert job is not None
        put(sim, "SET", job.unique_key.encode(), b'{"name":"work","id":"x",,"t":1}')
        sim.client.unpause("work")
        sim.run_for(minutes=1)
        sim.assert_ran("work", {"n": 1}, times=1)
        (dead,) = sim.client.dead_jobs().jobs
        assert "undecodable" in (dead.job.last_err or "")


def an_update_turns_into_junk_while_it_is_looked_at() -> None:
    """Only the update that the pool has checked may replace the job."""
    with Simulation() as sim:
        pool = sim.pool(concurrency=1)
        pool.job("work", nothing)
        sim.run_for(1)
        sim.client.pause("work")
        job = sim.enqueuer.enqueue_unique_by_key("work", {"n": 1}, {"k": 1})
        assert job is not None
        sim.enqueuer.enqueue_unique_by_key("work", {"n": 2}, {"k": 1})
        key, junk = job.unique_key.encode(), b'{"name":"work","id":"x",,"t":1}'
        before_next(pool, "begin", lambda: put(sim, "SET", key, junk), at=2)
        sim.client.unpause("work")
        sim.run_for(minutes=1)
        sim.assert_ran("work", {"n": 1}, times=1)
        (dead,) = sim.client.dead_jobs().jobs
        assert "undecodable" in (dead.job.last_err or "")


def the_owner_of_a_slot_holds_it_no_more() -> None:
    """The owner is registered but no longer holds the slot, so another pool takes it at once."""
    with Simulation() as sim:
        pool = sim.pool(concurrency=1)
        pool.job("tick", nothing)
        pool.periodically_enqueue("CRON_TZ=UTC 0 * * * * *", "tick")
        sim.run_for(30)
        (slot, *_) = sim.client.scheduled_jobs().jobs

        def take() -> None:
            put(sim, "SADD", sim.keys.worker_pools, "ghost")
            put(sim, "SET", sim.keys.slot(slot.job.id), "started:ghost")

        before_next(pool, "begin", take)
        sim.run_for(minutes=1)
        sim.assert_ran("tick", times=1)


def a_beat_comes_while_its_pool_is_reaped() -> None:
    """The script that recovers a pool's jobs checks its heartbeat again."""
    with Simulation(seed=4) as sim:
        for _ in range(2):
            sim.pool(concurrency=1).job("work", nothing, takes=90)
        sim.enqueuer.enqueue("work")
        sim.run_for(3)
        (holder,) = [pool for pool in sim.pools if pool.busy]
        (reaper,) = [pool for pool in sim.pools if pool is not holder]
        beats = sim.keys.pool(holder.pool_id)
        sim.freeze(holder, 40)
        before_next(reaper, "reap", lambda: put(sim, "HSET", beats, "heartbeat_at", 1))
        sim.run_until_idle()
        assert len(sim.trace.of(kind="recovered")) == 1  # of the second look, not of the first


def the_queue_of_a_dead_pool_has_a_wrong_type() -> None:
    """Its jobs stay in progress until somebody repairs the queue."""
    with Simulation(jump=False) as sim:
        first, second = (sim.pool(concurrency=1) for _ in range(2))
        for pool in (first, second):
            pool.job("work", nothing, takes=60)
        sim.enqueuer.enqueue("work")
        sim.run_for(3)
        (holder,) = [pool for pool in sim.pools if pool.busy]
        put(sim, "SET", sim.keys.jobs("work"), "no list")
        sim.crash(holder)
        sim.run_for(minutes=2)
        assert sim.trace.of(kind="done") == []
        put(sim, "DEL", sim.keys.jobs("work"))
        sim.run_for(minutes=25)
        sim.assert_ran("work", times=2)
        assert len(sim.trace.of(kind="done")) == 1


def failed_jobs_wait_where_the_retry_set_has_a_wrong_type() -> None:
    """The pool keeps the failed jobs, and settles them once the key is repaired."""
    with Simulation(checkers=all_checkers()) as sim:
        sim.pool(concurrency=1).job("work", fail, max_fails=2, backoff=lambda job: 1)
        put(sim, "SET", sim.keys.retry, "no set")
        sim.enqueuer.enqueue("work")
        sim.run_for(20)
        assert sim.trace.of(kind="retried") == []
        put(sim, "DEL", sim.keys.retry)
        sim.run_until_idle()
        sim.assert_ran("work", times=2)


def due_jobs_of_a_broken_queue_do_not_hold_up_the_others() -> None:
    """They fill more than a batch, are tried each second, and move once the queue is repaired."""
    with Simulation() as sim:
        sim.pool(concurrency=20).job("work", nothing)
        put(sim, "SET", sim.keys.jobs("broken"), "no list")
        for n in range(510):
            sim.enqueuer.enqueue_in("broken", 5, {"n": n})
        for n in range(510):
            sim.enqueuer.enqueue_in("work", 6, {"n": n})
        sim.run_for(30)
        sim.assert_ran("work", times=510)
        assert sim.client.scheduled_jobs().total == 510
        before = sim.server.writes
        sim.run_for(100)
        assert sim.server.writes - before < 700  # two batches a pass, and heartbeats


def locks_are_counted_while_pools_come() -> None:
    """Meanwhile the set of known jobs is lost, and limits cannot be read."""
    with Simulation(jump=False) as sim:
        pool = sim.pool(concurrency=1)
        pool.job("work", nothing, takes=5, max_concurrency=1)
        lock_info = sim.keys.queue("work", "").lock_info
        sim.run_for(1)
        before_next(pool, "recount", lambda: put(sim, "HSET", lock_info, "newcomer", 1))
        put(sim, "HSET", sim.keys.queue("work", "").lock_info, "stranger", 2)
        put(sim, "SADD", sim.keys.worker_pools, "odd")
        put(sim, "HSET", sim.keys.pool("odd"), "limits", "[", "heartbeat_at", 1)
        sim.run_for(minutes=6)
        assert sim.server.read(("HGETALL", lock_info)) == {}
        put(sim, "DEL", sim.keys.known_jobs)
        sim.run_for(minutes=6)
        sim.enqueuer.enqueue("work")
        sim.run_until_idle()
        sim.assert_ran("work", times=1)


def a_pool_is_expelled_at_its_last_command() -> None:
    """It cannot give back its jobs, so others recover them."""
    with Simulation() as sim:
        first, second = (sim.pool(concurrency=1) for _ in range(2))
        for pool in (first, second):
            pool.job("work", nothing, takes=20)
        sim.enqueuer.enqueue("work")
        sim.run_for(3)
        (holder,) = [pool for pool in sim.pools if pool.busy]
        stays = sim.keys.queue("work", holder.pool_id).inprogress
        before_next(holder, "leave", lambda: put(sim, "LPUSH", stays, STAYS))
        holder.stop()
        sim.run_for(minutes=3)
        assert not holder.running
        assert sim.trace.of(kind="recovered")


#: A job that a pool that leaves has not accounted for.
STAYS: Final = b'{"name":"work","id":"stays","t":1800000000,"args":{}}'


def slots_of_entries_that_nobody_declares_are_taken_back() -> None:
    """After a release without a cron entry, its planned slots do not run."""
    with Simulation() as sim:
        old, new = sim.pool(name="old"), sim.pool(name="new")
        old.job("tick", nothing)
        old.periodically_enqueue("CRON_TZ=UTC 0 */4 * * * *", "tick")
        new.job("tick", nothing)
        new.job("other", nothing)
        sim.run_for(5)
        old.stop()
        sim.run_for(minutes=20)
        assert len(sim.runs("tick")) <= 1


def many_pools_watch_their_neighbours() -> None:
    """The death of one of twelve pools is noticed as soon as that of one of two."""
    with Simulation() as sim:
        for _ in range(12):
            sim.pool(concurrency=1).job("work", nothing, takes=40)
        for n in range(12):
            sim.enqueuer.enqueue("work", {"n": n})
        sim.run_for(5)
        sim.crash(sim.pools[0])
        sim.run_until(lambda: sim.trace.of(kind="recovered"), within=20)
        done_once(sim)


MISHAPS: Final[tuple[Callable[[], Any], ...]] = (
    replies_are_lost,
    what_a_lost_reply_has_claimed_may_be_junk,
    a_pool_is_expelled_while_it_settles,
    a_fence_is_not_the_expected_one,
    a_job_is_taken_away_while_it_runs,
    an_update_that_only_looks_like_a_job_is_buried,
    an_update_turns_into_junk_while_it_is_looked_at,
    the_owner_of_a_slot_holds_it_no_more,
    a_beat_comes_while_its_pool_is_reaped,
    the_queue_of_a_dead_pool_has_a_wrong_type,
    failed_jobs_wait_where_the_retry_set_has_a_wrong_type,
    due_jobs_of_a_broken_queue_do_not_hold_up_the_others,
    locks_are_counted_while_pools_come,
    a_pool_is_expelled_at_its_last_command,
    slots_of_entries_that_nobody_declares_are_taken_back,
    many_pools_watch_their_neighbours,
)
