"""Retries, the dead set, and the delay between two tries."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest

from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S, Notes
from tests.engine.stage import EngineStage
from tests.support.handlers import fail
from tests.support.steps import StepPool
from workkit import Client, Enqueuer, Job
from workkit.errors import InvalidOption


def retry_until_gone(stage: EngineStage, pool: StepPool) -> list[int]:
    """Run a failing job as often as it is retried; return how long it waited each time."""
    waits = []
    pool.work()
    while stage.client.retry_jobs().total:
        (retry,) = stage.client.retry_jobs().jobs
        waits.append(retry.retry_at - retry.job.failed_at)
        assert retry.job.failed_at == stage.clock.now_s
        stage.clock.advance(retry.retry_at - stage.clock.now_s)
        pool.duty("requeuer")
        pool.work()
    return waits


def test_a_job_is_tried_four_times_by_default_and_then_dead(stage: EngineStage) -> None:
    worker = stage.pool()
    worker.job("work", fail)
    pool = stage.stepped(worker)
    job = stage.enqueuer.enqueue("work", {"n": 1})
    assert len(retry_until_gone(stage, pool)) == 3
    (dead,) = stage.client.dead_jobs().jobs
    assert (dead.job.id, dead.job.args, dead.job.fails) == (job.id, {"n": 1}, 4)
    assert dead.died_at == dead.job.failed_at == stage.clock.now_s
    assert dead.job.last_err.startswith("ValueError: no\n\nTraceback")
    assert stage.outcomes() == ["retry"] * 3 + ["dead"]


@pytest.mark.parametrize("max_fails", [1, 2, 7])
def test_max_fails_says_how_many_failures_are_the_end(stage: EngineStage, max_fails: int) -> None:
    worker = stage.pool()
    worker.job("work", fail, max_fails=max_fails)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue("work")
    assert len(retry_until_gone(stage, pool)) == max_fails - 1
    assert stage.client.dead_jobs().jobs[0].job.fails == max_fails


def test_skip_dead_drops_a_job_after_its_last_failure(stage: EngineStage) -> None:
    worker = stage.pool()
    worker.job("work", fail, max_fails=2, skip_dead=True)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue("work")
    retry_until_gone(stage, pool)
    assert stage.client.dead_jobs().total == 0
    assert stage.outcomes() == ["retry", "discarded"]
    assert (stage.in_progress("work"), stage.lock("work")) == (0, 0)


def test_a_retried_job_knows_how_it_failed_and_forgets_nothing_when_it_succeeds(
    stage: EngineStage,
) -> None:
    worker, seen = stage.pool(), []

    @worker.job
    def work(job: Job) -> None:
        seen.append((job.fails, job.last_err.partition("\n")[0], job.failed_at))
        if not job.fails:
            raise ValueError("first time")

    pool = stage.stepped(worker)
    stage.enqueuer.enqueue("work")
    failed_at = stage.clock.now_s
    retry_until_gone(stage, pool)
    assert seen == [(0, "", 0), (1, "ValueError: first time", failed_at)]
    assert stage.outcomes() == ["retry", "done"]


@pytest.mark.parametrize("kind", ["history", "no history"])
def test_an_error_that_is_no_utf8_or_very_long_is_stored_all_the_same(
    stage: EngineStage, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    caplog.set_level(logging.CRITICAL, "workkit")  # reports of tests cannot hold such texts either
    options = {} if kind == "history" else {"history": None}
    worker = stage.pool(concurrency=3, **options)
    # Names of files that are no UTF-8 reach messages as lone surrogates.
    messages = ["caf\udce9.txt", "x" * 1_000_000, "fine"]

    @worker.job(max_fails=1)
    def work(job: Job) -> None:
        raise ValueError(messages[job.arg_int("n")])

    pool = stage.stepped(worker)
    stage.enqueuer.enqueue_many([("work", {"n": n}) for n in range(3)])
    pool.work()
    texts = [dead.job.last_err for dead in stage.client.iter_dead_jobs()]
    assert len(texts) == 3
    assert all(text.startswith("ValueError: ") and len(text) <= 16_500 for text in texts)
    assert stage.in_progress("work") == 0


# The delay.


def test_the_default_delay_grows_with_the_fourth_power_of_the_failures(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=20)
    worker.job("work", fail, max_fails=6)
    pool = stage.stepped(worker)
    for _ in range(20):
        stage.enqueuer.enqueue("work")
        for fails, wait in enumerate(retry_until_gone(stage, pool), 1):
            assert fails**4 + 15 <= wait <= fails**4 + 15 + 29 * (fails + 1)


def test_the_default_delay_is_spread_over_its_whole_range(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=50)
    worker.job("work", fail)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue_many([("work", None)] * 400)
    pool.work()
    waits = {retry.retry_at - stage.clock.now_s for retry in stage.client.iter_retry_jobs()}
    assert waits == set(range(16, 75, 2))


@pytest.mark.parametrize(("value", "delay"), [(7, 7), (0, 0), (0.2, 1), (59.5, 60), (True, 1)])
def test_a_backoff_of_the_users_says_when_a_job_is_tried_again(
    stage: EngineStage, value: float, delay: int
) -> None:
    worker, asked = stage.pool(), []

    def backoff(job: Job) -> float:
        asked.append((job.fails, job.args))
        return value

    worker.job("work", fail, max_fails=3, backoff=backoff)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue("work", {"n": 5})
    assert retry_until_gone(stage, pool) == [delay, delay]
    assert asked == [(1, {"n": 5}), (2, {"n": 5})]


def test_a_backoff_of_centuries_is_cut_to_ten_years(stage: EngineStage) -> None:
    worker = stage.pool()
    worker.job("work", fail, backoff=lambda job: 1e300)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue("work")
    pool.work()
    (retry,) = stage.client.retry_jobs().jobs
    assert retry.retry_at - stage.clock.now_s == 10 * 365 * 86_400


BROKEN: dict[str, Any] = {
    "an error": ZeroDivisionError,
    "SystemExit": SystemExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "NaN": math.nan,
    "infinity": math.inf,
    "a negative number": -0.5,
    "a text": "soon",
    "nothing": None,
}


def broken_backoff(what: str) -> Any:
    value = BROKEN[what]

    def backoff(job: Job) -> Any:
        if isinstance(value, type):
            raise value
        return value

    return backoff


@pytest.mark.one_server
@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_backoff_costs_its_delay_and_not_the_job(
    stage: EngineStage, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    worker = stage.pool()
    worker.job("work", fail, backoff=broken_backoff(what))
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue("work")
    with caplog.at_level(logging.ERROR, "workkit"):
        pool.work()
    (retry,) = stage.client.retry_jobs().jobs
    assert 16 <= retry.retry_at - stage.clock.now_s <= 74
    assert "backoff of 'work'" in caplog.text


@pytest.mark.parametrize("what", ["an error", "SystemExit", "KeyboardInterrupt"])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_broken_backoff_ends_neither_a_worker_nor_the_loop(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, kind: str, what: str
) -> None:
    pool, ran = make_pool(concurrency=1), Notes()

    async def fail_async(job: Job) -> None:
        fail(job)

    async def run_async(job: Job) -> None:
        ran()

    pool.job("fail", fail if kind == "sync" else fail_async, backoff=broken_backoff(what))
    pool.job("run", ran if kind == "sync" else run_async)
    enqueuer.enqueue("fail")
    with pool:
        assert pool.drain(PATIENCE_S).complete
        enqueuer.enqueue("run")
        ran.wait_for(1)
    assert client.retry_jobs().total == 1


@pytest.mark.one_server
@pytest.mark.parametrize(
    "options",
    [
        {"priority": 0},
        {"priority": 100_001},
        {"max_fails": 0},
        {"max_concurrency": -1},
        {"backoff": 5},
        {"timeout": 0},
        {"timeout": math.nan},
        {"timeout": math.inf},
        {"retries": 3},
    ],
)
def test_an_option_out_of_its_range_is_refused_where_it_is_given(
    stage: EngineStage, options: dict[str, Any]
) -> None:
    worker = stage.pool()
    with pytest.raises(InvalidOption, match=next(iter(options))):
        worker.job("work", fail, **options)
    assert not worker.spec.registrations
