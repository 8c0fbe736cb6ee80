"""A stage for each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("textual", reason="the console needs the extra tui")

from tests.tui.stage import ConsoleStage

if TYPE_CHECKING:
    from redis import Redis


@pytest.fixture
def stage(redis_client: Redis, namespace: str, redis_url: str) -> Iterator[ConsoleStage]:
    made = ConsoleStage(redis_client, redis_url, namespace)
    yield made
    made.close()
