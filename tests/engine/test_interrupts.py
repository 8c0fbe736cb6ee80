"""An interrupt hits only its own handler: no other job, no worker, no tool."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import pytest

from tests.engine.signals import Gate, Notes
from tests.engine.stage import EngineStage
from workkit import Job
from workkit.engine.runners.threads import ThreadRunner
from workkit.errors import JobTimeout


def test_an_interrupt_that_comes_after_a_handler_does_not_hit_the_next_on_its_thread(
    stage: EngineStage,
) -> None:
    worker, first_gate, gate = stage.pool(concurrency=1), Gate(), Gate()
    worker.job("first", lambda job: first_gate.spin(), timeout=1)
    worker.job("second", lambda job: gate.spin())
    pool = stage.threaded(worker)
    stage.enqueuer.enqueue("first")
    pool.turn()
    (first,) = pool.engine.ledger.held()
    first_gate.open()
    pool.settle()
    stage.enqueuer.enqueue("second")
    pool.turn()
    gate.arrived.wait_for(1)
    pool.engine.runner.interrupt(first)
    pool.engine.runner.abandon(first)
    gate.open()
    pool.settle()
    assert stage.outcomes() == ["done", "done"]
    assert pool.engine.runner.abandoned() == 0


@pytest.mark.one_server
def test_an_interrupt_that_strikes_as_a_handler_ends_costs_neither_the_job_nor_the_worker(
    stage: EngineStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, ran, struck = stage.pool(concurrency=1), Notes(), Notes()
    leave = ThreadRunner._leave

    def strike(*arguments: Any) -> None:
        # Python looks for interrupts whenever a function is entered.
        monkeypatch.undo()
        struck()
        raise JobTimeout

    monkeypatch.setattr(ThreadRunner, "_leave", staticmethod(strike))
    worker.job("unlucky", lambda job: None, timeout=1)
    worker.job("next", ran)
    pool = stage.threaded(worker)
    stage.enqueuer.enqueue("unlucky")
    pool.turn()
    pool.settle()
    assert len(struck.items) == 1
    assert ThreadRunner._leave is leave
    stage.enqueuer.enqueue("next")
    pool.turn()
    ran.wait_for(1)
    pool.settle()
    assert stage.outcomes() == ["done", "done"]


@pytest.mark.one_server
def test_a_debugger_can_be_attached_after_a_handler_with_a_timeout_has_run(
    stage: EngineStage,
) -> None:
    worker, gate, traced = stage.pool(concurrency=1), Gate(), Notes()
    worker.job("quick", lambda job: None, timeout=1)
    worker.job("slow", lambda job: gate.spin(), timeout=1)
    worker.job("swallows", lambda job: swallow(gate), timeout=1)

    def trace(job: Job) -> None:
        sys.settrace(lambda frame, event, argument: None)
        try:
            traced()
        finally:
            sys.settrace(None)

    worker.job("traced", trace)
    pool = stage.threaded(worker)
    for arrived, name in enumerate(("quick", "slow", "swallows")):
        stage.enqueuer.enqueue(name)
        pool.turn()
        gate.arrived.wait_for(arrived)
        stage.clock.advance(1)
        pool.turn()
        pool.settle()
    stage.enqueuer.enqueue("traced")
    pool.turn()
    pool.settle()
    assert len(traced.items) == 1


def swallow(gate: Gate) -> None:
    with contextlib.suppress(JobTimeout):
        gate.spin()


def test_a_timeout_is_not_taken_for_trouble_of_the_network(stage: EngineStage) -> None:
    worker, gate = stage.pool(concurrency=1), Gate()

    @worker.job(timeout=1)
    def download(job: Job) -> None:
        with contextlib.suppress(OSError, TimeoutError):  # and try again another time
            gate.spin()

    pool = stage.threaded(worker)
    stage.enqueuer.enqueue("download")
    pool.turn()
    gate.arrived.wait_for(1)
    stage.clock.advance(1)
    pool.turn()
    pool.settle()
    (record,) = stage.history()
    assert (record.outcome, record.reason) == ("retry", "timeout")


def test_a_handler_without_a_timeout_runs_as_long_as_it_takes(stage: EngineStage) -> None:
    worker, gate = stage.pool(concurrency=2), Gate()
    worker.job("patient", lambda job: gate.spin())
    worker.job("hasty", lambda job: gate.spin(), timeout=1)
    pool = stage.threaded(worker)
    stage.enqueuer.enqueue("patient")
    stage.enqueuer.enqueue("hasty")
    pool.turn()
    gate.arrived.wait_for(2)
    stage.clock.advance(3_600)
    pool.turn()
    pool.settle()
    gate.open()
    pool.settle()
    ended = {record.name: record.outcome for record in stage.history()}
    assert ended == {"patient": "done", "hasty": "retry"}
