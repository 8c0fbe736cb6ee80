"""Special cases of asyncio: several loops, concurrent tasks, and cancelled tasks."""

from __future__ import annotations

import asyncio
import gc
import os
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis as AsyncRedis

from tests.conftest import PrivateServer
from tests.enqueuer.faces import HeldUp
from tests.parity.gopeer import Scene
from workkit import AsyncEnqueuer, Enqueuer, Job, ServerUnavailable

if TYPE_CHECKING:
    from redis import Redis

TASKS = 50


def connections(redis_client: Redis) -> int:
    """Count the open connections of enqueuers."""
    return sum(client["name"] == "workkit" for client in redis_client.client_list())


# Loops


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_enqueuer_works_on_one_loop_after_another(
    namespace: str, redis_url: str, scene: Scene
) -> None:
    enqueuer = AsyncEnqueuer(namespace, redis_url)
    jobs = [asyncio.run(enqueuer.enqueue("mail", {"n": n})) for n in range(3)]
    with asyncio.Runner() as runner:
        jobs += [runner.run(enqueuer.enqueue("mail", {"n": n})) for n in range(3, 6)]
        runner.run(enqueuer.close())
    assert scene.queue("mail")[::-1] == [job.raw for job in jobs]
    gc.collect()  # what loops have left behind is to warn here, not in another test


def test_an_enqueuer_that_is_closed_on_each_loop_leaves_nothing_open(
    namespace: str, redis_url: str, redis_client: Redis
) -> None:
    before = connections(redis_client)
    enqueuer = AsyncEnqueuer(namespace, redis_url)

    async def enqueue() -> Job:
        async with enqueuer:
            return await enqueuer.enqueue("mail")

    for _ in range(3):
        asyncio.run(enqueue())
    assert connections(redis_client) == before
    gc.collect()


@pytest.mark.one_server
def test_calls_on_one_loop_cause_no_warnings(namespace: str, redis_url: str) -> None:
    async def enqueue_twice() -> None:
        enqueuer = AsyncEnqueuer(namespace, redis_url)
        await enqueuer.enqueue("mail")
        await enqueuer.enqueue("mail")
        await enqueuer.close()

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        asyncio.run(enqueue_twice())
        gc.collect()
    assert seen == []


def test_calls_in_turn_share_one_connection(
    namespace: str, redis_url: str, redis_client: Redis
) -> None:
    before = connections(redis_client)

    async def enqueue_all() -> int:
        enqueuer = AsyncEnqueuer(namespace, redis_url)
        for _ in range(5):
            await enqueuer.enqueue("mail")
        opened = connections(redis_client) - before
        await enqueuer.close()
        return opened

    assert asyncio.run(enqueue_all()) == 1


# Tasks at once


def test_tasks_at_once_each_get_their_own_answer(
    namespace: str, redis_url: str, scene: Scene
) -> None:
    async def enqueue_all() -> list[Any]:
        enqueuer = AsyncEnqueuer(namespace, redis_url)
        calls: list[Any] = []
        for n in range(TASKS):
            calls += [enqueuer.enqueue("mail", {"n": n}), enqueuer.enqueue_unique("once")]
        answers = await asyncio.gather(*calls)
        await enqueuer.close()
        return answers

    answers = asyncio.run(enqueue_all())
    assert [job.args for job in answers[::2]] == [{"n": n} for n in range(TASKS)]
    assert set(scene.queue("mail")) == {job.raw for job in answers[::2]}
    assert len([job for job in answers[1::2] if job is not None]) == 1
    assert len(scene.queue("once")) == 1


@pytest.mark.parametrize("is_async", [False, True])
def test_a_client_of_either_kind_lends_its_address(
    namespace: str, redis_url: str, redis_client: Redis, scene: Scene, is_async: bool
) -> None:
    client = AsyncRedis.from_url(redis_url) if is_async else redis_client

    async def enqueue() -> Job:
        enqueuer = AsyncEnqueuer(namespace, client)
        try:
            return await enqueuer.enqueue("mail")
        finally:
            await enqueuer.close()

    assert scene.queue("mail") == []
    job = asyncio.run(enqueue())
    assert scene.queue("mail") == [job.raw]


def test_an_async_client_serves_the_threaded_enqueuer_too(
    namespace: str, redis_url: str, scene: Scene
) -> None:
    enqueuer = Enqueuer(namespace, AsyncRedis.from_url(redis_url, decode_responses=True))
    job = enqueuer.enqueue("mail")
    enqueuer.close()
    assert scene.queue("mail") == [job.raw]


# Cancellation, on servers that are held up


async def until_waiting(held_up: HeldUp, count: int) -> None:
    """Wait until this many commands have reached the server and wait there."""
    while held_up.waiting() != count:  # noqa: ASYNC110 - nothing signals it
        await asyncio.sleep(0)


async def cancelled(held_up: HeldUp, task: asyncio.Task[Any]) -> None:
    """Cancel a task whose command waits in the server."""
    await until_waiting(held_up, 1)
    # The server may have it before the task has returned from sending; Python 3.11's wait_for,
    # which redis-py sends through, does not notice a cancellation there.
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_cancelled_call_leaves_its_answer_to_nobody(held_up: HeldUp) -> None:
    async def scenario() -> tuple[Job | None, Job | None]:
        enqueuer = AsyncEnqueuer("n", held_up.url)
        assert await enqueuer.enqueue_unique("held") is not None
        held_up.hold()
        await cancelled(held_up, asyncio.create_task(enqueuer.enqueue_unique("held")))
        # This one is accepted; the answer of the cancelled one would have been a refusal.
        other = asyncio.create_task(enqueuer.enqueue_unique("fresh"))
        await until_waiting(held_up, 1)
        held_up.go_on()
        answers = await other, await enqueuer.enqueue_unique("fresh")
        await enqueuer.close()
        return answers

    first, second = asyncio.run(scenario())
    assert first is not None
    assert second is None


def test_a_call_that_times_out_disturbs_no_other_that_is_under_way(held_up: HeldUp) -> None:
    async def scenario() -> list[Job]:
        enqueuer = AsyncEnqueuer("n", held_up.url)
        await enqueuer.enqueue("mail")
        held_up.hold()
        others = [asyncio.create_task(enqueuer.enqueue("mail", {"n": n})) for n in range(3)]
        await until_waiting(held_up, 1)  # they share a connection
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await enqueuer.enqueue("late")
        held_up.go_on()
        jobs = await asyncio.gather(*others)
        await enqueuer.close()
        return jobs

    jobs = asyncio.run(scenario())
    assert [job.args for job in jobs] == [{"n": n} for n in range(3)]
    raws: Any = held_up.redis.lrange("n:jobs:mail", 0, -1)
    assert {job.raw for job in jobs} < set(raws)
    assert len(raws) == 4


def test_a_server_that_restarts_is_found_again(private_server: PrivateServer) -> None:
    server = private_server()

    async def scenario() -> None:
        enqueuer = AsyncEnqueuer("n", server.url)
        await enqueuer.enqueue("mail")
        await asyncio.to_thread(server.restart)
        await enqueuer.enqueue("mail")
        await asyncio.to_thread(server.stop)
        with pytest.raises(ServerUnavailable, match="no answer from Redis at unix://"):
            await enqueuer.enqueue("mail")
        await asyncio.to_thread(server.start)
        await enqueuer.enqueue("mail")
        await enqueuer.close()

    asyncio.run(scenario())


@pytest.mark.one_server
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_leaves_the_connection_of_its_parent_s_loop_alone(held_up: HeldUp) -> None:
    enqueuer = AsyncEnqueuer("n", held_up.url)
    with asyncio.Runner() as runner:
        runner.run(enqueuer.enqueue("mail"))
        before = connections(held_up.redis)
        child = os.fork()
        if child == 0:
            try:
                with asyncio.Runner() as other:
                    other.run(enqueuer.enqueue("mail"))
                    other.run(enqueuer.close())
            except BaseException:  # noqa: BLE001 - the parent is told by the status
                os._exit(1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        runner.run(enqueuer.enqueue("mail"))
        assert connections(held_up.redis) == before
        runner.run(enqueuer.close())
    assert held_up.redis.llen("n:jobs:mail") == 3
