"""Supervised workers as real processes: killed, told to stop, replaced, and left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.conftest import WaitUntil
from tests.tools.cli.shell import START, Shell, environment, spawn
from tests.tools.supervisor.running import TASKS, Supervised, held, ran, supervised

if TYPE_CHECKING:
    from redis import Redis

pytestmark = [pytest.mark.slow, pytest.mark.one_server]


def lack_at_most(client: Redis, namespace: str, count: int, lack: int) -> bool:
    return len(ran(client, namespace)) >= count - lack


def enqueue_notes(shell: Shell, numbers: range) -> None:
    shell.enqueuer.enqueue_many([("note", {"n": n}) for n in numbers])


# Deaths


def test_a_killed_process_is_replaced_and_the_others_never_stop(
    shell: Shell, tmp_path: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    with supervised(shell, tmp_path, "--processes", "2") as worker:
        wait_until(lambda: len(worker.pids()) == 2, 30)
        first, second = worker.pids()
        os.kill(second, signal.SIGKILL)
        wait_until(lambda: len(worker.pids()) == 3, 30)
        shell.enqueuer.enqueue_many([("hold", {"n": n}) for n in range(8)])
        wait_until(lambda: held(redis_client, shell.namespace) == 8, 30)
        holders = set(map(int, redis_client.lrange(f"{shell.namespace}:holding", 0, -1)))
        redis_client.rpush(f"{shell.namespace}:release", *range(8))
        wait_until(lambda: len(ran(redis_client, shell.namespace)) == 8, 30)
        worker.process.terminate()
        assert worker.ends() == 0
    assert holders == {first, worker.pids()[2]}
    assert (
        f"(pid {second}) was ended by SIGKILL, perhaps for lack of memory; starting" in worker.log
    )


def test_when_the_supervisor_is_killed_its_processes_finish_their_jobs_and_end(
    shell: Shell, tmp_path: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    with supervised(shell, tmp_path, "--processes", "2") as worker:
        wait_until(lambda: len(worker.pids()) == 2, 30)
        shell.enqueuer.enqueue_many([("hold", {"n": n}) for n in range(8)])
        wait_until(lambda: held(redis_client, shell.namespace) == 8, 30)
        worker.process.kill()
        wait_until(lambda: worker.log.count("since the supervisor has gone") == 2, 30)
        redis_client.rpush(f"{shell.namespace}:release", *range(8))
        assert worker.ends() == -signal.SIGKILL
    assert len(ran(redis_client, shell.namespace)) == 8
    assert shell.client.worker_pool_heartbeats() == []


def test_a_process_that_is_stuck_in_an_import_does_not_outlive_its_supervisor(
    shell: Shell, tmp_path: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    stuck = f"{TASKS}\nclient.rpush(namespace + ':holding', 1)\npause.wait()\n"
    with supervised(shell, tmp_path, "--processes", "2", tasks=stuck) as worker:
        wait_until(lambda: held(redis_client, shell.namespace), 30)
        worker.process.kill()
        worker.ends()


def test_when_the_pools_of_processes_end_by_themselves_they_are_started_again(
    shell: Shell, tmp_path: Path, wait_until: WaitUntil
) -> None:
    tasks = TASKS + (
        "\n@pool.job(timeout=1, max_fails=1)\n"
        "def stick(job):\n    threading.Semaphore(0).acquire()  # no interrupt reaches it\n"
    )
    with supervised(shell, tmp_path, "--processes", "2", tasks=tasks) as worker:
        wait_until(lambda: len(worker.pids()) == 2, 30)
        shell.client.pause("note")
        shell.enqueuer.enqueue_many([("stick", None)] * 8)
        wait_until(lambda: worker.log.count("ended with exit code 75; starting") == 2, 60)
        wait_until(lambda: len(worker.pids()) == 4, 30)
        worker.process.terminate()
        assert worker.ends() == 0


# Signals


def test_a_signal_under_load_loses_no_job_and_runs_none_twice(
    shell: Shell, tmp_path: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    enqueue_notes(shell, range(6_000))
    for lack in (5_500, 3_000, 0):
        with supervised(shell, tmp_path, "--processes", "2") as worker:
            wait_until(partial(lack_at_most, redis_client, shell.namespace, 6_000, lack), 60)
            worker.process.terminate()
            assert worker.ends() == 0
    assert ran(redis_client, shell.namespace).most_common(1)[0][1] == 1
    assert worker.lines[-1].endswith("ended\n")
    assert shell.client.worker_pool_heartbeats() == []


def test_a_second_signal_returns_jobs_to_their_queue(
    shell: Shell, tmp_path: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    shell.enqueuer.enqueue_many([("hold", {"n": n}) for n in range(8)])
    options = ("--processes", "2", "--timeout", "none")
    with supervised(shell, tmp_path, *options) as worker:
        wait_until(lambda: held(redis_client, shell.namespace) == 8, 30)
        worker.process.send_signal(signal.SIGINT)
        wait_until(lambda: worker.log.count("stopping after signal SIGTERM") >= 2, 30)
        worker.process.send_signal(signal.SIGTERM)
        assert worker.ends() == 0
    assert shell.client.queued_jobs("hold").total == 8
    assert shell.client.worker_pool_heartbeats() == []


def test_signals_that_reach_every_process_of_the_service_are_the_supervisors(
    shell: Shell, tmp_path: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    shell.enqueuer.enqueue_many([("hold", {"n": n}) for n in range(8)])
    with supervised(shell, tmp_path, "--processes", "2") as worker:
        wait_until(lambda: held(redis_client, shell.namespace) == 8, 30)
        for number in (signal.SIGHUP, signal.SIGTERM):
            for pid in (*worker.pids(), worker.process.pid):
                os.kill(pid, number)
        wait_until(lambda: worker.log.count("stopping after signal SIGTERM") >= 2, 30)
        redis_client.rpush(f"{shell.namespace}:release", *range(8))
        assert worker.ends() == 0
    assert len(ran(redis_client, shell.namespace)) == 8
    assert shell.client.queued_jobs("hold").total == 0


def test_a_hangup_replaces_all_processes_by_ones_that_have_loaded_the_module_anew(
    shell: Shell, tmp_path: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    with supervised(shell, tmp_path, "--processes", "2") as worker:
        wait_until(lambda: len(worker.pids()) == 2, 30)
        shell.enqueuer.enqueue("hold", {"n": 1})
        wait_until(lambda: held(redis_client, shell.namespace), 30)

        (tmp_path / "tasks.py").write_text("1 / 0\n")
        worker.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "ended with exit code 2 before it was ready" in worker.log, 30)
        assert "ZeroDivisionError" in worker.log

        (tmp_path / "tasks.py").write_text(f"{TASKS}\nVERSION = 'second'\n")
        wait_until(lambda: len(worker.pids()) == 4, 60)
        wait_until(lambda: len(shell.client.worker_pool_heartbeats()) == 3, 30)
        shell.enqueuer.enqueue("look")
        seen = f"{shell.namespace}:seen"
        wait_until(lambda: redis_client.llen(seen), 30)
        assert redis_client.lrange(seen, 0, -1) == [b"second"]

        assert not ran(redis_client, shell.namespace), "a job that runs is left the time it takes"
        redis_client.rpush(f"{shell.namespace}:release", 1)
        wait_until(lambda: len(shell.client.worker_pool_heartbeats()) == 2, 30)
        worker.process.terminate()
        assert worker.ends() == 0
    assert ran(redis_client, shell.namespace) == {1: 1}


#: Makes the terminal on stdin that of a new session, and becomes the program that is named.
TAKE_TERMINAL: Final = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@contextmanager
def on_a_terminal(shell: Shell, here: Path, *args: str) -> Iterator[tuple[Supervised, FileIO]]:
    """Run a worker in the foreground of a terminal; yields both, ours is what a person sees."""
    (here / "tasks.py").write_text(TASKS)
    ours, theirs = os.openpty()
    command = [sys.executable, "-c", START, "worker", "tasks:pool", *args]
    with (
        FileIO(ours, "r+") as terminal,
        subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL, *command],
            env=shell.env,
            cwd=here,
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        os.close(theirs)
        worker = Supervised(process)
        try:
            yield worker, terminal
        finally:
            worker.kill(here)


def test_ctrl_c_stops_once_and_jobs_that_run_come_to_their_end(
    shell: Shell, tmp_path: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    shell.enqueuer.enqueue("hold", {"n": 1})
    with on_a_terminal(shell, tmp_path, "--processes", "2") as (worker, terminal):
        wait_until(lambda: held(redis_client, shell.namespace), 30)
        terminal.write(b"\x03")
        wait_until(lambda: "stopping after signal SIGTERM" in worker.log, 30)
        redis_client.rpush(f"{shell.namespace}:release", 1)
        assert worker.ends() == 0
    assert ran(redis_client, shell.namespace) == {1: 1}
    assert "stopping after SIGINT\n" in worker.log
    assert "again" not in worker.log


def test_the_end_of_the_terminal_stops_it(
    shell: Shell, tmp_path: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    with on_a_terminal(shell, tmp_path, "--processes", "2") as (worker, terminal):
        wait_until(lambda: len(worker.pids()) == 2, 30)
        terminal.close()
        assert worker.ends() == 0
    assert "stopping after SIGHUP\n" in worker.log


# Replacing


def test_replacing_processes_under_load_loses_no_job_and_runs_none_twice(
    shell: Shell, tmp_path: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    count = 0
    options = ("--processes", "2", "--max-jobs", "500")
    with supervised(shell, tmp_path, *options) as worker:
        while worker.log.count("takes no more jobs") < 4:
            enqueue_notes(shell, range(count, count + 500))
            count += 500
            wait_until(partial(lack_at_most, redis_client, shell.namespace, count, 500), 30)
        wait_until(partial(lack_at_most, redis_client, shell.namespace, count, 0), 30)
        worker.process.terminate()
        assert worker.ends() == 0
    assert ran(redis_client, shell.namespace).most_common(1)[0][1] == 1
    assert worker.log.count("jobs and is to be replaced") >= 4
    assert " ERROR " not in worker.log
    assert shell.client.worker_pool_heartbeats() == []


def test_a_single_process_that_takes_too_much_memory_is_replaced(
    shell: Shell, tmp_path: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    with supervised(shell, tmp_path, "--max-rss", "150M", "--log-json") as worker:
        wait_until(lambda: len(worker.pids()) == 1, 30)
        shell.enqueuer.enqueue("note", {"n": 1})
        wait_until(lambda: ran(redis_client, shell.namespace), 30)
        assert len(worker.pids()) == 1
        shell.enqueuer.enqueue("grow")
        wait_until(lambda: len(worker.pids()) == 2, 60)
        worker.process.terminate()
        assert worker.ends() == 0
    first, second = worker.pids()
    assert "MiB and is to be replaced" in worker.log
    records = [json.loads(line) for line in worker.lines]
    starts = [record for record in records if record["message"].startswith("starting tasks:pool")]
    assert [(record["process"], record["pid"]) for record in starts] == [(1, first), (1, second)]


# The start


@pytest.mark.parametrize("target", ["nowhere:pool", "tasks:pol"])
def test_a_mistake_is_told_once_with_its_own_exit_code(tmp_path: Path, target: str) -> None:
    (tmp_path / "tasks.py").write_text(
        'from workkit import WorkerPool\npool = WorkerPool("work", "redis://127.0.0.1:1")\n'
    )
    told = []
    for options in ((), ("--processes", "3")):
        with spawn("worker", target, *options, env=environment(), cwd=tmp_path) as process:
            told.append(process.communicate(timeout=60))
        assert process.returncode == 2
    assert told[0] == told[1]
    assert told[0][1].startswith("workkit: ")


def test_without_a_server_it_does_not_start(tmp_path: Path) -> None:
    shell = Shell("redis://127.0.0.1:1", "work")
    with supervised(shell, tmp_path, "--processes", "3") as worker:
        assert worker.ends() == 69
    assert worker.log.count("starting tasks:pool") == 1
    assert worker.log.count("no answer from Redis at 127.0.0.1:1") == 1
