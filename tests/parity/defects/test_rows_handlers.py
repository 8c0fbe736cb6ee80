"""Rows 11, 12, 17, 18 and 20 of the users' reports: what happens around a handler."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.parity.defects.stage import PATIENCE_S, ParityStage, await_event
from tests.parity.gopeer import GoJob, GoJobRecord
from tests.support.handlers import nothing
from workkit import Job, ReapedPool
from workkit.engine.dispatch.dispatcher import Dispatcher
from workkit.engine.duties import reaper as reaper_module
from workkit.engine.process.waker import Waker

if TYPE_CHECKING:
    from redis import Redis

#: Integers that a float64 rounds, or that 14 digits cannot hold.
EXACT = [2**53 + 1, 2**63 - 1, -(2**63), 1_700_000_000_123_456, 10**30]


@pytest.fixture
def stage(redis_url: str, redis_client: Redis, namespace: str) -> Iterator[ParityStage]:
    with ParityStage(redis_client, redis_url, namespace) as stage:
        yield stage


# Row 11: stopping


@pytest.fixture
def asked_to_stop(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Have a signal for the moment in which a pool learns that it is to stop."""
    asked = threading.Event()
    stop_claiming = Dispatcher.stop_claiming

    def tell(dispatcher: Dispatcher) -> None:
        stop_claiming(dispatcher)
        asked.set()

    monkeypatch.setattr(Dispatcher, "stop_claiming", tell)
    return asked


def test_row_11_a_pool_that_is_told_to_stop_starts_no_further_job(
    stage: ParityStage, asked_to_stop: threading.Event
) -> None:
    started: list[str] = []
    two_run, go_on = threading.Barrier(3), threading.Event()

    def handler(job: Job) -> None:
        started.append(job.id)
        two_run.wait(PATIENCE_S)
        await_event(go_on, "the stop")

    pool = stage.worker_pool(concurrency=2)
    pool.job("a", handler)
    ids = [job.id for job in stage.live_enqueuer().enqueue_many([("a", None)] * 50)]
    pool.start()
    two_run.wait(PATIENCE_S)
    stopping = threading.Thread(target=pool.stop)
    stopping.start()
    await_event(asked_to_stop, "the pool to be told")
    go_on.set()
    stopping.join(PATIENCE_S)

    assert not pool.running
    assert sorted(started) == sorted(ids[:2])
    assert stage.ids("a") == ids[2:]
    assert (stage.held("a"), stage.lock("a"), stage.registered()) == ([], 0, set())


def test_row_11_jobs_that_were_taken_in_advance_do_not_start_after_the_stop(
    stage: ParityStage,
) -> None:
    pool = stage.pool({"a": nothing}, concurrency=2)
    stage.enqueuer.enqueue_many([("a", None)] * 4_000)
    while len(pool.runner.waiting) <= 2:
        pool.turn()
        for _ in range(min(2, len(pool.runner.waiting))):
            pool.runner.run()
        stage.advance(0.0002)
    running = [pool.runner.begin() for _ in range(2)]

    pool.engine.dispatcher.stop_claiming()
    pool.turn()
    pool.turn()

    assert list(pool.runner.waiting) == []
    for execution in running:
        pool.runner.end(execution)
    pool.turn()
    assert stage.held("a") == []


def test_row_11_a_pool_that_is_told_to_stop_just_before_it_rests_does_not_rest(
    stage: ParityStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = threading.Event()
    rests_s: list[float] = []
    arm, wait = Waker.arm, Waker.wait
    pool = stage.worker_pool()
    pool.job("a", nothing)

    def is_dispatcher() -> bool:
        return threading.current_thread().name == "workkit-dispatcher"

    def stop_then_arm(waker: Waker) -> None:
        driver: Any = pool._driver
        if is_dispatcher() and driver.engine.ledger.totals["done"] and not told.is_set():
            driver._serving.request_stop(None)
            told.set()
        arm(waker)

    def note(waker: Waker, timeout_s: float) -> None:
        if is_dispatcher() and told.is_set():
            rests_s.append(timeout_s)
        else:
            wait(waker, timeout_s)

    monkeypatch.setattr(Waker, "arm", stop_then_arm)
    monkeypatch.setattr(Waker, "wait", note)
    stage.live_enqueuer().enqueue("a")
    pool.start()
    await_event(told, "the pool to settle the job")
    pool.stop()

    assert max(rests_s, default=0.0) < 1


# Row 12: integers


def test_row_12_every_integer_arrives_as_it_was_sent_also_after_a_retry(stage: ParityStage) -> None:
    go_saw: list[Any] = []
    go = stage.elsewhere().peer(a=GoJob(handler=lambda job: go_saw.append(job.args)))
    go.enqueue("a", {"n": EXACT[:4]})
    go.run_all()
    assert [int(n) for n in go_saw[0]["n"]] != EXACT[:4]
    saw: list[list[int]] = []
    scheduled_ran, retried = threading.Event(), threading.Event()

    def handler(job: Job) -> None:
        saw.append([job.arg_int(str(at)) for at in range(len(EXACT))])
        assert job.arg_error is None
        assert (job.args or {})["all"] == EXACT
        if job.fails:
            retried.set()
        elif job.arg_bool("later"):
            scheduled_ran.set()
        else:
            raise RuntimeError("try again")

    args = {str(at): n for at, n in enumerate(EXACT)} | {"all": EXACT}
    pool = stage.worker_pool()
    pool.job("a", handler, backoff=lambda _job: 0)
    enqueuer = stage.live_enqueuer()
    with pool:
        enqueuer.enqueue("a", args)
        await_event(retried, "the second try")
        enqueuer.enqueue_in("a", 0, args | {"later": True})
        await_event(scheduled_ran, "the scheduled job")
        assert pool.drain(PATIENCE_S).complete
    assert saw == [EXACT] * 3


# Row 17: errors without a trace


@contextmanager
def records_of_workkit() -> Iterator[Callable[[], list[logging.LogRecord]]]:
    """Collect workkit's log records of all threads."""
    records: list[logging.LogRecord] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    logger, collector = logging.getLogger("workkit"), Collector()
    logger.addHandler(collector)
    try:
        yield lambda: list(records)
    finally:
        logger.removeHandler(collector)


def inner_function(kind: type[BaseException]) -> None:
    raise kind("the reason")


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt, RecursionError])
def test_row_17_a_failure_says_where_it_happened_in_the_log_and_in_redis(
    stage: ParityStage, kind: type[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failed = threading.Event()
    pool = stage.worker_pool()
    pool.job("a", lambda _job: inner_function(kind), max_fails=1)
    pool.on("failed", lambda _job, _error: failed.set())
    with records_of_workkit() as records, pool:
        stage.live_enqueuer().enqueue("a")
        await_event(failed, "the failure")

    (record,) = [record for record in records() if record.exc_info]
    assert record.exc_info is not None
    assert record.exc_info[0] is kind
    assert record.exc_info[2] is not None
    (dead,) = stage.client.dead_jobs().jobs
    assert dead.job.last_err.startswith(f"{kind.__name__}: the reason\n")
    assert "in inner_function" in dead.job.last_err
    assert capsys.readouterr() == ("", "")


def test_row_17_the_original_stores_the_message_alone(stage: ParityStage) -> None:
    def handler(_job: GoJobRecord) -> None:
        inner_function(ValueError)

    go = stage.go(a=GoJob(max_fails=1, handler=handler))
    go.enqueue("a")
    go.run_all()
    assert [job["err"] for job in stage.jobs("dead")] == ["the reason"]


# Row 18: nobody hears of a death


def test_row_18_hooks_hear_of_every_failure_and_of_the_death(stage: ParityStage) -> None:
    heard: list[tuple[str, str, int, str]] = []
    died = threading.Event()

    async def on_dead(job: Job, error: BaseException) -> None:
        heard.append(("dead", job.id, job.fails, str(error)))
        died.set()

    def broken(job: Job, error: BaseException) -> None:
        raise RuntimeError("a hook's own failure")

    pool = stage.worker_pool()
    pool.job("a", lambda _job: inner_function(ValueError), max_fails=2, backoff=lambda _job: 0)
    pool.on("failed", broken)
    pool.on("failed", lambda job, error: heard.append(("failed", job.id, job.fails, str(error))))
    pool.on("dead", on_dead)
    with pool:
        job_id = stage.live_enqueuer().enqueue("a").id
        await_event(died, "the death")

    assert heard == [
        ("failed", job_id, 1, "the reason"),
        ("failed", job_id, 2, "the reason"),
        ("dead", job_id, 2, "the reason"),
    ]


def test_row_18_hooks_hear_of_a_pool_that_died(
    stage: ParityStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaper_module, "_EVERY_S", 0.02)
    monkeypatch.setattr(reaper_module, "DEAD_S", 0.1)
    gone = stage.go("gone", a=GoJob())
    gone.enqueue("a")
    assert gone.fetch() is not None
    gone.crash()
    heard: list[ReapedPool] = []
    reaped = threading.Event()
    pool = stage.worker_pool()
    pool.job("b", nothing)
    pool.on("reaped", heard.append)
    pool.on("reaped", lambda _pool: reaped.set())
    with pool:
        await_event(reaped, "the reaper")
    assert heard == [ReapedPool("gone", requeued=1, died=0)]


# Row 20: the database handle is always nil


class Database:
    """Something that has to be opened."""

    def __init__(self) -> None:
        self.is_open = False
        self.rows: list[str] = []


@dataclass
class Context:
    """The context that handlers share with middleware, new for each job."""

    db: Database
    notes: list[str] = field(default_factory=list)


def test_row_20_handlers_get_what_was_opened_before_the_first_job(stage: ParityStage) -> None:
    database, both = Database(), threading.Barrier(3)
    contexts: list[Context] = []
    pool = stage.worker_pool(concurrency=2, context=lambda: Context(database))

    @pool.on_start
    async def open_database() -> None:
        database.is_open = True

    @pool.on_stop
    def close_database() -> None:
        database.is_open = False

    @pool.middleware
    def remember(ctx: Context, job: Job, proceed: Callable[[], None]) -> None:
        ctx.notes.append(job.arg_str("row"))
        contexts.append(ctx)
        proceed()

    @pool.job("save")
    def save(ctx: Context, job: Job) -> None:
        assert ctx.db.is_open
        assert ctx.notes == [job.arg_str("row")]
        ctx.db.rows += ctx.notes
        both.wait(PATIENCE_S)

    stage.live_enqueuer().enqueue_many([("save", {"row": row}) for row in ("one", "two")])
    with pool:
        both.wait(PATIENCE_S)

    assert sorted(database.rows) == ["one", "two"]
    assert contexts[0] is not contexts[1]
    assert not database.is_open
    assert stage.client.dead_jobs().total == stage.client.retry_jobs().total == 0
