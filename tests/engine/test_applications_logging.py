"""The application's filters and factories of log records run around the pool, not in its way."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S, Gate
from workkit import Enqueuer, Job

pytestmark = pytest.mark.one_server


def fail(job: Job) -> None:
    raise ValueError("plain")


class Filter(logging.Filter):
    def __init__(self, deed: Callable[[], Any]) -> None:
        super().__init__()
        self._deed = deed

    def filter(self, record: logging.LogRecord) -> bool:
        self._deed()
        return True


@pytest.fixture
def fresh_logger(monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    """The logger as it is before the process starts its first pool."""
    logger = logging.getLogger("workkit")
    monkeypatch.setattr(logger, "filters", [])
    return logger


def leave() -> None:
    raise SystemExit


def divide() -> float:
    return 1 / 0


@pytest.mark.parametrize("deed", [divide, leave])
def test_a_filter_that_raises_harms_no_job(
    make_pool: MakePool, enqueuer: Enqueuer, fresh_logger: logging.Logger, deed: Any
) -> None:
    pool = make_pool(concurrency=2)
    pool.job("fails", fail, max_fails=1)
    fresh_logger.addFilter(Filter(deed))
    enqueuer.enqueue_many([("fails", None)] * 20)
    with pool:
        assert pool.drain(PATIENCE_S).complete
        assert pool.totals["dead"] == 20
        assert pool.running


def test_a_filter_that_hangs_holds_up_neither_jobs_nor_the_stop(
    make_pool: MakePool, enqueuer: Enqueuer, fresh_logger: logging.Logger
) -> None:
    pool, gate = make_pool(concurrency=2), Gate()
    pool.job("fails", fail, max_fails=1)
    fresh_logger.addFilter(Filter(gate.pass_through))
    enqueuer.enqueue_many([("fails", None)] * 20)
    pool.start()
    assert pool.drain(PATIENCE_S).complete
    assert pool.totals["dead"] == 20
    pool.stop(1)
    gate.open()


def needs_a_request(*_args: Any, **_named: Any) -> logging.LogRecord:
    raise RuntimeError("working outside of request context")


def sets_our_attributes(*args: Any, **named: Any) -> logging.LogRecord:
    record = logging.LogRecord(*args, **named)
    record.job_id = record.outcome = "the application's"
    return record


@pytest.mark.parametrize("factory", [needs_a_request, sets_our_attributes])
def test_a_factory_of_records_that_fails_costs_neither_a_job_nor_a_line(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    factory: Any,
) -> None:
    pool = make_pool(concurrency=2)
    pool.job("fails", fail, max_fails=1)
    job = enqueuer.enqueue("fails")
    with pool:
        monkeypatch.setattr(logging, "_logRecordFactory", factory)
        assert pool.drain(PATIENCE_S).complete
        assert pool.running
    monkeypatch.undo()
    assert f"job 'fails' {job.id} failed (1 of 1), is dead: ValueError: plain" in caplog.text


def test_a_line_of_the_pool_holds_nothing_that_a_terminal_obeys(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    caplog: pytest.LogCaptureFixture,
    redis_client: Redis,
    namespace: str,
) -> None:
    pool = make_pool(concurrency=2)

    @pool.job(max_fails=1)
    def fails(job: Job) -> None:
        raise ValueError("\x1b[31mred \x9b1m\u202e\r forged")

    raw = enqueuer.enqueue("fails").raw
    redis_client.lpush(f"{namespace}:jobs:fails", raw.replace(b'"id":"', b'"id":"\\n\\u009b'))
    with pool:
        assert pool.drain(PATIENCE_S).complete
    lines = [record.getMessage() for record in caplog.records if record.name == "workkit"]
    assert sum("is dead: ValueError: \\x1b[31mred" in line for line in lines) == 2
    assert all(line.isprintable() for line in lines)
