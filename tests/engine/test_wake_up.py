"""Every source of work wakes an idle pool. Otherwise the pool reads nothing.

The pool's periodic look is postponed here, so that it cannot help.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from tests.conftest import PrivateServer, WaitUntil
from tests.engine.conftest import MakePool
from tests.engine.signals import Gate, Notes
from tests.parity.gopeer import Clock, Scene
from workkit import Client, Enqueuer, Job, WorkerPool
from workkit.core.clock import SystemClock
from workkit.core.entropy import Entropy
from workkit.core.job import encode
from workkit.engine.engine import Engine
from workkit.engine.process.sources import Sources
from workkit.engine.runners import HandlerRunner
from workkit.store.connections.link import Link
from workkit.store.connections.target import Target
from workkit.store.round_trip import RoundTrip
from workkit.store.scripts import Script


@pytest.fixture(autouse=True)
def _no_other_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workkit.engine.dispatch.pool_sync.RESYNC_S", 3_600.0)


def until_idle(pool: WorkerPool, wait_until: WaitUntil) -> None:
    """Wait until the dispatcher waits for an announcement of the server."""
    driver: Any = pool._driver
    wait_until(lambda: driver._link.armed)


Wake = Callable[[Any, str, Enqueuer, Client], object]
RAW = encode("work", "0" * 24, 1_700_000_000, b"null")


def by_go(redis: Any, namespace: str, enqueuer: Enqueuer, client: Client) -> None:
    Scene(redis, namespace, Clock()).peer().enqueue("work")


@pytest.mark.parametrize(
    "wake",
    [
        pytest.param(lambda r, ns, enqueuer, c: enqueuer.enqueue("work"), id="a job"),
        pytest.param(lambda r, ns, e, c: r.lpush(f"{ns}:jobs:work", RAW), id="a bare LPUSH"),
        pytest.param(by_go, id="a job of the original"),
        pytest.param(lambda r, ns, e, c: e.enqueue_unique("work"), id="a unique job"),
        pytest.param(lambda r, ns, e, c: e.enqueue_in("work", 0), id="a job that is due"),
        pytest.param(lambda r, ns, e, c: r.zadd(f"{ns}:retry", {RAW: 1_700_000_000}), id="a retry"),
    ],
)
def test_an_idle_pool_runs_what_comes(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    client: Client,
    redis_client: Any,
    namespace: str,
    wait_until: WaitUntil,
    wake: Wake,
) -> None:
    pool, ran = make_pool(concurrency=2), Notes()
    pool.job("work", ran)
    with pool:
        for count in range(1, 4):
            until_idle(pool, wait_until)
            wake(redis_client, namespace, enqueuer, client)
            ran.wait_for(count)


@pytest.mark.parametrize("how", ["a pause", "a limit"])
def test_an_idle_pool_runs_what_was_held_back_until_now(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    client: Client,
    redis_client: Any,
    namespace: str,
    wait_until: WaitUntil,
    how: str,
) -> None:
    pool, gate, ran = make_pool(concurrency=2), Gate(), Notes()
    other = make_pool(concurrency=1)
    pool.job("work", ran)
    other.job("work", lambda job: gate.pass_through())
    if how == "a pause":
        client.pause("work")
    else:
        redis_client.set(f"{namespace}:jobs:work:max_concurrency", 1)
        enqueuer.enqueue("work")
        other.start()
        gate.arrived.wait_for(1)
        client.pause("work")
    with pool:
        enqueuer.enqueue("work")
        until_idle(pool, wait_until)
        client.unpause("work")
        if how == "a limit":
            until_idle(pool, wait_until)
            redis_client.set(f"{namespace}:jobs:work:max_concurrency", 2)
        ran.wait_for(1)
        gate.open()


def test_a_pool_that_waits_for_a_limit_is_woken_when_another_pool_is_done(
    make_pool: MakePool, enqueuer: Enqueuer, wait_until: WaitUntil
) -> None:
    first, second = make_pool(concurrency=1), make_pool(concurrency=1)
    gate, ran = Gate(), Notes()
    first.job("work", lambda job: gate.pass_through(), max_concurrency=1)
    second.job("work", ran, max_concurrency=1)
    enqueuer.enqueue("work")
    first.start()
    gate.arrived.wait_for(1)
    stopping = threading.Thread(target=first.stop)
    stopping.start()
    with second:
        enqueuer.enqueue("work")
        until_idle(second, wait_until)
        gate.open()
        ran.wait_for(1)
    stopping.join()


@pytest.mark.parametrize("how", ["paused", "full"])
def test_an_idle_pool_is_not_woken_by_jobs_that_it_may_not_claim(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    client: Client,
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    busy, gate = make_pool(concurrency=1), Gate()
    busy.job("work", gate.pass_through, max_concurrency=1)
    pool, ran = make_pool(concurrency=2), Notes()
    pool.job("work", lambda job: ran("work"), max_concurrency=1)
    pool.job("other", lambda job: ran("other"))
    if how == "paused":
        client.pause("work")
    else:
        enqueuer.enqueue("work")
        busy.start()
        gate.arrived.wait_for(1)
    with pool:
        until_idle(pool, wait_until)
        enqueuer.enqueue("work")  # by which it finds that it may not
        driver: Any = pool._driver
        wait_until(lambda: driver.engine.dispatcher._board.blocked == {"work"})
        until_idle(pool, wait_until)
        sent, send = Notes(), driver._link.send

        def note_and_send(commands: Any, *meanwhile: Any) -> Any:
            sent(b" ".join(each for each in commands[-1] if isinstance(each, bytes)))
            return send(commands, *meanwhile)

        monkeypatch.setattr(driver._link, "send", note_and_send)
        for _ in range(20):
            enqueuer.enqueue("work")
        assert driver._link.armed
        enqueuer.enqueue("other")
        assert ran.wait_for(1) == ["other"]
        # Nothing but looks names the queue: no claim, until it is free.
        claims = [each for each in sent.items if b":jobs:work" in each and b":history" in each]
        assert claims == []
        if how == "paused":
            client.unpause("work")
            ran.wait_for(22)
        else:
            stopping = threading.Thread(target=busy.stop)
            stopping.start()
            wait_until(lambda: busy._driver is None or busy._driver.stopping)
            gate.open()
            ran.wait_for(22)
            stopping.join()


def test_a_job_that_is_scheduled_does_not_end_the_watch_on_the_queues(
    private_server: PrivateServer, wait_until: WaitUntil
) -> None:
    server = private_server()
    pool, redis = WorkerPool("n", server.url, concurrency=2), Redis.from_url(server.url)
    pool.job("work", lambda job: None)
    enqueuer = Enqueuer("n", server.url)

    def calls(name: str) -> int:
        stats: Any = redis.info("commandstats")
        found: int = stats.get(f"cmdstat_{name}", {"calls": 0})["calls"]
        return found

    with pool:
        enqueuer.enqueue_in("work", 3_600)  # the connection and the script are known from now on
        until_idle(pool, wait_until)
        driver: Any = pool._driver
        wait_until(lambda: driver.engine.dispatcher._looked_at > 0 and driver._link.armed)
        read, looked = calls("client|caching"), calls("exists")
        for _ in range(3):
            enqueuer.enqueue_in("work", 7_200)
            wait_until(lambda: driver._link.stale)
            assert driver._link.armed
            wait_until(lambda: not driver._link.stale)
        assert calls("client|caching") - read == 3
        assert calls("exists") == looked  # a look asks which queues exist


@pytest.mark.parametrize("size", [1, 3])
def test_a_server_that_forgets_at_once_what_it_is_to_announce_is_polled(
    private_server: PrivateServer, wait_until: WaitUntil, size: int
) -> None:
    server = private_server(config={"tracking-table-max-keys": str(size)})
    pool, ran = WorkerPool("n", server.url, concurrency=2, sleep_backoffs=[0, 20]), Notes()
    for number in range(20):
        pool.job(f"work {number}", ran)
    with pool:
        driver: Any = pool._driver
        noise, clock = driver._serving._noise, SystemClock()
        wait_until(lambda: noise.is_deaf(clock.read()))
        enqueuer = Enqueuer("n", server.url)
        for number in range(20):
            enqueuer.enqueue(f"work {number}")
        ran.wait_for(20)
        enqueuer.close()
        assert noise.is_deaf(clock.read())


def test_a_flood_of_jobs_that_others_take_makes_no_pool_deaf(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    redis_client: Any,
    namespace: str,
    wait_until: WaitUntil,
) -> None:
    pool, ran = make_pool(concurrency=2), Notes()
    pool.job("work", ran)
    queue = f"{namespace}:jobs:work"
    with pool:
        driver: Any = pool._driver
        noise, clock = driver._serving._noise, SystemClock()
        until_idle(pool, wait_until)

        def asked() -> bool:
            with redis_client.pipeline(transaction=True) as pipe:
                pipe.lpush(queue, RAW).rpop(queue).execute()
            return bool(noise._asked_s > 0)

        wait_until(asked, 20)
        enqueuer.enqueue("work")
        ran.wait_for(1)
        assert not noise.is_deaf(clock.read())


def test_a_flood_of_scheduled_jobs_is_no_noise(
    make_pool: MakePool, enqueuer: Enqueuer, wait_until: WaitUntil
) -> None:
    pool, ran = make_pool(concurrency=2), Notes()
    pool.job("work", ran)
    with pool:
        until_idle(pool, wait_until)
        driver: Any = pool._driver
        for _ in range(200):
            enqueuer.enqueue_in("work", 600)
            assert not driver._serving._noise.is_loud
        enqueuer.enqueue("work")
        ran.wait_for(1)


@pytest.mark.parametrize("how", ["the server has lost all data", "the connection was closed"])
def test_a_pool_that_starts_its_watch_again_hears_of_due_jobs(
    private_server: PrivateServer, wait_until: WaitUntil, how: str
) -> None:
    server = private_server()
    pool, redis = WorkerPool("n", server.url, concurrency=2), Redis.from_url(server.url)
    ran, enqueuer = Notes(), Enqueuer("n", server.url)
    pool.job("work", ran)
    with pool:
        driver: Any = pool._driver
        until_idle(pool, wait_until)
        looked_at = driver.engine.dispatcher._looked_at
        if how == "the server has lost all data":
            redis.flushall()
        else:
            (dispatcher,) = [
                each for each in redis.client_list() if each["name"] == "workkit-dispatcher"
            ]
            redis.client_kill_filter(_id=dispatcher["id"])
        wait_until(lambda: driver.engine.dispatcher._looked_at > looked_at)
        for count in range(1, 4):
            until_idle(pool, wait_until)
            enqueuer.enqueue_in("work", 0)
            ran.wait_for(count)


@pytest.mark.slow
@pytest.mark.one_server
def test_an_idle_pool_says_nothing_to_the_server(
    make_pool: MakePool,
    wait_until: WaitUntil,
    redis_client: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = make_pool(concurrency=2)
    for n in range(50):
        pool.job(f"work {n}", lambda job: None)
    with pool:
        until_idle(pool, wait_until)
        driver: Any = pool._driver
        sent, send = Notes(), driver._link.send

        def note_and_send(commands: Any, *meanwhile: Any) -> Any:
            sent(commands)
            return send(commands, *meanwhile)

        monkeypatch.setattr(driver._link, "send", note_and_send)
        # Heartbeat and maintenance have connections of their own.
        wait_for_a_beat(redis_client, driver.engine.identity.pool_id, wait_until)
        assert sent.items == []
        assert driver._link.armed


def wait_for_a_beat(redis: Any, pool_id: str, wait_until: WaitUntil) -> None:
    (key,) = redis.keys(f"*:worker_pools:{pool_id}")
    redis.hdel(key, "busy")
    wait_until(lambda: redis.hexists(key, "busy"))


def test_the_first_look_after_the_server_has_forgotten_its_scripts_is_watched_too(
    redis_url: str, redis_client: Any, namespace: str, enqueuer: Enqueuer
) -> None:
    pool = WorkerPool(namespace, redis_url)
    pool.job("work", lambda job: None)
    dispatcher = engine_of(pool).dispatcher
    redis_client.script_flush()
    link = Link(Target.of(redis_url))
    look: RoundTrip[Any] = dispatcher.look()
    assert isinstance(look.commands[0][0], Script)
    assert link.arm(look) is not None
    enqueuer.enqueue("work")
    never, _ = pair = socket.socketpair()
    link.wait(10, never.fileno())
    assert not link.armed
    link.close()
    for end in pair:
        end.close()


def engine_of(pool: WorkerPool) -> Engine:
    """Put a pool together that is not started."""
    sources = Sources(SystemClock(), Entropy())
    return Engine(
        pool.spec,
        sources,
        make_runner=HandlerRunner,
        notify=lambda: None,
    )


@pytest.mark.one_server
def test_where_the_server_does_not_announce_changes_a_pool_looks_by_itself(
    make_pool: MakePool, enqueuer: Enqueuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Link, "_track", lambda self: False)
    pool, ran = make_pool(concurrency=2, sleep_backoffs=(0, 1, 5)), Notes()
    pool.job("work", ran)

    @pool.job
    def chain(job: Job) -> None:
        enqueuer.enqueue("work")

    with pool:
        for count in range(1, 6):
            enqueuer.enqueue("chain")
            ran.wait_for(count)


def test_an_idle_pool_that_polls_waits_at_most_a_second(make_pool: MakePool) -> None:
    pool = make_pool(concurrency=1)
    pool.job("work", lambda _: None)
    with pool:
        driver: Any = pool._driver
        waits_s = [driver._serving._poll(60.0).for_s for _ in range(9)]
    assert max(waits_s) == waits_s[-1] == 1.0
