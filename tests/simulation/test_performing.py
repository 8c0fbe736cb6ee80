"""`sim.perform(task.call(...))`: one execution of a job, and how it has ended."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator
from typing import Any

import pytest

from workkit import (
    ArgsMismatch,
    Call,
    Discard,
    Enqueuer,
    Fail,
    InvalidArgs,
    InvalidOption,
    Job,
    JobTimeout,
    Retry,
    Tasks,
)
from workkit.simulation import Performed, Simulation


class Declined(Exception):
    pass


class Mailer:
    def __init__(self) -> None:
        self.sent: list[str] = []


@pytest.fixture
def tasks() -> Tasks:
    return Tasks()


def test_a_task_runs_once_and_its_outcome_is_returned(sim: Simulation, tasks: Tasks) -> None:
    ran: list[int] = []

    @tasks.task
    async def note(n: int) -> None:
        await asyncio.sleep(5)
        ran.append(n)

    performed = sim.perform(note.call(7))
    assert (performed.outcome, performed.error, performed.reason) == ("done", None, "")
    assert performed.took_s == pytest.approx(5, abs=0.01)
    assert performed.retry_in_s is None
    assert performed.job.args == {"n": 7}
    assert ran == [7]
    assert sim.perform(note.call(8)).outcome == "done", "the world has one pool for it now"
    assert len(sim.pools) == 1


@pytest.mark.parametrize(
    ("raised", "outcome", "reason", "retry_in_s"),
    [
        (Retry("busy", in_s=7), "retry", "Retry", 7),
        (Retry("later", in_s=7, counts=False), "postponed", "Retry", 7),
        (Fail("no such user"), "dead", "Fail", None),
        (Discard("gone"), "discarded", "Discard", None),
        (OSError("disk"), "retry", "", 60),
        (Declined("no"), "dead", "fail_on", None),
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
def test_what_a_task_raises_decides_the_outcome(
    sim: Simulation,
    tasks: Tasks,
    raised: Exception,
    outcome: str,
    reason: str,
    retry_in_s: int | None,
    is_async: bool,
) -> None:
    @tasks.task(fail_on=(Declined,), backoff=lambda job: 60)
    def work() -> None:
        raise raised

    @tasks.task(fail_on=(Declined,), backoff=lambda job: 60)
    async def work_async() -> None:
        raise raised

    performed = sim.perform(work_async.call() if is_async else work.call())
    assert performed.outcome == outcome
    assert performed.reason.startswith(reason)
    assert performed.retry_in_s == retry_in_s
    assert type(performed.error) is type(raised)
    assert str(performed.error) == str(raised)
    history = sim.client.history()
    assert next(history).outcome == outcome, "history says the same"


def test_the_last_try_is_dead_and_time_goes_on_for_the_others(
    sim: Simulation, tasks: Tasks
) -> None:
    @tasks.task(max_fails=2, backoff=lambda job: 60)
    def work() -> None:
        raise OSError("disk")

    job = sim.perform(work.call()).job
    assert len(sim.runs(job)) == 1, "the retry is not awaited"
    sim.run_for(minutes=2)
    assert sim.retry_schedule(job) == [0, 60]
    (dead,) = sim.client.dead_jobs().jobs
    assert dead.job.id == job.id


def test_a_timeout_is_an_outcome(sim: Simulation, tasks: Tasks) -> None:
    @tasks.task(timeout=3)
    async def work() -> None:
        await asyncio.sleep(60)

    performed = sim.perform(work.call())
    assert (performed.outcome, performed.reason) == ("retry", "timeout")
    assert isinstance(performed.error, JobTimeout)
    assert performed.took_s == pytest.approx(3, abs=0.5)


def test_args_that_do_not_fit_are_an_outcome_or_refused(sim: Simulation, tasks: Tasks) -> None:
    @tasks.task
    def note(n: int) -> None: ...

    sim.pool(tasks=tasks)
    performed = sim.perform(Call("note", {"n": "one"}))
    assert performed.outcome == "dead"
    assert isinstance(performed.error, ArgsMismatch)
    with pytest.raises(InvalidArgs):
        note.call("one")  # type: ignore[arg-type]


def test_a_pool_of_the_world_runs_it_with_its_middleware(sim: Simulation, tasks: Tasks) -> None:
    seen: list[str] = []

    @tasks.task
    def note(n: int) -> None:
        seen.append("task")

    pool = sim.pool(tasks=tasks)

    @pool.middleware
    def around(job: Job, proceed: Any) -> None:
        seen.append("before")
        proceed()

    assert sim.perform(note.call(1)).outcome == "done"
    assert seen == ["before", "task"]
    assert len(sim.pools) == 1


def test_a_handler_without_a_task_can_be_performed_too(sim: Simulation) -> None:
    sim.pool().job("note", lambda job: job.args["n"] / 0)
    performed = sim.perform(Call("note", {"n": 1}))
    assert performed.outcome == "retry"
    assert isinstance(performed.error, ZeroDivisionError)


def test_what_a_lifespan_yields_reaches_the_task(sim: Simulation, tasks: Tasks) -> None:
    mailer = Mailer()

    @tasks.lifespan
    async def mailing() -> AsyncIterator[Mailer]:
        yield mailer

    @tasks.task
    def send(address: str, via: Mailer = tasks.resource) -> None:
        via.sent.append(address)

    assert sim.perform(send.call("a@example.com")).outcome == "done"
    assert mailer.sent == ["a@example.com"]


def test_a_job_whose_pool_crashes_is_performed_when_it_was_recovered(
    sim: Simulation, tasks: Tasks
) -> None:
    runs: list[float] = []

    @tasks.task
    async def work() -> None:
        runs.append(sim.now)
        await asyncio.sleep(10)

    def crash() -> None:
        next(pool for pool in sim.pools if pool.busy).crash()

    for _ in range(2):
        sim.pool(tasks=tasks)
    sim.at(5, crash)
    assert sim.perform(work.call()).outcome == "done"
    assert len(runs) == 2


@pytest.mark.parametrize("is_connected", [False, True])
def test_the_tasks_of_a_world_enqueue_into_it_until_it_ends(
    tasks: Tasks, is_connected: bool
) -> None:
    ran: list[str] = []

    @tasks.task
    def note(text: str) -> None:
        ran.append(text)

    @tasks.task
    def outer() -> None:
        note.enqueue("from a thread")

    @tasks.task
    async def outer_async() -> None:
        await note.enqueue_async("from the loop")
        note.enqueue_in(60, "later")

    if is_connected:
        tasks.connect("elsewhere", "redis://127.0.0.1:1")
    before = tasks.outlet
    with Simulation() as sim:
        assert sim.perform(outer.call()).outcome == "done"
        assert sim.perform(outer_async.call()).outcome == "done"
        note.enqueue("from the test")
        sim.run_until_idle()
        sim.run_for(minutes=2)
        assert sorted(ran) == ["from a thread", "from the loop", "from the test", "later"]
        with Simulation() as inner:
            inner.pool(tasks=tasks)
            note.enqueue("from the inner world")
            inner.run_until_idle()
            inner.assert_ran("note", times=1)
        note.enqueue("again")
        sim.run_until_idle()
        sim.assert_ran("note", {"text": "again"}, times=1)
    assert tasks.outlet is before


def test_what_nobody_can_perform_is_refused(sim: Simulation, tasks: Tasks) -> None:
    with pytest.raises(InvalidOption, match="no pool of this world has a handler for 'nowhere'"):
        sim.perform(Call("nowhere"))
    with pytest.raises(InvalidOption, match=r"perform runs a call, such as task\.call"):
        sim.perform("nowhere")  # type: ignore[arg-type]


def test_a_job_that_does_not_run_in_time_fails_the_test(sim: Simulation, tasks: Tasks) -> None:
    @tasks.task
    def note(n: int) -> None: ...

    sim.pool(tasks=tasks)
    sim.client.pause("note")
    with pytest.raises(AssertionError, match="the_job_has_run has not become true within 60 s"):
        sim.perform(note.call(1), within=60)


def test_a_call_of_a_task_is_equal_to_a_plain_one_and_pickles_as_one(tasks: Tasks) -> None:
    @tasks.task
    def note(n: int) -> None: ...

    call = note.call(1)
    assert call == Call("note", {"n": 1})
    assert repr(call) == "Call(name='note', args={'n': 1})"
    assert type(pickle.loads(pickle.dumps(call))) is Call  # noqa: S301 - our own bytes


def test_modes_of_tests_reach_the_enqueuers_of_a_world(sim: Simulation, tasks: Tasks) -> None:
    @tasks.task
    def note(n: int) -> None: ...

    assert isinstance(sim.enqueuer, Enqueuer)
    with tasks.recorded() as calls:
        sim.enqueuer.enqueue(note.call(1))
    sim.run_for(1)
    assert [call.call for call in calls] == [note.call(1)]
    assert list(sim.trace.of(kind="enqueued")) == []


def test_a_performed_job_says_how_it_ended_at_a_glance(sim: Simulation, tasks: Tasks) -> None:
    @tasks.task
    def work() -> None:
        raise Fail("no")

    assert repr(sim.perform(work.call())) == (
        "Performed(outcome='dead', error=Fail('no'), reason='Fail', retry_in_s=None, took_s=0.0)"
    )
    assert Performed("done", Job("", "", 0, None)).retry_in_s is None
