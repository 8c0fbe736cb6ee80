"""A registry takes functions that can be tasks, refuses others, and knows no server."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import functools
import importlib
import inspect
import pickle
import socket
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from workkit import (
    Call,
    Enqueuer,
    InvalidArgs,
    InvalidHandler,
    InvalidName,
    InvalidOption,
    InvalidSpec,
    PoolState,
    Tasks,
    WorkerPool,
)
from workkit.core.options import EnqueuerKeywords

if TYPE_CHECKING:
    from decimal import Decimal

URL = "redis://localhost:1"


class Own:
    """A class that has no JSON form."""

    def method(self, n: int) -> None: ...
    def annotated(self: Own, n: int) -> None: ...
    @classmethod
    def of_class(cls, n: int) -> None: ...


Endless = dict[str, "Endless"]


@dataclasses.dataclass
class Left:
    n: int


@dataclasses.dataclass
class Right:
    n: int


@dataclasses.dataclass
class Unresolved:
    n: Decimal


def of_many(*sizes: int) -> None: ...
def of_named(**sizes: int) -> None: ...
def by_position(n: int, /) -> None: ...
def bare(n) -> None: ...  # type: ignore[no-untyped-def]
def of_job(job) -> None: ...  # type: ignore[no-untyped-def]
def unresolved(n: Decimal) -> None: ...


class Deferred:
    """A function whose annotations are evaluated when they are read, as from Python 3.14 on."""

    @property
    def __signature__(self) -> inspect.Signature:
        raise NameError("name 'Decimal' is not defined")

    def __call__(self) -> None: ...


def of_socket(n: socket.socket) -> None: ...
def of_object(n: object) -> None: ...
def of_function(n: Callable[[], None]) -> None: ...
def of_pairs(n: dict[tuple[int, int], str]) -> None: ...
def of_flags(n: dict[bool, str]) -> None: ...
def of_mixed(n: dict[int | str, int]) -> None: ...
def mangled(__n: int) -> None: ...  # noqa: PYI063 - the name is what is refused
def of_nested(n: Unresolved) -> None: ...
def of_own_list(n: list[Own]) -> None: ...
def of_own_default(n: Own | None = None) -> None: ...
def two_texts(n: bytes | str) -> None: ...
def two_objects(n: Left | Right) -> None: ...
def of_endless(n: Endless) -> None: ...
def of_fraction(n: Fraction) -> None: ...


def generates(n: int) -> Iterator[int]:
    yield n


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (of_many, r"takes \*sizes.* a parameter with a list instead: sizes: list\[str\]"),
        (of_named, r"takes \*\*sizes; name each parameter.* unknown=\"ignore\""),
        (by_position, r"takes n only by position.* remove the / behind it"),
        (Own.method, r"takes self, so it is a method.* write a function outside the class"),
        (Own.annotated, r"takes self, so it is a method.* write a function outside the class"),
        (vars(Own)["of_class"], r"takes cls, so it is a method.* write a function outside"),
        (bare, r"n has no annotation.* write n: int or n: str, or n: Any for any JSON value"),
        (of_job, r"takes the job as job.* call current_job\(\).* pool\.job"),
        (unresolved, r"Decimal of n cannot be resolved.* not below if TYPE_CHECKING"),
        (
            Deferred(),
            r"annotation cannot be resolved \(name 'Decimal'.* not below if TYPE_CHECKING",
        ),
        (of_socket, r"socket has no JSON form; pass an id or a path.* = tasks\.resource"),
        (of_object, r"object has no JSON form"),
        (of_function, r"Callable.* has no JSON form"),
        (of_pairs, r"the keys of its dict have no text form; use str or int keys"),
        (of_flags, r"the keys of its dict have no text form; use str or int keys"),
        (of_mixed, r'the keys 1 and "1" of its dict are the same on the wire'),
        (mangled, r"__n begins with two underscores; give it another name"),
        (of_nested, r"'Decimal' is not defined; define or import the name at the top of the mod"),
        (of_own_list, r"n has the type list.*Own has no JSON form"),
        (of_own_default, r"Own has no JSON form"),
        (two_texts, r"n has a type that cannot be read: Type unions.*; write two parameters, or"),
        (two_objects, r"n has a type that cannot be read: Type unions.*; write structs with tags"),
        (of_endless, r"cannot be read: .*; an alias cannot contain itself here: write Any, or a"),
        (of_fraction, r"n has the type Fraction, and Fraction has no JSON form; .* n: Fraction = "),
        (generates, r"contains yield, so a call runs none of its code"),
        (Own, r"is the class Own; write a function such as def send_email\(address: str"),
        (5, r"must be a function such as def send_email\(address: str.*; got 5"),
    ],
)
def test_what_cannot_be_a_task_is_refused_with_the_right_form(function: Any, why: str) -> None:
    with pytest.raises(InvalidHandler, match=why):
        Tasks().task(function, name="work")


def test_a_task_is_made_with_and_without_parentheses_and_by_a_call() -> None:
    tasks = Tasks()

    @tasks.task
    def first(n: int) -> int:
        """Documented."""
        return n + 1

    @tasks.task()
    def second(n: int) -> int:
        return n + 2

    @tasks.task(name="3rd", max_fails=7)
    async def third(n: int) -> int:
        return n + 3

    fourth = tasks.task(lambda_with_annotations(), name="fourth", timeout=3)
    assert [task.name for task in tasks] == ["first", "second", "3rd", "fourth"]
    assert (first(1), second(1), fourth(1)) == (2, 3, 5)
    assert tasks["3rd"] is third
    assert "second" in tasks
    assert len(tasks) == 4
    assert (third.options.max_fails, fourth.options.timeout) == (7, 3)
    assert (first.__doc__, getattr(first, "__name__", "")) == ("Documented.", "first")
    coroutine = third(1)
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    assert ended.value.value == 4


def lambda_with_annotations() -> Callable[[int], int]:
    def add(n: int) -> int:
        return n + 4

    return add


def test_functions_behind_decorators_and_partials_are_tasks() -> None:
    def decorator(function: Any) -> Any:
        @functools.wraps(function)
        def inner(*args: Any, **kwargs: Any) -> Any:
            return ("decorated", function(*args, **kwargs))

        return inner

    @decorator
    def work(n: int) -> int:
        return n

    assert Tasks().task(work)(3) == ("decorated", 3)
    part = Tasks().task(functools.partial(lambda_with_annotations()), name="part")
    assert part.call(3) == Call("part", {"n": 3})


@pytest.mark.parametrize(
    ("options", "error", "why"),
    [
        ({"max_fail": 3}, InvalidOption, r"job 'work': no option max_fail; did you mean max_fails"),
        ({"max_fails": "3"}, InvalidOption, "max_fails must be a whole number"),
        ({"unknown": "drop"}, InvalidOption, 'unknown must be "refuse" or "ignore", not \'drop\''),
        ({"upgrade": 5}, InvalidOption, r"upgrade must be a function of the args, .*, not 5"),
        ({"upgrade": lambda: {"n": 1}}, InvalidOption, r"such as def upgrade.* signature \(\)"),
        ({"upgrade": asyncio.sleep}, InvalidOption, "without async and without yield"),
        ({"retry_on": OSError}, InvalidOption, "retry_on must be a tuple of exception classes"),
        ({"fail_on": (5,)}, InvalidOption, "fail_on must be a tuple of exception classes"),
        (
            {"fail_on": (OSError,), "retry_on": (OSError,)},
            InvalidOption, "retry_on and fail_on both name OSError",
        ),
        ({"backoff": lambda: 5}, InvalidHandler, r"lambda job: 10 \* job\.fails"),
        ({"name": ""}, InvalidName, "may not be empty"),
        ({"name": "a,b"}, InvalidName, "a comma"),
    ],
)  # fmt: skip
def test_options_are_checked_where_they_are_given(
    options: dict[str, Any], error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        Tasks().task(lambda_with_annotations(), **{"name": "work", **options})


def test_a_name_is_taken_once() -> None:
    tasks = Tasks()

    def first(n: int) -> None: ...
    def second(n: int) -> None: ...

    tasks.task(first, name="work")
    with pytest.raises(InvalidName, match=r"'work' is registered already, by .*first.*name=\.\.\."):
        tasks.task(second, name="work")
    with pytest.raises(InvalidName, match="a lambda has no name"):
        tasks.task(lambda n: n)


def test_what_has_no_name_needs_one() -> None:
    with pytest.raises(InvalidName, match=r"partial.* has no name; .*name=\.\.\."):
        Tasks().task(functools.partial(of_default))
    assert Tasks().task(functools.partial(of_default), name="work").name == "work"


def test_a_script_that_is_also_imported_by_its_name_registers_its_tasks_once(
    tmp_path: Path,
) -> None:
    (tmp_path / "registry.py").write_text("from workkit import Tasks\ntasks = Tasks()\n")
    (tmp_path / "jobs.py").write_text(
        "from registry import tasks\n"
        "@tasks.task\n"
        "def work(n: int) -> None: ...\n"
        "if __name__ == '__main__':\n"
        "    import jobs\n"
        "    print(len(tasks), tasks['work'] is jobs.work)\n"
    )
    for command in (["jobs.py"], ["-m", "jobs"]):
        ran = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (ran.stdout, ran.stderr) == ("1 True\n", "")


def test_a_module_that_is_loaded_again_after_an_edit_replaces_its_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    tasks = Tasks()
    home = types.ModuleType("workkit_test_home")
    home.tasks = tasks  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, home.__name__, home)
    head = f"from {home.__name__} import tasks\n"
    work = "@tasks.task\ndef work() -> str:\n    return {!r}\n"
    file = tmp_path / "workkit_test_edited.py"
    file.write_text(head + work.format("old"))
    module = importlib.import_module(file.stem)
    monkeypatch.delitem(sys.modules, file.stem)
    monkeypatch.setitem(sys.modules, file.stem, module)
    file.write_text(head + "\n\nNEW = 'line'\n" + work.format("new"))
    importlib.reload(module)
    assert [task() for task in tasks] == ["new"]
    file.write_text(head + work.format("first") + work.format("second"))
    with pytest.raises(InvalidName, match="'work' is registered already, by workkit_test_edited"):
        importlib.reload(module)


@Tasks().task
def of_the_module(n: int) -> int:
    return n + 1


def test_a_task_is_pickled_and_copied_by_reference_as_functions_are() -> None:
    task = of_the_module
    assert copy.deepcopy({"task": task})["task"] is task
    for sent in (task, task.call(3)):
        assert pickle.loads(pickle.dumps(sent)) == sent  # noqa: S301 - our own bytes


def test_the_same_place_may_be_executed_again() -> None:
    tasks = Tasks()
    for n in range(2):

        @tasks.task
        def work(n: int = n) -> int:
            return n

    assert work() == 1
    assert [task() for task in tasks] == [1]


def test_a_cell_may_define_its_task_again(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    tasks = Tasks()
    for at, result in enumerate(("old", "new")):
        cell = compile(f"def work(n: int) -> str:\n    return {result!r}\n", f"cell-{at}", "exec")
        exec(cell, vars(notebook))  # noqa: S102 - as a notebook does
        tasks.task(notebook.work)
    assert [task(1) for task in tasks] == ["new"]


def test_a_registry_and_its_calls_need_no_redis() -> None:
    code = (
        "import sys\n"
        "from workkit import Tasks\n"
        "tasks = Tasks()\n"
        "@tasks.task\n"
        "def work(n: int) -> None: ...\n"
        "assert work.call(3).args == {'n': 3}\n"
        "sys.exit('redis' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_enqueuing_before_connect_says_what_to_do() -> None:
    task = Tasks().task(lambda_with_annotations(), name="work")
    with pytest.raises(PoolState, match=r"call tasks\.connect\(namespace, url\) once, or give"):
        task.enqueue(3)
    with pytest.raises(PoolState, match=r"call tasks\.connect"):
        task.enqueue_async(3).send(None)


def test_connect_names_an_option_that_enqueuers_do_not_have() -> None:
    tasks = Tasks()
    with pytest.raises(InvalidOption, match="no option max_conections; did you mean max_connec"):
        tasks.connect("work", URL, max_conections=3)  # type: ignore[call-arg]
    with pytest.raises(InvalidOption, match="max_connections must be a whole number from 1"):
        tasks.connect("work", URL, max_connections=0)
    with pytest.raises(PoolState, match=r"call tasks\.connect"):
        tasks.task(of_default).enqueue(3)
    parameters = list(inspect.signature(Enqueuer).parameters)
    assert list(EnqueuerKeywords.__annotations__) == parameters[2:]


def test_a_task_in_place_of_its_call_is_refused() -> None:
    task: Any = Tasks().task(lambda_with_annotations(), name="work")
    with pytest.raises(InvalidName, match=r"is a task; enqueue a call of it: task\.call"):
        Enqueuer("work", URL).enqueue(task)


def test_pools_take_only_a_registry() -> None:
    with pytest.raises(InvalidOption, match=r"tasks must be a registry, Tasks\(\), not \['a'\]"):
        WorkerPool("work", URL, tasks=["a"])  # type: ignore[arg-type]


def test_a_registry_serves_many_pools_also_with_tasks_that_come_later() -> None:
    tasks = Tasks()
    pools = [WorkerPool("work", URL, tasks=tasks) for _ in range(2)]
    task = tasks.task(lambda_with_annotations(), name="work", max_fails=9)
    tasks.cron("@hourly")(tasks.task(of_default, name="cron"))
    for pool in pools:
        assert list(pool.spec.registrations) == ["work", "cron"]
        assert pool.spec.registrations["work"].options is task.options
        assert [(entry.spec, entry.name) for entry in pool.spec.periodic] == [("@hourly", "cron")]


def of_default(n: int = 2) -> None: ...


def test_a_name_of_the_pools_own_handlers_is_taken() -> None:
    tasks = Tasks()
    pool = WorkerPool("work", URL, tasks=tasks)
    pool.job("work", lambda job: None)
    with pytest.raises(PoolState, match="'work' is registered already"):
        tasks.task(of_default, name="work")


def test_cron_takes_functions_with_defaults_only() -> None:
    tasks = Tasks()
    with pytest.raises(InvalidHandler, match=r"without args, so n needs a default: n=\.\.\."):
        tasks.cron("@hourly")(lambda_with_annotations())
    assert len(tasks) == 0
    with pytest.raises(InvalidSpec):
        tasks.cron("every day")
    with pytest.raises(InvalidOption, match=r'@tasks\.cron\("0 4 \* \* \*"\)'):
        tasks.cron(of_default)  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="catch_up_s must be a whole number from 0 to 86400"):
        tasks.cron("@hourly", catch_up_s=-1)

    @tasks.cron("0 4 * * *", max_fails=2)
    def nightly(depth: int = 2) -> None: ...

    assert nightly.options.max_fails == 2
    assert [(entry.spec, entry.task) for entry in tasks.cron_entries] == [("0 4 * * *", nightly)]


def test_a_lifespan_is_a_generator_function_without_parameters() -> None:
    tasks = Tasks()
    for wrong in (of_default, lambda_with_annotations, generates, 5):
        with pytest.raises(InvalidHandler, match=r"must be async def lifespan\(\)"):
            tasks.lifespan(wrong)  # type: ignore[type-var]
    assert tasks.lifespans == []


def test_a_lifespan_of_another_framework_loses_its_decorator() -> None:
    def opens() -> Iterator[None]:
        yield

    with pytest.raises(InvalidHandler, match="without its decorator, such as @asynccontextmanager"):
        Tasks().lifespan(contextlib.contextmanager(opens))
    for right in (opens, functools.partial(opens)):
        Tasks().lifespan(right)


def test_a_call_with_an_object_that_only_a_lifespan_provides_says_so() -> None:
    def work(n: int, own: Own) -> None: ...

    task = Tasks().task(work)
    why = r"takes \(n\); a lifespan provides own, since Own has no JSON form"
    with pytest.raises(InvalidArgs, match=why):
        task.call(1, Own())
    with pytest.raises(InvalidArgs, match=why):
        task.call(1, own=Own())


def test_a_pool_that_is_given_a_task_as_a_handler_points_to_the_registry() -> None:
    tasks, pool = Tasks(), WorkerPool("n", URL)

    @tasks.task
    def send(address: str) -> None: ...

    wrong: list[tuple[Any, ...]] = [(send,), ("x", send), (tasks,), ("x", tasks), (send.call("a"),)]
    for args in wrong:
        with pytest.raises(InvalidHandler, match=r"give the pool the registry: .*tasks=\.\.\."):
            pool.job(*args)
    with pytest.raises(InvalidName, match="is a string, not int"):
        pool.job(5)  # type: ignore[call-overload]
