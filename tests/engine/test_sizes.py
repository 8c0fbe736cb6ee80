"""Batches are bounded by bytes and by number, even for large jobs of other programs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tests.engine.stage import EngineStage
from tests.support.handlers import boom, nothing
from tests.support.steps import FaultyLink, StepPool
from workkit import InvalidArgs, InvalidOption, WorkerPool
from workkit.core import job as wire
from workkit.core.records import Place
from workkit.errors import ServerUnavailable
from workkit.store.calls import beat, exchange, move, pages
from workkit.store.connections.link import Link
from workkit.store.connections.routine import carry_out
from workkit.store.connections.target import Target
from workkit.store.keys import Keys

MIB = 2**20


def large(number: int, size: int = MIB) -> bytes:
    return wire.encode("work", f"{number:024}", 1, b'{"x":"' + b"x" * size + b'"}')


def lay(stage: EngineStage, place: str, jobs: list[bytes]) -> None:
    for raw in jobs:
        if place == "jobs:work":
            stage.redis.lpush(stage.key(place), raw)
        else:
            stage.redis.zadd(stage.key(place), {raw: 1_000})
    stage.redis.sadd(stage.key("known_jobs"), "work")


def test_due_jobs_are_moved_some_megabytes_at_a_time(stage: EngineStage) -> None:
    worker = stage.pool()
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    lay(stage, "retry", [large(number) for number in range(30)])
    turns, before = 0, 30
    while stage.client.retry_jobs().total:
        pool.duty("requeuer")
        turns += 1
        left = stage.client.retry_jobs().total
        assert before - left <= move.BATCH_BYTES // MIB + 1
        before = left
    assert turns >= 30 // (move.BATCH_BYTES // MIB + 1)
    assert stage.redis.llen(stage.key("jobs:work")) == 30


class Cramped(Link):
    """Has no memory for more than some jobs at once, and none at all for a marked one."""

    most = 3 * MIB

    def send(self, commands: Any, *meanwhile: Any) -> list[Any]:
        sizes = [sum(len(part) for part in each if isinstance(part, bytes)) for each in commands]
        if max(sizes) > self.most:
            raise MemoryError("Failed to serialize the command")
        return super().send(commands, *meanwhile)


@pytest.mark.parametrize("size", [100_000, 2 * MIB], ids=["in smaller batches", "not at all"])
def test_a_batch_that_fails_is_halved_and_what_is_behind_it_is_moved(
    stage: EngineStage, size: int
) -> None:
    worker = stage.pool()
    worker.job("work", nothing)
    worker.job("small", nothing)
    pool = stage.stepped(worker)
    link, requeuer = Cramped(Target.of(stage.url)), pool.engine.requeuer
    count = 20 if size < MIB else 2
    lay(stage, "retry", [large(number, size) for number in range(count)])
    stage.redis.zadd(stage.key("retry"), {wire.encode("small", "s" * 24, 1, b"null"): 2_000})
    for _ in range(60):
        with suppress(MemoryError):  # as a pool's loop does, which goes on after a while
            carry_out(requeuer.step(stage.clock.read()), link, lambda _: None)
    link.close()
    assert stage.waiting("small") == ["s" * 24]
    assert stage.redis.llen(stage.key("jobs:work")) == (count if size < MIB else 0)
    assert stage.client.retry_jobs(1).total == (0 if size < MIB else count)


def test_a_claim_ends_at_some_megabytes_over_all_queues(stage: EngineStage) -> None:
    keys, link = Keys(stage.namespace), Link(Target.of(stage.url))
    link.do(beat.register(keys, "pool", {"heartbeat_at": "1"}, {}, ["work", "other"]))
    lay(stage, "jobs:work", [large(number) for number in range(60)])
    stage.enqueuer.enqueue("other")
    got, fence, claimed = 0, 0, []
    while got < 60:
        history = exchange.HistoryBlob()
        claims = {"work": 500, "other": 500}
        reply = link.do(exchange.exchange(keys, "pool", fence, 1, (), claims, history))
        fence += 1
        claimed.append(sum(len(raw) for each in reply.claimed for raw in each.raws))
        got += len(reply.claimed[0].raws)
        if got < 60:
            assert reply.claimed[0].stopped_by == ""  # more may wait
    assert max(claimed) <= 30 * MIB
    assert stage.lock("work") == 60
    link.close()


def holding(stage: EngineStage, count: int, handler: Any = nothing, **options: Any) -> StepPool:
    """Return a pool that runs large jobs and claims no more."""
    worker = stage.pool(concurrency=count)
    worker.job("work", handler, **options)
    pool = stage.stepped(worker)
    lay(stage, "jobs:work", [large(number) for number in range(count)])
    while stage.redis.llen(stage.key("jobs:work")):
        pool.claim()
    while pool.runner.waiting:
        pool.runner.begin()
    pool.engine.dispatcher.stop_claiming()
    pool.link.sent.clear()
    return pool


def most_sent(pool: StepPool) -> int:
    """Return how many bytes the largest command has had."""
    return max(
        sum(len(part) for part in command if isinstance(part, bytes))
        for commands in pool.link.sent
        for command in commands
    )


def settle(pool: StepPool, strike: Callable[[FaultyLink], None] | None = None) -> None:
    """Let a pool settle all its jobs; strike each second turn."""
    for turn in range(60):
        if strike is not None and turn % 2:
            strike(pool.link)
        with suppress(ServerUnavailable):
            pool.turn()
        pool.link.behave()
        if not len(pool.engine.ledger):
            return
    raise AssertionError("the pool does not settle its jobs")


@pytest.mark.parametrize(
    "strike", [None, FaultyLink.lose_reply, FaultyLink.drop], ids=["calm", "lost reply", "dropped"]
)
def test_jobs_go_back_some_megabytes_at_a_time_and_in_their_order(
    stage: EngineStage, strike: Callable[[FaultyLink], None] | None
) -> None:
    pool = holding(stage, 30)
    pool.engine.dispatcher.give_back()
    settle(pool, strike)
    assert most_sent(pool) <= 9 * MIB
    assert [int(job_id) for job_id in stage.waiting("work")] == list(range(30))
    assert (stage.in_progress("work"), stage.lock("work")) == (0, 0)
    assert stage.outcomes() == ["returned"] * 30


def test_failed_jobs_are_settled_some_megabytes_at_a_time(stage: EngineStage) -> None:
    pool = holding(stage, 30, boom, max_fails=1)
    while pool.runner.running:
        pool.runner.run(pool.runner.running[0])
    settle(pool)
    assert most_sent(pool) <= 17 * MIB  # as they were, and as they have failed
    assert stage.client.dead_jobs(1).total == 30
    assert (stage.in_progress("work"), stage.outcomes()) == (0, ["dead"] * 30)


def test_jobs_of_a_dead_pool_go_back_some_megabytes_at_a_time(stage: EngineStage) -> None:
    holding(stage, 30)
    worker = stage.pool()
    worker.job("work", nothing)
    reaper = stage.stepped(worker)
    reaper.watch(14)
    assert most_sent(reaper) <= 9 * MIB
    assert [int(job_id) for job_id in stage.waiting("work")] == list(range(30))


@pytest.mark.parametrize("place", ["jobs:work", "dead"])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_walk_ends_its_parts_at_some_megabytes_and_brings_each_job_once(
    stage: EngineStage, place: str, reverse: bool
) -> None:
    lay(stage, place, [large(number) for number in range(25)])
    where = Place("queued", "work") if place != "dead" else Place("dead")
    parts = list(stage.client.walk(where, reverse=reverse))
    sizes = [sum(len(item.job.raw) for item in part.jobs) for part in parts]
    assert max(sizes) <= pages.PAGE_BYTES + MIB + 100
    found = [int(item.job.id) for part in parts for item in part.jobs]
    assert found == sorted(range(25), reverse=reverse)


@pytest.mark.parametrize("place", ["jobs:work", "retry", "dead"])
def test_a_plan_acts_on_all_jobs_it_has_pinned_however_large(
    stage: EngineStage, place: str
) -> None:
    lay(stage, place, [large(number) for number in range(25)])
    where = Place("queued", "work") if place == "jobs:work" else Place(place)  # type: ignore[arg-type]
    made = stage.client.actions.plan("delete", where, "name:work")
    assert made is not None
    assert made.count == 25
    assert stage.client.actions.apply(made).done == 25
    assert not stage.redis.exists(stage.key(place))


@pytest.mark.parametrize("place", ["jobs:work", "dead"])
def test_a_page_of_large_jobs_is_whole(stage: EngineStage, place: str) -> None:
    lay(stage, place, [large(number) for number in range(25)])
    where = Place("queued", "work") if place == "jobs:work" else Place("dead")
    page = stage.client.jobs(where, 2, 20)
    assert [int(item.job.id) for item in page.jobs] == list(range(2, 22))


@pytest.mark.parametrize("bound", [0, -1, 1.5, True, "1", 2**30])
def test_a_bound_on_the_size_of_jobs_is_checked(stage: EngineStage, bound: Any) -> None:
    with pytest.raises(InvalidOption, match="max_job_bytes"):
        WorkerPool("n", stage.url, max_job_bytes=bound)


def test_a_cron_job_that_is_too_large_is_refused(stage: EngineStage) -> None:
    pool = WorkerPool("n", stage.url, max_job_bytes=1_000)
    pool.periodically_enqueue("@hourly", "work", {"x": "x" * 500})
    with pytest.raises(InvalidArgs, match=r"max_job_bytes=1000"):
        pool.periodically_enqueue("@daily", "work", {"x": "x" * 1_000})
