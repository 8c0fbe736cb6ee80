"""Enqueuing that waits for replicas or the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from tests.conftest import PrivateServer, WaitUntil
from workkit import AsyncEnqueuer, Client, Enqueuer, InvalidOption, NotConfirmed, ServerRefused
from workkit.embedded import EmbeddedServer
from workkit.simulation import Simulation


def ways(enqueuer: Enqueuer) -> list[Callable[[], Any]]:
    """One call of each kind."""
    return [
        lambda: enqueuer.enqueue("a"),
        lambda: enqueuer.enqueue_many([("a", None), ("b", None)]),
        lambda: enqueuer.enqueue_in("a", 60),
        lambda: enqueuer.enqueue_at("a", 2_000_000_000),
        lambda: enqueuer.enqueue_unique("u"),
        lambda: enqueuer.enqueue_unique_in("v", 60),
        lambda: enqueuer.enqueue_unique_by_key("w", None, {"k": 1}),
        lambda: enqueuer.enqueue_unique_in_by_key("x", 60, None, {"k": 1}),
    ]


MakeGroup = Callable[[int], list[EmbeddedServer]]


@pytest.fixture
def make_group(private_server: PrivateServer, wait_until: WaitUntil) -> MakeGroup:
    """Makes a master with some replicas, which follow it."""

    def make(replicas: int) -> list[EmbeddedServer]:
        settings = {"repl-diskless-sync-delay": "0"}
        master = private_server(port="any", appendonly=True, config=settings)
        follow = settings | {"replicaof": f"127.0.0.1 {master.port}"}
        group = [
            private_server(port="any", appendonly=True, config=follow) for _ in range(replicas)
        ]
        with Redis.from_url(master.url) as client:
            wait_until(lambda: _replication(client).count(b"state=online") == replicas, 30)
        return [master, *group]

    return make


@pytest.fixture
def replicated(make_group: MakeGroup) -> tuple[EmbeddedServer, EmbeddedServer]:
    """A master and a replica that follows it."""
    master, replica = make_group(1)
    return master, replica


def _replication(client: Any) -> bytes:
    client.response_callbacks.clear()
    said: bytes = client.execute_command("INFO", "replication")
    return said


def _follow(server: EmbeddedServer, master: EmbeddedServer | None) -> None:
    """Promote a server or let it follow another, as sentinels do."""
    with Redis.from_url(server.url) as client:
        to = ("127.0.0.1", master.port) if master else ("NO", "ONE")
        client.execute_command("REPLICAOF", *to)


def test_what_was_durably_enqueued_is_on_the_replica(
    replicated: tuple[EmbeddedServer, EmbeddedServer],
) -> None:
    master, replica = replicated
    enqueuer = Enqueuer("work", master.url)
    for way in ways(enqueuer.durably(replicas=1, timeout=4)):
        way()
    for way in ways(enqueuer.durably(replicas=1, fsync=True, timeout=4)):
        way()
    master.kill()
    with Redis.from_url(replica.url) as client:
        assert client.llen("work:jobs:a") == 4
        assert client.zcard("work:scheduled") == 6


def test_what_all_replicas_have_outlives_the_master_whichever_is_promoted(
    make_group: MakeGroup,
) -> None:
    master, *replicas = make_group(2)
    Enqueuer("work", master.url).durably(replicas=2, timeout=4).enqueue("a")
    master.kill()
    for replica in replicas:
        with Redis.from_url(replica.url) as client:
            assert client.llen("work:jobs:a") == 1


def test_what_one_of_two_replicas_has_is_lost_where_the_other_one_was_promoted(
    make_group: MakeGroup, wait_until: WaitUntil
) -> None:
    master, promoted, other = make_group(2)
    _follow(promoted, None)
    # The master lives, nobody has told it or the other replica yet.
    Enqueuer("work", master.url).durably(replicas=1, timeout=4).enqueue("a")
    for server in (master, other):
        _follow(server, promoted)
        with Redis.from_url(server.url) as client:
            wait_until(lambda: b"master_link_status:up" in _replication(client), 30)
            assert client.llen("work:jobs:a") == 0


def test_a_master_that_one_of_its_replicas_has_left_confirms_nothing_for_all(
    make_group: MakeGroup,
) -> None:
    master, promoted, _ = make_group(2)
    _follow(promoted, None)
    with pytest.raises(NotConfirmed, match="[01] of 2 replicas"):
        Enqueuer("work", master.url).durably(replicas=2, timeout=0.2).enqueue("a")


def test_from_asyncio_as_well(replicated: tuple[EmbeddedServer, EmbeddedServer]) -> None:
    master, replica = replicated

    async def enqueue() -> None:
        enqueuer = AsyncEnqueuer("work", master.url)
        await enqueuer.durably(timeout=4).enqueue("a")
        await enqueuer.close()

    asyncio.run(enqueue())
    master.kill()
    with Redis.from_url(replica.url) as client:
        assert client.llen("work:jobs:a") == 1


def test_without_a_replica_each_call_says_that_the_job_is_there_and_not_safe(
    private_server: PrivateServer,
) -> None:
    server = private_server()
    enqueuer = Enqueuer("work", server.url)
    for way in ways(enqueuer.durably(replicas=2, timeout=0.01)):
        with pytest.raises(NotConfirmed, match="was enqueued, but after 0.01 s 0 of 2 replicas"):
            way()
    assert Client("work", server.url).queued_jobs("a").total == 2


def test_a_unique_job_that_waits_unconfirmed_is_not_confirmed_by_enqueuing_it_again(
    private_server: PrivateServer,
) -> None:
    durable = Enqueuer("work", private_server().url).durably(replicas=1, timeout=0.01)
    for _ in range(2):
        with pytest.raises(NotConfirmed):
            durable.enqueue_unique("u")


def test_the_disk_is_waited_for(private_server: PrivateServer) -> None:
    safe = private_server(appendonly=True, config={"appendfsync": "everysec"})
    Enqueuer("work", safe.url).durably(replicas=0, fsync=True, timeout=4).enqueue("a")
    safe.kill()
    safe.start()
    assert Client("work", safe.url).queued_jobs("a").total == 1
    with pytest.raises(NotConfirmed, match="appendonly|AOF|appendfsync"):
        unsafe = Enqueuer("work", private_server().url)
        unsafe.durably(replicas=0, fsync=True, timeout=0.01).enqueue("a")


def test_a_script_that_the_server_had_to_be_told_is_confirmed_as_well(
    replicated: tuple[EmbeddedServer, EmbeddedServer],
) -> None:
    master, replica = replicated
    with Redis.from_url(replica.url) as client:
        client.execute_command("REPLICAOF", "NO", "ONE")
    durable = Enqueuer("work", master.url).durably(replicas=1, timeout=0.05)
    with Redis.from_url(master.url) as client:
        client.script_flush()
    with pytest.raises(NotConfirmed, match="0 of 1 replicas"):
        durable.enqueue("a")


def test_a_refused_job_is_refused_not_unconfirmed(private_server: PrivateServer) -> None:
    server = private_server()
    with Redis.from_url(server.url) as client:
        client.set("work:jobs:a", "no list")
    with pytest.raises(ServerRefused, match="WRONGTYPE"):
        Enqueuer("work", server.url).durably(timeout=0.01).enqueue("a")


@pytest.mark.parametrize(
    "options",
    [
        {"replicas": 0},
        {"replicas": -1},
        {"replicas": 1.5},
        {"timeout": 0},
        {"timeout": 5},
        {"timeout": "soon"},
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption, match=r"replicas|timeout"):
        Enqueuer("work", "redis://h").durably(**options)


def test_in_a_simulated_world_replicas_and_disk_have_every_job() -> None:
    with Simulation(seed=1) as sim:
        for way in ways(sim.enqueuer.durably(replicas=2)):
            way()
        for way in ways(sim.enqueuer.durably(replicas=1, fsync=True)):
            way()
