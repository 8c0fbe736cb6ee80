"""Rows 1 to 4 and 14 of the users' reports: queues that stand still, limits that do not hold."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import PrivateServer, ServerKind, WaitUntil
from tests.parity.defects.fleet import FleetPool
from tests.parity.defects.stage import Paced, ParityStage, await_event
from tests.parity.gopeer import Clock, GoJob, Scene
from tests.support.handlers import nothing
from workkit import Job
from workkit.engine.duties import reaper as reaper_module
from workkit.engine.duties import reconciler as reconciler_module

if TYPE_CHECKING:
    from redis import Redis

#: More exchanges than it takes to reap a pool.
EXCHANGES = 9


@pytest.fixture
def stage(redis_url: str, redis_client: Redis, namespace: str) -> Iterator[ParityStage]:
    with ParityStage(redis_client, redis_url, namespace) as stage:
        yield stage


class Crowd:
    """A handler that counts its runs, and at each run the jobs that pools hold.

    Args:
        wanted: After how many runs `all_ran` is set.
        look: Counts what is held.
    """

    def __init__(self, wanted: int, look: Callable[[], int] = int) -> None:
        self._wanted = wanted
        self._look = look
        self._lock = threading.Lock()
        self._ran = 0
        self.most_held = 0
        self.all_ran = threading.Event()

    def __call__(self, job: Job) -> None:
        with self._lock:
            self.most_held = max(self.most_held, self._look())
            self._ran += 1
            if self._ran == self._wanted:
                self.all_ran.set()


# Row 1: lock = 20519 with a limit of 200


def test_row_01_a_lock_that_has_leaked_for_months_stops_no_queue(stage: ParityStage) -> None:
    for scene in (stage.elsewhere(), stage._scene):
        go = scene.peer(a=GoJob(max_concurrency=200))
        stage.redis.set(go.keys.lock("a"), 20519)
        go.enqueue("a")
        if scene is stage._scene:
            go.stop()
        else:
            go.reap_step()
            assert go.fetch() is None
    (before,) = stage.client.queues()
    assert (before.count, before.running, before.max_concurrency) == (1, 20519, 200)
    crowd = Crowd(5)
    pool = stage.worker_pool(concurrency=2)
    pool.job("a", crowd, max_concurrency=200)

    stage.live_enqueuer().enqueue_many([("a", None)] * 4)
    with pool:
        await_event(crowd.all_ran, "the jobs behind the lock")

    (after,) = stage.client.queues()
    assert (after.count, after.running) == (0, 0)


# Row 2: a pool that is reaped while it lives


def test_row_02_a_live_pool_that_was_reaped_leaves_locks_and_limits_right(
    stage: ParityStage,
) -> None:
    started, go_on, ran_again = threading.Event(), threading.Event(), threading.Event()
    crowd = Crowd(4, look=lambda: len(stage.held("a")))

    def handler(job: Job) -> None:
        if job.arg_str("part") == "crowd":
            crowd(job)
        elif started.is_set():
            ran_again.set()
        else:
            started.set()
            await_event(go_on, "the reaper")

    pool = stage.worker_pool(concurrency=3)
    pool.job("a", handler, max_concurrency=1)
    enqueuer = stage.live_enqueuer()
    with pool:
        enqueuer.enqueue("a", {"part": "long"})
        await_event(started, "the first job")
        stage.client.pause("a")  # so that the reaper comes between nothing
        beat = stage.client.worker_pool_heartbeats()[0].heartbeat_at
        go = Scene(stage.redis, stage.namespace, Clock(beat + 30)).peer(a=GoJob(max_concurrency=1))
        assert len(go.reap_step()) == 1
        go.stop()
        go_on.set()
        stage.client.unpause("a")
        await_event(ran_again, "the job that the reaper gave back")
        enqueuer.enqueue_many([("a", {"part": "crowd"})] * 4)
        await_event(crowd.all_ran, "the jobs after it")

    assert (crowd.most_held, stage.lock("a"), stage.lock_info("a")) == (1, 0, {})
    assert (stage.queue("a"), stage.held("a")) == ([], [])


@pytest.mark.parametrize("turn_before", ["nothing", "DEL", "SREM", "release"])
def test_row_02_a_go_reaper_and_the_live_pool_in_turns_leave_the_lock_right(
    stage: ParityStage, turn_before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = stage.pool({"a": nothing}, concurrency=2, max_concurrency=1)
    reaper = stage.go("reaper", a=GoJob(max_concurrency=1))
    stage.enqueuer.enqueue("a")
    pool.turn()
    pool.runner.begin()
    id_before = pool.id
    do, release = reaper._wire.do, reaper._release

    def take_turn(before: object) -> None:
        if before == turn_before:
            pool.turn()
            while pool.runner.waiting:
                pool.runner.begin()
            assert stage.lock("a") >= 0

    def do_in_turns(*words: Any) -> Any:
        take_turn(words[0])
        return do(*words)

    def release_in_turns(*args: Any) -> None:
        take_turn("release")
        release(*args)

    monkeypatch.setattr(reaper._wire, "do", do_in_turns)
    monkeypatch.setattr(reaper, "_release", release_in_turns)
    stage.advance(11)
    reaper.heartbeat()
    assert reaper.reap_step() == [id_before]
    while pool.runner.running:
        pool.runner.end(pool.runner.running[0])
    pool.work()

    assert (stage.lock("a"), stage.lock_info("a")) == (0, {})
    assert (stage.queue("a"), stage.held("a")) == ([], [])


def reaped_while_it_lives(stage: ParityStage, pool: FleetPool) -> None:
    """Let a Go pool take the jobs of a live pool, and the pool find out."""
    go = stage.go("reaper", a=GoJob())
    stage.advance(11)
    go.heartbeat()
    assert go.reap_step() == [pool.id]
    while go.fetch() is not None:
        pass
    pool.duty("heartbeat")
    for _ in range(2):
        pool.turn()


def test_row_02_jobs_that_a_reaper_gave_to_others_do_not_start_any_more(stage: ParityStage) -> None:
    pool = stage.pool({"a": nothing}, concurrency=2)
    stage.enqueuer.enqueue_many([("a", None)] * 2)
    assert len(pool.claim()) == 2

    reaped_while_it_lives(stage, pool)

    assert list(pool.runner.waiting) == []


def test_row_02_a_handler_whose_job_was_given_to_others_still_has_its_timeout(
    stage: ParityStage,
) -> None:
    pool = stage.pool({"a": nothing}, concurrency=2, timeout=20)
    stage.enqueuer.enqueue("a")
    pool.turn()
    running = pool.runner.begin()

    reaped_while_it_lives(stage, pool)
    stage.advance(10)
    pool.turn()

    assert pool.runner.interrupted == [running]


# Row 3: jobs that nobody restores


@pytest.mark.parametrize("trace", ["lock_info", "list only"])
def test_row_03_a_restart_restores_the_jobs_of_pools_that_nobody_knows(
    stage: ParityStage, trace: str, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    for module in (reaper_module, reconciler_module):
        monkeypatch.setattr(module, "_EVERY_S", 0.02)
    monkeypatch.setattr(reaper_module, "DEAD_S", 0.0)
    for scene in (stage.elsewhere(), stage._scene):
        gone = scene.peer("gone", a=GoJob())
        gone.enqueue("a")
        assert gone.fetch() is not None
        gone.crash()
        stage.redis.delete(gone.keys.heartbeat("gone"))
        stage.redis.srem(gone.keys.worker_pools, "gone")
        if trace == "list only":
            stage.redis.delete(gone.keys.lock("a"), gone.keys.lock_info("a"))
    crowd = Crowd(1)
    pool = stage.worker_pool()
    pool.job("a", crowd)

    with pool:
        await_event(crowd.all_ran, "the orphan")
        wait_until(lambda: not stage.lock("a"))  # the reconciler's part

    assert (stage.held("a"), stage.lock("a"), stage.lock_info("a")) == ([], 0, {})
    alone = stage.elsewhere()
    alone.peer("next", a=GoJob()).reap_step()
    assert len(alone.in_progress("a", "gone")) == 1


# Row 4: two reapers, and a pool that comes back


def about_to_be_reaped(stage: ParityStage, *reapers: FleetPool, unknown: bool = False) -> FleetPool:
    """Let a pool with two jobs fall silent, watched by reapers that have one more look to go.

    Args:
        stage: Where.
        reapers: Who watches.
        unknown: Whether the pool's heartbeat is lost, and only `lock_info` speaks of it.
    """
    stage.enqueuer.enqueue_many([("a", None)] * 2)
    silent = stage.pool({"a": nothing}, concurrency=2)
    silent.turn()
    for _ in range(2):
        silent.runner.begin()
    if unknown:
        stage.redis.delete(stage.go_keys.heartbeat(silent.id))
        stage.redis.srem(stage.go_keys.worker_pools, silent.id)
        for reaper in reapers:
            stage.reconcile(reaper)
    for _ in range(6):
        for reaper in reapers:
            reaper.duty("reaper")
        stage.advance(2.4)
    assert len(stage.held("a")) == 2
    return silent


def reaping(reaper: FleetPool) -> Paced:
    return Paced(reaper, reaper._duties["reaper"].step(reaper.clock.read()))


@pytest.mark.parametrize("unknown", [False, True], ids=["known pool", "unknown pool"])
@pytest.mark.parametrize("at", range(EXCHANGES))
def test_row_04_two_reapers_release_a_pool_once(stage: ParityStage, at: int, unknown: bool) -> None:
    first, second = stage.pool({"b": nothing}), stage.pool({"b": nothing})
    about_to_be_reaped(stage, first, second, unknown=unknown)
    ids = stage.held_ids("a")

    reaper = reaping(first)
    reaper.go_on(at)
    second.duty("reaper")
    reaper.go_on()

    assert sorted(stage.ids("a")) == sorted(ids)
    assert (stage.lock("a"), stage.lock_info("a"), stage.held("a")) == (0, {}, [])
    assert stage.redis.hvals(stage.key("recoveries")) == [b"1", b"1"]


@pytest.mark.parametrize("at", range(EXCHANGES))
def test_row_04_a_pool_that_comes_back_while_it_is_reaped_loses_and_doubles_nothing(
    stage: ParityStage, at: int
) -> None:
    reaper = stage.pool({"b": nothing})
    silent = about_to_be_reaped(stage, reaper)
    ids = stage.held_ids("a")

    steps = reaping(reaper)
    steps.go_on(at)
    stage.advance(1)
    silent.duty("heartbeat")
    held = stage.held("a")
    steps.go_on()
    assert stage.held("a") == held  # from the moment it is back, nothing is taken from it
    while silent.runner.running:
        silent.runner.end(silent.runner.running[0])
    silent.work()
    stage.pool({"a": nothing}).work()

    done = [record.job_id for record in stage.client.history(outcome="done")]
    assert sorted(done) == sorted(ids)
    assert (stage.lock("a"), stage.lock_info("a"), stage.held("a")) == (0, {}, [])


def test_row_04_a_go_reaper_doubles_the_jobs_of_a_pool_that_comes_back(stage: ParityStage) -> None:
    silent, reaper = stage.go("silent", a=GoJob()), stage.go("reaper", b=GoJob())
    silent.enqueue("a")
    claim = silent.fetch()
    assert claim is not None
    stage.advance(11)
    reaper.heartbeat()
    (dead,) = reaper._dead_pools()

    silent.heartbeat()
    reaper._recover(*dead)
    silent.process(claim)

    assert (len(stage.queue("a")), stage.lock("a")) == (1, -1)


# Row 14: a failover that loses data


def test_row_14_a_failover_that_loses_everything_keeps_the_limit(
    private_server: PrivateServer, server_kind: ServerKind, namespace: str, redis_client: Redis
) -> None:
    server = private_server()
    first, second, go_on = threading.Event(), threading.Event(), threading.Event()

    def handler(job: Job) -> None:
        if job.arg_bool("warm_up"):
            first.set()
        else:
            second.set()
            await_event(go_on, "the test's look")

    stage = ParityStage(type(redis_client).from_url(server.url), server.url, namespace)
    pool = stage.worker_pool(concurrency=3)
    pool.job("a", handler, max_concurrency=1)
    enqueuer = stage.live_enqueuer()
    with stage, pool:
        enqueuer.enqueue("a", {"warm_up": True})
        await_event(first, "the pool")
        stage.redis.flushall()
        enqueuer.enqueue_many([("a", None)] * 3)
        await_event(second, "a job after the failover")
        (queue,) = stage.client.queues()
        go_on.set()
        assert (queue.count, queue.running, queue.max_concurrency) == (2, 1, 1)
        assert pool.drain(60).complete
    stage.redis.close()


def test_row_14_a_failover_to_stale_locks_and_lost_limits_is_mended(stage: ParityStage) -> None:
    pool = stage.pool({"a": nothing}, concurrency=3, max_concurrency=2)
    pool.turn()
    # The replica had not heard of what finished, nor of the limit.
    stage.redis.set(stage.go_keys.lock("a"), 2)
    stage.redis.hset(stage.go_keys.lock_info("a"), "gone", 2)
    stage.redis.delete(stage.go_keys.max_concurrency("a"))
    stage.enqueuer.enqueue_many([("a", None)] * 4)

    pool.duty("heartbeat")
    assert pool.claim() == []
    stage.reconcile(pool)
    stage.advance(0.2)

    assert len(pool.claim()) == 2
    assert (stage.lock("a"), stage.limit("a")) == (2, 2)
