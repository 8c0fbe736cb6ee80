"""Fixtures of the engine's tests: a virtual stage, and pools on real threads in real time."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.engine.stage import EngineStage
from workkit import Client, Enqueuer, WorkerPool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis


class MakePool(Protocol):
    """Make a pool on real threads; it is always stopped at the end of the test."""

    def __call__(self, **options: Any) -> WorkerPool:
        """Take the options of `WorkerPool`."""
        ...


@pytest.fixture
def stage(redis_client: Redis, redis_url: str, namespace: str) -> Iterator[EngineStage]:
    """A namespace in virtual time."""
    stage = EngineStage(redis_client, redis_url, namespace)
    yield stage
    stage.close()


@pytest.fixture
def make_pool(redis_url: str, namespace: str) -> Iterator[MakePool]:
    """Pools in real time."""
    with ExitStack() as stack:

        def make(**options: Any) -> WorkerPool:
            pool = WorkerPool(namespace, redis_url, **options)
            stack.callback(pool.stop, 0)
            return pool

        yield make


@pytest.fixture
def enqueuer(redis_url: str, namespace: str) -> Iterator[Enqueuer]:
    """An enqueuer in real time."""
    enqueuer = Enqueuer(namespace, redis_url)
    yield enqueuer
    enqueuer.close()


@pytest.fixture
def client(redis_url: str, namespace: str) -> Iterator[Client]:
    """A client in real time."""
    client = Client(namespace, redis_url)
    yield client
    client.close()
