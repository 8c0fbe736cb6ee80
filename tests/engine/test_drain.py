"""Waiting until there is nothing left to do now."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S, Gate, Notes
from tests.engine.stage import EngineStage
from workkit import Client, Drained, Enqueuer, Job
from workkit.engine.serving import draining
from workkit.errors import PoolState
from workkit.store.connections.link import Link
from workkit.store.connections.routine import Wait

DONE = Drained(complete=True, paused=(), waiting={})


def test_drain_waits_until_queues_are_empty_and_nothing_runs_and_the_pool_goes_on(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool, ran = make_pool(concurrency=3), Notes()
    pool.job("work", lambda job: ran())
    with pool:
        for count in range(1, 4):
            enqueuer.enqueue_many([("work", None)] * 500)
            assert pool.drain(PATIENCE_S) == DONE
            assert len(ran.items) == 500 * count
        assert pool.running


def test_drain_waits_for_what_jobs_enqueue(make_pool: MakePool, enqueuer: Enqueuer) -> None:
    pool, ran = make_pool(concurrency=2), Notes()

    @pool.job
    def work(job: Job) -> None:
        left = job.arg_int("left")
        if left:
            enqueuer.enqueue("work", {"left": left - 1})
        ran(left)

    enqueuer.enqueue("work", {"left": 50})
    with pool:
        assert pool.drain(PATIENCE_S) == DONE
        assert sorted(ran.items) == list(range(51))


def test_drain_does_not_miss_a_job_whose_claim_is_on_its_way_back(
    make_pool: MakePool, enqueuer: Enqueuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, held_up, go_on, ran = make_pool(concurrency=1), Notes(), threading.Event(), Notes()
    pool.job("work", ran)
    send: Any = Link.send

    def send_slowly(link: Link, commands: Any, *meanwhile: Any) -> Any:
        replies = send(link, commands, *meanwhile)
        if b'"slow"' in repr(replies).encode():
            held_up()
            go_on.wait(PATIENCE_S)
        return replies

    monkeypatch.setattr(Link, "send", send_slowly)  # before a thread has looked it up
    pool.start()
    enqueuer.enqueue("work", {"slow": True})
    held_up.wait_for(1)
    # The job has left its queue, and the pool has yet to hear of it.
    assert pool.drain(0) == Drained(complete=False, paused=(), waiting={})
    go_on.set()
    assert pool.drain(PATIENCE_S) == DONE
    assert len(ran.items) == 1


def test_drain_never_says_done_before_it_is(make_pool: MakePool, enqueuer: Enqueuer) -> None:
    pool, ran = make_pool(concurrency=2), Notes()
    pool.job("work", ran)
    with pool:
        for count in range(1, 101):
            enqueuer.enqueue("work")
            assert pool.drain(PATIENCE_S) == DONE
            assert len(ran.items) == count


def test_drain_waits_for_running_handlers_and_gives_up_when_time_is_up(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool, gate = make_pool(concurrency=1), Gate()
    pool.job("work", lambda job: gate.pass_through())
    enqueuer.enqueue_many([("work", None)] * 3)
    with pool:
        gate.arrived.wait_for(1)
        assert pool.drain(0.05) == Drained(complete=False, paused=(), waiting={"work": 2})
        gate.open()
        assert pool.drain(PATIENCE_S) == DONE


def test_drain_reports_paused_queues_and_does_not_wait_for_them(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool, ran = make_pool(), Notes()
    pool.job("work", ran)
    pool.job("resting", ran)
    pool.job("paused but empty", ran)
    client.pause("resting")
    client.pause("paused but empty")
    enqueuer.enqueue_many([("work", None), ("resting", None), ("resting", None)])
    with pool:
        assert pool.drain(PATIENCE_S) == Drained(
            complete=True, paused=("resting",), waiting={"resting": 2}
        )
        assert len(ran.items) == 1
        client.unpause("resting")
        assert pool.drain(PATIENCE_S) == DONE
        assert len(ran.items) == 3


def test_drain_does_not_wait_for_jobs_that_are_not_due_nor_for_those_of_others(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool = make_pool()

    @pool.job
    def fail(job: Job) -> None:
        raise ValueError

    enqueuer.enqueue("fail")
    enqueuer.enqueue_in("fail", 3_600)
    enqueuer.enqueue("of another service")
    with pool:
        assert pool.drain(PATIENCE_S) == DONE


def test_drain_waits_for_a_job_that_is_due_but_not_in_its_queue_yet(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool, ran = make_pool(), Notes()
    pool.job("work", ran)
    with pool:
        for count in range(1, 21):
            enqueuer.enqueue_at("work", 1)
            assert pool.drain(PATIENCE_S) == DONE
            assert len(ran.items) == count


def test_drain_ends_when_the_pool_is_stopped_meanwhile(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool, gate, found = make_pool(concurrency=1), Gate(), Notes()
    pool.job("work", lambda job: gate.pass_through())
    enqueuer.enqueue_many([("work", None)] * 3)
    pool.start()
    gate.arrived.wait_for(1)
    thread = threading.Thread(target=lambda: found(pool.drain()))
    thread.start()
    pool.stop(0)
    assert found.wait_for(1)[0].complete is False
    thread.join()
    gate.open()
    assert client.queued_jobs("work").total == 3


@pytest.mark.one_server
def test_only_a_running_pool_is_drained(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.job("work", lambda job: None)
    with pytest.raises(PoolState, match=r"start\(\) first"):
        pool.drain()
    pool.start()
    pool.stop()
    with pytest.raises(PoolState, match=r"start\(\) first"):
        pool.drain()


def test_drain_sees_a_job_that_was_enqueued_behind_its_back_by_one_that_has_just_ended(
    stage: EngineStage,
) -> None:
    worker = stage.pool(concurrency=1)
    worker.job("work", lambda job: None)
    pool = stage.stepped(worker)
    look = draining(pool.engine, ["work"], stage.clock, None)
    request: Any = next(look)
    request = look.send(pool.link.send(request.commands))  # nothing is due, and no job waits
    for _ in range(2):  # the first enqueues the second, and ends
        stage.enqueuer.enqueue("work")
    pool.claim()
    pool.engine.dispatcher.stop_claiming()
    pool.runner.run()
    pool.turn()
    assert len(pool.engine.ledger) == 0
    while not isinstance(request, Wait):  # else StopIteration: nothing is left, it thinks
        request = look.send(pool.link.send(request.commands))


def test_while_the_pool_is_at_work_drain_asks_redis_nothing(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=1)
    names = [f"work {number}" for number in range(10_000)]
    for name in names:
        worker.job(name, lambda job: None)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue("work 7")
    dispatcher = pool.engine.dispatcher
    dispatcher.looked(pool.do(dispatcher.look()))
    pool.claim()
    look = draining(pool.engine, names, stage.clock, None)
    assert isinstance(next(look), Wait)
    assert isinstance(look.send(None), Wait)
    pool.runner.run()
    pool.turn()
    sent: list[Any] = []
    request: Any = look.send(None)
    with pytest.raises(StopIteration) as done:
        while True:
            sent += request.commands
            request = look.send(pool.link.send(request.commands))
    assert done.value.value == ([], {}, True)
    assert len(sent) <= 1 + len(names)  # one for all queues, and one for what it holds of each
