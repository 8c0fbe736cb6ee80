"""What a pool does while Redis is away, full, read-only, emptied or stalled."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from redis import Redis

from tests.conftest import PrivateServer, ServerKind, WaitUntil
from workkit import Client, Enqueuer, ServerRefused, ServerUnavailable, WorkerPool
from workkit.embedded import EmbeddedServer

pytestmark = pytest.mark.slow


class Bench:
    """A pool on a private server, and the notes of its handlers."""

    def __init__(self, server: EmbeddedServer) -> None:
        self.server = server
        self.ran: list[int] = []
        self.paused = threading.Event()
        self.pool = WorkerPool("work", server.url, concurrency=4)
        self.pool.job("note", self._note)
        self.enqueuer = Enqueuer("work", server.url)
        self.client = Client("work", server.url)

    def _note(self, job: object) -> None:
        self.paused.wait(0.002)
        self.ran.append(job.arg_int("n"))  # type: ignore[attr-defined]

    def enqueue(self, numbers: range) -> None:
        self.enqueuer.enqueue_many([("note", {"n": n}) for n in numbers])

    def redis(self) -> Redis:
        return Redis.from_url(self.server.url)

    def lock(self) -> bytes | None:
        with self.redis() as client:
            lock: bytes | None = client.get("work:jobs:note:lock")
            return lock


@contextmanager
def running(server: EmbeddedServer) -> Iterator[Bench]:
    bench = Bench(server)
    bench.pool.start()
    try:
        yield bench
    finally:
        bench.pool.stop(5)
        bench.enqueuer.close()
        bench.client.close()


def more_than(bench: Bench, count: int) -> Callable[[], bool]:
    return lambda: len(bench.ran) > count


def all_of(bench: Bench, count: int) -> Callable[[], bool]:
    return lambda: len(set(bench.ran)) == count


def test_a_killed_and_restarted_redis_loses_no_job(
    private_server: PrivateServer, server_kind: ServerKind, wait_until: WaitUntil
) -> None:
    server = private_server(server_kind, appendonly=True)
    with running(server) as bench:
        bench.enqueue(range(1_500))
        wait_until(lambda: len(bench.ran) > 300)
        server.kill()
        with pytest.raises(ServerUnavailable, match="no answer from Redis"):
            bench.enqueuer.enqueue("note", {"n": -1})
        server.restart()
        wait_until(all_of(bench, 1_500), 30)
        assert bench.pool.drain(30).complete
        assert bench.lock() in {b"0", None}


def test_a_full_redis_refuses_new_jobs_and_is_drained_all_the_same(
    private_server: PrivateServer, server_kind: ServerKind, wait_until: WaitUntil
) -> None:
    server = private_server(server_kind)
    with running(server) as bench:
        bench.client.pause("note")
        bench.enqueue(range(500))
        with bench.redis() as client:
            client.config_set("maxmemory", "100kb")
            with pytest.raises(ServerRefused, match="maxmemory") as refused:
                bench.enqueuer.enqueue("note", {"n": -1})
            assert refused.value.code == "OOM"
            bench.client.unpause("note")
            wait_until(all_of(bench, 500), 30)
            assert bench.pool.drain(30).complete
            assert client.zcard("work:retry") == client.zcard("work:dead") == 0


def test_a_pool_can_start_on_a_full_redis_and_drain_it(
    private_server: PrivateServer, server_kind: ServerKind, wait_until: WaitUntil
) -> None:
    server = private_server(server_kind)
    bench = Bench(server)
    bench.enqueue(range(100))
    with bench.redis() as client:
        client.config_set("maxmemory", "100kb")
        bench.pool.start()
        wait_until(all_of(bench, 100), 30)
    bench.pool.stop(5)


def test_a_flushed_redis_gets_a_new_registration_and_new_jobs_run(
    private_server: PrivateServer, server_kind: ServerKind, wait_until: WaitUntil
) -> None:
    server = private_server(server_kind)
    with running(server) as bench, bench.redis() as client:
        before = bench.pool.pool_id
        client.flushall()
        bench.enqueue(range(50))
        wait_until(all_of(bench, 50), 30)
        wait_until(bench.client.worker_pool_heartbeats, 10)
        assert bench.pool.pool_id != before
        assert [beat.worker_pool_id for beat in bench.client.worker_pool_heartbeats()] == [
            bench.pool.pool_id
        ]


def test_a_stalled_redis_costs_no_job_and_settles_none_twice(
    private_server: PrivateServer, server_kind: ServerKind, wait_until: WaitUntil
) -> None:
    server = private_server(server_kind)
    with running(server) as bench:
        bench.enqueue(range(1_000))
        wait_until(lambda: len(bench.ran) > 100)
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        # Longer than the dispatcher waits for a reply: it gives up on what happens later.
        bench.paused.wait(6.5)
        os.kill(pid, signal.SIGCONT)
        wait_until(all_of(bench, 1_000), 30)
        assert bench.pool.drain(30).complete
        assert Counter(bench.ran).most_common(1)[0][1] == 1
        assert bench.lock() in {b"0", None}


def test_killed_connections_and_forgotten_scripts_go_unnoticed_by_jobs(
    private_server: PrivateServer, server_kind: ServerKind, wait_until: WaitUntil
) -> None:
    server = private_server(server_kind)
    with running(server) as bench, bench.redis() as client:
        bench.enqueue(range(1_000))
        for part in (200, 500, 800):
            wait_until(more_than(bench, part))
            client.script_flush()
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        wait_until(all_of(bench, 1_000), 30)
        assert bench.pool.drain(30).complete
        assert len(bench.ran) == 1_000


def test_a_read_only_redis_is_waited_for(
    private_server: PrivateServer, server_kind: ServerKind, wait_until: WaitUntil
) -> None:
    server = private_server(server_kind)
    with running(server) as bench, bench.redis() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(ServerRefused, match="replica"):
            bench.enqueuer.enqueue("note", {"n": -1})
        client.execute_command("REPLICAOF", "NO", "ONE")
        bench.enqueue(range(50))
        wait_until(all_of(bench, 50), 30)


def test_an_outage_is_logged_once_and_its_end_once(
    private_server: PrivateServer, caplog: pytest.LogCaptureFixture, wait_until: WaitUntil
) -> None:
    server = private_server()
    with running(server) as bench:
        server.kill()
        wait_until(lambda: "dispatcher: no answer" in caplog.text)
        bench.paused.wait(1.5)
        server.restart()
        wait_until(lambda: "dispatcher: Redis answers again" in caplog.text)
    lines = [record.getMessage() for record in caplog.records]
    assert sum(line.startswith("dispatcher: no answer") for line in lines) == 1
    assert sum(line.startswith("dispatcher: Redis answers again") for line in lines) == 1


def test_a_pool_says_at_once_that_redis_is_not_there() -> None:
    pool = WorkerPool("work", "redis://127.0.0.1:1/0")
    pool.job("note", lambda job: None)
    with pytest.raises(ServerUnavailable, match=r"127\.0\.0\.1:1/0"):
        pool.start()
    assert not pool.running
