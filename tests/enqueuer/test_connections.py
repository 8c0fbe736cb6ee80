"""Values of `redis`: URLs and clients of any kind; enqueuers never use their connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from tests.conftest import PrivateServer, ServerKind, WaitUntil
from tests.enqueuer.faces import HeldUp, on_one_loop
from tests.parity.gopeer import Scene
from workkit import AsyncEnqueuer, Client, Enqueuer, InvalidOption, ServerUnavailable
from workkit.embedded import EmbeddedServer

Given = Callable[[EmbeddedServer], Any]


@pytest.fixture
def tcp_server(private_server: PrivateServer, server_kind: ServerKind) -> EmbeddedServer:
    return private_server(server_kind, port="any")


@pytest.mark.parametrize(
    "given",
    [
        lambda server: server.url,
        lambda server: server.tcp_url,
        lambda server: f"{server.tcp_url}/0?decode_responses=true&protocol=2",
        lambda server: redis.Redis.from_url(server.url),
        lambda server: redis.Redis.from_url(server.url, decode_responses=True),
        lambda server: redis.Redis.from_url(server.tcp_url, protocol=2),
        lambda server: redis.Redis.from_url(server.tcp_url, protocol=3, encoding="utf-16"),
        lambda server: redis.asyncio.Redis.from_url(server.url),
    ],
    ids=[
        "socket", "TCP", "URL with habits", "client", "decoding client", "RESP2 client",
        "RESP3 client with another encoding", "asyncio client",
    ],
)  # fmt: skip
def test_jobs_go_where_the_url_or_the_client_leads(
    tcp_server: EmbeddedServer, given: Given
) -> None:
    enqueuer, client = Enqueuer("n", given(tcp_server)), Client("n", given(tcp_server))
    enqueuer.enqueue("mail", {"é": 1})
    enqueuer.enqueue_in("mail", 60)
    assert enqueuer.enqueue_unique_by_key("mail", None, {"a": 1}) is not None
    assert enqueuer.enqueue_unique_by_key("mail", None, {"a": 1}) is None
    assert [queued.job.args for queued in client.queued_jobs("mail").jobs] == [{"é": 1}, None]
    assert client.scheduled_jobs().total == 1
    assert client.queues()[0].count == 2
    enqueuer.close()
    client.close()


@pytest.mark.one_server
def test_the_database_of_the_url_is_used(server: EmbeddedServer, namespace: str) -> None:
    enqueuer = Enqueuer(namespace, f"{server.url}?db=3")
    enqueuer.enqueue("mail")
    enqueuer.close()
    with redis.Redis.from_url(server.url, db=3) as third, redis.Redis.from_url(server.url) as first:
        assert third.delete(f"{namespace}:jobs:mail", f"{namespace}:known_jobs") == 2
        assert first.exists(f"{namespace}:jobs:mail") == 0


@pytest.mark.one_server
def test_a_client_s_own_connections_stay_its_own(
    redis_url: str, namespace: str, scene: Scene
) -> None:
    pool: Any = redis.BlockingConnectionPool.from_url(redis_url, max_connections=1, timeout=0.001)
    stingy = redis.Redis(connection_pool=pool)
    enqueuer = Enqueuer(namespace, stingy)
    with stingy.pipeline() as pipeline:
        pipeline.watch("anything")  # type: ignore[no-untyped-call]  # holds the only connection
        job = enqueuer.enqueue("mail")
    assert scene.queue("mail") == [job.raw]
    enqueuer.close()
    stingy.close()
    pool.disconnect()


@pytest.mark.one_server
@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_a_client_s_timeout_is_kept_to(held_up: HeldUp, kind: str) -> None:
    held_up.hold()
    url = f"{held_up.url}?socket_timeout=0.05"
    with on_one_loop() as asynchronous:
        make = Enqueuer if kind == "threads" else asynchronous
        enqueuer: Any = make("n", url)
        with pytest.raises(ServerUnavailable, match="[Tt]imeout"):  # within the test's own limit
            enqueuer.enqueue("mail")
        enqueuer.close()
    held_up.go_on()


@pytest.mark.one_server
def test_threads_open_no_more_connections_than_the_client_may_have(held_up: HeldUp) -> None:
    enqueuer = Enqueuer("n", f"{held_up.url}?max_connections=3")
    with ThreadPoolExecutor(12) as threads:
        jobs = list(threads.map(lambda n: enqueuer.enqueue("mail", {"n": n}), range(200)))
        assert len({job.id for job in jobs}) == 200
        named = [each for each in held_up.redis.client_list() if each["name"] == "workkit"]
        assert 1 <= len(named) <= 3
    enqueuer.close()
    assert enqueuer.enqueue("mail") is not None
    enqueuer.close()


@pytest.mark.one_server
def test_tasks_open_no_more_connections_than_the_client_may_have(held_up: HeldUp) -> None:
    async def enqueue() -> None:
        enqueuer = AsyncEnqueuer("n", f"{held_up.url}?max_connections=3")
        hasty = [asyncio.create_task(enqueuer.enqueue("mail", {"n": n})) for n in range(200)]
        hasty[100].cancel()  # while it waits for a connection
        hasty[150].cancel()
        await asyncio.gather(*hasty, return_exceptions=True)
        named = [each for each in held_up.redis.client_list() if each["name"] == "workkit"]
        assert 1 <= len(named) <= 3
        await asyncio.gather(*(enqueuer.enqueue("mail") for _ in range(10)))
        await enqueuer.close()

    asyncio.run(enqueue())
    assert held_up.redis.llen("n:jobs:mail") == 208


@pytest.mark.one_server
def test_what_a_loop_that_is_gone_has_opened_is_closed_by_the_next_one(
    held_up: HeldUp, wait_until: WaitUntil
) -> None:
    enqueuer = AsyncEnqueuer("n", held_up.url)

    def named() -> int:
        return sum(each["name"] == "workkit" for each in held_up.redis.client_list())

    async def together() -> None:
        await asyncio.gather(*(enqueuer.enqueue("mail") for _ in range(5)))

    asyncio.run(together())
    assert 1 <= named() <= 4

    async def once() -> None:
        await enqueuer.enqueue("mail")
        await asyncio.to_thread(wait_until, lambda: named() == 1)
        await enqueuer.close()

    asyncio.run(once())


@pytest.mark.one_server
def test_a_closed_client_and_a_closed_enqueuer_do_not_matter(
    redis_url: str, namespace: str, scene: Scene
) -> None:
    client = redis.Redis.from_url(redis_url)
    enqueuer = Enqueuer(namespace, client)
    client.close()
    for _ in range(3):
        enqueuer.enqueue("mail")
        enqueuer.close()
        enqueuer.close()
    assert len(scene.queue("mail")) == 3


@pytest.mark.one_server
@pytest.mark.parametrize("kind", [Enqueuer, Client])
def test_what_is_no_place_of_a_server_is_refused_at_once(
    kind: Callable[[str, object], object], redis_url: str
) -> None:
    for nowhere in ("localhost", "", None, 6379, object()):
        with pytest.raises(InvalidOption):
            kind("n", nowhere)
