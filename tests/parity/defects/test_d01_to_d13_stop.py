"""D13: a pool that is told to stop finishes its running jobs and starts no waiting ones."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tests.parity.defects.fleet import Fleet, HookedLink, member, script_names
from tests.parity.gopeer import GoJob
from tests.support.handlers import boom
from workkit import Enqueuer, WorkerPool
from workkit.core.entropy import Entropy
from workkit.engine.driver import PoolDriver
from workkit.engine.duties.loop import DutyLoop
from workkit.engine.duties.requeuer import Requeuer
from workkit.engine.process.sources import Sources
from workkit.engine.process.waker import Waker
from workkit.engine.serving import Serving
from workkit.errors import ServerUnavailable
from workkit.store.connections.routine import Routine
from workkit.store.connections.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from tests.conftest import PrivateServer, ServerKind, WaitUntil
    from workkit import Job
    from workkit.engine.dispatch.dispatcher import Rest

BACKLOG = 60_000
BATCH = 500
WRITTEN_AT_ONCE = 5_000
#: How long a test waits for another thread before it fails.
PATIENCE_S = 60


@pytest.fixture
def fleet(redis_client: Redis, redis_url: str, namespace: str) -> Iterator[Fleet]:
    with Fleet(redis_client, redis_url, namespace) as fleet:
        yield fleet


def fill(fleet: Fleet, which: str, count: int) -> None:
    """Let many jobs be due at once."""
    for start in range(0, count, WRITTEN_AT_ONCE):
        batch = range(start, min(start + WRITTEN_AT_ONCE, count))
        fleet.redis.zadd(f"{fleet.namespace}:{which}", {member("a", f"{i:06}"): 1 for i in batch})


def test_d13_the_original_requeues_all_that_is_due_before_it_looks_up(fleet: Fleet) -> None:
    go = fleet.go(a=GoJob())
    fill(fleet, "scheduled", 3 * BATCH)
    assert go.requeue_step() == {"ok": 3 * BATCH, "dead": 0}


def test_d13_a_turn_of_the_requeuer_moves_one_batch_of_each_set(fleet: Fleet) -> None:
    pool = fleet.pool({"a": boom})
    for which in ("scheduled", "retry"):
        fill(fleet, which, BATCH + 1)

    assert pool.duty("requeuer") == 0

    assert len(fleet.queue("a")) == 2 * BATCH
    assert pool.duty("requeuer") > 0
    assert fleet.members("scheduled") == fleet.members("retry") == {}


def test_d13_a_stop_is_honoured_after_one_batch_of_a_large_backlog(fleet: Fleet) -> None:
    for which in ("scheduled", "retry"):
        fill(fleet, which, BACKLOG // 2)
    link = HookedLink(Target.of(fleet.url))
    requeuer = Requeuer(fleet.keys, Entropy(1))
    loop = DutyLoop("requeuer", link, [requeuer], Sources(fleet.clock, Entropy(2)))
    moving, asked = threading.Event(), threading.Event()

    def hold() -> None:
        moving.set()
        assert asked.wait(PATIENCE_S)

    link.before("move", hold)
    loop.start()
    assert moving.wait(PATIENCE_S)
    sent_before = len(link.sent)
    loop.stop(0)
    asked.set()
    loop.stop(PATIENCE_S)

    sent = link.sent[sent_before:]
    assert [script_names(commands) for commands in sent] == [["move"], ["span"], ["move"]]
    assert len(fleet.queue("a")) == 2 * BATCH
    left = [fleet.redis.zcard(key) for key in (fleet.keys.scheduled, fleet.keys.retry)]
    assert left == [BACKLOG // 2 - BATCH] * 2


def test_d13_a_pool_that_stops_claims_and_starts_nothing_more(fleet: Fleet) -> None:
    pool = fleet.pool({"a": lambda _job: None})
    jobs = [fleet.enqueuer.enqueue("a").raw for _ in range(5)]
    pool.claim()
    assert fleet.held("a")

    pool.engine.dispatcher.stop_claiming()
    ran = pool.work()

    assert ran == []
    assert fleet.queue("a") == jobs[::-1]
    assert (fleet.held("a"), fleet.lock("a")) == ([], 0)


def test_d13_what_is_unfinished_at_the_deadline_goes_back_in_its_order(fleet: Fleet) -> None:
    pool = fleet.pool({"a": boom}, concurrency=3)
    go = fleet.go(a=GoJob())
    jobs = [fleet.enqueuer.enqueue("a").raw for _ in range(4)]
    pool.claim()
    running = pool.runner.begin()
    pool.engine.dispatcher.stop_claiming()

    assert pool.engine.dispatcher.give_back() == [running]
    pool.turn()

    assert fleet.queue("a") == jobs[::-1]
    assert pool.step(pool.engine.dispatcher.leave()) == 0
    pool.runner.end(running, RuntimeError("too late"))
    pool.work()
    assert fleet.members("retry") == {}
    claim = go.fetch()
    assert claim is not None
    assert claim.fetched == jobs[0]


class Hanging:
    """A handler that stays until it is released."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.release = threading.Event()

    def __call__(self, _job: Job) -> None:
        self.started.set()
        assert self.release.wait(PATIENCE_S)


@pytest.fixture
def idle_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how long dispatchers that had to stop wanted to wait, in seconds, with nothing left."""
    waits: list[float] = []
    wait = Waker.wait

    def watched(waker: Waker, timeout_s: float) -> None:
        driver = drivers.get(id(waker))
        if driver is not None and driver.stopping and not len(driver.engine.ledger):
            waits.append(timeout_s)
        else:
            wait(waker, timeout_s)

    def remember(driver: PoolDriver) -> None:
        drivers[id(driver._waker)] = driver
        start(driver)

    drivers: dict[int, PoolDriver] = {}
    start = PoolDriver.start
    monkeypatch.setattr(PoolDriver, "start", remember)
    monkeypatch.setattr(Waker, "wait", watched)
    return waits


def test_d13_a_stop_at_once_gives_the_job_of_a_handler_that_hangs_back(
    fleet: Fleet, idle_waits: list[float]
) -> None:
    handler = Hanging()
    pool = WorkerPool(fleet.namespace, fleet.url, concurrency=1)
    pool.job("a", handler)
    pool.start()
    try:
        job = fleet.enqueuer.enqueue("a")
        assert handler.started.wait(PATIENCE_S)
        pool.stop(timeout=0)
        assert not pool.running
        assert fleet.queue("a") == [job.raw]
    finally:
        handler.release.set()
        pool.stop()
    assert (fleet.held("a"), fleet.lock("a"), fleet.registered()) == ([], 0, set())
    assert idle_waits == []


def test_d13_a_stop_ends_as_soon_as_the_last_job_is_settled(
    fleet: Fleet, wait_until: WaitUntil, idle_waits: list[float]
) -> None:
    handler = Hanging()
    pool = WorkerPool(fleet.namespace, fleet.url, concurrency=1)
    pool.job("a", handler)
    pool.start()
    fleet.enqueuer.enqueue("a")
    assert handler.started.wait(PATIENCE_S)
    stopping = threading.Thread(target=pool.stop)
    stopping.start()
    wait_until(lambda: pool._driver is not None and pool._driver.stopping)

    handler.release.set()
    stopping.join(PATIENCE_S)

    assert not pool.running
    assert (fleet.queue("a"), fleet.held("a"), fleet.registered()) == ([], [], set())
    assert idle_waits == []


def test_d13_a_stop_that_comes_just_before_a_wait_is_heard(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, idle_waits: list[float]
) -> None:
    rest, rested = Serving._rest, threading.Event()

    def stop_and_rest(serving: Serving, wanted: Rest) -> Routine:
        serving.request_stop(None)
        yield from rest(serving, wanted)
        rested.set()

    monkeypatch.setattr(Serving, "_rest", stop_and_rest)
    pool = WorkerPool(fleet.namespace, fleet.url)
    pool.job("a", lambda _job: None)
    pool.start()
    assert rested.wait(PATIENCE_S)
    pool.stop()
    assert idle_waits == []


def test_d13_a_drain_tells_of_paused_queues_instead_of_forgetting_them(fleet: Fleet) -> None:
    pool = WorkerPool(fleet.namespace, fleet.url)
    pool.job("a", lambda _job: None)
    pool.job("b", lambda _job: None)
    fleet.client.pause("a")
    fleet.enqueuer.enqueue("a")
    fleet.enqueuer.enqueue("b")

    with pool:
        drained = pool.drain(PATIENCE_S)

    assert (drained.complete, drained.paused, drained.waiting) == (True, ("a",), {"a": 1})


def test_d13_a_drain_ends_with_an_error_when_redis_is_gone(
    private_server: PrivateServer, server_kind: ServerKind, namespace: str
) -> None:
    server = private_server(server_kind)
    pool = WorkerPool(namespace, server.url)
    pool.job("a", lambda _job: None)
    enqueuer = Enqueuer(namespace, server.url)
    enqueuer.enqueue("a")
    enqueuer.close()
    with pool:
        assert pool.drain(PATIENCE_S).complete
        server.kill()
        with pytest.raises(ServerUnavailable):
            pool.drain()


@pytest.mark.usefixtures("idle_waits")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_d13_a_pool_that_runs_stops_at_the_usual_signals(
    fleet: Fleet, number: signal.Signals
) -> None:
    pool = WorkerPool(fleet.namespace, fleet.url)
    pool.job("a", lambda _job: None)
    before = signal.getsignal(number)
    stopped: list[bool] = []

    def raise_it() -> None:
        assert signal.getsignal(number) is not before
        signal.raise_signal(number)

    pool.on_start(raise_it)
    pool.on_stop(lambda: stopped.append(True))

    assert pool.run() is True
    assert stopped == [True]
    assert signal.getsignal(number) is before
    assert fleet.registered() == set()
