"""`workkit metrics` and `workkit worker --metrics-port` as programs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import WaitUntil
from tests.telemetry.scraping import Samples, get, scrape, served_at
from tests.tools.cli.shell import Shell, spawn
from tests.tools.supervisor.running import Supervised, ran, supervised

if TYPE_CHECKING:
    from redis import Redis

pytestmark = [pytest.mark.slow, pytest.mark.one_server]

DONE = {"queue": "note", "outcome": "done"}


def address(worker: Supervised, wait_until: WaitUntil) -> str:
    return str(wait_until(lambda: served_at(worker.log)))


def done(base: str) -> float:
    return scrape(base).of("workkit_executions_total", **DONE) or 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_metrics_serves_until_a_signal(shell: Shell, number: signal.Signals) -> None:
    shell.enqueuer.enqueue("mail")
    with spawn("metrics", "--port", "0", env=shell.env) as process:
        assert process.stderr is not None
        base = served_at(process.stderr.readline())
        assert base is not None
        assert scrape(base).of("workkit_queue_jobs", queue="mail") == 1
        assert get(f"{base}/livez")[0] == 200
        process.send_signal(number)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""


def test_a_port_in_use_is_one_line_and_an_exit_code(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(
        "from workkit import WorkerPool\npool = WorkerPool('x', 'redis://127.0.0.1:1')\n"
        "pool.job('mail', lambda job: None)\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for command in (
            ("metrics", "--port", port),
            ("worker", "tasks:pool", "--metrics-port", port),
            ("worker", "tasks:pool", "--metrics-port", port, "--processes", "2"),
        ):
            with spawn(*command, env=shell.env, cwd=tmp_path) as process:
                _, errors = process.communicate(timeout=60)
                assert process.returncode == 2
                complaints = [line for line in errors.splitlines() if line.startswith("workkit: ")]
                assert len(complaints) == 1
                assert f"cannot be served on 127.0.0.1:{port}: address already" in complaints[0]
                assert "Traceback" not in errors


@pytest.mark.parametrize("more", [(), ("--processes", "2")])
def test_an_address_without_a_port_is_refused_with_the_remedy(
    shell: Shell, more: tuple[str, ...]
) -> None:
    said = shell.complaint("worker", "shop:tasks", "--metrics-host", "127.0.0.2", *more, code=2)
    assert "--metrics-host 127.0.0.2 has no effect without a port" in said
    assert "add --metrics-port 9465" in said


def test_an_address_in_the_environment_is_no_wish_for_metrics(
    shell: Shell, tmp_path: Path, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKKIT_METRICS_HOST", "127.0.0.2")
    with supervised(shell, tmp_path) as worker:
        wait_until(lambda: "starting" in worker.log)
        assert "metrics and health" not in worker.log
        worker.process.terminate()
        assert worker.ends() == 0


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_what_is_not_a_port_is_refused(shell: Shell, port: str) -> None:
    assert "--port" in shell.run("metrics", "--port", port, code=2).stderr


def test_without_the_extra_its_name_is_in_the_message(shell: Shell) -> None:
    hidden = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "from workkit.tools.cli import main\nmain()"
    )
    shown = subprocess.run(
        [sys.executable, "-c", hidden, "metrics"],
        env=shell.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert shown.returncode == 2
    assert shown.stderr == (
        "workkit: serving metrics needs an extra; run: pip install 'workkit[metrics]'\n"
    )


def test_a_worker_of_one_process_serves_its_numbers(
    shell: Shell, tmp_path: Path, wait_until: WaitUntil
) -> None:
    with supervised(shell, tmp_path, "--metrics-port", "0") as worker:
        base = address(worker, wait_until)
        shell.enqueuer.enqueue_many([("note", {"n": n}) for n in range(10)])
        wait_until(lambda: done(base) == 10)
        wait_until(lambda: get(f"{base}/readyz")[0] == 200)
        worker.process.terminate()
        assert worker.ends() == 0


def test_a_supervisor_adds_up_its_processes_and_keeps_the_numbers_of_the_dead(
    shell: Shell, tmp_path: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    with supervised(shell, tmp_path, "--processes", "2", "--metrics-port", "0") as worker:
        base = address(worker, wait_until)
        wait_until(lambda: get(f"{base}/readyz")[0] == 200)
        shell.enqueuer.enqueue_many([("note", {"n": n}) for n in range(200)])
        wait_until(lambda: len(ran(redis_client, shell.namespace)) == 200)
        wait_until(lambda: done(base) == 200)
        first, second = worker.pids()
        os.kill(second, signal.SIGKILL)
        died = {"reason": "signal"}
        wait_until(lambda: scrape(base).of("workkit_process_restarts_total", **died) == 1)
        assert done(base) == 200
        assert get(f"{base}/livez")[0] == 200
        wait_until(lambda: len(worker.pids()) == 3)
        wait_until(lambda: get(f"{base}/readyz")[0] == 200)
        shell.enqueuer.enqueue_many([("note", {"n": n}) for n in range(200, 250)])
        wait_until(lambda: done(base) == 250)
        worker.process.send_signal(signal.SIGHUP)
        renewed = {"reason": "SIGHUP"}
        wait_until(lambda: scrape(base).of("workkit_process_restarts_total", **renewed) == 2)
        wait_until(lambda: len(worker.pids()) == 5)
        samples: Samples = scrape(base)
        assert samples.of("workkit_executions_total", **DONE) == 250
        assert samples.of("workkit_wait_seconds_count", queue="note") == 250
        worker.process.terminate()
        assert worker.ends() == 0
    assert first in worker.pids()


def test_a_supervisor_is_unready_while_one_of_its_processes_cannot_claim(
    shell: Shell, tmp_path: Path, wait_until: WaitUntil
) -> None:
    with supervised(shell, tmp_path, "--processes", "2", "--metrics-port", "0") as worker:
        base = address(worker, wait_until)
        wait_until(lambda: get(f"{base}/readyz")[0] == 200)
        wait_until(lambda: len(worker.pids()) == 2)
        frozen = worker.pids()[1]
        os.kill(frozen, signal.SIGSTOP)
        try:
            wait_until(lambda: get(f"{base}/readyz")[0] == 503)
            text = get(f"{base}/readyz")[1]
            assert text.startswith(f"process 2 (pid {frozen}): has reported nothing for ")
            assert get(f"{base}/livez")[0] == 200
        finally:
            os.kill(frozen, signal.SIGCONT)
        wait_until(lambda: get(f"{base}/readyz")[0] == 200)
