"""Pools with thousands of job names: no script call becomes too large."""

from __future__ import annotations

from typing import Any

from tests.engine.stage import EngineStage
from workkit import WorkerPool
from workkit.store.calls import beat, enqueue, exchange, recount, resync
from workkit.store.connections.link import Link
from workkit.store.connections.target import Target
from workkit.store.keys import Keys

MANY = 12_000


def test_a_pool_may_have_thousands_of_names_with_limits(redis_url: str, namespace: str) -> None:
    names = [f"job {number}" for number in range(MANY)]
    limits = dict.fromkeys(names, 3)
    keys, link = Keys(namespace), Link(Target.of(redis_url))
    fields = {f"field {number}": number for number in range(MANY)}
    link.do(beat.register(keys, "pool", fields, limits, names))
    assert link.do(beat.beat(keys, "pool", fields, limits))
    written = link.do(recount.written_limits(keys))
    assert written == dict.fromkeys(names, "3")
    link.do(enqueue.enqueue(keys, {names[7]: [b"{}"], names[-1]: [b"{}"] * MANY}))
    assert link.do(exchange.look(keys, "pool", names)).ready == [names[7], names[-1]]
    looked = link.do(exchange.look(keys, "pool", names, set(names)))
    assert sorted(looked.ready) == sorted(names)
    assert link.do(resync.resync(keys, "pool", 1, names, skip=0, most=9)) is not None
    assert link.do(recount.held_locks(keys, names)) == []
    assert link.do(beat.leave(keys, "pool", names)) == 0
    link.close()


def test_a_claim_may_be_as_large_as_a_claim_can_be(stage: EngineStage) -> None:
    pool: Any = WorkerPool(stage.namespace, stage.url, concurrency=5_000)
    pool.job("work", lambda job: None)
    stage.enqueuer.enqueue_many([("work", None)] * 5_000)
    keys, link = Keys(stage.namespace), Link(Target.of(stage.url))
    link.do(beat.register(keys, "pool", {"heartbeat_at": "1"}, {}, ["work"]))
    reply = link.do(
        exchange.exchange(keys, "pool", 0, 1_000, (), {"work": 5_000}, exchange.HistoryBlob())
    )
    assert reply.jobs == exchange.MAX_CLAIM
    link.close()
