"""How `workkit worker` ends: signals at any time, as process 1, and when something in it hangs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.conftest import WaitUntil
from tests.tools.cli.shell import START, Shell, spawn

if TYPE_CHECKING:
    from redis import Redis

pytestmark = [pytest.mark.one_server, pytest.mark.slow]

TASKS: Final = """
import logging, os, subprocess, sys, threading
import redis
from workkit import WorkerPool

url, namespace = os.environ["WORKKIT_REDIS_URL"], os.environ["WORKKIT_NAMESPACE"]
client = redis.Redis.from_url(url, socket_timeout=None)
client.rpush(namespace + ":importing", 1)
SLOW
pool = WorkerPool(namespace, url, concurrency=2)

@pool.job(max_fails=1)
def fail(job):
    logging.getLogger("shop").warning("y" * 1000)
    raise ValueError("x" * 1000)

@pool.job
def shut(job):
    os.closerange(3, 256)

@pool.job
def orphan(job):
    subprocess.run(["sh", "-c", "true & true &"], check=True)
    client.rpush(namespace + ":ran", 1)

@pool.job
def hang(job):
    threading.Thread(target=threading.Event().wait).start()
    client.rpush(namespace + ":ran", 1)
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text(TASKS.replace("SLOW", ""))
    return tmp_path


def has(client: Redis, namespace: str, what: str, count: int = 1) -> bool:
    return int(client.llen(f"{namespace}:{what}")) >= count


@pytest.mark.parametrize("options", [(), ("--processes", "2")])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_module_is_imported_ends_it(
    shell: Shell,
    here: Path,
    redis_client: Redis,
    wait_until: WaitUntil,
    number: signal.Signals,
    options: tuple[str, ...],
) -> None:
    tasks = TASKS.replace("SLOW", "client.blpop(namespace + ':never', 60)")
    (here / "tasks.py").write_text(tasks)
    with spawn("worker", "tasks:pool", *options, env=shell.env, cwd=here) as process:
        wait_until(lambda: has(redis_client, shell.namespace, "importing"), 30)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    assert signal.Signals(number).name in stderr


def test_closed_descriptors_end_it_with_the_code_that_asks_for_another(
    shell: Shell, here: Path
) -> None:
    with spawn("worker", "tasks:pool", env=shell.env, cwd=here) as process:
        shell.enqueuer.enqueue("shut")
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 75, stderr
    assert "descriptors" in stderr


@pytest.mark.parametrize("options", [(), ("--processes", "2")])
def test_a_log_that_nobody_reads_holds_up_neither_jobs_nor_the_end(
    shell: Shell, here: Path, wait_until: WaitUntil, options: tuple[str, ...]
) -> None:
    reader, writer = os.pipe()
    shell.enqueuer.enqueue_many([("fail", None)] * 150)
    with spawn(
        "worker", "tasks:pool", *options, env=shell.env, cwd=here, stderr=writer, stdout=writer
    ) as process:
        os.close(writer)
        wait_until(lambda: shell.client.dead_jobs().total == 150, 30)
        process.terminate()
        assert process.wait(30) == 0
    os.close(reader)


def test_threads_that_handlers_leave_behind_do_not_keep_the_process(
    shell: Shell, here: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    shell.enqueuer.enqueue("hang")
    with spawn("worker", "tasks:pool", env=shell.env, cwd=here) as process:
        wait_until(lambda: has(redis_client, shell.namespace, "ran"), 30)
        process.terminate()
        assert process.wait(30) == 0


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("options", [(), ("--processes", "2")])
def test_a_lifespan_that_fails_ends_it_as_a_mistake_of_its_module(
    shell: Shell, here: Path, wait_until: WaitUntil, when: str, options: tuple[str, ...]
) -> None:
    opened = """
@pool.lifespan
def resources():
    assert "before" != WHEN, "no database"
    yield
    assert "after" != WHEN, "no database"
"""
    (here / "tasks.py").write_text(TASKS.replace("SLOW", "") + opened.replace("WHEN", repr(when)))
    with spawn("worker", "tasks:pool", *options, env=shell.env, cwd=here) as process:
        if when == "after":
            wait_until(lambda: bool(shell.client.worker_pool_heartbeats()), 30)
            process.terminate()
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2, stderr
    assert f"the lifespan resources failed {when} its yield" in stderr
    assert "no database" in stderr


def test_a_stop_hook_that_hangs_does_not_keep_the_process(
    shell: Shell, here: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    hook = "\n@pool.on_stop\ndef hang_on():\n    threading.Event().wait()\n"
    (here / "tasks.py").write_text(TASKS.replace("SLOW", "") + hook)
    options = ("--timeout", "0.5")
    with spawn("worker", "tasks:pool", *options, env=shell.env, cwd=here) as process:
        shell.enqueuer.enqueue("orphan")
        wait_until(lambda: has(redis_client, shell.namespace, "ran"), 30)
        process.terminate()
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 75, stderr
    assert "the stop hangs" in stderr


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_start_hook_that_hangs_does_not_keep_the_process(
    shell: Shell, here: Path, redis_client: Redis, wait_until: WaitUntil, processes: str
) -> None:
    hook = (
        "\n@pool.on_start\ndef hang_on():\n"
        "    client.rpush(namespace + ':ran', 1)\n    threading.Event().wait()\n"
    )
    (here / "tasks.py").write_text(TASKS.replace("SLOW", "") + hook)
    options = ("--timeout", "0.5", "--processes", processes)
    with spawn("worker", "tasks:pool", *options, env=shell.env, cwd=here) as process:
        wait_until(lambda: has(redis_client, shell.namespace, "ran"), 30)
        process.terminate()
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == (75 if processes == "1" else 0), stderr
    assert "the stop hangs" in stderr


# Process 1.


def has_namespaces() -> bool:
    command = ("unshare", "--pid", "--fork", "--mount-proc", "true")
    return (
        shutil.which("unshare") is not None and not subprocess.run(command, check=False).returncode
    )


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", ["importing", "ran"])
def test_as_process_1_it_hears_signals_and_reaps_orphans(
    shell: Shell,
    here: Path,
    redis_client: Redis,
    wait_until: WaitUntil,
    number: signal.Signals,
    moment: str,
) -> None:
    if not has_namespaces():
        pytest.skip("no PID namespaces here")
    if moment == "importing":
        tasks = TASKS.replace("SLOW", "client.blpop(namespace + ':never', 60)")
        (here / "tasks.py").write_text(tasks)
    shell.enqueuer.enqueue_many([("orphan", None)] * 5)
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", START]
    with subprocess.Popen(
        [*command, "worker", "tasks:pool"], env=shell.env, cwd=here, start_new_session=True
    ) as around:
        try:
            count = 5 if moment == "ran" else 1
            wait_until(lambda: has(redis_client, shell.namespace, moment, count), 30)
            (first,) = children(around.pid)
            wait_until(lambda: len(children(first)) == 1)  # the worker; no orphan is left
            os.kill(first, number)
            assert around.wait(30) == 0
        finally:
            for pid in children(around.pid) if around.poll() is None else ():
                os.kill(pid, signal.SIGKILL)
            around.kill()


# What is imported.


SCRIPT: Final = """
import os
from workkit import Enqueuer, WorkerPool
pool = WorkerPool(os.environ["WORKKIT_NAMESPACE"], os.environ["WORKKIT_REDIS_URL"])
pool.job("work", lambda job: None)
pool.{}()
"""


@pytest.mark.parametrize("how", ["run", "start"])
@pytest.mark.parametrize("options", [(), ("--processes", "2")])
def test_a_script_that_runs_its_pool_is_told_to_guard_that(
    shell: Shell, tmp_path: Path, how: str, options: tuple[str, ...]
) -> None:
    (tmp_path / "quick.py").write_text(SCRIPT.format(how))
    with spawn("worker", "quick:pool", *options, env=shell.env, cwd=tmp_path) as process:
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2, stderr
    assert 'if __name__ == "__main__":' in stderr
    assert "quick" in stderr
