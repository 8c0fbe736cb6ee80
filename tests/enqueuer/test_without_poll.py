"""A system without `select.poll`, such as Windows: enqueuing and the client work, pools refuse."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

import pytest

from tests.conftest import PrivateServer
from workkit import WorkerPool
from workkit.errors import PoolState

pytestmark = pytest.mark.one_server

SCRIPT: Final = """
import select
for name in ("poll", "epoll"):
    delattr(select, name)
import asyncio, os, sys
del os.set_blocking
from workkit import AsyncEnqueuer, Client, Enqueuer, WorkerPool

url = sys.argv[1]
enqueuer, client = Enqueuer("work", url), Client("work", url)
enqueuer.enqueue("mail", {"n": 1})
enqueuer.enqueue_many([("mail", {"n": n}) for n in range(2_000)])
enqueuer.enqueue_in("mail", 60)

async def enqueue():
    later = AsyncEnqueuer("work", url)
    await later.enqueue("mail")
    await later.close()

asyncio.run(enqueue())
WorkerPool("work", url).job("mail", lambda job: None)
print([(queue.job_name, queue.count) for queue in client.queues()], client.scheduled_jobs().total)
"""


@pytest.mark.slow
def test_enqueuing_and_the_client_work(private_server: PrivateServer) -> None:
    command = [sys.executable, "-c", SCRIPT, private_server(port="any").tcp_url]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.stdout, ended.stderr) == ("[('mail', 2002)] 1\n", "")


def test_a_pool_names_the_systems_that_it_needs(
    redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = WorkerPool(namespace, redis_url)
    pool.job("work", lambda job: None)
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        with pytest.raises(PoolState, match="POSIX system, such as Linux or macOS"):
            pool.start()
