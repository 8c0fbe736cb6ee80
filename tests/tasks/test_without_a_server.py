"""`tasks.inline()` and `tasks.recorded()`: tests of code that enqueues, without a server."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from workkit import (
    ArgsMismatch,
    AsyncEnqueuer,
    Call,
    Discard,
    Enqueuer,
    Fail,
    InvalidArgs,
    InvalidOption,
    Job,
    PoolState,
    Retry,
    ServerUnavailable,
    Tasks,
    WorkerPool,
    current_job,
)
from workkit.tasks import RecordedCall

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from redis import Redis

#: Where nobody answers.
NOWHERE: Final = "redis://127.0.0.1:1"


@dataclass
class Address:
    street: str
    number: int


@dataclass
class Mailer:
    sent: list[Any]


@pytest.fixture
def tasks() -> Tasks:
    return Tasks()


@pytest.fixture
def enqueuer() -> Enqueuer:
    return Enqueuer("work", NOWHERE)


@pytest.fixture
def ran() -> list[Any]:
    return []


@pytest.fixture
def note(tasks: Tasks, ran: list[Any]) -> Any:
    @tasks.task
    def note(n: int, to: Address | None = None, at: datetime | None = None) -> None:
        ran.append((n, to, at))

    return note


def calls_of(calls: list[RecordedCall]) -> list[Call]:
    return [each.call for each in calls]


# All forms of enqueuing

FORMS: Final[dict[str, Callable[[Any, Enqueuer], object]]] = {
    "task": lambda note, _: note.enqueue(1),
    "task in": lambda note, _: note.enqueue_in(60, 1),
    "task at": lambda note, _: note.enqueue_at(datetime.now(UTC) + timedelta(days=1), 1),  # noqa: TID251
    "task unique": lambda note, _: note.enqueue_unique(1),
    "task unique in": lambda note, _: note.enqueue_unique_in(60, 1),
    "task by key": lambda note, _: note.enqueue_unique_by_key({"k": 1}, 1),
    "task in by key": lambda note, _: note.enqueue_unique_in_by_key(60, {"k": 1}, 1),
    "call": lambda note, to: to.enqueue(note.call(1)),
    "call in": lambda note, to: to.enqueue_in(note.call(1), 60),
    "call at": lambda note, to: to.enqueue_at(note.call(1), 2_000_000_000),
    "call unique": lambda note, to: to.enqueue_unique(note.call(1), until="done"),
    "call unique in": lambda note, to: to.enqueue_unique_in(note.call(1), 60),
    "call by key": lambda note, to: to.enqueue_unique_by_key(note.call(1), key={"k": 1}),
    "call in by key": lambda note, to: to.enqueue_unique_in_by_key(note.call(1), 60, key={"k": 1}),
    "many": lambda note, to: to.enqueue_many([note.call(1)])[0],
    "name": lambda _, to: to.enqueue("note", {"n": 1}),
    "name in many": lambda _, to: to.enqueue_many([("note", {"n": 1})])[0],
    "durable": lambda note, to: to.durably(replicas=2).enqueue(note.call(1)),
    "durable on disk": lambda note, to: to.durably(0, fsync=True).enqueue(note.call(1)),
    "durable unique": lambda note, to: to.durably(2, fsync=True).enqueue_unique(note.call(1)),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_enqueuing_runs_the_job_at_once(
    tasks: Tasks, enqueuer: Enqueuer, note: Any, ran: list[Any], form: str
) -> None:
    with tasks.inline() as calls:
        made = FORMS[form](note, enqueuer)
        assert ran == [(1, None, None)]
        assert calls_of(calls) == [note.call(1)]
        check(made, calls[0], form)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_enqueuing_is_recorded_and_runs_nothing(
    tasks: Tasks, enqueuer: Enqueuer, note: Any, ran: list[Any], form: str
) -> None:
    with tasks.recorded() as calls:
        made = FORMS[form](note, enqueuer)
        assert ran == []
        assert calls_of(calls) == [note.call(1)]
        check(made, calls[0], form)


def check(made: Any, call: RecordedCall, form: str) -> None:
    """The caller gets what a server would have given, and the record says how it was enqueued."""
    is_later = form.endswith((" in", " at", "in by key"))
    job: Job = made.job if is_later else made
    assert (job.name, job.args, len(job.id)) == ("note", {"n": 1}, 24)
    assert call.job.id == job.id
    assert call.when == (made.run_at if is_later else None)
    assert call.unique is job.unique is ("unique" in form or "key" in form)
    assert bool(call.job.unique_key) == call.unique


ASYNC_FORMS: Final[dict[str, Callable[[Any, AsyncEnqueuer], Awaitable[object]]]] = {
    "task": lambda note, _: note.enqueue_async(1),
    "task in": lambda note, _: note.enqueue_in_async(60, 1),
    "task at": lambda note, _: note.enqueue_at_async(2_000_000_000, 1),
    "task unique": lambda note, _: note.enqueue_unique_async(1),
    "task unique in": lambda note, _: note.enqueue_unique_in_async(60, 1),
    "task by key": lambda note, _: note.enqueue_unique_by_key_async({"k": 1}, 1),
    "task in by key": lambda note, _: note.enqueue_unique_in_by_key_async(60, {"k": 1}, 1),
    "call": lambda note, to: to.enqueue(note.call(1)),
    "call in": lambda note, to: to.enqueue_in(note.call(1), 60),
    "call at": lambda note, to: to.enqueue_at(note.call(1), 2_000_000_000),
    "call unique": lambda note, to: to.enqueue_unique(note.call(1)),
    "call unique in": lambda note, to: to.enqueue_unique_in(note.call(1), 60),
    "call by key": lambda note, to: to.enqueue_unique_by_key(note.call(1), key={"k": 1}),
    "call in by key": lambda note, to: to.enqueue_unique_in_by_key(note.call(1), 60, key={"k": 1}),
    "durable": lambda note, to: to.durably(replicas=2).enqueue(note.call(1)),
}


@pytest.mark.parametrize("form", ASYNC_FORMS)
@pytest.mark.parametrize("mode", ["inline", "recorded"])
def test_each_async_form_of_enqueuing_is_taken_too(
    tasks: Tasks, note: Any, ran: list[Any], form: str, mode: str
) -> None:
    async def main() -> Any:
        return await ASYNC_FORMS[form](note, AsyncEnqueuer("work", NOWHERE))

    with getattr(tasks, mode)() as calls:
        check(asyncio.run(main()), calls[0], form)
        assert calls_of(calls) == [note.call(1)]
    assert ran == ([(1, None, None)] if mode == "inline" else [])


def test_many_jobs_are_returned_in_their_order(
    tasks: Tasks, enqueuer: Enqueuer, note: Any, ran: list[Any]
) -> None:
    @tasks.task
    def other(n: int) -> None:
        ran.append(-n)

    with tasks.inline():
        made = enqueuer.enqueue_many([note.call(1), other.call(2), ("note", {"n": 3})])
    assert [(job.name, job.args) for job in made] == [
        ("note", {"n": 1}), ("other", {"n": 2}), ("note", {"n": 3}),
    ]  # fmt: skip
    assert ran == [(1, None, None), (3, None, None), -2], "jobs of one name keep their order"


def test_many_jobs_of_several_batches_are_all_recorded(
    tasks: Tasks, enqueuer: Enqueuer, note: Any
) -> None:
    with tasks.recorded() as calls:
        enqueuer.enqueue_many([note.call(n) for n in range(2_500)])
    assert [call.args["n"] for call in calls] == list(range(2_500))


# The codec


def test_args_go_through_json(tasks: Tasks, note: Any, ran: list[Any]) -> None:
    moment = datetime(2027, 1, 31, 9, tzinfo=UTC)
    address = Address("Main Street", 7)
    with tasks.inline() as calls:
        note.enqueue(1 << 70, to=address, at=moment)
    ((n, to, at),) = ran
    assert (n, to, at) == (1 << 70, address, moment)
    assert to is not address
    assert calls[0].args == {
        "n": 1 << 70,
        "to": {"street": "Main Street", "number": 7},
        "at": "2027-01-31T09:00:00Z",
    }


def test_what_would_be_refused_is_refused(
    tasks: Tasks, enqueuer: Enqueuer, note: Any, ran: list[Any]
) -> None:
    for mode in (tasks.inline, tasks.recorded):
        with mode() as calls:
            with pytest.raises(InvalidArgs, match="expected `?int"):
                note.enqueue("one")
            with pytest.raises(InvalidArgs, match="args"):
                enqueuer.enqueue("note", {"n": float("nan")})
            with pytest.raises(InvalidArgs, match="max_job_bytes"):
                enqueuer.enqueue("note", {"n": 1, "text": "x" * (2 << 20)})
            with pytest.raises(InvalidOption, match="until"):
                enqueuer.enqueue_unique(note.call(1), until="never")  # type: ignore[call-overload]
            with pytest.raises(InvalidOption, match="seconds"):
                enqueuer.enqueue_in(note.call(1), -1)
        assert (calls, ran) == ([], [])


def test_args_from_elsewhere_that_do_not_fit_are_refused_as_in_a_pool(
    tasks: Tasks, enqueuer: Enqueuer, note: Any
) -> None:
    with tasks.inline() as calls, pytest.raises(ArgsMismatch, match=r"args\.n"):
        enqueuer.enqueue("note", {"n": "one"})
    assert len(calls) == 1, "it was enqueued"


# Outcomes


@pytest.mark.parametrize(
    "raised", [Retry(in_s=7), Retry(in_s=7, counts=False), Fail("no"), OSError()]
)
@pytest.mark.parametrize("is_async", [False, True])
def test_what_a_task_raises_is_raised_where_it_was_enqueued(
    tasks: Tasks, raised: Exception, is_async: bool
) -> None:
    @tasks.task
    def work() -> None:
        raise raised

    @tasks.task
    async def work_async() -> None:
        raise raised

    task: Any = work_async if is_async else work

    async def main() -> None:
        await task.enqueue_async()

    with tasks.inline() as calls:
        with pytest.raises(type(raised)) as caught:
            task.enqueue()
        assert caught.value is raised
        with pytest.raises(type(raised)):
            asyncio.run(main())
    assert len(calls) == 2


@pytest.mark.parametrize("is_async", [False, True])
def test_a_discarded_job_has_ended_well(tasks: Tasks, is_async: bool) -> None:
    @tasks.task
    def work() -> None:
        raise Discard("nothing to do")

    async def main() -> Job:
        return await work.enqueue_async()

    with tasks.inline():
        job = asyncio.run(main()) if is_async else work.enqueue()
    assert job.name == "work"


@pytest.mark.parametrize("raised", [StopIteration, KeyboardInterrupt, SystemExit])
def test_even_odd_exceptions_reach_the_caller(tasks: Tasks, raised: type[BaseException]) -> None:
    @tasks.task
    def work() -> None:
        raise raised

    with tasks.inline(), pytest.raises(raised):
        work.enqueue()


def test_an_error_leaves_nothing_behind(tasks: Tasks, note: Any, ran: list[Any]) -> None:
    @tasks.task
    def work() -> None:
        raise OSError("disk")

    with tasks.inline():
        for _ in range(40):
            with pytest.raises(OSError, match="disk"):
                work.enqueue()
        note.enqueue(1)
    with pytest.raises(KeyError), tasks.recorded():
        raise KeyError
    assert ran == [(1, None, None)]
    with pytest.raises(PoolState, match="not connected"):
        note.enqueue(1)


# Unique jobs


def test_a_recorded_unique_job_waits_so_its_duplicate_is_refused(tasks: Tasks, note: Any) -> None:
    with tasks.recorded() as calls:
        assert note.enqueue_unique(1) is not None
        assert note.enqueue_unique(1) is None
        assert note.enqueue_unique_in(60, 1) is None
        assert note.enqueue_unique(2) is not None
        assert note.enqueue(1) is not None
        assert calls_of(calls) == [note.call(1), note.call(2), note.call(1)]
        calls.clear()
        assert note.enqueue_unique(1) is not None


def test_a_recorded_job_by_key_gets_the_newest_args(
    tasks: Tasks, enqueuer: Enqueuer, note: Any
) -> None:
    with tasks.recorded() as calls:
        note.enqueue_unique_by_key({"k": 1}, 1)
        assert note.enqueue_unique_by_key({"k": 1}, 2) is None
        note.enqueue_unique_by_key({"k": 2}, 3)
        assert calls_of(calls) == [note.call(2), note.call(3)]
        calls.clear()
        enqueuer.enqueue_unique(note.call(4), until="done")
        assert enqueuer.enqueue_unique_by_key(note.call(5), key={"n": 4}) is None
        assert calls_of(calls) == [note.call(4)], "it keeps its args until it is done"


def test_a_unique_job_that_has_run_can_be_enqueued_again(
    tasks: Tasks, enqueuer: Enqueuer, note: Any, ran: list[Any]
) -> None:
    with tasks.inline():
        assert note.enqueue_unique(1) is not None
        assert note.enqueue_unique(1) is not None
        for _ in range(2):
            assert enqueuer.enqueue_unique(note.call(2), until="done") is not None
    assert len(ran) == 4


@pytest.mark.parametrize(("until", "runs"), [("start", 2), ("done", 1)])
def test_a_unique_job_that_runs_holds_its_key_until_it_is_done(
    tasks: Tasks, enqueuer: Enqueuer, until: Any, runs: int
) -> None:
    seen: list[Job | None] = []

    @tasks.task
    def work() -> None:
        if len(seen) < 1:
            seen.append(None)
            seen.append(enqueuer.enqueue_unique(work.call(), until=until))

    with tasks.inline() as calls:
        enqueuer.enqueue_unique(work.call(), until=until)
    assert len(calls) == runs
    assert (seen[-1] is not None) == (runs == 2)


# Nesting


def test_jobs_that_a_job_enqueues_run_too(tasks: Tasks, note: Any, ran: list[Any]) -> None:
    @tasks.task
    def outer(n: int) -> None:
        note.enqueue(n)
        ran.append("outer")

    @tasks.task
    async def outer_async(n: int) -> None:
        await note.enqueue_async(n)
        note.enqueue(n + 1)
        ran.append("outer")

    with tasks.inline() as calls:
        outer.enqueue(1)
        outer_async.enqueue(2)
    assert ran == [(1, None, None), "outer", (2, None, None), (3, None, None), "outer"]
    assert [call.name for call in calls] == ["outer", "note", "outer_async", "note", "note"]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_task_that_enqueues_itself_for_ever_is_told(tasks: Tasks, is_async: bool) -> None:
    @tasks.task
    def tick() -> None:
        tick.enqueue_in(60)

    @tasks.task
    async def tick_async() -> None:
        await tick_async.enqueue_in_async(60)

    with tasks.inline(), pytest.raises(PoolState, match=r"enqueued each other .*'tick"):
        (tick_async if is_async else tick).enqueue()


def test_the_innermost_mode_that_knows_a_task_takes_its_job(
    tasks: Tasks, note: Any, ran: list[Any]
) -> None:
    others = Tasks()

    @others.task
    def other() -> None:
        ran.append("other")

    with tasks.recorded() as outer, others.inline():
        note.enqueue(1)
        with tasks.inline() as inner, others.recorded() as seen:
            note.enqueue(2)
            other.enqueue()
        other.enqueue()
        note.enqueue(3)
    assert calls_of(outer) == [note.call(1), note.call(3)]
    assert calls_of(inner) == [note.call(2)]
    assert calls_of(seen) == [other.call()]
    assert ran == [(2, None, None), "other"]


# What is not taken


@pytest.mark.one_server
def test_jobs_of_other_names_go_to_the_server(
    tasks: Tasks, note: Any, redis_url: str, redis_client: Redis, namespace: str
) -> None:
    enqueuer = Enqueuer(namespace, redis_url)
    with tasks.recorded() as calls:
        enqueuer.enqueue("other", {"n": 1})
        made = enqueuer.enqueue_many([("other", None), note.call(1), ("third", None), note.call(2)])
        enqueuer.enqueue_in("other", 60)
        enqueuer.enqueue_unique("third", {"n": 1})
        assert enqueuer.enqueue_unique("third", {"n": 1}) is None
    assert [job.name for job in made] == ["other", "note", "third", "note"]
    assert calls_of(calls) == [note.call(1), note.call(2)]
    assert redis_client.llen(f"{namespace}:jobs:other") == 2
    assert redis_client.llen(f"{namespace}:jobs:third") == 2
    assert redis_client.exists(f"{namespace}:jobs:note") == 0
    assert redis_client.zcard(f"{namespace}:scheduled") == 1


def test_without_a_server_jobs_of_other_names_fail_as_always(tasks: Tasks, note: Any) -> None:
    enqueuer = Enqueuer("work", NOWHERE)

    async def main() -> None:
        with pytest.raises(ServerUnavailable):
            await AsyncEnqueuer("work", NOWHERE).enqueue("other")

    with tasks.recorded() as calls:
        with pytest.raises(ServerUnavailable):
            enqueuer.enqueue("other")
        with pytest.raises(ServerUnavailable):
            enqueuer.enqueue_many([("other", None), note.call(1)])
        asyncio.run(main())
    assert calls_of(calls) == [note.call(1)]


def test_after_the_block_nothing_is_taken(tasks: Tasks, note: Any) -> None:
    inside: list[contextvars.Context] = []
    with tasks.recorded(everywhere=True) as calls:
        inside.append(contextvars.copy_context())
        note.enqueue(1)
    with pytest.raises(PoolState, match="not connected"):
        note.enqueue(2)
    with pytest.raises(PoolState, match="not connected"):
        inside[0].run(note.enqueue, 3)
    with pytest.raises(ServerUnavailable):
        inside[0].run(Enqueuer("work", NOWHERE).enqueue, note.call(4))
    assert calls_of(calls) == [note.call(1)]


# Scope


def in_a_thread(function: Callable[[], object]) -> list[BaseException]:
    """Call a function in a thread of its own; return what it has raised."""
    raised: list[BaseException] = []

    def work() -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - returned
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    return raised


def test_threads_do_not_see_each_other(tasks: Tasks, note: Any) -> None:
    both = threading.Barrier(2, timeout=30)

    def work(n: int) -> list[Call]:
        with tasks.recorded() as calls:
            both.wait()
            note.enqueue(n)
            both.wait()
            return calls_of(calls)

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(work, [1, 2])) == [[note.call(1)], [note.call(2)]]


def test_asyncio_tasks_do_not_see_each_other_but_see_the_block_around_them(
    tasks: Tasks, note: Any
) -> None:
    async def work(n: int) -> list[Call]:
        with tasks.recorded() as calls:
            await asyncio.sleep(0)
            await note.enqueue_async(n)
            await asyncio.sleep(0)
            return calls_of(calls)

    async def main() -> list[list[Call]]:
        found = list(await asyncio.gather(work(1), work(2)))
        await asyncio.create_task(note.enqueue_async(3))
        await asyncio.to_thread(note.enqueue, 4)
        return found

    with tasks.recorded() as around:
        assert asyncio.run(main()) == [[note.call(1)], [note.call(2)]]
    assert calls_of(around) == [note.call(3), note.call(4)]


def test_a_plain_thread_is_outside_unless_the_mode_holds_everywhere(
    tasks: Tasks, note: Any
) -> None:
    with tasks.recorded() as calls:
        context = contextvars.copy_context()
        assert in_a_thread(lambda: context.run(note.enqueue, 1)) == []
        (error,) = in_a_thread(lambda: contextvars.Context().run(note.enqueue, 2))
        assert isinstance(error, PoolState)
    with tasks.recorded(everywhere=True) as everywhere:
        assert in_a_thread(lambda: contextvars.Context().run(note.enqueue, 3)) == []
        note.enqueue(4)
    assert calls_of(calls) == [note.call(1)]
    assert calls_of(everywhere) == [note.call(3), note.call(4)]


def test_a_block_may_end_in_another_context_than_it_began_in(tasks: Tasks, note: Any) -> None:
    mode = tasks.recorded()
    calls = contextvars.copy_context().run(mode.__enter__)
    mode.__exit__(None, None, None)
    assert calls == []
    with pytest.raises(PoolState, match="not connected"):
        note.enqueue(1)


@pytest.fixture
def recorded(tasks: Tasks) -> Iterator[list[RecordedCall]]:
    with tasks.recorded() as calls:
        yield calls


def test_a_mode_can_be_a_fixture(recorded: list[RecordedCall], note: Any) -> None:
    note.enqueue(1)
    assert calls_of(recorded) == [note.call(1)]


# Async functions


def test_an_async_task_runs_on_the_loop_of_its_caller(tasks: Tasks) -> None:
    loops: list[object] = []

    @tasks.task
    async def work() -> None:
        loops.append(asyncio.get_running_loop())

    async def main() -> None:
        await work.enqueue_async()
        assert loops == [asyncio.get_running_loop()]
        work.enqueue()
        assert loops[1] is not loops[0], "a sync call cannot wait on its own loop"

    with tasks.inline():
        work.enqueue()
        loops.clear()
        asyncio.run(main())


def test_a_sync_task_does_not_run_on_the_loop(tasks: Tasks) -> None:
    @tasks.task
    def work() -> None:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()

    async def main() -> None:
        await work.enqueue_async()

    with tasks.inline() as calls:
        asyncio.run(main())
    assert len(calls) == 1


def test_a_cancelled_caller_cancels_the_job(tasks: Tasks) -> None:
    ends: list[str] = []

    async def main() -> None:
        started = asyncio.Event()

        @tasks.task
        async def work() -> None:
            started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ends.append("cancelled")
                raise

        caller = asyncio.create_task(work.enqueue_async())
        await started.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller

    with tasks.inline():
        asyncio.run(main())
    assert ends == ["cancelled"]


def test_a_task_changes_no_context_variable_of_its_caller(tasks: Tasks) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="before")

    @tasks.task
    def work() -> None:
        variable.set("after")

    @tasks.task
    async def work_async() -> None:
        variable.set("after")

    async def main() -> None:
        await work.enqueue_async()
        await work_async.enqueue_async()
        assert variable.get() == "before"

    with tasks.inline():
        work.enqueue()
        work_async.enqueue()
        assert variable.get() == "before"
        asyncio.run(main())


@pytest.mark.parametrize("is_async", [False, True])
def test_the_current_job_of_a_task_is_the_one_that_was_enqueued(
    tasks: Tasks, is_async: bool
) -> None:
    seen: list[Job] = []

    @tasks.task
    def inner() -> None:
        seen.append(current_job())

    @tasks.task
    def work(n: int) -> None:
        inner.enqueue()
        current_job().checkin("half of it")
        seen.append(current_job())

    @tasks.task
    async def work_async(n: int) -> None:
        await inner.enqueue_async()
        await asyncio.sleep(0)
        seen.append(current_job())

    async def main() -> Job:
        return await work_async.enqueue_async(7)

    with tasks.inline():
        job = asyncio.run(main()) if is_async else work.enqueue(7)
        with pytest.raises(PoolState, match="no current job"):
            current_job()
    assert [(each.name, each.args) for each in seen] == [("inner", {}), (job.name, {"n": 7})]
    assert seen[1].id == job.id


# Resources


def test_a_parameter_that_a_lifespan_provides_gets_what_the_test_gives(tasks: Tasks) -> None:
    @tasks.task
    def send(address: str, mailer: Mailer = tasks.resource) -> None:
        mailer.sent.append(address)

    @tasks.lifespan
    async def mailing() -> Any:
        yield Mailer(["the real one"])

    mailer = Mailer([])
    with tasks.inline(mailer):
        send.enqueue("a@example.com")
    assert mailer.sent == ["a@example.com"]
    with tasks.inline(), pytest.raises(PoolState, match=r"give one to tasks\.inline"):
        send.enqueue("a@example.com")


# Beside a server


@pytest.mark.one_server
def test_a_connected_registry_sends_nothing_and_a_pool_beside_it_runs_on(
    tasks: Tasks, note: Any, ran: list[Any], redis_url: str, redis_client: Redis, namespace: str
) -> None:
    tasks.connect(namespace, redis_url)
    with tasks.recorded() as calls:
        note.enqueue(1)
        with WorkerPool(namespace, redis_url, tasks=tasks) as pool:
            assert pool.drain(30).complete
    assert redis_client.exists(f"{namespace}:jobs:note") == 0
    assert (len(calls), ran) == (1, [])
    note.enqueue(2)
    with WorkerPool(namespace, redis_url, tasks=tasks) as pool:
        assert pool.drain(30).complete
    assert ran == [(2, None, None)]
    tasks.close()


def test_recorded_calls_are_equal_if_they_were_enqueued_alike(tasks: Tasks, note: Any) -> None:
    with tasks.recorded() as calls:
        note.enqueue(1)
        note.enqueue(1)
        note.enqueue_at(2_000_000_000, 1)
    first, second, later = calls
    assert first == second == RecordedCall("note", {"n": 1})
    assert later == RecordedCall("note", {"n": 1}, when=2_000_000_000)
    assert repr(first) == "RecordedCall(name='note', args={'n': 1}, when=None, unique=False)"
