"""A stage for each test, empty or with a past."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.client.stage import Stage
from tests.support.past import live_through

if TYPE_CHECKING:
    from redis import Redis


@pytest.fixture
def stage(redis_client: Redis, namespace: str, redis_url: str) -> Iterator[Stage]:
    made = Stage(redis_client, namespace, redis_url)
    yield made
    made.close()


@pytest.fixture
def past(stage: Stage) -> Stage:
    """A namespace in which something has happened."""
    live_through(stage)
    return stage
