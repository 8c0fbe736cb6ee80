"""A namespace in a cluster of three masters."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis.asyncio
from redis.cluster import RedisCluster

from tests.conftest import WaitUntil
from tests.system.chaos.clustered import Cluster
from workkit import (
    AsyncEnqueuer,
    Client,
    Enqueuer,
    InvalidOption,
    ServerRefused,
    ServerUnavailable,
    WorkerPool,
)
from workkit.store.connections.cluster import Route, shares_a_slot

NAMESPACE = "{work}"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(stack, NAMESPACE)


def test_all_features_work_by_the_url_of_any_node(cluster: Cluster, wait_until: WaitUntil) -> None:
    url = cluster.url
    enqueuer, client = Enqueuer(NAMESPACE, url), Client(NAMESPACE, url)
    ran: list[str] = []
    pool = WorkerPool(NAMESPACE, url, concurrency=3)
    for name in ("plain", "later", "unique", "keyed", "tick"):
        pool.job(name, lambda job: ran.append(job.name))
    pool.job("limited", lambda job: ran.append(job.name), max_concurrency=1)

    @pool.job(max_fails=1)
    def dies(_job: Any) -> None:
        raise ValueError("not today")

    pool.periodically_enqueue("@every 1s", "tick")
    enqueuer.enqueue_many([("plain", None), ("limited", None), ("dies", None)])
    enqueuer.enqueue_in("later", 1)
    enqueuer.enqueue_unique("unique")
    enqueuer.enqueue_unique_by_key("keyed", {"a": 1}, {"k": 1})
    pool.start()
    wait_until(lambda: {"plain", "limited", "later", "unique", "keyed", "tick"} <= set(ran), 20)
    wait_until(lambda: client.dead_jobs().total == 1)
    assert client.retry_all_dead_jobs() == 1
    wait_until(lambda: client.dead_jobs().total == 1)
    assert client.delete_all_dead_jobs() == 1
    client.pause("plain")
    paused = enqueuer.enqueue("plain")
    assert client.find(paused.id) is not None
    client.delete_queued_job("plain", paused.id)
    assert {queue.job_name for queue in client.queues()} >= {"plain", "limited"}
    assert len(client.worker_pool_heartbeats()) == 1
    assert {record.outcome for record in client.history()} >= {"done", "dead"}
    pool.stop(10)


def test_a_pool_wakes_up_by_announcement_also_after_its_namespace_has_moved(
    cluster: Cluster, wait_until: WaitUntil
) -> None:
    ran = threading.Event()
    pool = WorkerPool(NAMESPACE, cluster.url)
    pool.job("wake", lambda _job: ran.set())
    pool.start()
    enqueuer = Enqueuer(NAMESPACE, cluster.url)
    for _ in range(3):
        cluster.move()
        ran.clear()
        enqueuer.enqueue("wake")
        assert ran.wait(20)
    pool.stop(10)


def test_the_clients_of_redis_py_are_taken(cluster: Cluster) -> None:
    port = cluster.nodes[0].port
    with RedisCluster(host="127.0.0.1", port=port) as client:
        Enqueuer(NAMESPACE, client).enqueue("taken")
        assert Client(NAMESPACE, client).queued_jobs("taken").total == 1

    async def enqueue() -> None:
        for client in (redis.asyncio.RedisCluster("127.0.0.1", port), cluster.url):
            enqueuer = AsyncEnqueuer(NAMESPACE, client)
            await enqueuer.enqueue("taken")
            await enqueuer.close()
            if not isinstance(client, str):
                await client.aclose()

    asyncio.run(enqueue())
    assert Client(NAMESPACE, cluster.url).queued_jobs("taken").total == 3


def test_a_namespace_without_braces_is_refused_with_the_remedy(cluster: Cluster) -> None:
    remedy = r"in braces"
    with RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port) as client:
        for make in (Enqueuer, Client, WorkerPool, AsyncEnqueuer):
            with pytest.raises(InvalidOption, match=r"in braces, '\{work\}'"):
                make("work", client)
    for node in cluster.nodes:
        with pytest.raises(ServerRefused, match=remedy):
            Enqueuer("work", node.tcp_url).enqueue("plain")
        pool = WorkerPool("work", node.tcp_url)
        pool.job("plain", lambda _job: None)
        with pytest.raises(ServerRefused, match=remedy):
            pool.start()
    refused = []
    for node in cluster.nodes:
        try:
            Client("work", node.tcp_url).queues()
        except ServerRefused as error:
            refused.append(str(error))
    assert refused
    assert all("in braces, '{work}'" in said for said in refused)


@pytest.mark.parametrize(
    ("prefix", "shares"),
    [("{work}:", True), ("a{b}c:", True), ("work:", False), ("{}:", False), ("{work:", False)],
)
def test_braces_with_something_in_them_make_a_slot(prefix: str, shares: bool) -> None:
    assert shares_a_slot(prefix) is shares


def test_a_cluster_of_which_nobody_answers_is_named() -> None:
    with pytest.raises(ServerUnavailable, match="127.0.0.1:1"):
        Enqueuer(NAMESPACE, "redis://127.0.0.1:1").enqueue("plain")
    route = Route([("127.0.0.1", 1)], NAMESPACE, _refuse, clustered=True)
    with pytest.raises(redis.exceptions.ConnectionError, match=r"asked 127\.0\.0\.1:1"):
        route.find()


def _refuse(_address: Any) -> Any:
    raise redis.exceptions.ConnectionError("refused")
