"""The user's code behind a failure: an error makes its message itself, and a backoff its delay."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S, Gate, Notes
from tests.engine.stage import EngineStage
from workkit import Client, Enqueuer, Job
from workkit.engine.dispatch.deadlines import GRACE_S

pytestmark = pytest.mark.one_server


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_error_makes_its_message_on_no_thread_that_other_jobs_need(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, kind: str
) -> None:
    pool, threads, told = make_pool(concurrency=1), Notes(), Notes()

    class ReadsADatabase(Exception):
        def __str__(self) -> str:
            threads(threading.current_thread().name)
            return "read"

    def fail(job: Job) -> None:
        raise ReadsADatabase

    async def fail_async(job: Job) -> None:
        raise ReadsADatabase

    pool.job("fail", fail if kind == "sync" else fail_async, max_fails=1)
    pool.on("dead", lambda job, error: told())
    enqueuer.enqueue("fail")
    with pool:
        told.wait_for(1)
    own = "workkit-worker" if kind == "sync" else "workkit-loop"
    assert set(threads.items) == {own, "workkit-log"}
    assert client.dead_jobs().jobs[0].job.last_err.startswith("ReadsADatabase: read\n")


class Waits(Exception):
    """Makes its message when another thread lets it."""

    def __init__(self, wait: Callable[[], None]) -> None:
        super().__init__()
        self._wait = wait

    def __str__(self) -> str:
        self._wait()
        return "made"


def fails_and_waits(where: str, wait: Callable[[], None]) -> dict[str, Any]:
    """Return a handler that fails, and the options with which its backoff or message waits."""

    def fail(job: Job) -> None:
        raise Waits(wait if where == "message" else lambda: None)

    def backoff(job: Job) -> float:
        if where == "backoff":
            wait()
        return 500

    return {"handler": fail, "backoff": backoff}


PLACES: Final = ["message", "backoff"]


@pytest.mark.parametrize("where", PLACES)
def test_a_timeout_interrupts_them_and_the_job_has_failed_as_its_handler_says(
    stage: EngineStage, where: str
) -> None:
    worker, gate = stage.pool(concurrency=1), Gate()
    worker.job("fail", timeout=5, **fails_and_waits(where, gate.spin))
    pool = stage.threaded(worker)
    stage.enqueuer.enqueue("fail")
    pool.turn()
    gate.arrived.wait_for(1)
    stage.clock.advance(5)
    pool.turn()
    pool.settle()
    (retry,) = stage.client.retry_jobs().jobs
    kept = "made" if where == "backoff" else "(its message cannot be shown: JobTimeout)"
    assert retry.job.last_err.startswith(f"Waits: {kept}\n")
    assert (retry.job.fails, stage.in_progress("fail")) == (1, 0)
    has_asked = retry.retry_at - stage.clock.read().epoch_s > 400
    assert has_asked is (where == "message"), "a backoff that was interrupted gives no delay"


@pytest.mark.parametrize("where", PLACES)
def test_a_job_is_settled_and_its_worker_replaced_if_they_do_not_return(
    stage: EngineStage, where: str
) -> None:
    worker, gate, ran = stage.pool(concurrency=1), Gate(), Notes()
    worker.job("fail", timeout=5, **fails_and_waits(where, gate.pass_through))
    worker.job("next", ran)
    pool = stage.threaded(worker)
    stage.enqueuer.enqueue("fail")
    pool.turn()
    gate.arrived.wait_for(1)
    for _ in range(2):
        stage.clock.advance(5 + GRACE_S)
        pool.turn()
    (retry,) = stage.client.retry_jobs().jobs
    assert retry.job.last_err.partition("\n")[0] == (
        "JobTimeout: timed out after 5 s and did not stop when interrupted: it has raised Waits, "
        "and then the error's message or the backoff did not return"
    )
    assert (retry.job.fails, pool.engine.runner.abandoned()) == (1, 1)
    assert len(gate.arrived.items) == 1, "nobody else calls what does not return"
    stage.enqueuer.enqueue("next")
    pool.turn()
    ran.wait_for(1)
    pool.settle()

    (thread,) = [w.thread for w in pool.engine.runner._threads._abandoned]  # type: ignore[attr-defined]
    gate.open()
    thread.join()
    pool.turn()
    assert stage.outcomes() == ["retry", "done"]
    assert stage.client.retry_jobs().jobs[0].job.fails == 1


def groups_in_groups(depth: int) -> BaseException:
    """Return few groups with very many paths to one exception."""
    error: Exception = ValueError("at the bottom")
    for _ in range(depth):
        error = ExceptionGroup("two of a kind", [error, error])
    return error


@pytest.mark.parametrize(
    "error",
    [groups_in_groups(60), ExceptionGroup("many", [ValueError(str(n)) for n in range(20_000)])],
    ids=["groups in groups", "a wide group"],
)
def test_a_group_of_many_exceptions_is_judged_and_logged_by_each_of_them_once(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, error: BaseException
) -> None:
    pool = make_pool(concurrency=1)

    @pool.job(fail_on=(ValueError,))
    def fail(job: Job) -> None:
        raise error

    enqueuer.enqueue("fail")
    with pool:
        assert pool.drain(PATIENCE_S).complete
    assert client.dead_jobs().jobs[0].job.last_err.startswith("ExceptionGroup: ")
