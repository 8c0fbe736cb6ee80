"""A master that sentinels know."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis.asyncio.sentinel
import redis.sentinel

from tests.conftest import WaitUntil
from tests.system.chaos.failover import Sentinels
from workkit import AsyncEnqueuer, Client, Enqueuer, InvalidOption, ServerUnavailable, WorkerPool
from workkit.store.connections.sentinel import MasterRoute
from workkit.store.connections.target import Target

pytestmark = pytest.mark.slow

SECRET = "s3cret"  # noqa: S105 -- to be looked for


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sentinels]:
    with ExitStack() as stack:
        directory: Path = tmp_path_factory.mktemp("sentinels")
        yield Sentinels(stack, directory)


def url(group: Sentinels, name: str = "chaos") -> str:
    hosts = ",".join(f"127.0.0.1:{port}" for port in group.ports)
    return f"redis+sentinel://{hosts}/{name}"


def clients(group: Sentinels) -> list[Any]:
    hosts = [("127.0.0.1", port) for port in group.ports]
    sync: Any = redis.sentinel.Sentinel
    aio: Any = redis.asyncio.sentinel.Sentinel
    return [url(group), sync(hosts).master_for("chaos"), aio(hosts).master_for("chaos")]


def test_urls_and_clients_reach_the_master_from_threads_and_from_asyncio(group: Sentinels) -> None:
    async def enqueue(client: Any) -> None:
        enqueuer = AsyncEnqueuer("work", client)
        await enqueuer.enqueue("a")
        await enqueuer.close()

    for client in clients(group):
        Enqueuer("work", client).enqueue("a")
        asyncio.run(enqueue(client))
    assert Client("work", url(group)).queued_jobs("a").total == 6


def test_a_pool_follows_a_failover(group: Sentinels, wait_until: WaitUntil) -> None:
    ran: list[int] = []
    pool = WorkerPool("work", url(group))
    pool.job("b", lambda job: ran.append(job.arg_int("n")))
    pool.start()
    enqueuer = Enqueuer("work", url(group)).durably(replicas=1, timeout=4)
    enqueuer.enqueue("b", {"n": 1})
    wait_until(lambda: ran == [1])
    group.fail_over()
    enqueuer.enqueue("b", {"n": 2})
    wait_until(lambda: ran[-1] == 2, 30)
    pool.stop(10)


def test_a_master_that_no_sentinel_knows_is_named(group: Sentinels) -> None:
    with pytest.raises(ServerUnavailable, match="Sentinel's master 'nobody'"):
        Enqueuer("work", url(group, "nobody")).enqueue("a")


def test_a_client_of_replicas_is_refused(group: Sentinels) -> None:
    sync: Any = redis.sentinel.Sentinel
    replicas = sync([("127.0.0.1", group.ports[0])]).slave_for("chaos")
    with pytest.raises(InvalidOption, match="give one of master_for"):
        Enqueuer("work", replicas)


@pytest.mark.parametrize(
    "bad",
    [
        f"redis+sentinel://u:{SECRET}@h:port/m",
        f"redis+sentinel://u:{SECRET}@h",
        f"redis+sentinel:///m?sentinel_password={SECRET}",
        f"redis+sentinel://h/m/db?sentinel_password={SECRET}",
        f"redis+sentinel://u:{SECRET}@h/m?colour=red",
    ],
)
def test_a_url_that_cannot_be_read_is_explained_without_its_secrets(bad: str) -> None:
    with pytest.raises(InvalidOption, match="HOST:PORT,HOST:PORT/MASTER") as refused:
        Target.of(bad)
    assert SECRET not in str(refused.value)


def test_a_url_says_who_and_which_database() -> None:
    target = Target.of(f"redis+sentinel://u%40x:{SECRET}@s1,s2:7/main/3")
    assert (target.settings["username"], target.settings["password"]) == ("u@x", SECRET)
    assert target.settings["db"] == 3
    assert target.label == "Sentinel's master 'main'"


class Saying:
    """A sentinel that says who is master, or does not answer."""

    def __init__(self, port: int | None) -> None:
        self.port = port

    def sentinel_get_master_addr_by_name(self, _service: str) -> tuple[str, int] | None:
        if self.port is None:
            raise redis.exceptions.ConnectionError("no answer")
        return ("m", self.port) if self.port else None


@pytest.mark.parametrize(
    ("ports", "master"),
    [([1, 2, 2], 2), ([2, 1, 2], 2), ([None, 2, 2], 2), ([None, None, 2], 2), ([0, 0, 2], 2)],
)
def test_a_sentinel_that_is_behind_is_outvoted(ports: list[int | None], master: int) -> None:
    known: Any = SimpleNamespace(sentinels=[Saying(port) for port in ports])
    assert MasterRoute(known, "main").find() == ("m", master)


@pytest.mark.parametrize("ports", [[None, None], [0, None], []])
def test_where_no_sentinel_knows_the_master_it_is_named(ports: list[int | None]) -> None:
    known: Any = SimpleNamespace(sentinels=[Saying(port) for port in ports])
    with pytest.raises(redis.exceptions.ConnectionError, match="no sentinel knows a master 'main'"):
        MasterRoute(known, "main").find()
