"""Fixtures: a stage for a test, empty or with a past; a folder's conftest names those it wants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.client.stage import ClientStage
from tests.support.past import live_through

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["past", "stage"]


@pytest.fixture
def stage(redis_client: Redis, namespace: str, redis_url: str) -> Iterator[ClientStage]:
    """A namespace that nothing has happened in yet."""
    made = ClientStage(redis_client, redis_url, namespace)
    yield made
    made.close()


@pytest.fixture
def past(stage: ClientStage) -> ClientStage:
    """A namespace in which something has happened."""
    live_through(stage)
    return stage
