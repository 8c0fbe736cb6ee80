"""History names the job whose handler has enqueued a job, where the two are traced."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import WaitUntil
from tests.engine.conftest import MakePool
from tests.engine.stage import EngineStage
from tests.parity.gopeer import Clock, GoJob, Scene
from tests.telemetry.tracing.conftest import Seen
from workkit import AsyncEnqueuer, Client, Enqueuer, HistoryRecord, Job, frames
from workkit.core.records import DeadJob
from workkit.simulation import Simulation
from workkit.snapshot import write_snapshot
from workkit_tui.model.job_page import JobPage

pytestmark = pytest.mark.one_server


def parents(source: Any) -> dict[str, str | None]:
    """The parent of each job, by its name."""
    made = frames.journeys(source)
    assert made["name"].is_unique
    return {
        name: None if pd.isna(parent_id) else parent_id
        for name, parent_id in zip(made["name"], made["parent_id"], strict=True)
    }


def fail(job: Job) -> None:
    raise ValueError("no")


@pytest.mark.parametrize("child", [True, False])
def test_a_request_a_job_and_a_nested_job_are_named(
    stage: EngineStage, seen: Seen, child: bool
) -> None:
    pool = stage.pool()
    pool.job("order", lambda job: stage.enqueuer.enqueue("invoice"))
    both: Any = [("mail", {}), ("print", {})]
    pool.job("invoice", lambda job: stage.enqueuer.enqueue_many(both))
    pool.job("mail", lambda job: None)
    pool.job("print", lambda job: None)
    seen.tracing(child=child).instrument(pool, stage.enqueuer)
    stepped = stage.stepped(pool)
    with seen.tracer.start_as_current_span("POST /order"):
        order = stage.enqueuer.enqueue("order")
    for _ in range(3):
        stepped.work()
    invoice = seen.one("process invoice").attributes["messaging.message.id"]
    assert parents(stage.client) == {
        "order": None, "invoice": order.id, "mail": invoice, "print": invoice,
    }  # fmt: skip
    attempts = frames.attempts(stage.client).set_index("name")["parent_id"]
    assert attempts["mail"] == invoice
    assert pd.isna(attempts["order"])
    # The trace says the same: the nested job was sent inside of the execution of its parent.
    assert seen.one("send invoice").parent.span_id == seen.one("process order").context.span_id


def test_the_parent_is_the_job_and_not_its_attempt(stage: EngineStage, seen: Seen) -> None:
    pool = stage.pool()

    @pool.job("order", max_fails=3, backoff=lambda job: 1)
    def order(job: Job) -> None:
        if job.fails == 1:
            stage.enqueuer.enqueue("mail")
        raise ValueError("no")

    pool.job("mail", fail, max_fails=2, backoff=lambda job: 1)
    seen.tracing().instrument(pool, stage.enqueuer)
    stepped = stage.stepped(pool)
    job = stage.enqueuer.enqueue("order")
    for _ in range(4):
        stepped.work()
        stage.clock.advance(10)
        stepped.duty("requeuer")
    made = frames.journeys(stage.client).set_index("name")
    assert made["tries"].to_dict() == {"order": 3, "mail": 2}
    assert made.loc["mail", "parent_id"] == job.id
    assert {record.parent_id for record in stage.history() if record.name == "mail"} == {job.id}


def test_where_only_one_side_is_traced_the_parent_is_unknown(
    stage: EngineStage, seen: Seen
) -> None:
    pool = stage.pool()
    pool.job("order", lambda job: stage.enqueuer.enqueue("mail"))
    pool.job("mail", lambda job: None)
    stepped = stage.stepped(pool)
    stage.enqueuer.enqueue("order")
    stepped.work()
    stepped.work()
    assert parents(stage.client) == {"order": None, "mail": None}


def test_a_job_without_traces_has_the_same_bytes_in_and_outside_of_handlers(
    stage: EngineStage,
) -> None:
    made: list[Job] = []
    pool = stage.pool()
    pool.job("order", lambda job: made.append(stage.enqueuer.enqueue("mail")))
    made.append(stage.enqueuer.enqueue("order"))
    stage.stepped(pool).work()
    assert [set(json.loads(job.raw)) for job in made] == [{"name", "id", "t", "args", "t_ms"}] * 2
    assert all(record.parent_id == "" for record in stage.history())


def test_a_go_pool_that_retries_the_child_loses_its_parent(stage: EngineStage, seen: Seen) -> None:
    scene = Scene(stage.redis, stage.namespace, Clock(stage.clock.now_s))
    go = scene.peer(mail=GoJob(backoff=lambda job: 1))
    pool = stage.pool()
    pool.job("order", lambda job: stage.enqueuer.enqueue("mail"))
    seen.tracing().instrument(pool, stage.enqueuer)
    stage.enqueuer.enqueue("order")
    stage.stepped(pool).work()
    claim = go.fetch(["mail"])
    assert claim is not None
    go.begin(claim)
    go.settle(claim, "no")
    other = stage.pool()
    other.job("mail", lambda job: None)
    seen.tracing().instrument(other)
    stage.clock.advance(1_000)
    stepped = stage.stepped(other)
    stepped.duty("requeuer")
    stepped.work()
    assert parents(stage.client) == {"order": None, "mail": None}


def test_async_handlers_on_a_running_pool_are_parents_too(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    client: Client,
    seen: Seen,
    redis_url: str,
    namespace: str,
    wait_until: WaitUntil,
) -> None:
    pool = make_pool()
    inner = AsyncEnqueuer(namespace, redis_url)

    @pool.job("order")
    async def order(job: Job) -> None:
        await asyncio.gather(inner.enqueue("mail"), asyncio.create_task(_later(inner)))

    pool.job("mail", lambda job: None)
    pool.job("print", lambda job: None)
    pool.on_stop(inner.close)
    seen.tracing().instrument(pool, enqueuer, inner)
    with pool:
        job = enqueuer.enqueue("order")
        wait_until(lambda: len(list(client.history())) == 3)
    assert parents(client) == {"order": None, "mail": job.id, "print": job.id}


async def _later(enqueuer: AsyncEnqueuer) -> None:
    await enqueuer.enqueue("print")


def test_files_archives_and_snapshots_keep_parents(
    stage: EngineStage, seen: Seen, tmp_path: Path
) -> None:
    pool = stage.pool()
    pool.job("order", lambda job: stage.enqueuer.enqueue("mail", {"password": "hunter22"}))
    pool.job("mail", lambda job: None)
    seen.tracing().instrument(pool, stage.enqueuer)
    stepped = stage.stepped(pool)
    order = stage.enqueuer.enqueue("order")
    stepped.work()
    stepped.work()
    frames.archive(stage.client, tmp_path / "archive")
    write_snapshot(stage.client, tmp_path / "s.wks")
    for source in (stage.client, tmp_path / "archive", tmp_path / "s.wks"):
        assert parents(source) == {"order": None, "mail": order.id}
    for ending in ("parquet", "csv", "jsonl"):
        file = tmp_path / f"history.{ending}"
        frames.write(frames.history(stage.client), file, "history")
        assert parents(file) == {"order": None, "mail": order.id}


def test_the_simulator_names_parents(seen: Seen) -> None:
    with Simulation(seed=7) as sim:
        nest(sim, seen)


def nest(sim: Simulation, seen: Seen) -> None:
    pool = sim.pool()

    @pool.job("order")
    async def order(job: Job) -> None:
        await sim.async_enqueuer.enqueue("invoice")

    pool.job("invoice", lambda job: sim.enqueuer.enqueue_in("mail", 60))
    pool.job("mail", lambda job: None)
    seen.tracing().instrument(pool, sim.enqueuer, sim.async_enqueuer)
    job = sim.enqueuer.enqueue("order")
    sim.run_for(minutes=3)
    found = parents(sim.client)
    assert (found["order"], found["invoice"]) == (None, job.id)
    assert found["mail"] == seen.one("process invoice").attributes["messaging.message.id"]


def test_the_page_of_a_job_names_its_parent_from_its_bytes_or_from_history() -> None:
    raw = b'{"name":"mail","id":"x","t":1,"args":null,"parent_id":"p\\u001b[2J"}'
    known = JobPage(DeadJob(9, Job("mail", "x", 1, None, raw)))
    assert ("parent", "p\\x1b[2J") in known.facts()
    ran = [HistoryRecord("x", "mail", 1, 2, 3, "done", 0, "", "", "w", "", "p", "h", parent_id="q")]
    told = JobPage(DeadJob(9, Job("mail", "x", 1, None, b"{}")), attempts=ran)
    assert ("parent", "q") in told.facts()
    assert "parent" not in dict(JobPage(DeadJob(9, Job("mail", "x", 1, None, b"{}"))).facts())
