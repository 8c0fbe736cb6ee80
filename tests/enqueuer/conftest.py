"""Enqueuers of both kinds on a fixed clock, and the keys that they write."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest

from tests.conftest import PrivateServer, ServerKind
from tests.enqueuer.faces import HeldUp, blocking
from tests.parity.gopeer import Clock, Scene
from tests.support.steps import FakeClock
from workkit import AsyncEnqueuer, Enqueuer, Entropy

if TYPE_CHECKING:
    from redis import Redis

SEED: Final = "enqueuer"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ids() -> Entropy:
    """The source of the ids that the enqueuer will use."""
    return Entropy(SEED)


@pytest.fixture(params=["threads", "asyncio"])
def enqueuer(
    request: pytest.FixtureRequest, namespace: str, redis_url: str, clock: FakeClock
) -> Iterator[Enqueuer]:
    """An enqueuer of each kind, with repeatable ids."""
    if request.param == "threads":
        threaded = Enqueuer(namespace, redis_url, clock=clock, entropy=Entropy(SEED))
        yield threaded
        threaded.close()
        return
    with asyncio.Runner() as runner:
        face = blocking(
            AsyncEnqueuer(namespace, redis_url, clock=clock, entropy=Entropy(SEED)), runner
        )
        yield face
        face.close()


@pytest.fixture
def scene(redis_client: Redis, namespace: str, clock: FakeClock) -> Scene:
    """The contents of the namespace, and Go peers in it."""
    return Scene(redis_client, namespace, Clock(clock.now_s))


@pytest.fixture
def held_up(private_server: PrivateServer, server_kind: ServerKind) -> Iterator[HeldUp]:
    """A server that can be told to answer no writes for a while."""
    del server_kind  # private servers are of this kind
    made = HeldUp(private_server())
    yield made
    made.redis.close()
