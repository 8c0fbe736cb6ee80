"""Cron: every slot is one job, with any planner and any clocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.engine.conftest import MakePool
from tests.engine.signals import Notes
from tests.engine.stage import EngineStage
from tests.parity.gopeer import Clock, GoJob, GoPeer, Scene
from tests.support.handlers import nothing
from tests.support.steps import FakeClock, StepPool
from workkit import Client, Job
from workkit.cron import parse
from workkit.errors import ServerUnavailable

EVERY_10_S = "*/10 * * * * *"
EVERY_MINUTE = "0 * * * * *"
HALF_HOUR_S = 1_800


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


def next_slot(spec: str, epoch_s: int) -> int | None:
    return parse(spec).next_after(epoch_s)


def planner(
    stage: EngineStage,
    spec: str = EVERY_MINUTE,
    handler: Callable[[Job], object] = nothing,
    clock: FakeClock | None = None,
    **options: Any,
) -> StepPool:
    """Start a pool that enqueues "tick" by a spec, and runs it."""
    worker = stage.pool(concurrency=20)
    worker.job("tick", handler)
    worker.periodically_enqueue(spec, "tick", **options)
    return stage.stepped(worker, clock)


def slot_state(stage: EngineStage, slot_id: str) -> bytes | None:
    state: bytes | None = stage.redis.get(stage.key(f"slot:{slot_id}"))
    return state


def due_and_moved(stage: EngineStage, pool: StepPool) -> str:
    """Let a minute pass and the due slot be moved; return its id."""
    stage.clock.advance(60)
    pool.duty("requeuer")
    (slot_id,) = stage.waiting("tick")
    return slot_id


# Many pools.


class HalfHour:
    """Pools of both libraries that all enqueue the same cron job, each on its own clock.

    Time goes on in steps of two seconds. Our pools plan twice a minute, at different moments; the
    original's schedule more often than they would, and move what is due before ours do.
    """

    def __init__(self, stage: EngineStage, specs: list[str], skew_s: int = 30) -> None:
        self.stage = stage
        self.specs = specs
        self.ran: Counter[str] = Counter()
        self.began_s = stage.clock.now_s
        self.skew_s = skew_s
        self.clocks = [stage.clock.skewed(seconds) for seconds in (-skew_s, 0, skew_s)]
        self.ours = [self._pool(clock) for clock in self.clocks]
        self.peers: list[tuple[GoPeer, Clock, int]] = []

    def _pool(self, clock: FakeClock) -> StepPool:
        worker = self.stage.pool(concurrency=20)
        worker.job("tick", lambda job: self.ran.update([job.id]))
        for spec in self.specs:
            worker.periodically_enqueue(spec, "tick")
        return self.stage.stepped(worker, clock)

    def join(self, skew_s: int) -> None:
        """Let a pool of the original take part."""
        clock = Clock(self.stage.clock.now_s + skew_s)
        scene = Scene(self.stage.redis, self.stage.namespace, clock)
        self.peers.append((scene.peer(f"go{skew_s}", tick=GoJob()), clock, skew_s))

    def pass_by(self) -> None:
        for passed_s in range(0, HALF_HOUR_S, 2):
            for peer, clock, skew_s in self.peers:
                clock.now = self.stage.clock.now_s + skew_s
                if passed_s % 6 == 0:
                    peer.periodic_enqueue([(spec, "tick") for spec in self.specs], next_slot)
                peer.requeue_step()
            for turn, pool in enumerate(self.ours):
                if passed_s % 30 == 10 * turn:
                    pool.duty("periodic")
                pool.duty("requeuer")
                pool.work()
            for fake in (self.stage.clock, *self.clocks):
                fake.advance(2)

    def slots(self) -> set[str]:
        """Return all slots that began and ended on every clock."""
        margin_s = 2 * self.skew_s
        first_s, last_s = self.began_s + margin_s, self.began_s + HALF_HOUR_S - margin_s
        return {
            f"periodic:tick:{spec}:{at_s}"
            for spec in self.specs
            for at_s in parse(spec).upcoming(first_s, last_s)
        }


def test_three_pools_with_different_clocks_run_every_slot_once(stage: EngineStage) -> None:
    half_hour = HalfHour(stage, [EVERY_10_S, "30 */5 * * * *", "@every 90s"])
    half_hour.pass_by()
    assert half_hour.slots() <= half_hour.ran.keys()
    assert max(half_hour.ran.values()) == 1
    assert set(stage.outcomes()) == {"done"}


def test_clocks_that_are_minutes_apart_cost_no_slot_and_run_none_twice(stage: EngineStage) -> None:
    half_hour = HalfHour(stage, [EVERY_10_S, "30 */5 * * * *"], skew_s=150)
    half_hour.pass_by()
    assert half_hour.slots() <= half_hour.ran.keys()
    assert max(half_hour.ran.values()) == 1


def test_beside_pools_of_the_original_second_copies_are_dropped(stage: EngineStage) -> None:
    half_hour = HalfHour(stage, [EVERY_10_S, "30 */5 * * * *"])
    for skew_s in (-30, 0, 30):
        half_hour.join(skew_s)
    half_hour.pass_by()
    assert half_hour.slots() <= half_hour.ran.keys()
    assert max(half_hour.ran.values()) == 1
    # The original did write copies of slots that had run, and its own requeuer moved some of them.
    reasons = Counter((record.outcome, record.reason) for record in stage.history())
    assert reasons["discarded", "duplicate slot"] > 10
    assert stage.in_progress("tick") == stage.lock("tick") == 0


# One slot.


def test_what_is_scheduled_is_what_the_original_schedules_byte_for_byte(
    stage: EngineStage, golden: Callable[[str], Any]
) -> None:
    recorded = golden("live_pool_state")
    worker = stage.pool()
    worker.periodically_enqueue(EVERY_MINUTE, "slow")
    clock = FakeClock(int(recorded["work:last_periodic_enqueue"]["value"]) * 1000)
    stage.stepped(worker, clock).duty("periodic")
    members = recorded["work:scheduled"]["value"]
    wanted = {
        member.encode(): float(score)
        for member, score in zip(members[::2], members[1::2], strict=True)
        if "periodic:" in member
    }
    assert dict(stage.redis.zrange(stage.key("scheduled"), 0, -1, withscores=True)) == wanted
    assert stage.redis.smembers(stage.key("known_jobs")) == {b"slow"}


def test_a_pool_of_the_original_sees_when_slots_were_planned_and_is_not_kept_from_its_own(
    stage: EngineStage,
) -> None:
    planner(stage).duty("periodic")
    planned_at = int(stage.redis.get(stage.key("last_periodic_enqueue")))
    assert 0 <= stage.clock.now_s - planned_at <= 3
    go = Scene(stage.redis, stage.namespace, Clock(stage.clock.now_s)).peer()
    assert go.periodic_enqueue([("15 * * * * *", "only of the original")], next_slot)
    assert len(stage.client.scheduled_jobs().jobs) == 8


def test_the_key_of_a_slot_says_how_far_it_has_come(stage: EngineStage) -> None:
    pool = planner(stage)
    pool.duty("periodic")
    first = f"periodic:tick:{EVERY_MINUTE}:{stage.clock.now_s + 60}"
    assert slot_state(stage, first) == b"scheduled"
    assert due_and_moved(stage, pool) == first
    assert slot_state(stage, first) == b"queued"
    pool.turn()
    assert slot_state(stage, first) == f"started:{pool.id}".encode()
    pool.work()
    assert slot_state(stage, first) == b"done"
    assert stage.redis.ttl(stage.key(f"slot:{first}")) > 86_400
    planned_until = stage.redis.hgetall(stage.key("periodic"))
    assert planned_until == {b'["tick", "0 * * * * *"]': str(stage.clock.now_s + 180).encode()}


def test_a_cron_job_has_its_args_in_every_slot(stage: EngineStage) -> None:
    seen = []
    pool = planner(stage, handler=lambda job: seen.append(job.args), args={"n": 2**60, "x": []})
    for _ in range(3):
        pool.duty("periodic")
        stage.clock.advance(60)
        pool.duty("requeuer")
        pool.work()
    assert seen == [{"n": 2**60, "x": []}] * 3


@pytest.mark.parametrize("state", ["queued", "started", "done"])
def test_a_second_copy_of_a_slot_is_dropped_however_far_the_first_has_come(
    stage: EngineStage, state: str
) -> None:
    ran: list[str] = []
    pool, other = planner(stage, handler=lambda job: ran.append(job.id)), planner(stage)
    pool.duty("periodic")
    due_and_moved(stage, pool)
    (copy,) = stage.redis.lrange(stage.key("jobs:tick"), 0, -1)
    if state == "queued":
        stage.redis.zadd(stage.key("scheduled"), {copy: stage.clock.now_s})
        other.duty("requeuer")
        assert len(stage.waiting("tick")) == 1
    elif state == "started":
        pool.turn()
        running = pool.runner.begin()
        stage.redis.lpush(stage.key("jobs:tick"), copy, copy)
        assert other.claim() == []
        pool.turn()  # not even in the pool that runs the first
        assert not pool.runner.waiting
        pool.runner.run(running)
    else:
        pool.work()
        stage.redis.lpush(stage.key("jobs:tick"), copy)
        assert other.work() == []
    pool.work()
    other.work()
    assert len(ran) == 1
    assert stage.waiting("tick") == []
    assert stage.in_progress("tick") == stage.lock("tick") == 0


def test_a_slot_whose_job_fails_is_tried_again_like_any_job(stage: EngineStage) -> None:
    ran: list[int] = []

    def fail_once(job: Job) -> None:
        ran.append(job.fails)
        if not job.fails:
            raise ValueError

    pool = planner(stage, handler=fail_once)
    pool.duty("periodic")
    due_and_moved(stage, pool)
    pool.work()
    (retry,) = stage.client.retry_jobs().jobs
    stage.clock.advance(retry.retry_at - stage.clock.now_s)
    stage.redis.delete(stage.key("scheduled"))
    pool.duty("requeuer")
    pool.work()
    assert ran == [0, 1]
    assert stage.outcomes() == ["retry", "done"]


# A slot whose pool dies.


def crashed(stage: EngineStage, *, begun: bool) -> tuple[StepPool, str]:
    """Start a pool after another one has died with a claimed slot."""
    dying = planner(stage)
    dying.duty("periodic")
    slot_id = due_and_moved(stage, dying)
    dying.step(dying.engine.dispatcher.turn())
    if begun:
        dying.runner.begin()
    assert stage.in_progress("tick") == 1
    dying.close()
    worker = stage.pool(concurrency=20)
    worker.job("tick", nothing)
    return stage.stepped(worker), slot_id


@pytest.mark.parametrize("begun", [True, False])
def test_a_slot_whose_pool_died_runs_again(stage: EngineStage, *, begun: bool) -> None:
    pool, slot_id = crashed(stage, begun=begun)
    pool.watch(14)
    pool.work()
    assert {(r.job_id, r.outcome) for r in stage.history()} == {
        (slot_id, "recovered"),
        (slot_id, "done"),
    }
    assert slot_state(stage, slot_id) == b"done"


def test_a_recovered_slot_runs_even_while_its_dead_pool_is_still_registered(
    stage: EngineStage,
) -> None:
    pool, slot_id = crashed(stage, begun=True)
    pool.watch(10)
    stage.clock.advance(2)
    ran = []
    for _ in exchanges_of(pool, "reaper"):
        # The dispatcher has turns while the reaper is still at work.
        ran += [execution.job.id for execution in pool.work()]
    ran += [execution.job.id for execution in pool.work()]
    assert ran == [slot_id]
    assert sorted(stage.outcomes()) == ["done", "recovered"]


def test_a_slot_given_back_by_a_reaper_of_the_original_runs_before_its_pool_is_forgotten(
    stage: EngineStage,
) -> None:
    pool, slot_id = crashed(stage, begun=True)
    (in_progress,) = stage.redis.keys(stage.key("jobs:tick:*:inprogress"))
    # That reaper moves the jobs first, knows nothing of slots, and forgets the pool later.
    stage.redis.rpoplpush(in_progress, stage.key("jobs:tick"))
    assert [execution.job.id for execution in pool.work()] == [slot_id]


def exchanges_of(pool: StepPool, duty: str) -> Iterator[None]:
    """Carry out a duty, with a pause after each exchange."""
    step = pool._duties[duty].step(pool.clock.read())
    exchange = next(step)
    while True:
        replies = pool.link.send(exchange.commands)
        yield
        try:
            exchange = step.send(replies)
        except StopIteration:
            return


def test_a_slot_that_a_stopping_pool_gives_back_runs_elsewhere(stage: EngineStage) -> None:
    pool, other = planner(stage), planner(stage)
    pool.duty("periodic")
    slot_id = due_and_moved(stage, pool)
    pool.turn()
    pool.runner.begin()
    pool.engine.dispatcher.stop_claiming()
    pool.engine.dispatcher.give_back()
    pool.turn()
    assert slot_state(stage, slot_id) == b"returned"
    assert [execution.job.id for execution in other.work()] == [slot_id]


@pytest.mark.parametrize("end", ["dies", "stops"])
def test_a_slot_that_has_started_runs_to_its_end_however_late_it_is(
    stage: EngineStage, end: str
) -> None:
    pool, other = planner(stage, catch_up_s=0), planner(stage, catch_up_s=0)
    pool.duty("periodic")
    slot_id = due_and_moved(stage, pool)
    pool.turn()
    pool.runner.begin()
    stage.clock.advance(100)
    if end == "stops":
        pool.engine.dispatcher.stop_claiming()
        pool.engine.dispatcher.give_back()
        pool.turn()
    else:
        pool.close()
        other.watch(14)
    assert [execution.job.id for execution in other.work()] == [slot_id]
    assert slot_state(stage, slot_id) == b"done"


@pytest.mark.parametrize("fault", ["lose_reply", "drop"])
def test_a_lost_reply_costs_no_slot_and_runs_none_twice(stage: EngineStage, fault: str) -> None:
    ran: list[str] = []
    pool = planner(stage, handler=lambda job: ran.append(job.id))
    pool.duty("periodic")
    slot_id = due_and_moved(stage, pool)
    faults = 0
    for at in range(6):
        getattr(pool.link, fault)() if at % 2 else None
        try:
            pool.work()
        except ServerUnavailable:
            faults += 1
    pool.work()
    assert faults >= 2
    assert ran == [slot_id]


# In real time.


def test_slots_start_in_their_second_or_the_next(make_pool: MakePool, client: Client) -> None:
    pool, other, ran = make_pool(concurrency=2), make_pool(concurrency=2), Notes()
    for each in (pool, other):
        each.job("tick", ran)
        each.periodically_enqueue("@every 1s", "tick")
    with pool, other:
        ran.wait_for(3)
    late = {record.started_ms // 1000 - record.enqueued_at for record in client.history()}
    assert late <= {0, 1}
    slots = [record.job_id for record in client.history()]
    assert len(set(slots)) == len(slots) >= 3


def test_a_pool_without_handlers_enqueues_for_others(
    make_pool: MakePool, client: Client, wait_until: Any
) -> None:
    pool = make_pool()
    pool.periodically_enqueue("@every 1s", "of another service")
    with pool:
        wait_until(lambda: client.queued_jobs("of another service").total)
    assert client.worker_pool_heartbeats() == []
