"""Pools tell where a handler is when somebody asks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis as SyncRedis

from tests.conftest import PrivateServer, WaitUntil
from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S, Gate
from workkit import Client, Enqueuer, Job, NoStack, Tasks, WorkerPool
from workkit.core.lifetimes import STACK_KEPT_S
from workkit.core.stacks import RunningStack, StackFrame, bounded, decode, encode
from workkit.engine.duties import heartbeat
from workkit.store.calls import beat
from workkit.store.keys import Keys

if TYPE_CHECKING:
    from redis import Redis

pytestmark = pytest.mark.one_server


@pytest.fixture(autouse=True)
def _frequent_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.1)


def where(client: Client, job_id: str, wait_until: WaitUntil) -> RunningStack:
    """Ask for the stack of a job once its worker is observed."""
    wait_until(lambda: any(each.job_id == job_id for each in client.worker_observations()))
    return client.actions.stack(job_id)


def calls(stack: RunningStack) -> list[tuple[str, str]]:
    return [(frame.function, frame.code) for frame in stack.frames]


def test_a_sync_handler_is_told_from_its_own_code_on(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, redis_client: Redis,
    namespace: str, wait_until: WaitUntil,
) -> None:  # fmt: skip
    gate, pool = Gate(), make_pool()

    @pool.job
    def work(job: Job) -> None:
        deeper("secret of the args", password="hunter2")  # noqa: S106 - it is hidden

    def deeper(text: str, *, password: str) -> None:
        gate.pass_through()

    pool.start()
    job = enqueuer.enqueue("work", {"token": "abc"})
    gate.arrived.wait_for(1)
    stack = where(client, job.id, wait_until)
    gate.open()
    assert calls(stack)[:2] == [
        ("work", 'deeper("secret of the args", password="•••")  # noqa: S106 - it is hidden'),
        ("deeper", "gate.pass_through()"),
    ]
    assert stack.frames[0].file == __file__
    assert (stack.job_id, stack.job_name, stack.kind) == (job.id, "work", "thread")
    assert stack.taken_ms >= stack.started_ms > 0
    assert stack.lines[0].startswith(f'  File "{__file__}", line ')
    key = Keys(namespace).stack(job.id)
    assert 0 < redis_client.ttl(key) <= STACK_KEPT_S
    assert not redis_client.hexists(Keys(namespace).pool(pool.pool_id), "asked")


def test_an_async_handler_is_told_to_what_it_awaits_in_the_end(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, wait_until: WaitUntil
) -> None:
    pool, going = make_pool(), threading.Event()

    @pool.job
    async def work(job: Job) -> None:
        await deeper()

    async def deeper() -> None:
        going.set()
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.sleep(PATIENCE_S)

    pool.start()
    job = enqueuer.enqueue("work")
    assert going.wait(PATIENCE_S)
    stack = where(client, job.id, wait_until)
    assert calls(stack)[:2] == [
        ("work", "await deeper()"),
        ("deeper", "await asyncio.sleep(PATIENCE_S)"),
    ]
    assert (stack.kind, stack.frames[-1].function) == ("task", "sleep")


def test_an_async_handler_that_blocks_its_loop_is_told_as_well(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, wait_until: WaitUntil
) -> None:
    gate, pool = Gate(), make_pool()

    @pool.job
    async def work(job: Job) -> None:
        gate.pass_through()

    pool.start()
    job = enqueuer.enqueue("work")
    gate.arrived.wait_for(1)
    stack = where(client, job.id, wait_until)
    gate.open()
    assert ("work", "gate.pass_through()") in calls(stack)
    assert stack.frames[-1].function == "wait"


def test_the_function_of_a_task_is_the_first(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, wait_until: WaitUntil
) -> None:
    gate, tasks = Gate(), Tasks()

    @tasks.task
    def work(n: int) -> None:
        gate.pass_through(n)

    make_pool(tasks=tasks).start()
    job = enqueuer.enqueue(work.call(1))
    gate.arrived.wait_for(1)
    assert where(client, job.id, wait_until).frames[0].function == "work"
    gate.open()


def test_a_job_that_nobody_runs_has_no_stack(make_pool: MakePool, client: Client) -> None:
    pool = make_pool()
    pool.job("work", lambda job: None)
    pool.start()
    with pytest.raises(NoStack, match="no worker runs job abc; one that has just started"):
        client.actions.stack("abc")
    with pytest.raises(NoStack, match="is not the id of a job"):
        client.actions.stack("a\nb")


def said_to_run(redis: Redis, keys: Keys, pool: WorkerPool | None, **fields: Any) -> None:
    """Let a worker be observed that runs the job x, of a pool or of one that is no more."""
    pool_id = pool.pool_id if pool is not None else "p"
    redis.sadd(keys.worker_pools, pool_id)
    beat: dict[str, Any] = {"worker_ids": "w", "host": "h", "pid": 7, **fields}
    for field, value in beat.items():
        redis.hset(keys.pool(pool_id), field, value)
    redis.hset(keys.worker("w"), mapping={"job_name": "work", "job_id": "x", "started_at": 5})


@pytest.mark.parametrize(("fields", "told"), [
    ({}, "job x runs in the Go pool h:7, which cannot tell its stack"),
    ({"workkit": "0.0.9"}, "pool h:7 is not registered any more"),
    ({"workkit": "0.0.9", "fence": 1},
     "pool h:7 (workkit 0.0.9) has not answered within 0.5 s: it hangs, or its version cannot "),
    ({"workkit": "0.0.9", "fence": 1, "asked": "\n".join("abcdefghijklmnop") + "\n"},
     "pool h:7 is asked for many stacks already; try again"),
])  # fmt: skip
def test_a_pool_that_does_not_answer_is_told(
    client: Client, redis_client: Redis, namespace: str, fields: dict[str, Any], told: str
) -> None:
    said_to_run(redis_client, Keys(namespace), None, **fields)
    with pytest.raises(NoStack) as refusal:
        client.actions.stack("x", within_s=0.5)
    assert told in str(refusal.value)


def test_a_job_that_has_ended_meanwhile_is_told(
    make_pool: MakePool, client: Client, redis_client: Redis, namespace: str
) -> None:
    pool = make_pool()
    pool.job("work", lambda job: None)
    pool.start()
    said_to_run(redis_client, Keys(namespace), pool)
    with pytest.raises(NoStack, match="job x has ended, or has not begun, in pool h:7"):
        client.actions.stack("x")


def test_an_answer_that_cannot_be_read_is_told(
    client: Client, redis_client: Redis, namespace: str, wait_until: WaitUntil
) -> None:
    keys = Keys(namespace)
    said_to_run(redis_client, keys, None, workkit="9.0.0", fence=1)
    told: list[str] = []

    def ask() -> None:
        try:
            client.actions.stack("x", within_s=PATIENCE_S)
        except NoStack as error:
            told.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(lambda: redis_client.hget(keys.pool("p"), "asked") == b"x\n")
    redis_client.set(keys.stack("x"), b'{"v": 2, "job_id": "x"}')
    thread.join(PATIENCE_S)
    assert told == ["the answer of pool h:7 has a form that is not known here"]


def test_a_stack_is_bounded_and_survives_its_encoding() -> None:
    frames = [StackFrame("f" * 1_000, n, "g", f"  code {n} \x1b[31m") for n in range(200)]
    told, left_out = bounded(frames)
    assert (len(told), left_out, told[15].line, told[-1].line) == (75, 125, 140, 199)
    assert all(len(each.file) <= 240 for each in told)
    stack = RunningStack("x", frames=told, left_out=left_out)
    assert decode(encode(stack)) == stack
    assert "  ... 125 frames are left out" in stack.lines
    for raw in (b"", b"[]", b"{}", b'{"job_id": 5}', b"\xff"):
        assert decode(raw) is None


def test_a_heartbeat_costs_the_server_nothing_more_while_nobody_asks(
    private_server: PrivateServer,
) -> None:
    server = private_server()
    redis, client, keys = SyncRedis.from_url(server.url), Client("n", server.url), Keys("n")
    redis.hset(keys.pool("p"), "fence", 0)
    client._links.carry(iter(beat.beat(keys, "p", {"heartbeat_at": 1}, {})))  # loads the script
    redis.config_resetstat()
    reply = client._links.carry(iter(beat.beat(keys, "p", {"heartbeat_at": 2}, {})))
    assert reply == beat.BeatReply(alive=True)
    stats: dict[str, dict[str, int]] = redis.info("commandstats")
    sent = {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()}
    own = ("config|resetstat", "info")
    assert {name: count for name, count in sent.items() if name not in own} == {
        "evalsha": 1, "hmget": 1, "hdel": 1, "hset": 1,
    }  # fmt: skip
    client.close()


@pytest.mark.parametrize("kind", ["thread", "task"])
def test_asking_disturbs_no_handler(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, kind: str, wait_until: WaitUntil
) -> None:
    pool = make_pool(concurrency=4)
    ends: Callable[[], bool] = threading.Event().is_set

    def busy(job: Job) -> None:
        sum(n * n for n in range(2_000))

    async def waits(job: Job) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    pool.job("work", busy if kind == "thread" else waits)
    pool.start()
    engine = pool._driver.engine  # type: ignore[union-attr]
    enqueuer.enqueue_many([("work", None)] * 1_000)
    while not pool.drain(0.01).complete and not ends():
        for execution in engine.ledger.held():
            engine.runner.stack(execution)
    assert pool.totals["done"] == 1_000
    assert set(pool.totals) <= {"done", "returned"}
