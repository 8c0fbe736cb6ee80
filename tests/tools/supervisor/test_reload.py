"""`workkit worker --reload`: edits of real files, while real processes run jobs."""

from __future__ import annotations

import os
import signal
import socket
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.conftest import WaitUntil
from tests.tools.cli.shell import Shell, environment, spawn
from tests.tools.supervisor.running import TASKS, Supervised, held, ran, supervised

if TYPE_CHECKING:
    from redis import Redis

pytestmark = [pytest.mark.slow, pytest.mark.one_server]

WAITING: Final = "waiting for the next edit of its files; Ctrl-C ends\n"


def version(name: str) -> str:
    """The tasks, whose handler `look` reports this version."""
    assert len(name) == 5, "each version has the same size"
    return TASKS.replace('"first"', f'"{name}"')


def edit(file: Path, text: str) -> None:
    """Replace a file in one step, as editors do."""
    draft = file.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(file)


def seen(shell: Shell, client: Redis, wait_until: WaitUntil) -> str:
    """The version that runs a job which is enqueued now."""
    shell.enqueuer.enqueue("look")
    wait_until(lambda: client.llen(f"{shell.namespace}:seen"), 30)
    found = client.lpop(f"{shell.namespace}:seen")
    assert isinstance(found, bytes)
    return found.decode()


def ran_some(client: Redis, namespace: str, count: int) -> bool:
    return len(ran(client, namespace)) >= count


def edited(worker: Supervised, count: int) -> bool:
    return worker.log.count("has changed") >= count


def ran_all(client: Redis, namespace: str, count: int) -> bool:
    return len(ran(client, namespace)) == count


def runs(worker: Supervised, count: int, wait_until: WaitUntil) -> None:
    """Wait until so many processes have run since the start."""
    wait_until(lambda: len(worker.pids()) >= count, 30)


def end(worker: Supervised) -> None:
    worker.process.send_signal(signal.SIGINT)
    assert worker.ends() == 0, worker.log


# Edits


def test_after_an_edit_jobs_run_the_new_code(
    shell: Shell, tmp_path: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    with supervised(shell, tmp_path, "--reload") as worker:
        runs(worker, 1, wait_until)
        assert seen(shell, redis_client, wait_until) == "first"
        for count, name in enumerate(("other", "third", "first"), start=2):
            edit(tmp_path / "tasks.py", version(name))
            runs(worker, count, wait_until)
            assert seen(shell, redis_client, wait_until) == name
        end(worker)
    assert worker.log.count("tasks.py has changed: loading the application again") == 3
    assert "watching 1 source file for edits" in worker.log
    assert " ERROR " not in worker.log
    assert shell.client.worker_pool_heartbeats() == []


def test_an_edit_that_keeps_the_size_and_the_second_of_a_file_is_loaded(
    shell: Shell,
    tmp_path: Path,
    redis_client: Redis,
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    with supervised(shell, tmp_path, "--reload") as worker:
        runs(worker, 1, wait_until)
        assert list((tmp_path / "__pycache__").glob("tasks.*.pyc"))
        before = (tmp_path / "tasks.py").stat()
        draft = tmp_path / "draft"
        draft.write_text(version("other"))
        os.utime(draft, ns=(before.st_atime_ns, before.st_mtime_ns))
        draft.replace(tmp_path / "tasks.py")
        runs(worker, 2, wait_until)
        assert seen(shell, redis_client, wait_until) == "other"
        end(worker)


def test_a_job_that_runs_comes_to_its_end_while_new_jobs_run_the_new_code(
    shell: Shell, tmp_path: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    with supervised(shell, tmp_path, "--reload") as worker:
        shell.enqueuer.enqueue("hold", {"n": 7})
        wait_until(lambda: held(redis_client, shell.namespace), 30)
        edit(tmp_path / "tasks.py", version("other"))
        runs(worker, 2, wait_until)
        assert seen(shell, redis_client, wait_until) == "other"
        assert not ran(redis_client, shell.namespace)
        redis_client.rpush(f"{shell.namespace}:release", 1)
        wait_until(partial(ran_all, redis_client, shell.namespace, 1), 30)
        end(worker)
    assert held(redis_client, shell.namespace) == 1, "it ran once"


def test_a_job_that_takes_longer_than_the_timeout_goes_back_and_runs_the_new_code(
    shell: Shell, tmp_path: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    with supervised(shell, tmp_path, "--reload", "--timeout", "0.2") as worker:
        shell.enqueuer.enqueue("hold", {"n": 7})
        wait_until(lambda: held(redis_client, shell.namespace) == 1, 30)
        edit(tmp_path / "tasks.py", version("other"))
        wait_until(lambda: held(redis_client, shell.namespace) == 2, 30)
        old, new = map(int, redis_client.lrange(f"{shell.namespace}:holding", 0, -1))
        wait_until(lambda: worker.pids() == [old, new])  # the log may come later
        redis_client.rpush(f"{shell.namespace}:release", 1, 1)
        wait_until(lambda: ran(redis_client, shell.namespace)[7], 30)
        end(worker)
    assert shell.client.queued_jobs("hold").total == 0


def test_edits_under_load_lose_no_job_and_run_none_twice(
    shell: Shell, tmp_path: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    count = 4_000
    with supervised(shell, tmp_path, "--reload", "--processes", "2") as worker:
        runs(worker, 2, wait_until)
        shell.enqueuer.enqueue_many([("note", {"n": n}) for n in range(count)])
        for edits, done in enumerate((500, 1_500, 2_500), start=1):
            wait_until(partial(ran_some, redis_client, shell.namespace, done), 60)
            edit(tmp_path / "tasks.py", version(f"v{done:04}"))
            wait_until(partial(edited, worker, edits), 30)
        wait_until(partial(ran_all, redis_client, shell.namespace, count), 90)
        end(worker)
    assert ran(redis_client, shell.namespace).most_common(1)[0][1] == 1
    assert " ERROR " not in worker.log
    assert shell.client.worker_pool_heartbeats() == []


def test_all_processes_load_the_new_code(
    shell: Shell, tmp_path: Path, wait_until: WaitUntil
) -> None:
    with supervised(shell, tmp_path, "--reload", "--processes", "3") as worker:
        runs(worker, 3, wait_until)
        edit(tmp_path / "tasks.py", version("other"))
        runs(worker, 6, wait_until)
        wait_until(lambda: len(shell.client.worker_pool_heartbeats()) == 3, 30)
        pids = {beat.pid for beat in shell.client.worker_pool_heartbeats()}
        assert pids == set(worker.pids()[3:])
        end(worker)


def test_an_edit_while_the_application_loads_is_loaded(
    shell: Shell, tmp_path: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    slow = "client.rpush(namespace + ':holding', 1)\nclient.blpop(namespace + ':release', 60)\n"
    with supervised(shell, tmp_path, "--reload", tasks=TASKS + slow) as worker:
        wait_until(lambda: held(redis_client, shell.namespace) == 1, 30)
        edit(tmp_path / "tasks.py", version("other"))
        redis_client.rpush(f"{shell.namespace}:release", 1)
        wait_until(lambda: "has changed" in worker.log and worker.pids(), 30)
        wait_until(lambda: len(shell.client.worker_pool_heartbeats()) == 1, 30)
        assert seen(shell, redis_client, wait_until) == "other"
        end(worker)


# Which files


def test_modules_that_are_imported_late_are_watched_and_files_that_are_not_imported_are_not(
    shell: Shell, tmp_path: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    package = tmp_path / "shop"
    package.mkdir()
    (package / "late.py").write_text("VERSION = 'first'\n")
    (tmp_path / "unused.py").write_text("")
    late = TASKS.replace(
        "VERSION, *", "__import__('importlib').import_module('shop.late').VERSION, *"
    )
    with supervised(shell, tmp_path, "--reload", "--log-level", "debug", tasks=late) as worker:
        runs(worker, 1, wait_until)
        edit(tmp_path / "unused.py", "x = 1\n")
        assert seen(shell, redis_client, wait_until) == "first"
        wait_until(lambda: "watching 2 source files for edits" in worker.log, 30)
        edit(package / "late.py", "VERSION = 'other'\n")
        runs(worker, 2, wait_until)
        assert seen(shell, redis_client, wait_until) == "other"
        end(worker)
    assert "unused.py" not in worker.log
    assert worker.log.count("has changed") == 1
    assert f"{Path('shop', 'late.py')} has changed" in worker.log


def test_a_new_module_in_a_package_that_is_imported_whole_is_loaded(
    shell: Shell, tmp_path: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    (jobs / "__init__.py").touch()
    with supervised(shell, tmp_path, "--reload", "--import", "jobs") as worker:
        runs(worker, 1, wait_until)
        (jobs / "notes.txt").write_text("not a module")
        edit(jobs / "more.py", "import tasks\ntasks.VERSION = 'other'\n")
        runs(worker, 2, wait_until)
        assert seen(shell, redis_client, wait_until) == "other"
        (jobs / "much").mkdir()
        edit(jobs / "much" / "__init__.py", "import tasks\ntasks.VERSION = 'third'\n")
        wait_until(lambda: seen(shell, redis_client, wait_until) == "third", 30)
        end(worker)
    assert f"{Path('jobs', 'more.py')} has changed" in worker.log


# Mistakes


def test_a_syntax_error_is_told_once_and_the_next_edit_mends_it(
    shell: Shell, tmp_path: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    with supervised(shell, tmp_path, "--reload", "--processes", "2") as worker:
        runs(worker, 2, wait_until)
        edit(tmp_path / "tasks.py", "x = (\n")
        wait_until(lambda: WAITING in worker.log, 30)
        wait_until(lambda: not shell.client.worker_pool_heartbeats(), 30)
        job = shell.enqueuer.enqueue("look")
        assert worker.log.count("SyntaxError: '(' was never closed") == 1
        assert 'tasks.py", line 1' in worker.log

        edit(tmp_path / "tasks.py", version("other"))
        runs(worker, 4, wait_until)
        wait_until(lambda: redis_client.llen(f"{shell.namespace}:seen"), 30)
        assert shell.client.find(job.id) is None, "it waited for the new code"
        end(worker)
    assert worker.log.count(WAITING) == 1


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        ("x = (\n", "SyntaxError"),
        ("1 / 0\n", "ZeroDivisionError"),
        ("import absent\n", "ModuleNotFoundError"),
        ("pool = 7\n", "'tasks:pool' is an object of type 'int'"),
        ("from workkit import WorkerPool\npool = WorkerPool('w', 'redis://h')\n", "has no jobs"),
    ],
)
def test_a_worker_that_begins_with_a_mistake_waits_for_the_edit_that_mends_it(
    shell: Shell,
    tmp_path: Path,
    redis_client: Redis,
    wait_until: WaitUntil,
    broken: str,
    error: str,
) -> None:
    with supervised(shell, tmp_path, "--reload", tasks=broken) as worker:
        wait_until(lambda: WAITING in worker.log, 30)
        assert error in worker.log
        edit(tmp_path / "tasks.py", version("other"))
        runs(worker, 1, wait_until)
        assert seen(shell, redis_client, wait_until) == "other"
        end(worker)


@pytest.mark.parametrize("name", ["absent.py", "absent/__init__.py", "absent/deep.py"])
def test_a_module_that_was_missing_is_found_when_it_is_written(
    shell: Shell, tmp_path: Path, wait_until: WaitUntil, name: str
) -> None:
    module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    with supervised(shell, tmp_path, "--reload", tasks=f"import {module}\n{TASKS}") as worker:
        wait_until(lambda: WAITING in worker.log, 30)
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
        runs(worker, 1, wait_until)
        end(worker)


def test_ctrl_c_ends_a_worker_that_waits_for_an_edit(
    shell: Shell, tmp_path: Path, wait_until: WaitUntil
) -> None:
    with supervised(shell, tmp_path, "--reload", tasks="x = (\n") as worker:
        wait_until(lambda: WAITING in worker.log, 30)
        end(worker)
    assert worker.lines[-1].endswith("stopping after SIGINT\n")


def test_a_file_that_is_deleted_and_comes_back_is_loaded(
    shell: Shell, tmp_path: Path, wait_until: WaitUntil
) -> None:
    with supervised(shell, tmp_path, "--reload") as worker:
        runs(worker, 1, wait_until)
        (tmp_path / "tasks.py").unlink()
        wait_until(lambda: WAITING in worker.log, 30)
        assert "there is no module 'tasks'" in worker.log
        edit(tmp_path / "tasks.py", version("other"))
        runs(worker, 2, wait_until)
        end(worker)


def test_a_server_that_does_not_answer_yet_is_tried_again_without_an_edit(
    tmp_path: Path, wait_until: WaitUntil
) -> None:
    shell = Shell("redis://127.0.0.1:1", "work")
    with supervised(shell, tmp_path, "--reload") as worker:
        wait_until(lambda: worker.log.count("no answer from Redis at 127.0.0.1:1") == 2, 60)
        end(worker)
    assert "ended with exit code 69 before it was ready; starting another one in" in worker.log
    assert WAITING not in worker.log


def test_a_start_that_fails_beside_an_old_process_is_tried_again_when_that_has_ended(
    shell: Shell, tmp_path: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    opens = (
        f"\nimport socket\n@pool.on_start\ndef open():\n    global server\n"
        f"    server = socket.create_server(('127.0.0.1', {port}))\n"
    )
    with supervised(shell, tmp_path, "--reload", tasks=TASKS + opens) as worker:
        shell.enqueuer.enqueue("hold", {"n": 7})
        wait_until(lambda: held(redis_client, shell.namespace), 30)
        edit(tmp_path / "tasks.py", version("other") + opens)
        wait_until(lambda: "trying again when the old processes have ended" in worker.log, 30)
        redis_client.rpush(f"{shell.namespace}:release", 1)
        runs(worker, 2, wait_until)
        assert seen(shell, redis_client, wait_until) == "other"
        end(worker)
    assert WAITING not in worker.log


@pytest.mark.parametrize("target", ["absent.tasks:pool", "json:pool"])
def test_where_there_is_no_file_to_watch_a_mistake_ends_the_worker(
    tmp_path: Path, target: str
) -> None:
    with spawn("worker", target, "--reload", env=environment(), cwd=tmp_path) as process:
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert stderr.startswith("workkit: ")
    assert stderr.count("\n") == 1


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "watchfiles.py").write_text("raise ImportError\n")
    env = environment()
    env["PYTHONPATH"] = os.pathsep.join((str(tmp_path), env["PYTHONPATH"]))
    with spawn("worker", "tasks:pool", "--reload", env=env, cwd=tmp_path) as process:
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert stderr == (
        "workkit: workkit worker --reload needs an extra; run: pip install 'workkit[reload]'\n"
    )
