"""`workkit worker`: processes that process, and modules that do not load."""

from __future__ import annotations

import json
import logging
import re
import signal
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from tests.conftest import WaitUntil
from tests.tools.cli.shell import Shell, environment, spawn
from workkit import WorkerPool
from workkit.tools.cli.common.importing import LoadError
from workkit.tools.cli.common.loading import load_target
from workkit.tools.cli.common.logs import WorkerLogging
from workkit.tools.cli.common.values import to_bytes

if TYPE_CHECKING:
    from redis import Redis

#: A user's module; its handlers report to the test through Redis.
TASKS = """
import logging, os, threading
import redis
from workkit import WorkerPool

url, namespace = os.environ["WORKKIT_REDIS_URL"], os.environ["WORKKIT_NAMESPACE"]
pool = WorkerPool(namespace, url, concurrency=2)
client = redis.Redis.from_url(url, socket_timeout=None)

@pool.job
def note(job):
    logging.getLogger("shop").info("noting %d", job.arg_int("n"))
    client.rpush(namespace + ":ran", job.arg_int("n"))

@pool.job
def hold(job):
    client.rpush(namespace + ":holding", 1)
    client.blpop(namespace + ":release", 60)

@pool.job(timeout=1, max_fails=1)
def stick(job):
    client.rpush(namespace + ":holding", 1)
    client.blpop(namespace + ":release", 60)

def make_pool():
    return pool
"""


@contextmanager
def worker(
    shell: Shell, here: Path, target: str = "tasks:pool", *args: str, tasks: str = TASKS
) -> Iterator[subprocess.Popen[str]]:
    """Run `workkit worker` in a directory that holds tasks.py."""
    (here / "tasks.py").write_text(tasks)
    with spawn("worker", target, *args, env=shell.env, cwd=here) as process:
        yield process


def ran(client: Redis, namespace: str) -> list[int]:
    return sorted(int(n) for n in client.lrange(f"{namespace}:ran", 0, -1))


# Processing


@pytest.mark.parametrize("target", ["tasks:pool", "tasks:make_pool", "tasks:make_pool()"])
@pytest.mark.one_server
def test_a_worker_processes_jobs_and_stops_on_sigterm(
    shell: Shell, here: Path, redis_client: Redis, wait_until: WaitUntil, target: str
) -> None:
    shell.enqueuer.enqueue_many([("note", {"n": n}) for n in range(20)])
    with worker(shell, here, target) as process:
        wait_until(lambda: len(ran(redis_client, shell.namespace)) == 20, 30)
        process.terminate()
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert stdout == ""
    assert f"starting {target}: namespace {shell.namespace!r} on {shell.url}, 2 at once" in stderr
    assert "jobs: hold, note, stick" in stderr
    assert " INFO    shop: noting 7\n" in stderr
    assert "stopping after signal SIGTERM" in stderr
    assert stderr.endswith(" INFO    workkit: stopped\n")
    assert shell.client.worker_pool_heartbeats() == []


@pytest.mark.one_server
def test_what_does_not_end_in_time_goes_back_to_its_queue(
    shell: Shell, here: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    shell.enqueuer.enqueue("hold")
    with worker(shell, here, "tasks:pool", "--timeout", "0.1") as process:
        wait_until(lambda: redis_client.exists(f"{shell.namespace}:holding"), 30)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert "stopping after signal SIGINT" in stderr
    assert shell.client.queued_jobs("hold").total == 1


@pytest.mark.one_server
def test_a_worker_whose_handlers_were_all_abandoned_asks_to_be_replaced(
    shell: Shell, here: Path
) -> None:
    shell.enqueuer.enqueue_many([("stick", None)] * 2)
    with worker(shell, here) as process:
        _, stderr = process.communicate(timeout=100)
    assert process.returncode == 75, stderr
    assert "the pool ended by itself; start the process again" in stderr


@pytest.mark.one_server
def test_logs_can_be_json_and_have_a_level(
    shell: Shell, here: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    shell.enqueuer.enqueue("note", {"n": 1})
    options = ("--log-json", "--log-level", "debug")
    with worker(shell, here, "tasks:pool", *options) as process:
        wait_until(lambda: ran(redis_client, shell.namespace), 30)
        process.terminate()
        _, stderr = process.communicate(timeout=60)
    records = [json.loads(line) for line in stderr.splitlines()]
    assert {"time", "level", "logger", "message"} <= set(records[0])
    assert ("info", "shop", "noting 1") in [
        (record["level"], record["logger"], record["message"]) for record in records
    ]


@pytest.mark.one_server
def test_json_logs_name_the_trace_of_a_handler(
    shell: Shell, here: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    tracing = (
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from workkit.telemetry.otel import Tracing\n"
        "Tracing(TracerProvider()).instrument()\n"
    )
    shell.enqueuer.enqueue("note", {"n": 1})
    with worker(shell, here, "tasks:pool", "--log-json", tasks=f"{tracing}{TASKS}") as process:
        wait_until(lambda: ran(redis_client, shell.namespace), 30)
        process.terminate()
        _, stderr = process.communicate(timeout=60)
    records = [json.loads(line) for line in stderr.splitlines()]
    (note,) = (record for record in records if record["message"] == "noting 1")
    assert (len(note["trace_id"]), len(note["span_id"])) == (32, 16)
    assert note["job_name"] == "note"


@pytest.mark.one_server
def test_an_application_that_sets_up_logging_itself_is_left_alone(
    shell: Shell, here: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    tasks = f'import logging\nlogging.basicConfig(level=20, format="MINE %(message)s")\n{TASKS}'
    shell.enqueuer.enqueue("note", {"n": 1})
    with worker(shell, here, tasks=tasks) as process:
        wait_until(lambda: ran(redis_client, shell.namespace), 30)
        process.terminate()
        _, stderr = process.communicate(timeout=60)
    assert "MINE noting 1\n" in stderr
    assert {line.partition(" ")[0] for line in stderr.splitlines()} == {"MINE"}


def test_without_a_server_a_worker_does_not_start(here: Path) -> None:
    shell = Shell("redis://127.0.0.1:1", "work")
    with worker(shell, here) as process:
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 69
    assert stderr.splitlines()[-1].startswith("workkit: no answer from Redis at 127.0.0.1:1")
    assert "Traceback" not in stderr


def test_a_pool_without_jobs_does_not_start(here: Path) -> None:
    tasks = 'from workkit import WorkerPool\npool = WorkerPool("work", "redis://127.0.0.1:1")\n'
    with worker(Shell("redis://127.0.0.1:1", "work"), here, tasks=tasks) as process:
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert stderr.splitlines()[-1].startswith("workkit: the pool has no jobs")


FAILING: Final = {
    "a start hook": "@pool.on_start\ndef connect():\n    fail()\n",
    "a lifespan": "@pool.lifespan\ndef connect():\n    fail()\n    yield\n",
    "an async lifespan": "@pool.lifespan\nasync def connect():\n    fail()\n    yield\n",
}


@pytest.mark.parametrize("what", FAILING)
def test_what_fails_at_the_start_is_told_with_the_users_part_of_its_traceback(
    here: Path, what: str
) -> None:
    fail = "def fail():\n    raise OSError('the database is down')\n"
    tasks = f"{TASKS}\n{fail}{FAILING[what]}"
    with worker(Shell("redis://127.0.0.1:1", "work"), here, tasks=tasks) as process:
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "the pool could not be started" in stderr
    assert ("the lifespan connect failed before its yield: OSError" in stderr) == (
        what != "a start hook"
    )
    assert stderr.endswith("OSError: the database is down\n")
    files = re.findall(r'File "(.*)", line', stderr)
    assert [Path(file).name for file in files] == ["tasks.py", "tasks.py"]


def test_a_module_that_does_not_load_is_told_by_the_process_itself(here: Path) -> None:
    with spawn("worker", "nowhere:pool", env=environment(), cwd=here) as process:
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (2, "")
    assert stderr.startswith(f"workkit: there is no module 'nowhere' in {here}")
    assert "Traceback" not in stderr


@pytest.mark.parametrize("timeout", ["-1", "nan", "soon"])
def test_a_timeout_that_is_none_is_refused(timeout: str) -> None:
    told = Shell("redis://", "x").complaint("worker", "tasks:pool", "--timeout", timeout, code=2)
    assert "is not a span of time" in told


@pytest.mark.parametrize("size", ["500", "0M", "-1M", "1.2.3G", "much", "1e3M"])
def test_a_size_that_is_none_is_refused(size: str) -> None:
    told = Shell("redis://", "x").complaint("worker", "tasks:pool", "--max-rss", size, code=2)
    assert "is not a size; write 500M or 1.5G" in told


def test_sizes_are_read_as_people_write_them() -> None:
    def read(text: str) -> int | None:
        return to_bytes(cast("Any", None), cast("Any", None), text)

    assert read("500M") == read("500mb") == read(" 500MiB ") == 500 << 20
    assert read("1.5g") == 3 << 29


# Loading

POOL = 'from workkit import WorkerPool\npool = WorkerPool("work", "redis://localhost")\n'


def failure(target: str) -> str:
    with pytest.raises(LoadError) as caught:
        load_target(target)
    return str(caught.value)


def write(here: Path, **modules: str) -> None:
    for name, text in modules.items():
        (here / f"{name}.py").write_text(text)


def test_a_pool_may_be_an_attribute_of_an_attribute(here: Path) -> None:
    package = here / "shop1"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "tasks.py").write_text(f"class app:\n    {POOL.replace(chr(10), chr(10) + '    ')}")
    pool = load_target("shop1.tasks:app.pool")
    assert isinstance(pool, WorkerPool)
    assert pool.spec.namespace == "work"


def test_a_module_that_does_not_exist_is_told_from_one_that_fails(here: Path) -> None:
    write(here, fails1="import not_installed\n", fails2="1 / 0\n", fails3="x = (\n")
    assert f"there is no module 'nowhere' in {here}" in failure("nowhere:pool")
    assert "there is no module 'nowhere'" in failure("nowhere.tasks:pool")
    assert "there is no module 'fails3x'" in failure("fails3x:pool")

    told = failure("fails1:pool").splitlines()
    assert told[0] == "importing 'fails1' failed:"
    assert told[1].endswith('fails1.py", line 1, in <module>')
    assert told[-1] == "  ModuleNotFoundError: No module named 'not_installed'"
    assert failure("fails2:pool").endswith("ZeroDivisionError: division by zero")
    assert "SyntaxError: " in failure("fails3:pool")


def test_a_module_below_one_that_is_no_package_does_not_exist(here: Path) -> None:
    write(here, flat1=POOL)
    assert "there is no module 'flat1.tasks'" in failure("flat1.tasks:pool")


def test_a_script_that_exits_when_it_is_imported_is_a_failure(here: Path) -> None:
    write(here, exits1="import sys\nsys.exit(0)\n")
    assert "importing 'exits1' failed:" in failure("exits1:pool")


def test_only_the_end_of_a_long_traceback_is_shown(here: Path) -> None:
    write(here, deep1="def f(n):\n    return 1 / n + f(n - 1)\nf(40)\n")
    assert len(failure("deep1:pool").splitlines()) <= 13


def test_a_name_that_is_missing_suggests_the_pools_that_there_are(here: Path) -> None:
    write(here, two1=f"{POOL}other = pool\n", none1="x = 1\n")
    told = failure("two1:pol")
    assert told.startswith("'two1' has no 'pol'.")
    assert told.endswith("Try workkit worker two1:pool or workkit worker two1:other")
    assert failure("none1:pool") == (
        "'none1' has no 'pool'. No Tasks registry or WorkerPool was found in 'none1'."
    )
    assert "name the tasks or the pool of 'two1'. Try " in failure("two1")


def test_what_is_no_pool_is_called_by_its_type(here: Path) -> None:
    write(
        here,
        odd1=f"{POOL}number = 7\nclass Thing: pass\n"
        "def wrong(): return 'text'\ndef needs(x): pass\ndef breaks(): raise OSError('disk')\n",
    )
    assert "'odd1:number' is an object of type 'int', not a Tasks registry" in failure(
        "odd1:number"
    )
    assert "'odd1:Thing' is a class" in failure("odd1:Thing")
    assert "'odd1:wrong' returned an object of type 'str'" in failure("odd1:wrong")
    assert "missing 1 required positional argument" in failure("odd1:needs")
    assert failure("odd1:breaks").endswith("OSError: disk")


def test_an_async_function_that_makes_a_pool_is_refused_without_a_warning(here: Path) -> None:
    write(here, odd2=f"{POOL}async def make(): return pool\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = failure("odd2:make")
    assert told.startswith("'odd2:make' is an async function; make the pool in a function with")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("file1.py:pool", "workkit worker file1:pool"),
        ("./file1.py:pool", "workkit worker file1:pool"),
        ("shop/tasks.py", "workkit worker shop.tasks:tasks"),
        ("", "is not a module"),
        (":pool", "is not a module"),
        ("my-tasks:pool", "is not a module"),
    ],
)
def test_a_file_name_is_answered_with_the_modules(here: Path, target: str, said: str) -> None:
    write(here, file1=POOL)
    assert said in failure(target)


# Logging


@contextmanager
def fresh_logging() -> Iterator[None]:
    """Log as a process does that has just started, and as before afterwards."""
    shop = logging.getLogger("shop")  # other tests set its level
    loggers = [logging.getLogger(), logging.getLogger("workkit"), shop]
    before = [(logger, logger.handlers, logger.level) for logger in loggers]
    try:
        for logger in loggers:
            logger.handlers = []
        shop.setLevel(logging.NOTSET)
        yield
    finally:
        for logger, handlers, level in before:
            logger.handlers = handlers
            logger.setLevel(level)


def test_a_traceback_is_one_field_of_a_json_log(capsys: pytest.CaptureFixture[str]) -> None:
    with fresh_logging():
        WorkerLogging(None, as_json=True).application_loaded()
        logging.getLogger("shop").error("failed: %s", "é", exc_info=ValueError("boom"))
    (line,) = capsys.readouterr().err.splitlines()
    record: dict[str, Any] = json.loads(line)
    assert (record["level"], record["message"]) == ("error", "failed: é")
    assert record["traceback"].endswith("ValueError: boom")


def test_what_is_logged_while_the_application_loads_is_shown_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with fresh_logging():
        logs = WorkerLogging("warning", as_json=False)
        logging.getLogger("workkit").warning("early")
        logs.application_loaded()
        logging.getLogger("workkit").warning("late")
        logging.getLogger("shop").info("too little")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [
        "WARNING workkit: early",
        "WARNING workkit: late",
    ]
