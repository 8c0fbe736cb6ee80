"""Lists whose pool left no trace are found among the keys of others."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from tests.conftest import PrivateServer
from tests.support.steps import FakeClock, StepPool
from workkit import WorkerPool
from workkit.core import job as wire
from workkit.embedded import EmbeddedServer

FOREIGN = 50_000


def reconciled(server: EmbeddedServer) -> Any:
    """Have a pool reconcile once, and return its reaper."""
    pool = WorkerPool("n", server.url)
    pool.job("work", lambda job: None)
    stepped = StepPool(pool, server.url, FakeClock(), 1).start()
    stepped.duty("reconciler")
    stepped.close()
    return stepped.engine.reaper


def lay(server: EmbeddedServer, *, foreign: int) -> None:
    """Put an orphaned list among the keys of others."""
    with Redis.from_url(server.url) as redis:
        for start in range(0, foreign, 10_000):
            redis.mset({f"other:{number}": 1 for number in range(start, start + 10_000)})
        redis.lpush("n:jobs:work:gone:inprogress", wire.encode("work", "0" * 24, 1, b"null"))


def test_one_pass_looks_through_tens_of_thousands_of_foreign_keys(
    private_server: PrivateServer,
) -> None:
    server = private_server()
    lay(server, foreign=FOREIGN)
    assert reconciled(server).has_suspects


def test_a_server_that_cannot_list_its_keys_is_told_of_once_and_otherwise_reconciled(
    private_server: PrivateServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = private_server("redis", config={"rename-command": 'SCAN ""'})
    lay(server, foreign=0)
    assert not reconciled(server).has_suspects
    assert "cannot scan for lists whose pool left no trace" in caplog.text
