"""A missing arg that a handler reads fails the job, unless the handler reads the error."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S
from tests.engine.stage import EngineStage
from workkit import Client, Enqueuer, Job

ARGS: Final = {"adress": "a@example.com"}


def greet(job: Job) -> None:
    job.arg_str("address")


async def greet_async(job: Job) -> None:
    job.arg_str("address")
    await asyncio.sleep(0)


@pytest.mark.one_server
@pytest.mark.parametrize("kind", ["sync", "async", "behind middleware"])
def test_a_job_fails_whose_handler_has_left_an_arg_error_unread(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, kind: str
) -> None:
    pool = make_pool(concurrency=1)
    if kind == "behind middleware":
        pool.middleware(lambda job, next: next())  # noqa: A006
    pool.job("greet", greet_async if kind == "async" else greet, max_fails=1)
    enqueuer.enqueue("greet", ARGS)
    with pool:
        pool.drain(PATIENCE_S)
    (dead,) = client.dead_jobs().jobs
    assert dead.job.last_err == (
        "InvalidArgs: job 'greet': args['address'] is missing, wanted a string; to ignore it, "
        "read job.arg_error in the handler, or register the job with check_args=False"
    )


def reads_it(job: Job) -> None:
    greet(job)
    assert job.arg_error


def reads_it_between(job: Job) -> None:
    reads_it(job)
    job.arg_int("n")


def reads_it_before(job: Job) -> None:
    assert job.arg_error is None
    greet(job)


def takes_it_back(job: Job) -> None:
    greet(job)
    job.arg_error = None


def raises_it(job: Job) -> None:
    greet(job)
    raise ValueError(job.arg_error)


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (reads_it, ""),
        (takes_it_back, ""),
        (raises_it, "ValueError: job 'work': args['address'] is missing, wanted a string"),
        (reads_it_between, "InvalidArgs: job 'work': args['n'] is missing, wanted an integer"),
        (reads_it_before, "InvalidArgs: job 'work': args['address'] is missing"),
    ],
)
def test_an_arg_error_that_was_read_is_the_handlers_business(
    stage: EngineStage, handler: Callable[[Job], Any], error: str
) -> None:
    worker = stage.pool()
    worker.job("work", handler, max_fails=1)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue("work", ARGS)
    pool.work()
    (record,) = stage.history()
    assert record.outcome == ("dead" if error else "done")
    assert record.error.startswith(error)


def test_middleware_may_read_it_too(stage: EngineStage) -> None:
    worker, seen = stage.pool(), []

    @worker.middleware
    def tolerant(job: Job, next: Callable[[], None]) -> None:  # noqa: A002
        next()
        seen.append(job.arg_error is not None)

    worker.job("work", greet)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue("work", ARGS)
    pool.work()
    assert (seen, stage.outcomes()) == ([True], ["done"])


def test_the_check_can_be_turned_off(stage: EngineStage) -> None:
    worker = stage.pool()
    worker.job("work", greet, check_args=False)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue("work", ARGS)
    pool.work()
    assert stage.outcomes() == ["done"]


def test_a_job_without_arg_errors_is_done(stage: EngineStage) -> None:
    worker = stage.pool()
    worker.job("work", greet)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue("work", {"address": "a@example.com"})
    pool.work()
    assert stage.outcomes() == ["done"]


class Broken:
    def __str__(self) -> str:
        raise SystemExit


class Odd(str):
    __slots__ = ()

    def __getitem__(self, _: Any) -> Any:
        raise RuntimeError


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("page 3", "page 3"),
        ("x" * 1_000, "x" * 1_000),
        ("x" * 1_001, "x" * 999 + "…"),
        ("x" * 20_000_000, "x" * 999 + "…"),
        (None, "None"),
        (b"x", "b'x'"),
        ("\ud800", "?"),
        (Broken(), "(this check-in cannot be shown: SystemExit)"),
        (Odd("odd"), "odd"),
    ],
)
def test_a_check_in_is_bounded_and_never_raises(
    stage: EngineStage, message: Any, kept: str
) -> None:
    worker = stage.pool()
    worker.job("work", greet)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue("work", {"address": "a"})
    pool.turn()
    execution = pool.runner.begin()
    execution.job.checkin(message)
    assert execution.checkin == (kept, stage.clock.now_s)
    pool.duty("observer")
    (busy,) = [seen for seen in stage.client.worker_observations() if seen.is_busy]
    assert busy.checkin == kept


def test_a_job_can_be_sent_to_another_process_and_copied(stage: EngineStage) -> None:
    pool, copies = stage.pool(concurrency=1), list[Any]()

    def sent(job: Job) -> Any:
        return pickle.loads(pickle.dumps(job))  # noqa: S301 - our own bytes

    def work(job: Job) -> None:
        job.checkin("before")
        copies.extend([sent(job), copy.deepcopy(job)])
        assert job.arg_str("missing") == ""
        copies.append(sent(job))
        assert job.arg_error

    pool.job("work", work)
    job = stage.enqueuer.enqueue("work", {"n": [1]})
    stage.stepped(pool).work()
    assert stage.outcomes() == ["done"]
    for each in copies:
        assert (each.id, each.args, each.raw) == (job.id, {"n": [1]}, job.raw)
        each.checkin("ignored")
    assert [each.has_unread_arg_error for each in copies] == [False, False, True]
