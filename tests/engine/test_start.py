"""Starting a pool: refusals, errors, and the traces of a failed start."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PrivateServer
from tests.engine.conftest import MakePool
from tests.engine.signals import Notes
from tests.support.handlers import nothing
from workkit import Client, Enqueuer, WorkerPool
from workkit.errors import (
    InvalidName,
    InvalidOption,
    PoolState,
    ServerError,
    ServerRefused,
    ServerUnavailable,
)


def pool_at(url: str) -> WorkerPool:
    pool = WorkerPool("work", url)
    pool.job("work", nothing)
    return pool


def engine_threads() -> set[str]:
    return {t.name for t in threading.enumerate() if t.name.startswith("workkit-")}


# Servers that are not there, or not willing.


@pytest.mark.one_server
def test_a_server_that_is_away_is_said_at_once_and_the_start_can_be_repeated(
    private_server: PrivateServer,
) -> None:
    server = private_server()
    pool, ran = WorkerPool("work", server.url), Notes()
    pool.job("work", ran)
    server.stop()
    with pytest.raises(ServerUnavailable, match="no answer from Redis at"):
        pool.start()
    assert not pool.running
    assert engine_threads() == set()
    server.start()
    Enqueuer("work", server.url).enqueue("work")
    with pool:
        ran.wait_for(1)


@pytest.mark.one_server
def test_an_address_where_nobody_listens_is_said_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for url in (f"redis://127.0.0.1:{port}", f"unix://{tmp_path}/nothing.sock"):
        with pytest.raises(ServerUnavailable):
            pool_at(url).start()


def test_a_server_that_wants_a_password_is_said_at_once(
    private_server: PrivateServer, server_kind: str
) -> None:
    server = private_server(config={"requirepass": "secret"})
    with pytest.raises(ServerError, match=r"wants a password: put it .*\?password=PASSWORD"):
        pool_at(server.url).start()
    with pytest.raises(ServerError, match="username-password pair .* look at the user and"):
        pool_at(f"{server.url}?password=wrong").start()
    with pool_at(f"{server.url}?password=secret") as pool:
        assert pool.running


def test_a_database_that_the_server_lacks_is_said_with_the_remedy(
    private_server: PrivateServer, server_kind: str
) -> None:
    server = private_server(config={"databases": "1"})
    with pytest.raises(ServerRefused, match="fewer databases; the number after the host"):
        pool_at(f"{server.url}?db=1").start()


@pytest.mark.parametrize("rights", ["+@read +@connection", "+hello"])
def test_a_user_without_the_permission_is_said_at_once(
    private_server: PrivateServer, server_kind: str, rights: str
) -> None:
    server = private_server(config={"user": f"reader on nopass ~* &* {rights}"})
    with pytest.raises(ServerError, match="permission"):
        pool_at(f"{server.url}?username=reader&password=x").start()


def test_a_database_that_does_not_exist_is_said_at_once(redis_url: str) -> None:
    with pytest.raises(ServerError, match="(?i)database|DB index"):
        pool_at(f"{redis_url}?db=999").start()


@pytest.fixture
def web_server(tmp_path: Path) -> Iterator[str]:
    """A server that speaks, but not Redis."""
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4_096)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"unix://{path}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.one_server
def test_a_server_of_another_kind_is_said_at_once(web_server: str) -> None:
    with pytest.raises(ServerError):
        pool_at(web_server).start()
    assert engine_threads() == set()


@pytest.mark.one_server
def test_failed_starts_leave_no_descriptors_and_no_threads(tmp_path: Path) -> None:
    pools = [pool_at(f"unix://{tmp_path}/nothing.sock") for _ in range(5)]
    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are all that matters
    for pool in pools:
        with pytest.raises(ServerUnavailable):
            pool.start()
    assert len(os.listdir("/proc/self/fd")) == len(before)  # noqa: PTH208
    assert engine_threads() == set()


# What a pool's state does not allow.


def test_nothing_can_be_registered_once_a_pool_has_been_started(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.job("work", nothing)
    pool.start()
    attempts: list[Any] = [
        lambda: pool.job("late", nothing),
        lambda: pool.middleware(lambda job, next: next()),  # noqa: A006
        lambda: pool.periodically_enqueue("@hourly", "late"),
        lambda: pool.on_start(lambda: None),
    ]
    for attempt in attempts:
        with pytest.raises(PoolState, match="the pool has been started"):
            attempt()
    pool.stop()
    for attempt in attempts:
        with pytest.raises(PoolState, match="the pool has been started"):
            attempt()


def test_starting_twice_does_nothing(make_pool: MakePool, client: Client) -> None:
    pool = make_pool()
    pool.job("work", nothing)
    started = Notes()
    pool.on_start(lambda: started("hook"))
    pool.start()
    pool_id, threads = pool.pool_id, engine_threads()
    pool.start()
    assert (pool.pool_id, engine_threads()) == (pool_id, threads)
    assert started.items == ["hook"]
    assert [beat.worker_pool_id for beat in client.worker_pool_heartbeats()] == [pool_id]


@pytest.mark.one_server
def test_a_pool_without_jobs_does_not_start(make_pool: MakePool) -> None:
    with pytest.raises(PoolState, match="no jobs"):
        make_pool().start()


@pytest.mark.one_server
def test_stopping_before_the_start_does_nothing(make_pool: MakePool) -> None:
    pool, ran = make_pool(), Notes()
    pool.job("work", nothing)
    pool.on_stop(lambda: ran("hook"))
    pool.stop()
    assert (pool.running, pool.pool_id) == (False, "")
    pool.start()
    assert pool.running
    assert len(pool.pool_id) == 24
    pool.stop()
    assert ran.items == ["hook"]


def test_as_a_context_manager_a_pool_runs_inside_and_is_stopped_outside(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool, ran = make_pool(concurrency=1), Notes()
    pool.job("work", ran)
    with pytest.raises(LookupError, match="of the block"), pool as same:
        assert same is pool
        assert pool.running
        enqueuer.enqueue("work")
        ran.wait_for(1)
        raise LookupError("of the block")
    assert not pool.running
    assert client.worker_pool_heartbeats() == []
    assert engine_threads() == set()


@pytest.mark.one_server
def test_options_out_of_their_range_are_refused(redis_url: str) -> None:
    wrong: list[tuple[str, Any]] = [
        ("concurrency", 0),
        ("concurrency", 10_001),
        ("concurrency", 2.0),
        ("concurrency", True),
        ("max_recoveries", 0),
        ("context", {}),
        ("sleep_backoffs", ()),
        ("sleep_backoffs", (10, -1)),
    ]
    for name, value in wrong:
        with pytest.raises(InvalidOption, match=name):
            WorkerPool("work", redis_url, **{name: value})
    with pytest.raises(InvalidOption, match="redis must be"):
        WorkerPool("work", 6379)  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="redis://"):
        WorkerPool("work", "localhost:6379")
    with pytest.raises(InvalidName, match="null"):
        WorkerPool("wo\0rk", redis_url)
