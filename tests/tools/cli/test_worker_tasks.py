"""`workkit worker` with a registry of tasks: its settings, and the modules that register tasks."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.conftest import WaitUntil
from tests.tools.cli.shell import Shell, environment, spawn
from workkit import Tasks, WorkerPool
from workkit.tasks.outlet import ServerOutlet
from workkit.tools.cli.common.importing import LoadError
from workkit.tools.cli.common.loading import Settings, load_target, pool_for

if TYPE_CHECKING:
    from redis import Redis

pytestmark = pytest.mark.one_server

TASKS: Final = """
import redis
from workkit import Tasks

tasks = Tasks()

@tasks.task
def note(key: str, n: int) -> None:
    redis.Redis.from_url(URL).rpush(key, n)

@tasks.task
def again(key: str) -> None:
    note.enqueue(key, 7)
"""


def write(here: Path, **modules: str) -> None:
    """Write modules; two underscores stand for a folder."""
    for name, text in modules.items():
        file = here / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def package(here: Path, *names: str) -> None:
    for name in names:
        folder = here.joinpath(*name.split("."))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()


def failure(target: str, *imports: str) -> str:
    with pytest.raises(LoadError) as caught:
        load_target(target, imports)
    return str(caught.value)


def registry(target: str, *imports: str) -> Tasks:
    found = load_target(target, imports)
    assert isinstance(found, Tasks)
    return found


# Processing


def settle(process: Any) -> str:
    process.send_signal(signal.SIGTERM)
    stderr = str(process.communicate(timeout=60)[1])
    assert process.returncode == 0, stderr
    return stderr


@pytest.mark.parametrize("by", ["options", "environment"])
def test_a_registry_is_processed_where_options_or_the_environment_say(
    shell: Shell, here: Path, redis_client: Redis, wait_until: WaitUntil, by: str
) -> None:
    write(here, shop1=TASKS.replace("URL", repr(shell.url)))
    options = ("--redis", shell.url, "--namespace", shell.namespace, "--concurrency", "3")
    env = environment() if by == "options" else {**shell.env, "WORKKIT_CONCURRENCY": "3"}
    args = options if by == "options" else ()
    key = f"{shell.namespace}:ran"
    shell.enqueuer.enqueue("note", {"key": key, "n": 1})
    with spawn("worker", "shop1:tasks", *args, env=env, cwd=here) as process:
        wait_until(lambda: redis_client.llen(key), 30)
        log = settle(process)
    assert f"starting shop1:tasks: namespace {shell.namespace!r} on {shell.url}, 3 at once" in log
    assert "jobs: again, note" in log


def test_the_tasks_of_a_worker_enqueue_where_it_processes_them(
    shell: Shell, here: Path, redis_client: Redis, wait_until: WaitUntil
) -> None:
    write(here, shop2=TASKS.replace("URL", repr(shell.url)))
    key = f"{shell.namespace}:ran"
    shell.enqueuer.enqueue("again", {"key": key})
    with spawn("worker", "shop2:tasks", env=shell.env, cwd=here) as process:
        wait_until(lambda: redis_client.llen(key), 30)
        settle(process)


def test_a_registry_without_settings_is_processed_where_its_tasks_enqueue(here: Path) -> None:
    write(here, shop3=f"{TASKS}\ntasks.connect('shop', 'redis://cache:6379/1')\n")
    pool = pool_for(load_target("shop3:tasks"), "shop3:tasks", Settings())
    assert (pool.spec.namespace, pool.server) == ("shop", "cache:6379/1")
    assert pool.spec.concurrency == 10


def test_without_any_setting_a_registry_is_processed_on_this_machine(here: Path) -> None:
    write(here, shop4=TASKS)
    tasks = registry("shop4:tasks")
    pool = pool_for(tasks, "shop4:tasks", Settings())
    assert (pool.spec.namespace, pool.server) == ("work", "localhost:6379/0")
    assert isinstance(tasks.outlet, ServerOutlet)
    assert tasks.outlet.server == ("work", "redis://localhost:6379/0")


def test_a_worker_beside_the_server_of_its_tasks_warns(
    here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(here, shop5=f"{TASKS}\ntasks.connect('shop', 'redis://cache')\n")
    loaded = load_target("shop5:tasks")
    pool_for(loaded, "shop5:tasks", Settings(namespace="shop", redis="redis://cache:6379/0"))
    assert caplog.messages == []
    pool_for(loaded, "shop5:tasks", Settings(namespace="other"))
    assert caplog.messages == [
        (
            "the tasks of shop5:tasks enqueue to namespace 'shop' on cache:6379/0, but this worker "
            "processes namespace 'other' on cache:6379/0"
        )
    ]


def test_a_pool_takes_no_settings_but_ignores_those_of_the_environment(here: Path) -> None:
    write(here, shop6="from workkit import WorkerPool\npool = WorkerPool('w', 'redis://h')\n")
    loaded = load_target("shop6:pool")
    assert isinstance(loaded, WorkerPool)
    assert pool_for(loaded, "shop6:pool", Settings("other", "redis://i", 5)) is loaded
    assert loaded.spec.namespace == "w"
    with pytest.raises(LoadError, match="--namespace, --concurrency is for a Tasks registry"):
        pool_for(loaded, "p", Settings(options=("--namespace", "--concurrency")))


def test_options_for_a_pool_are_refused_by_the_command(here: Path) -> None:
    write(here, shop7="from workkit import WorkerPool\npool = WorkerPool('w', 'redis://h:1')\n")
    env = environment(WORKKIT_NAMESPACE="other", WORKKIT_CONCURRENCY="5")
    with spawn("worker", "shop7:pool", "--redis", "redis://i", env=env, cwd=here) as process:
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert stderr == (
        "workkit: 'shop7:pool' is a pool, which has its own server, namespace and concurrency; "
        "--redis is for a Tasks registry\n"
    )


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--concurrency", "0"), "concurrency must be a whole number from 1 to 10000, not 0"),
        (("--concurrency", "many"), "'many' is not a whole number"),
        (("--processes", "many"), "'many' is not a whole number"),
        (("--concurrency", "10001"), "concurrency must be a whole number from 1 to 10000"),
        (("--redis", "cache:6379"), "a Redis URL starts with redis://"),
        (("--namespace", "redis://cache"), "the namespace is the URL of a server"),
    ],
)
def test_a_setting_that_is_not_valid_is_refused(
    here: Path, args: tuple[str, str], said: str
) -> None:
    write(here, shop8=TASKS)
    with spawn("worker", "shop8:tasks", *args, env=environment(), cwd=here) as process:
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert stderr.startswith("workkit: ")
    assert said in stderr
    assert "Traceback" not in stderr


# Modules


def test_further_modules_register_their_tasks(here: Path) -> None:
    write(
        here,
        base1=TASKS,
        more1="from base1 import tasks\n@tasks.task\ndef more() -> None: ...\n",
        most1="from base1 import tasks\n@tasks.task\ndef most() -> None: ...\n",
    )
    assert [task.name for task in registry("base1:tasks", "more1", "most1")] == [
        "note", "again", "more", "most",
    ]  # fmt: skip


def test_all_modules_of_a_package_are_imported_but_its_program(here: Path) -> None:
    package(here, "jobs2", "jobs2.mail", "jobs2.empty")
    register = "from base2 import tasks\n@tasks.task(name=__name__)\ndef task() -> None: ...\n"
    write(
        here,
        base2="from workkit import Tasks\ntasks = Tasks()\n",
        jobs2__b=register,
        jobs2__a=register,
        jobs2__mail__send=register,
    )
    (here / "jobs2" / "__main__.py").write_text("raise SystemExit('the program ran')\n")
    assert [task.name for task in registry("base2:tasks", "jobs2")] == [
        "jobs2.a", "jobs2.b", "jobs2.mail.send",
    ]  # fmt: skip


def test_a_folder_without_init_is_named_unless_it_is_imported_itself(
    here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    package(here, "jobs3")
    write(here, base3=TASKS, jobs3__plain__a="")
    (here / "jobs3" / "templates").mkdir()
    load_target("base3:tasks", ["jobs3"])
    assert caplog.messages == [
        (
            f"the modules in {here / 'jobs3' / 'plain'} were not imported, because it has no "
            "__init__.py; add one, or --import jobs3.plain"
        )
    ]
    caplog.clear()
    load_target("base3:tasks", ["jobs3", "jobs3.plain"])
    assert caplog.messages == []
    assert "jobs3.plain.a" in sys.modules


def test_a_module_that_cannot_be_imported_is_told(here: Path) -> None:
    package(here, "jobs4")
    write(here, base4=TASKS, jobs4__good="", jobs4__bad="1 / 0\n")
    assert f"there is no module 'nowhere' in {here}" in failure("base4:tasks", "nowhere")
    assert "there is no module 'jobs4.absent'" in failure("base4:tasks", "jobs4.absent")
    told = failure("base4:tasks", "jobs4")
    assert told.startswith("importing 'jobs4.bad' failed:\n")
    assert told.endswith("ZeroDivisionError: division by zero")
    write(here, base4b=TASKS, twice4="from base4b import tasks\ntasks.task(max_fail=3)(print)\n")
    assert "no option max_fail" in failure("base4b:tasks", "twice4")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("jobs/more.py", "'jobs/more.py' is a file; name the module: --import jobs.more"),
        ("./jobs", "'./jobs' is a file; name the module: --import jobs"),
        ("my-jobs", "'my-jobs' is not a module; write --import package.module"),
        ("", "'' is not a module"),
        ("jobs:tasks", "'jobs:tasks' is not a module; write --import package.module"),
    ],
)
def test_a_name_that_is_not_a_module_is_answered_with_one(here: Path, name: str, said: str) -> None:
    write(here, base5=TASKS)
    assert said in failure("base5:tasks", name)


# Names


def test_a_wrong_name_is_answered_with_the_registries_and_pools_of_the_module(here: Path) -> None:
    pool = "from workkit import WorkerPool\npool = WorkerPool('w', 'redis://h')\n"
    write(here, both1=f"{TASKS}\n{pool}")
    told = failure("both1:task")
    assert told == (
        "'both1' has no 'task'. Try workkit worker both1:tasks or workkit worker both1:pool"
    )
    assert failure("both1:note").startswith("'both1:note' is one task; name its registry. Try ")
    assert failure("both1").startswith("name the tasks or the pool of 'both1'. Try ")
    assert failure("both1:Tasks").startswith("'both1:Tasks' is a class, not a Tasks registry")


def test_a_function_may_make_the_registry(here: Path) -> None:
    write(here, made1=f"{TASKS}\ndef make():\n    return tasks\n")
    assert len(registry("made1:make")) == 2


def test_a_registry_without_tasks_is_answered_with_the_option_that_imports_them(
    here: Path,
) -> None:
    package(here, "shop9")
    write(here, shop9__base="from workkit import Tasks\ntasks = Tasks()\n")
    assert failure("shop9.base:tasks") == (
        "'shop9.base:tasks' has no tasks; name the modules that register them: "
        "--import shop9.more_tasks"
    )
