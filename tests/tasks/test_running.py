"""Pools run tasks: sync and async, with middleware, lifespans and cron, on real threads."""

from __future__ import annotations

import asyncio
import sys
import threading
import types
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Generic, NewType, Protocol, TypeVar, runtime_checkable

import pytest

from tests.conftest import WaitUntil
from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S, Gate, Notes
from tests.engine.stage import EngineStage
from workkit import Enqueuer, InvalidHandler, Job, Tasks, WorkerPool
from workkit.simulation import Simulation

pytestmark = pytest.mark.one_server

T = TypeVar("T")


class Database:
    """An object that a lifespan opens."""

    def __init__(self) -> None:
        self.open = True


class Replica(Database):
    """A database of another class."""


@pytest.fixture
def enqueuer(redis_url: str, namespace: str) -> Iterator[Enqueuer]:
    enqueuer = Enqueuer(namespace, redis_url)
    yield enqueuer
    enqueuer.close()


def test_sync_and_async_tasks_run_with_their_args(make_pool: MakePool, enqueuer: Enqueuer) -> None:
    tasks = Tasks()
    seen: list[Any] = []

    @tasks.task
    def on_thread(n: int, *, names: tuple[str, ...] = ()) -> int:
        seen.append((n, names, threading.current_thread() is threading.main_thread()))
        return n

    @tasks.task
    async def on_loop(n: int) -> None:
        await asyncio.sleep(0)
        seen.append((n, asyncio.current_task() is not None))

    pool = make_pool(tasks=tasks)
    enqueuer.enqueue(on_thread.call(1, names=("a", "b")))
    enqueuer.enqueue(on_loop.call(2))
    enqueuer.enqueue("on_thread", None)
    pool.start()
    assert pool.drain(PATIENCE_S).complete
    assert sorted(map(str, seen)) == ["(1, ('a', 'b'), False)", "(2, True)"]
    assert pool.totals == {"done": 2, "dead": 1}


def test_a_renamed_task_takes_the_jobs_of_its_older_name_too(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    tasks = Tasks()
    seen: list[int] = []

    @tasks.task(max_fails=2)
    def greet(n: int) -> None:
        seen.append(n)

    older = tasks.task(greet.function, name="welcome")
    enqueuer.enqueue("welcome", {"n": 1})
    enqueuer.enqueue(greet.call(2))
    with make_pool(tasks=tasks) as pool:
        assert pool.drain(PATIENCE_S).complete
    assert sorted(seen) == [1, 2]
    assert (older.name, greet.name) == ("welcome", "greet")


def test_middleware_and_contexts_stand_around_tasks(stage: EngineStage) -> None:
    tasks = Tasks()
    seen: list[Any] = []

    @tasks.task
    def work(n: int) -> None:
        seen.append(n)

    worker = stage.pool(tasks=tasks, context=lambda: "context")

    @worker.middleware
    def layer(ctx: Any, job: Job, next: Any) -> None:  # noqa: A002
        seen.append((ctx, job.args))
        next()

    pool = stage.stepped(worker)
    stage.enqueuer.enqueue(work.call(3))
    pool.work()
    assert seen == [("context", {"n": 3}), 3]


def test_a_parameter_gets_what_a_lifespan_yields(make_pool: MakePool, enqueuer: Enqueuer) -> None:
    tasks = Tasks()
    events: list[str] = []
    seen: list[tuple[str, int, bool]] = []

    @tasks.task
    def on_thread(n: int, database: Database) -> None:
        seen.append((type(database).__name__, n, database.open))

    @tasks.task
    async def on_loop(n: int, *, database: Database = tasks.resource) -> None:
        seen.append((type(database).__name__, n, database.open))

    @tasks.lifespan
    async def open_database() -> AsyncIterator[Database]:
        database = Database()
        events.append("open")
        yield database
        database.open = False
        events.append("closed")

    @tasks.lifespan
    def open_other() -> Iterator[str]:
        yield "other"

    for _ in range(2):  # each pool opens its own
        pool = make_pool(tasks=tasks)
        enqueuer.enqueue("on_thread", {"n": 1})
        enqueuer.enqueue(on_loop.call(2))
        pool.start()
        assert pool.drain(PATIENCE_S).complete
        pool.stop()
    assert sorted(seen) == sorted([("Database", 1, True), ("Database", 2, True)] * 2)
    assert events == ["open", "closed"] * 2


def test_the_function_of_a_resource_is_called_with_one_in_tests() -> None:
    tasks = Tasks()

    @tasks.task
    def work(n: int, database: Database = tasks.resource) -> bool:
        return database.open

    assert work(1, Database())
    with pytest.raises(AttributeError, match="this parameter gets its value from the pool"):
        work(1)


def test_a_resource_that_no_lifespan_yields_is_refused(namespace: str, redis_url: str) -> None:
    tasks = Tasks()

    @tasks.task
    def work(n: int, database: Database) -> None: ...

    with pytest.raises(InvalidHandler, match="database has the type Database.* no lifespan"):
        WorkerPool(namespace, redis_url, tasks=tasks)

    @tasks.lifespan
    async def open_replica() -> AsyncIterator[str]:
        yield "text"

    with pytest.raises(InvalidHandler, match="no lifespan of the registry yields one"):
        WorkerPool(namespace, redis_url, tasks=tasks)


@pytest.mark.parametrize("in_simulator", [False, True])
def test_a_lifespan_that_does_not_say_what_it_yields_is_checked_at_the_start(
    make_pool: MakePool, enqueuer: Enqueuer, *, in_simulator: bool
) -> None:
    tasks = Tasks()
    events: list[str] = []

    @tasks.task
    def work(n: int, database: Database) -> None:
        events.append("ran")

    @tasks.lifespan
    def opens():  # type: ignore[no-untyped-def]
        yield "text"
        events.append("left")

    why = r"task 'work': database wants Database, and no lifespan of the pool has yielded a Dat"
    if in_simulator:
        with Simulation() as sim:
            sim.pool(tasks=tasks)
            sim.enqueuer.enqueue("work", {"n": 1})
            with pytest.raises(InvalidHandler, match=why):
                sim.run_for(minutes=1)
    else:
        enqueuer.enqueue("work", {"n": 1})
        with pytest.raises(InvalidHandler, match=why):
            make_pool(tasks=tasks).start()
    assert events == ["left"]


class Maker(Generic[T]):
    """A class with a parameter, as many libraries have them."""


class Closes(Protocol):
    """What isinstance cannot check."""

    def close(self) -> None: ...


@runtime_checkable
class Opens(Protocol):
    """What isinstance can check."""

    open: bool


@pytest.mark.parametrize(
    "annotation",
    [
        Maker[int], Annotated[Maker[int], "note"], Maker[int] | None, Maker[int] | Database,
        NewType("Own", Maker), Any, object,
    ],
)  # fmt: skip
@pytest.mark.parametrize("declared", [False, True])
def test_the_class_of_a_resource_is_found_behind_its_annotation(
    annotation: Any, *, declared: bool
) -> None:
    tasks = Tasks()
    seen: list[Any] = []
    maker = Maker[int]()

    def work(n: int, maker: Any = tasks.resource) -> None:
        seen.append(maker)

    def opens() -> Any:
        yield maker

    work.__annotations__["maker"] = annotation
    if declared:
        opens.__annotations__["return"] = Iterator[Maker[int]]
    tasks.lifespan(opens)
    task = tasks.task(work)
    with tasks.inline(maker):
        task.enqueue(1)
    with Simulation() as sim:
        assert sim.perform(task.call(1)).error is None
    assert seen == [maker, maker]


def test_a_protocol_without_a_check_at_run_time_is_refused_as_a_resource() -> None:
    tasks = Tasks()

    def first(n: int, closes: Closes = tasks.resource) -> None: ...
    def second(n: int, opens: Opens = tasks.resource) -> None: ...

    with pytest.raises(InvalidHandler, match=r"isinstance does not take Closes.* @runtime_check"):
        tasks.task(first)
    task = tasks.task(second)

    @tasks.lifespan
    def database() -> Iterator[Database]:
        yield Database()

    with Simulation() as sim:
        assert sim.perform(task.call(1)).error is None


def test_a_task_that_comes_after_its_pool_is_checked_at_the_start(make_pool: MakePool) -> None:
    tasks = Tasks()
    pool = make_pool(tasks=tasks)

    @tasks.task
    def work(n: int, database: Database) -> None: ...

    with pytest.raises(InvalidHandler, match="database wants Database, and no lifespan"):
        pool.start()


def test_a_subclass_serves_where_its_base_is_wanted(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    tasks = Tasks()
    seen: list[str] = []

    @tasks.task
    def work(database: Database) -> None:
        seen.append(type(database).__name__)

    @tasks.lifespan
    async def open_replica():  # type: ignore[no-untyped-def]
        yield Replica()

    pool = make_pool(tasks=tasks)
    enqueuer.enqueue("work")
    pool.start()
    assert pool.drain(PATIENCE_S).complete
    pool.stop()
    assert seen == ["Replica"]


def test_tasks_run_in_the_simulator_with_lifespans_and_cron() -> None:
    tasks = Tasks()
    seen: list[Any] = []

    @tasks.task
    async def work(n: int, database: Database = tasks.resource) -> None:
        await asyncio.sleep(3)
        seen.append((n, database.open))

    @tasks.cron("@every 60s")
    def tick(depth: int = 2) -> None:
        seen.append(depth)

    @tasks.lifespan
    async def open_database() -> AsyncIterator[Database]:
        yield Database()

    with Simulation(1) as sim:
        sim.pool(tasks=tasks)
        sim.enqueuer.enqueue(work.call(5))
        sim.run_for(minutes=2.5)
    assert (5, True) in seen
    assert seen.count(2) == 2


def test_a_task_that_comes_after_the_start_is_logged(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture, wait_until: WaitUntil
) -> None:
    caplog.set_level("WARNING", "workkit")
    tasks = Tasks()

    @tasks.task
    def first(n: int) -> None: ...

    pool = make_pool(tasks=tasks)
    pool.start()

    @tasks.task
    def second(n: int) -> None: ...

    wait_until(lambda: "task second was registered after the start of pool" in caplog.text)


def test_a_cell_that_runs_again_stops_the_pool_with_its_older_code(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: WaitUntil,
) -> None:
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    caplog.set_level("WARNING", "workkit")
    gates = {"old": Gate(), "new": Gate()}
    seen = Notes()

    def cell(code: str) -> WorkerPool:
        tasks = Tasks()

        @tasks.task
        def work(n: int) -> None:
            gates[code].pass_through()
            seen((code, n))

        pool = make_pool(tasks=tasks)
        pool.start()
        return pool

    gates["new"].open()
    older = cell("old")
    assert not caplog.messages
    enqueuer.enqueue("work", {"n": 0})
    gates["old"].arrived.wait_for(1)
    newer = cell("new")
    wait_until(lambda: bool(caplog.messages))
    (warning,) = caplog.messages
    assert warning.startswith(f"pool {older.pool_id}, which was started earlier in this session, ")
    assert "has older code of task work" in warning
    for n in range(1, 50):
        enqueuer.enqueue("work", {"n": n})
    seen.wait_for(49)
    assert older.running
    gates["old"].open()
    wait_until(lambda: not older.running)
    assert sorted(seen.items) == [("new", n) for n in range(1, 50)] + [("old", 0)]
    newer.stop()
    caplog.clear()
    cell("new").stop()
    assert not caplog.messages


def test_pools_with_tasks_that_only_share_their_name_may_run_in_a_session(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    caplog.set_level("WARNING", "workkit")

    def first(n: int) -> None: ...
    def second(n: int) -> None: ...

    pools = []
    for function in (first, second):
        tasks = Tasks()
        tasks.task(function, name="work")
        pools.append(make_pool(tasks=tasks))
        pools[-1].start()
    assert all(pool.running for pool in pools)
    for pool in pools:
        pool.stop()
    assert not caplog.messages


def test_two_pools_of_one_registry_may_run_in_a_session(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    caplog.set_level("WARNING", "workkit")
    tasks = Tasks()

    @tasks.task
    def work(n: int) -> None: ...

    pools = [make_pool(tasks=tasks) for _ in range(2)]
    for pool in pools:
        pool.start()
    for pool in pools:
        pool.stop()
    assert not caplog.messages


def test_a_task_that_is_defined_again_after_the_start_is_logged_as_such(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture, wait_until: WaitUntil
) -> None:
    caplog.set_level("WARNING", "workkit")
    tasks = Tasks()
    pool = None
    for _ in range(2):

        @tasks.task
        def work(n: int) -> None: ...

        if pool is None:
            pool = make_pool(tasks=tasks)
            pool.start()
    wait_until(lambda: bool(caplog.messages))
    (warning,) = caplog.messages
    assert warning.startswith("task work was defined again, but pool")
    assert "keeps the older code" in warning
