"""Fixtures of the doctor's tests."""

from __future__ import annotations

import pytest
from redis import Redis

from tests.doctor.ward import Ward


@pytest.fixture
def ward(redis_url: str, redis_client: Redis, namespace: str) -> Ward:
    """A namespace to examine."""
    return Ward(redis_url, redis_client, namespace)
