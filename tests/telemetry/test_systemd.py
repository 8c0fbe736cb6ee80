"""What systemd hears, on a real socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.cli.shell import Shell, spawn
from workkit.engine.health import Health
from workkit.telemetry.systemd import Notifier

WELL = Health("running")


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.bind(str(tmp_path / "notify"))
        own.settimeout(30)
        yield own


def heard(systemd: socket.socket, until: str) -> list[str]:
    """Return what systemd hears, up to a message."""
    messages: list[str] = []
    while until not in messages:
        messages.append(systemd.recv(4096).decode())
    return messages


def test_without_systemd_nothing_is_reported() -> None:
    assert Notifier.started(lambda: WELL, {}) is None
    assert Notifier.started(lambda: WELL, {"NOTIFY_SOCKET": "relative"}) is None


def test_systemd_hears_of_readiness_of_signs_of_life_and_of_the_stop(
    systemd: socket.socket,
) -> None:
    environment = {
        "NOTIFY_SOCKET": systemd.getsockname(),
        "WATCHDOG_USEC": "200000",
        "WATCHDOG_PID": str(os.getpid()),
    }
    state = [Health("starting", (), ("the pool has not started",))]
    notifier = Notifier.started(lambda: state[0], environment)
    assert notifier is not None
    assert environment == {}
    assert "READY=1" not in heard(systemd, "WATCHDOG=1")
    state[0] = WELL
    assert "STATUS=processing jobs" in [*heard(systemd, "READY=1"), *heard(systemd, "WATCHDOG=1")]
    notifier.close()
    assert heard(systemd, "STOPPING=1").count("READY=1") == 0


def test_a_service_that_does_not_live_sends_no_sign_of_life(systemd: socket.socket) -> None:
    environment = {"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "100000"}
    notifier = Notifier.started(lambda: Health("running", ("it hangs",)), environment)
    assert notifier is not None
    heard(systemd, "STATUS=it hangs")
    for _ in range(10):
        notifier._look()
    notifier.close()
    assert "WATCHDOG=1" not in heard(systemd, "STOPPING=1")


def test_the_watchdog_of_another_process_is_left_alone(systemd: socket.socket) -> None:
    environment = {
        "NOTIFY_SOCKET": systemd.getsockname(),
        "WATCHDOG_USEC": "100000",
        "WATCHDOG_PID": "1",
    }
    notifier = Notifier.started(lambda: WELL, environment)
    assert notifier is not None
    heard(systemd, "READY=1")
    notifier._look()
    notifier.close()
    assert "WATCHDOG=1" not in heard(systemd, "STOPPING=1")


@pytest.mark.slow
@pytest.mark.one_server
@pytest.mark.parametrize("options", [(), ("--processes", "2")], ids=["one", "supervised"])
def test_a_worker_reports_to_systemd(
    shell: Shell, tmp_path: Path, systemd: socket.socket, options: tuple[str, ...]
) -> None:
    (tmp_path / "tasks.py").write_text(
        "import os\nfrom workkit import WorkerPool\n"
        "pool = WorkerPool(os.environ['WORKKIT_NAMESPACE'], os.environ['WORKKIT_REDIS_URL'])\n"
        "pool.job('mail', lambda job: None)\n"
    )
    env = shell.env | {"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "2000000"}
    with spawn("worker", "tasks:pool", *options, env=env, cwd=tmp_path) as process:
        messages = [*heard(systemd, "READY=1"), *heard(systemd, "WATCHDOG=1")]
        assert "STOPPING=1" not in messages
        process.terminate()
        heard(systemd, "STOPPING=1")
        assert process.wait(60) == 0
