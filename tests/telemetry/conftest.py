"""Fixtures of the tests of telemetry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.tools.cli.shell import Shell
from workkit import Client, Enqueuer, WorkerPool
from workkit.telemetry.families import WorkerCollector
from workkit.telemetry.server import TelemetryServer
from workkit.telemetry.worker import PoolMetrics


@pytest.fixture(autouse=True)
def _nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test hears of what a process logs only once."""
    monkeypatch.setattr("workkit.core.guarding._told", set())


@pytest.fixture
def shell(redis_url: str, namespace: str) -> Shell:
    """Commands on this test's namespace."""
    return Shell(redis_url, namespace)


@pytest.fixture
def client(redis_url: str, namespace: str) -> Iterator[Client]:
    with Client(namespace, redis_url) as client:
        yield client


@pytest.fixture
def enqueuer(redis_url: str, namespace: str) -> Iterator[Enqueuer]:
    with Enqueuer(namespace, redis_url) as enqueuer:
        yield enqueuer


@pytest.fixture
def make_pool(redis_url: str, namespace: str) -> Iterator[Callable[..., WorkerPool]]:
    """Pools that are stopped at the end of the test."""
    with ExitStack() as stack:

        def make(url: str = redis_url, **options: Any) -> WorkerPool:
            pool = WorkerPool(namespace, url, **options)
            stack.callback(pool.stop, 0)
            return pool

        yield make


@pytest.fixture
def serve() -> Iterator[Callable[[WorkerPool], str]]:
    """Serves the metrics and the health of a pool; returns the beginning of the URLs."""
    with ExitStack() as stack:

        def served(pool: WorkerPool) -> str:
            metrics = PoolMetrics()
            pool.observe(metrics)
            collector = WorkerCollector(metrics.take)
            server = TelemetryServer([collector], lambda: pool.health, 0)
            return stack.enter_context(server).url

        yield served
