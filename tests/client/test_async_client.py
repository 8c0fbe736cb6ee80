"""An `AsyncClient` answers what a `Client` answers, and both are context managers."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from tests.conftest import WaitUntil
from tests.engine.signals import PATIENCE_S
from workkit import (
    AsyncClient,
    AsyncEnqueuer,
    Client,
    Enqueuer,
    InvalidName,
    Job,
    NotConfirmed,
    NotDeleted,
    NotRetried,
    Place,
    WorkerPool,
)
from workkit.admin.actions import Actions, AsyncActions, BulkProgress, Throttle


def methods(kind: type[Any]) -> dict[str, list[str]]:
    """Public names -> their parameters; properties have none."""
    return {
        name: list(inspect.signature(value).parameters) if callable(value) else []
        for name, value in inspect.getmembers(kind)
        if not name.startswith("_")
    }


@pytest.mark.parametrize(("sync", "awaited"), [(Client, AsyncClient), (Actions, AsyncActions)])
def test_both_have_the_same_methods_with_the_same_parameters(
    sync: type[Any], awaited: type[Any]
) -> None:
    assert methods(sync) == methods(awaited)


def boom(job: object) -> None:
    raise OSError("no route")


@pytest.fixture
def filled(redis_url: str, namespace: str) -> str:
    """A namespace with something in each place; returns the id of a dead job."""
    pool = WorkerPool(namespace, redis_url)
    pool.job("done", lambda job: None)
    pool.job("boom", boom, max_fails=1)
    pool.job("again", boom, backoff=lambda job: 1_000)
    pool.periodically_enqueue("@hourly", "hourly")
    with Enqueuer(namespace, redis_url) as enqueuer:
        enqueuer.enqueue_many([("done", {"n": n}) for n in range(30)])
        dead = [enqueuer.enqueue("boom", {"n": n}) for n in range(30)]
        enqueuer.enqueue("again")
        with pool:
            assert pool.drain(PATIENCE_S).complete
        enqueuer.enqueue_many([("mail", {"n": n}) for n in range(30)])
        enqueuer.enqueue_in("mail", 1_000)
    return dead[0].id


@pytest.mark.usefixtures("redis_client")
def test_both_read_the_same(filled: str, redis_url: str, namespace: str) -> None:
    dead, queue = Place("dead"), Place("queued", "mail")
    calls: list[Callable[[Any], Any]] = [
        lambda client: client.label,
        lambda client: client.live,
        lambda client: client.queues(),
        lambda client: client.worker_pool_heartbeats(),
        lambda client: client.worker_observations(),
        lambda client: client.cron(),
        lambda client: client.jobs(dead, 3, 10, reverse=True),
        lambda client: client.walk(dead, size=7),
        lambda client: client.walk(queue, reverse=True),
        lambda client: client.queued_jobs("mail", 2),
        lambda client: client.scheduled_jobs(),
        lambda client: client.retry_jobs(),
        lambda client: client.dead_jobs(2),
        lambda client: client.iter_queued_jobs("mail"),
        lambda client: client.iter_scheduled_jobs(),
        lambda client: client.iter_retry_jobs(),
        lambda client: client.iter_dead_jobs(),
        lambda client: client.find(filled),
        lambda client: client.history(name="boom", limit=7),
        lambda client: client.history(),
        lambda client: client.packed_history(),
        lambda client: client.recent_history(3),
        lambda client: client.job_history(filled),
        lambda client: client.history_extent(),
        lambda client: client.actions.pick(dead, [filled]),
        lambda client: client.actions.operations(),
    ]

    async def answer(found: Any) -> Any:
        if isinstance(found, AsyncIterator):
            return [each async for each in found]
        return await found if isinstance(found, Awaitable) else found

    def whole(found: Any) -> str:
        return repr(list(found) if isinstance(found, Iterator) else found)

    async def main(client: Client) -> None:
        async with AsyncClient(namespace, redis_url) as awaited:
            for call in calls:
                before = whole(call(client))  # the seconds of a latency may grow meanwhile
                told = repr(await answer(call(awaited)))
                assert told in {before, whole(call(client))}
            assert (await awaited.overview()).dead == client.overview().dead == 30
            assert (await awaited.watch().overview()).dead == 30
            placed = (await awaited.dead_jobs()).jobs[0]
            assert await awaited.circumstances(placed) == client.circumstances(placed)

    with Client(namespace, redis_url) as client:
        asyncio.run(main(client))


@pytest.mark.usefixtures("redis_client")
def test_an_async_client_acts_and_undoes(filled: str, redis_url: str, namespace: str) -> None:
    async def main() -> None:
        async with AsyncClient(namespace, redis_url) as client:
            await client.pause("mail")
            assert await client.unpause("mail")
            first, second = (await client.dead_jobs()).jobs[:2]
            await client.retry_dead_job(first.died_at, first.job.id)
            with pytest.raises(NotRetried):
                await client.retry_dead_job(first.died_at, first.job.id)
            await client.delete_dead_job(second.died_at, second.job.id)
            with pytest.raises(NotDeleted):
                await client.delete_dead_job(second.died_at, second.job.id)
            assert (await client.dead_jobs()).total == 28
            operations = await client.actions.operations()
            assert [each.verb for each in operations][:2] in (
                ["delete", "retry"],
                ["retry", "delete"],
            )
            for each in operations:
                assert (await client.actions.undo(each.operation_id)).back == 1
            assert (await client.dead_jobs()).total == 30

            (queued, *_) = (await client.queued_jobs("mail")).jobs
            await client.delete_queued_job("mail", queued.job.id)
            (scheduled,) = [
                each async for each in client.iter_scheduled_jobs() if each.job.name == "mail"
            ]
            await client.delete_scheduled_job(scheduled.run_at, scheduled.job.id)
            (retry,) = (await client.retry_jobs()).jobs
            await client.delete_retry_job(retry.retry_at, retry.job.id)

            progress: list[BulkProgress] = []
            plan = await client.actions.plan("retry", Place("dead"), report=progress.append)
            assert plan is not None
            assert plan.count == progress[-1].found == 30
            outcome = await client.actions.apply(plan)
            assert outcome.done == 30
            assert (await client.actions.undo(outcome.operation_id)).back == 30
            assert await client.delete_all_dead_jobs() == 30
            assert await client.retry_all_dead_jobs() == 0
            for each in await client.actions.operations():
                await client.actions.forget(each.operation_id)
            assert await client.actions.operations() == []

    asyncio.run(main())


@pytest.mark.one_server
def test_both_record_who_enqueues(redis_url: str, namespace: str) -> None:
    async def sent(enqueuer: AsyncEnqueuer, *, broken: bool = False) -> AsyncIterator[Job]:
        for number in range(3):
            yield await enqueuer.enqueue("mail", {"n": number})
        if broken:
            await enqueuer.enqueue("")

    async def main() -> None:
        async with (
            AsyncClient(namespace, redis_url) as client,
            AsyncEnqueuer(namespace, redis_url) as enqueuer,
        ):
            record = client.actions.record_enqueue
            jobs = [job async for job in record("mail", sent(enqueuer), planned=3, by="ann")]
            with pytest.raises(InvalidName):
                _ = [job async for job in record("mail", sent(enqueuer, broken=True))]
            failed, act = [act async for act in client.acts(limit=2)]
        assert (act.verb, act.done, act.planned) == ("enqueue", 3, 3)
        assert act.by.startswith("ann")
        assert list(act.ids) == [job.id for job in jobs]
        assert failed.note.startswith("failed: ")
        assert failed.done == 3

    asyncio.run(main())
    with Client(namespace, redis_url) as client, Enqueuer(namespace, redis_url) as enqueuer:
        made = (enqueuer.enqueue("mail") for _ in range(2))
        assert len(list(client.actions.record_enqueue("mail", made, planned=2))) == 2
        (act,) = client.acts(limit=1)
        assert (act.verb, act.done) == ("enqueue", 2)


def test_a_throttled_retry_pauses_without_blocking_the_loop_and_can_be_stopped(
    redis_url: str, namespace: str
) -> None:
    pool = WorkerPool(namespace, redis_url, history=None)
    pool.job("boom", boom, max_fails=1)
    with Enqueuer(namespace, redis_url) as enqueuer, pool:
        enqueuer.enqueue_many([("boom", {"n": n}) for n in range(30)])
        assert pool.drain(PATIENCE_S).complete

    async def main() -> None:
        async with AsyncClient(namespace, redis_url) as client:
            plan = await client.actions.plan("retry", Place("dead"))
            assert plan is not None
            waits, stop = asyncio.Event(), asyncio.Event()

            def report(progress: BulkProgress) -> None:
                if progress.note:
                    waits.set()

            applying = asyncio.create_task(
                client.actions.apply(plan, throttle=Throttle(), report=report, stop=stop)
            )
            await asyncio.wait_for(waits.wait(), PATIENCE_S)
            stop.set()
            outcome = await asyncio.wait_for(applying, PATIENCE_S)
            assert (outcome.done, outcome.left) == (1, 29)

    asyncio.run(main())


# The end.


@pytest.mark.one_server
def test_the_end_of_a_block_closes_the_connections_and_a_later_call_opens_one(
    redis_url: str, namespace: str, redis_client: Redis, wait_until: WaitUntil
) -> None:
    def named() -> int:
        return sum(each["name"] == "workkit" for each in redis_client.client_list())

    before = named()
    with Enqueuer(namespace, redis_url) as enqueuer, Client(namespace, redis_url) as client:
        durable = enqueuer.durably(1, timeout=0.1)
        enqueuer.enqueue("mail")
        assert client.queues()[0].count == 1
        assert named() > before
    wait_until(lambda: named() == before)
    with pytest.raises(NotConfirmed):
        durable.enqueue("mail")
    assert client.queues()[0].count == 2
    client.close()
    enqueuer.close()

    async def main() -> None:
        async with AsyncEnqueuer(namespace, redis_url) as enqueuer:
            await enqueuer.enqueue("mail")
        async with AsyncClient(namespace, redis_url) as client:
            assert [queue.count for queue in await client.queues()] == [3]
        await asyncio.to_thread(wait_until, lambda: named() == before)
        await enqueuer.enqueue("mail")
        assert [queue.count for queue in await client.queues()] == [4]
        await client.close()
        await enqueuer.close()

    asyncio.run(main())
    wait_until(lambda: named() == before)
