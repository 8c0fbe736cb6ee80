"""Rows 10, 13 and 19 of the users' reports: connections that break, run out, or go to a cluster."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from redis import BlockingConnectionPool, Redis
from redis.crc import key_slot

from tests.conftest import PrivateServer, ServerKind, WaitUntil
from tests.parity.defects.fleet import FleetPool
from tests.parity.defects.stage import PATIENCE_S, ParityStage, await_event
from tests.support.handlers import boom, nothing
from workkit import Enqueuer, Job, ServerRefused, WorkerPool
from workkit.store.calls.layout import keys_and_args
from workkit.store.keys import Keys
from workkit.store.scripts import Script

if TYPE_CHECKING:
    from workkit.embedded import EmbeddedServer

#: Dispatcher, heartbeat, maintenance, and what clears up at the end; enqueuer; client; the test.
CONNECTIONS = 8


@pytest.fixture
def stage(redis_url: str, redis_client: Redis, namespace: str) -> Iterator[ParityStage]:
    with ParityStage(redis_client, redis_url, namespace) as stage:
        yield stage


@pytest.fixture
def own_server(private_server: PrivateServer, server_kind: ServerKind) -> EmbeddedServer:
    return private_server()


@pytest.fixture
def own_stage(own_server: EmbeddedServer, namespace: str) -> Iterator[ParityStage]:
    with (
        Redis.from_url(own_server.url) as redis,
        ParityStage(redis, own_server.url, namespace) as stage,
    ):
        yield stage


class Counting:
    """A handler with a signal for every run."""

    def __init__(self) -> None:
        self.ran = threading.Semaphore(0)

    def __call__(self, job: Job) -> None:
        self.ran.release()

    def await_runs(self, count: int) -> None:
        for number in range(count):
            assert self.ran.acquire(timeout=PATIENCE_S), f"only {number} of {count} jobs ran"


# Row 10: connections that break


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_row_10_a_pool_goes_on_after_its_server_was_away(
    own_server: EmbeddedServer, own_stage: ParityStage, how: str
) -> None:
    handler, enqueuer = Counting(), own_stage.live_enqueuer()
    pool = own_stage.worker_pool(concurrency=2)
    pool.job("a", handler)
    with pool:
        enqueuer.enqueue("a")
        handler.await_runs(1)
        if how == "kill":
            own_server.kill()
            own_server.start()
        else:
            own_server.restart()
        enqueuer.enqueue_many([("a", None)] * 3)
        handler.await_runs(3)
        assert pool.drain(PATIENCE_S).complete

        (beat,) = own_stage.client.worker_pool_heartbeats()
        assert (beat.worker_pool_id, beat.heartbeat_at > 0) == (pool.pool_id, True)
    assert own_stage.client.worker_pool_heartbeats() == []


def test_row_10_a_pool_that_loses_every_connection_at_once_loses_no_job(
    stage: ParityStage, wait_until: WaitUntil
) -> None:
    def own() -> list[str]:
        return [row["id"] for row in stage.redis.client_list() if row["name"] == stage.namespace]

    started, go_on, again = threading.Event(), threading.Event(), threading.Event()
    runs: list[str] = []

    def handler(job: Job) -> None:
        runs.append(job.id)
        if len(runs) == 1:
            started.set()
            await_event(go_on, "the connections to break")
        else:
            again.set()

    pool = WorkerPool(
        stage.namespace,
        Redis.from_url(stage.url, client_name=stage.namespace),
        concurrency=1,
    )
    pool.job("a", handler)
    ids = [job.id for job in stage.live_enqueuer().enqueue_many([("a", None)] * 2)]
    with pool:
        await_event(started, "the first job")
        wait_until(lambda: len(own()) == 3)  # maintenance connects when it is first due
        for client_id in own():
            stage.redis.client_kill_filter(_id=client_id)
        go_on.set()
        await_event(again, "the second job")
        assert pool.drain(PATIENCE_S).complete
    assert runs == ids
    assert (stage.held("a"), stage.lock("a")) == ([], 0)


def test_row_10_a_users_pool_that_is_exhausted_stops_nothing(stage: ParityStage) -> None:
    connections: Any = BlockingConnectionPool.from_url(stage.url, max_connections=1, timeout=0)
    only_one = connections.get_connection()
    handler, enqueuer = Counting(), Enqueuer(stage.namespace, Redis(connection_pool=connections))
    pool = WorkerPool(stage.namespace, Redis(connection_pool=connections), concurrency=10)
    pool.job("a", handler)
    with pool:
        enqueuer.enqueue_many([("a", None)] * 20)
        handler.await_runs(20)
        assert pool.drain(PATIENCE_S).complete
    enqueuer.close()
    connections.release(only_one)
    connections.disconnect()


# Row 13: a cluster


@pytest.fixture
def cluster(
    private_server: PrivateServer, server_kind: ServerKind, wait_until: WaitUntil
) -> EmbeddedServer:
    """Have a cluster of one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Its bus has a port even where the server has none.
    bus = {"bind": "127.0.0.1", "cluster-port": str(port)}
    server = private_server(config={"cluster-enabled": "yes", **bus})
    with Redis.from_url(server.url) as redis:
        ask: Any = redis.execute_command
        ask("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        wait_until(lambda: b"cluster_state:ok" in as_bytes(ask("CLUSTER", "INFO")))
    return server


def as_bytes(reply: Any) -> bytes:
    """Undo what redis-py may have made of a reply."""
    return reply if isinstance(reply, bytes) else repr(reply).encode()


def keys_of(command: Any) -> list[bytes]:
    """Name the keys of a command, which scripts count and others have first."""
    head = command[0]
    if isinstance(head, Script):
        return list(keys_and_args(command)[0])
    words = [word if isinstance(word, bytes) else str(word).encode() for word in command[1:]]
    return [] if head in {"SCAN", "CLIENT"} else words[:1]


def live_through_everything(stage: ParityStage) -> FleetPool:
    """Let a pool do all that pools do."""
    pool = stage.pool(
        {"a": nothing, "b": boom}, cron=[("* * * * *", "a")], max_concurrency=2, max_fails=2
    )
    for name in ("a", "b"):
        stage.enqueuer.enqueue(name)
        stage.enqueuer.enqueue_unique(name, {"q": "{other}"})
        stage.enqueuer.enqueue_unique_in_by_key(name, 5, {"v": 1}, {"k": "}{"})
    for _ in range(3):
        for _ in pool.claim():
            pool.runner.begin()
        for duty in ("periodic", "heartbeat", "observer", "requeuer", "reaper", "reconciler"):
            pool.duty(duty)
        while pool.runner.running:
            pool.runner.run(pool.runner.running[0])
        pool.work()
        stage.advance(100)
    dead = stage.pool({"a": nothing})
    stage.enqueuer.enqueue("a")
    dead.turn()
    dead.crash()
    stage.watch(pool)
    pool.link.lose_reply()
    stage.enqueuer.enqueue("a")
    with pytest.raises(Exception, match="lost"):
        pool.turn()
    pool.work()
    stage.client.retry_all_dead_jobs()
    stage.client.delete_all_dead_jobs()
    return pool


def test_row_13_braces_put_every_key_of_a_namespace_into_one_slot(
    cluster: EmbeddedServer,
) -> None:
    with Redis.from_url(cluster.url) as redis, ParityStage(redis, cluster.url, "{work}") as stage:
        pool = live_through_everything(stage)
        used = {
            key for commands in pool.link.sent for command in commands for key in keys_of(command)
        }
        left = set(stage.redis.scan_iter("*", count=1_000))

    assert len(used) > 30
    assert {key_slot(key) for key in used | left} == {key_slot(b"work")}


def test_row_13_without_braces_the_keys_of_a_script_lie_apart() -> None:
    for name, slots in (("work", 6), ("{work}", 1)):
        assert len({key_slot(key) for key in Keys(name).queue("a", "p1")}) == slots


def test_row_13_on_a_cluster_a_namespace_without_braces_is_refused_at_the_start(
    cluster: EmbeddedServer, namespace: str
) -> None:
    pool, enqueuer = WorkerPool(namespace, cluster.url), Enqueuer(namespace, cluster.url)
    pool.job("a", nothing)
    for call in (pool.start, lambda: enqueuer.enqueue("a")):
        with pytest.raises(ServerRefused, match=r"must be in braces, such as \{work\}"):
            call()
    enqueuer.close()


# Row 19: a connection for every look


def test_row_19_a_thousand_jobs_take_a_handful_of_connections(own_stage: ParityStage) -> None:
    handler, enqueuer = Counting(), own_stage.live_enqueuer()
    pool = own_stage.worker_pool(concurrency=20)
    pool.job("a", handler)
    before = own_stage.redis.info("stats")["total_connections_received"]
    with pool:
        for _ in range(200):
            enqueuer.enqueue("a")
            own_stage.client.queues()
        enqueuer.enqueue_many([("a", None)] * 800)
        handler.await_runs(1_000)
    made = own_stage.redis.info("stats")["total_connections_received"] - before
    assert made <= CONNECTIONS
