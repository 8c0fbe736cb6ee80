"""Hooks for failures, deaths, recoveries, start and stop; and the log."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S, Gate, Notes, await_event
from tests.engine.stage import EngineStage
from tests.support.handlers import nothing
from workkit import Client, Enqueuer, Job, ReapedPool, Tasks, WorkerPool
from workkit.errors import InvalidHandler, InvalidOption, PoolState


def fail(job: Job) -> None:
    raise LookupError("no such page")


@pytest.fixture
def records() -> Iterator[Notes]:
    """What the engine logs, from every thread."""
    notes = Notes()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            notes(record)

    handler, logger = Handler(), logging.getLogger("workkit")
    logger.addHandler(handler)
    yield notes
    logger.removeHandler(handler)


def let_hooks_run(pool: WorkerPool) -> None:
    """Wait until the hooks that are due have run, as a stop does."""
    pool.spec.events.close(PATIENCE_S)


# Failures and deaths.


def test_every_failure_is_told_and_the_last_is_told_as_a_death_too(stage: EngineStage) -> None:
    worker, told = stage.pool(), Notes()
    worker.job("work", fail, max_fails=2)
    worker.on("failed", lambda job, error: told(("failed", job.fails, repr(error))))
    worker.on("dead", lambda job, error: told(("dead", job.id, repr(error))))
    pool = stage.stepped(worker)
    job = stage.enqueuer.enqueue("work")
    for _ in range(2):
        pool.work()
        stage.clock.advance(100)
        pool.duty("requeuer")
    error = "LookupError('no such page')"
    assert told.wait_for(3) == [("failed", 1, error), ("failed", 2, error), ("dead", job.id, error)]


def test_success_is_told_nobody_and_a_discarded_job_as_failed_only(stage: EngineStage) -> None:
    worker, told = stage.pool(), Notes()
    worker.job("fine", nothing)
    worker.job("unwanted", fail, max_fails=1, skip_dead=True)
    worker.on("failed", lambda job, error: told(("failed", job.name)))
    worker.on("dead", lambda job, error: told(("dead", job.name)))
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue_many([("fine", None), ("unwanted", None)])
    pool.work()
    let_hooks_run(worker)
    assert told.items == [("failed", "unwanted")]


def test_a_job_that_is_no_job_is_told_as_dead_with_its_reason(stage: EngineStage) -> None:
    worker, told = stage.pool(), Notes()
    worker.job("work", nothing)
    worker.on("dead", lambda job, error: told((job.name, str(error))))
    pool = stage.stepped(worker)
    stage.redis.lpush(stage.key("jobs:work"), b"junk", b'{"name":"other","id":"x","t":1}')
    pool.work()
    (name, junk), (other, stray) = told.wait_for(2)
    assert (name, junk.partition(":")[0]) == ("work", "undecodable payload")
    assert (other, stray.partition(":")[0]) == ("other", "stray job")


def test_a_hook_gets_a_job_that_cannot_run_as_it_is_written(stage: EngineStage) -> None:
    worker, told = stage.pool(), Notes()
    worker.job("work", nothing)
    for event in ("failed", "dead"):
        worker.on(event, lambda job, error: told((job.fails, job.last_err, job.failed_at)))
    pool = stage.stepped(worker)
    stage.redis.lpush(stage.key("jobs:work"), b"junk", b'{"name":"other","id":"x","t":1}')
    pool.work()
    written = [
        (dead.job.fails, dead.job.last_err, dead.job.failed_at)
        for dead in stage.client.dead_jobs().jobs
        for _ in ("failed", "dead")
    ]
    assert sorted(told.wait_for(4)) == sorted(written)


def test_hooks_are_called_in_the_order_of_what_happened_and_of_their_registration(
    stage: EngineStage,
) -> None:
    worker, told = stage.pool(concurrency=10), Notes()
    worker.job("work", fail, max_fails=1)
    worker.on("failed", lambda job, error: told(("first", job.arg_int("n"))))

    async def second(job: Job, error: BaseException) -> None:
        await asyncio.sleep(0)
        told(("second", job.arg_int("n")))

    worker.on("failed", second)
    worker.on("dead", lambda job, error: told(("dead", job.arg_int("n"))))
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue_many([("work", {"n": n}) for n in range(50)])
    pool.work()
    wanted = [(what, n) for n in range(50) for what in ("first", "second", "dead")]
    assert told.wait_for(150) == wanted


def test_a_hook_that_raises_is_logged_and_harms_nobody(stage: EngineStage, records: Notes) -> None:
    worker, told = stage.pool(), Notes()
    worker.job("work", fail, max_fails=1)

    def broken(job: Job, error: BaseException) -> None:
        raise RuntimeError("pager is down")

    async def broken_async(job: Job, error: BaseException) -> None:
        raise RuntimeError("mail is down")

    worker.on("failed", broken)
    worker.on("failed", broken_async)
    worker.on("failed", lambda job, error: told(job.id))
    pool = stage.stepped(worker)
    jobs = stage.enqueuer.enqueue_many([("work", None)] * 2)
    pool.work()
    assert told.wait_for(2) == [job.id for job in jobs]
    assert stage.outcomes() == ["dead", "dead"]
    failures = [str(r.exc_info[1]) for r in records.items if "hook" in r.getMessage()]
    assert failures == ["pager is down", "mail is down"] * 2


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt])
def test_a_hook_that_wants_to_end_the_process_keeps_nothing_from_the_others(
    stage: EngineStage, exception: type[BaseException]
) -> None:
    worker, told = stage.pool(), Notes()
    worker.job("work", fail, max_fails=1)

    def leave(job: Job, error: BaseException) -> None:
        raise exception

    worker.on("failed", leave)
    worker.on("failed", lambda job, error: told(job.id))
    pool = stage.stepped(worker)
    jobs = stage.enqueuer.enqueue_many([("work", None)] * 3)
    pool.work()
    assert told.wait_for(3) == [job.id for job in jobs]


def test_a_slow_hook_holds_up_no_handler_and_counts_to_no_run_time(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool, gate, ran = make_pool(concurrency=1), Gate(), Notes()
    pool.job("fail", fail)
    pool.job("work", ran)
    pool.on("failed", lambda job, error: gate.pass_through())
    enqueuer.enqueue("fail")
    with pool:
        gate.arrived.wait_for(1)
        enqueuer.enqueue_many([("work", None)] * 100)
        ran.wait_for(100)
        assert pool.drain(PATIENCE_S).complete
        (failed,) = client.history(outcome="retry")
        assert failed.finished_ms > 0
        gate.open()


def test_a_hook_is_called_after_redis_has_confirmed(stage: EngineStage) -> None:
    worker, told = stage.pool(), Notes()
    worker.job("work", fail, max_fails=1)
    worker.on("dead", lambda job, error: told(stage.client.dead_jobs().total))
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue("work")
    pool.turn()
    pool.runner.run()
    pool.link.drop()
    with pytest.raises(Exception, match="dropped by the test"):
        pool.turn()
    let_hooks_run(worker)
    assert told.items == []
    pool.work()
    assert told.wait_for(1) == [1]


def test_a_failure_whose_confirmation_was_lost_is_told_once(stage: EngineStage) -> None:
    worker, told = stage.pool(), Notes()
    worker.job("work", fail, max_fails=1)
    worker.on("dead", lambda job, error: told(job.id))
    pool = stage.stepped(worker)
    job = stage.enqueuer.enqueue("work")
    pool.turn()
    pool.runner.run()
    pool.link.lose_reply()
    with pytest.raises(Exception, match="lost by the test"):
        pool.turn()
    pool.work()
    assert told.wait_for(1) == [job.id]
    let_hooks_run(worker)
    assert told.items == [job.id]
    assert stage.client.dead_jobs().total == 1


def test_a_recovered_pool_is_told(stage: EngineStage) -> None:
    dying = stage.pool(concurrency=2)
    dying.job("work", nothing)
    worker, told = stage.pool(), Notes()
    worker.job("work", nothing)
    worker.on("reaped", told)
    dead, pool = stage.stepped(dying), stage.stepped(worker)
    stage.enqueuer.enqueue_many([("work", None)] * 2)
    dead.turn()
    pool.watch(14)
    assert told.wait_for(1) == [ReapedPool(dead.id, requeued=2, died=0)]


@pytest.mark.one_server
def test_what_is_no_event_or_no_function_is_refused(make_pool: MakePool) -> None:
    pool = make_pool()
    with pytest.raises(InvalidOption, match="failed, dead, reaped"):
        pool.on("done", nothing)  # type: ignore[call-overload]
    with pytest.raises(InvalidHandler, match="function"):
        pool.on("dead", "log it")  # type: ignore[call-overload]


# Start and stop.


def test_start_hooks_run_before_the_first_job_and_stop_hooks_after_the_last(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool, told = make_pool(concurrency=1), Notes()

    @pool.on_start
    def connect() -> None:
        told("start")

    @pool.on_start
    async def connect_async() -> None:
        told("async start")

    @pool.on_stop
    def disconnect() -> None:
        told("stop")

    @pool.on_stop
    async def disconnect_async() -> None:
        told("async stop")

    pool.job("work", lambda job: told("job"))
    enqueuer.enqueue_many([("work", None)] * 2)
    with pool:
        told.wait_for(4)
    pool.stop()
    assert told.items == ["start", "async start", "job", "job", "stop", "async stop"]


def test_a_start_hook_that_raises_keeps_the_pool_from_starting(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool, ran, ready = make_pool(), Notes(), threading.Event()
    pool.job("work", ran)

    @pool.on_start
    async def connect() -> None:
        if not ready.is_set():
            raise ConnectionError("no database")

    enqueuer.enqueue("work")
    with pytest.raises(ConnectionError, match="no database"):
        pool.start()
    assert not pool.running
    assert client.worker_pool_heartbeats() == []
    assert client.queued_jobs("work").total == 1
    ready.set()
    pool.start()
    ran.wait_for(1)


def test_a_stop_hook_that_raises_is_logged_and_keeps_nothing_from_the_others(
    make_pool: MakePool, records: Notes
) -> None:
    pool, told = make_pool(), Notes()
    pool.job("work", nothing)

    @pool.on_stop
    def broken() -> None:
        raise RuntimeError("cannot say goodbye")

    pool.on_stop(lambda: told("second"))
    pool.start()
    pool.stop()
    assert told.items == ["second"]
    assert [str(r.exc_info[1]) for r in records.items if r.exc_info] == ["cannot say goodbye"]


def test_hooks_that_are_due_run_before_a_pool_has_stopped(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool, told, failed = make_pool(concurrency=1), Notes(), threading.Event()

    @pool.job
    def work(job: Job) -> None:
        failed.set()
        raise ValueError

    pool.on("failed", lambda job, error: told("failed"))
    pool.on_stop(lambda: told("stopped"))
    enqueuer.enqueue("work")
    with pool:
        await_event(failed, "the job")
    assert told.items == ["failed", "stopped"]


@pytest.mark.one_server
def test_start_hooks_are_registered_before_the_start(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.job("work", nothing)
    pool.start()
    with pytest.raises(PoolState, match="has been started"):
        pool.on_start(lambda: None)
    pool.on("dead", lambda job, error: None)  # hooks may come later


# The log.


def test_a_failure_is_logged_with_its_traceback_and_the_facts(
    make_pool: MakePool, enqueuer: Enqueuer, records: Notes
) -> None:
    pool = make_pool()
    pool.job("work", fail)
    job = enqueuer.enqueue("work")
    with pool:
        (record,) = records.wait_for(1)
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        f"job 'work' {job.id} failed (1 of 4), will be retried: LookupError: no such page"
    )
    facts = {name: getattr(record, name) for name in ("job_name", "job_id", "fails", "outcome")}
    assert facts == {"job_name": "work", "job_id": job.id, "fails": 1, "outcome": "retry"}
    kind, error, traceback = record.exc_info
    assert (kind, str(error)) == (LookupError, "no such page")
    assert traceback.tb_frame.f_code.co_name == "fail"  # the engine's own frames are left out


def test_args_that_do_not_fit_a_task_are_logged_without_our_own_frames(
    make_pool: MakePool, enqueuer: Enqueuer, records: Notes
) -> None:
    tasks = Tasks()

    @tasks.task
    def inner(number: int) -> None: ...

    @tasks.task
    def outer() -> None:
        inner.call("seven")  # type: ignore[arg-type]

    enqueuer.enqueue_many([("inner", {"number": "seven"}), ("outer", None)])
    with make_pool(tasks=tasks):
        told = {record.job_name: record.exc_info for record in records.wait_for(2)}
    assert told["inner"] is None, "its message says it all"
    assert told["outer"][2].tb_frame.f_code.co_name == "outer"


def test_what_becomes_of_a_job_is_in_the_log(stage: EngineStage, records: Notes) -> None:
    worker = stage.pool()
    worker.job("dies", fail, max_fails=1)
    worker.job("unwanted", fail, max_fails=1, skip_dead=True)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue_many([("dies", None), ("unwanted", None)])
    pool.work()
    said = {record.job_name: record.getMessage().partition("), ")[2] for record in records.items}
    assert said == {
        "dies": "is dead: LookupError: no such page",
        "unwanted": "was discarded: LookupError: no such page",
    }


def test_success_is_not_logged(make_pool: MakePool, enqueuer: Enqueuer, records: Notes) -> None:
    pool, ran = make_pool(), Notes()
    pool.job("work", ran)
    with pool:
        enqueuer.enqueue_many([("work", None)] * 10)
        ran.wait_for(10)
    messages: list[Any] = [record.getMessage() for record in records.items]
    assert messages == []


# The loop of async hooks.


@pytest.mark.one_server
def test_async_hooks_run_on_the_loop_of_the_handlers_which_opens_first_and_closes_last(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool, told = make_pool(concurrency=2), Notes()
    queue: list[asyncio.Queue[str]] = []

    async def here(what: str) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)
        told((what, id(loop), loop.is_running()))

    @pool.on_start
    async def connect() -> None:
        queue.append(asyncio.Queue())
        await here("start")

    @pool.job(max_fails=1)
    async def work(job: Job) -> None:
        await queue[0].put("from the handler")
        await here("handler")
        raise LookupError

    @pool.job(max_fails=1)
    def work_on_thread(job: Job) -> Any:
        return here("thread")

    @pool.on_stop
    async def disconnect() -> None:
        assert await queue[0].get() == "from the handler"
        await here("stop")

    pool.on("dead", lambda job, error: here("dead"))
    enqueuer.enqueue_many([("work", None), ("work_on_thread", None)])
    with pool:
        pool.drain(PATIENCE_S)
    whats, loops, running = zip(*told.items, strict=True)
    assert sorted(whats) == ["dead", "handler", "start", "stop", "thread"]
    assert (whats[0], whats[-1]) == ("start", "stop")
    assert len(set(loops)) == 1
    assert set(running) == {True}


@pytest.mark.one_server
def test_a_pool_whose_hooks_and_handlers_are_sync_has_no_loop(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.job("work", nothing)
    pool.on_start(lambda: None)
    with pool:
        assert "workkit-loop" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.one_server
def test_after_a_failed_start_there_is_another_loop_and_no_thread_is_left(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool, ran, ready, loops = make_pool(), Notes(), threading.Event(), []

    @pool.on_start
    async def connect() -> None:
        loops.append(asyncio.get_running_loop())
        if not ready.is_set():
            raise SystemExit("no database")

    @pool.job
    async def work(job: Job) -> None:
        ran(asyncio.get_running_loop() is loops[-1])

    with pytest.raises(SystemExit, match="no database"):
        pool.start()
    assert "workkit-loop" not in {thread.name for thread in threading.enumerate()}
    assert loops[0].is_closed()
    ready.set()
    enqueuer.enqueue("work")
    with pool:
        assert ran.wait_for(1) == [True]
    assert loops[1].is_closed()


@pytest.mark.one_server
def test_an_async_stop_hook_is_given_up_where_a_handler_blocks_the_loop(
    make_pool: MakePool, enqueuer: Enqueuer, records: Notes
) -> None:
    pool, gate, told = make_pool(concurrency=1), Gate(), Notes()

    @pool.job
    async def block(job: Job) -> None:
        gate.pass_through()

    @pool.on_stop
    async def never() -> None:
        told("never")

    pool.on_stop(lambda: told("sync"))
    enqueuer.enqueue("block")
    pool.start()
    gate.arrived.wait_for(1)
    pool.stop(0)
    gate.open()
    assert told.items == ["sync"]
    errors = [str(r.exc_info[1]) for r in records.items if r.exc_info]
    assert errors == ["a handler blocks the event loop, so the hook cannot be awaited there"]


@pytest.mark.one_server
def test_tasks_that_hooks_have_started_end_with_the_loop(make_pool: MakePool) -> None:
    pool, told, tasks = make_pool(), Notes(), []

    async def look_after() -> None:
        try:
            await asyncio.sleep(PATIENCE_S)
        finally:
            told("ended")

    @pool.on_start
    async def begin() -> None:
        tasks.append(asyncio.get_running_loop().create_task(look_after()))
        await asyncio.sleep(0)

    pool.job("work", nothing)
    with pool:
        pass
    assert told.items == ["ended"]
