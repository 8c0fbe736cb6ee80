"""D9, D9b, D9c: a cron slot runs once, with any clocks, peers and downtimes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.parity.defects.fleet import Fleet
from tests.parity.gopeer import GoJob
from tests.support.handlers import boom
from workkit.engine.duties.planner import RETIRED_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from tests.parity.defects.fleet import FleetPool
    from tests.parity.gopeer import GoPeer
    from workkit import Job

MINUTELY = "0 * * * * *"
CRON = [(MINUTELY, "a")]
HORIZON_S = 240


@pytest.fixture
def fleet(redis_client: Redis, redis_url: str, namespace: str) -> Iterator[Fleet]:
    with Fleet(redis_client, redis_url, namespace) as fleet:
        assert fleet.clock.now_s % 60 == 0
        yield fleet


def plan(go: GoPeer, spec: str = MINUTELY, name: str = "a") -> bool:
    """Let a Go pool plan a spec that is due every minute; tells whether it was its turn."""
    return go.periodic_enqueue([(spec, name)], lambda _spec, after: (after // 60 + 1) * 60)


class Slots:
    """A handler that remembers which slots ran."""

    def __init__(self) -> None:
        self.ran: list[int] = []

    def __call__(self, job: Job) -> None:
        self.ran.append(int(job.id.rpartition(":")[2]))


def due_slots(fleet: Fleet) -> list[int]:
    """Read the slots that are due and still scheduled."""
    return sorted(at for at in fleet.members("scheduled").values() if at <= fleet.clock.now_s)


# D9: the slot of a host whose clock is slow.


def test_d9_the_original_runs_a_slot_twice_when_one_clock_is_slow(fleet: Fleet) -> None:
    ran: list[str] = []
    job = GoJob(handler=lambda job: ran.append(job.id))
    fast, slow = fleet.go("go1", a=job), fleet.go("go2", ahead_s=-2)
    plan(fast)
    fleet.advance(60)
    fast.requeue_step()
    fast.run_all()
    assert plan(slow)
    fast.requeue_step()
    fast.run_all()
    assert len(ran) == 2
    assert len(set(ran)) == 1


def run_first_slot(fleet: Fleet, pool: FleetPool) -> int:
    """Let a workkit pool plan, and run the next slot."""
    pool.duty("periodic")
    fleet.advance(60)
    pool.duty("requeuer")
    pool.work()
    return fleet.clock.now_s


@pytest.mark.parametrize("behind_s", [0, 2, 45])
def test_d9_a_slot_runs_once_whatever_the_clocks_of_the_planners_say(
    fleet: Fleet, behind_s: int
) -> None:
    slots = Slots()
    pool = fleet.pool({"a": slots}, cron=CRON)
    slow = fleet.pool({}, cron=CRON, ahead_s=-behind_s)
    slot = run_first_slot(fleet, pool)

    slow.duty("periodic")
    pool.duty("requeuer")
    pool.work()

    assert slots.ran == [slot]


@pytest.mark.parametrize("requeuer_is_go", [False, True])
def test_d9_a_copy_that_a_slow_go_pool_adds_is_dropped(fleet: Fleet, requeuer_is_go: bool) -> None:
    slots = Slots()
    pool = fleet.pool({"a": slots}, cron=CRON)
    go = fleet.go("go1", ahead_s=-2, a=GoJob())
    slot = run_first_slot(fleet, pool)
    assert plan(go)
    assert due_slots(fleet) == [slot]

    if requeuer_is_go:
        fleet.go("go2", a=GoJob()).requeue_step()
        assert len(fleet.queue("a")) == 1
    else:
        pool.duty("requeuer")
    pool.work()

    assert slots.ran == [slot]
    assert (due_slots(fleet), fleet.queue("a"), fleet.held("a"), fleet.lock("a")) == ([], [], [], 0)


@pytest.mark.parametrize("same_pool", [True, False])
def test_d9_a_copy_that_comes_while_the_slot_runs_is_dropped(fleet: Fleet, same_pool: bool) -> None:
    slots = Slots()
    pool, other = (fleet.pool({"a": slots}, cron=CRON) for _ in range(2))
    go = fleet.go("go1", ahead_s=-2, a=GoJob())
    pool.duty("periodic")
    fleet.advance(60)
    pool.duty("requeuer")
    pool.claim()
    running = pool.runner.begin()
    plan(go)
    fleet.go("go2", a=GoJob()).requeue_step()

    (pool if same_pool else other).turn()
    (pool if same_pool else other).turn()

    assert not pool.runner.waiting
    assert not other.runner.waiting
    pool.runner.run(running)
    pool.work()
    assert slots.ran == [fleet.clock.now_s]
    assert fleet.queue("a") == []


def test_d9_a_slot_that_both_libraries_plan_is_one_member(fleet: Fleet) -> None:
    pool, go = fleet.pool({"a": boom}, cron=CRON), fleet.go("go1", a=GoJob())
    plan(go)
    planned_by_go = fleet.members("scheduled")

    pool.duty("periodic")

    members = fleet.members("scheduled")
    assert planned_by_go.items() <= members.items()
    assert len(planned_by_go) >= HORIZON_S // 60 - 1
    assert len(members) == len(set(members.values()))


def test_d9_a_slot_whose_pool_has_died_runs_all_the_same(fleet: Fleet) -> None:
    slots = Slots()
    dead, pool = (fleet.pool({"a": slots}, cron=CRON) for _ in range(2))
    dead.duty("periodic")
    fleet.advance(60)
    slot = fleet.clock.now_s
    dead.duty("requeuer")
    dead.claim()
    dead.runner.begin()
    dead.crash()

    fleet.watch(pool, pool)
    pool.work()

    assert slots.ran == [slot]


def test_d9_a_slot_that_failed_is_retried_in_spite_of_its_mark(fleet: Fleet) -> None:
    slots: list[str] = []

    def run(job: Job) -> None:
        slots.append(job.id)
        if len(slots) == 1:
            boom(job)

    pool = fleet.pool({"a": run}, cron=CRON)
    run_first_slot(fleet, pool)
    fleet.redis.delete(fleet.go_keys.scheduled)
    fleet.advance(3600)
    pool.duty("requeuer")
    pool.work()

    assert len(slots) == 2
    assert len(set(slots)) == 1


# D9b: who plans does not depend on who planned last.


def test_d9b_the_original_is_kept_from_its_turn_by_a_pool_without_cron(fleet: Fleet) -> None:
    assert fleet.go("go1").periodic_enqueue([], lambda _spec, _after: None)
    assert not plan(fleet.go("go2"))
    assert fleet.members("scheduled") == {}


def test_d9b_a_mark_of_the_last_planning_decides_nothing(fleet: Fleet) -> None:
    fleet.go("go1").periodic_enqueue([], lambda _spec, _after: None)
    fleet.redis.set(fleet.go_keys.last_periodic_enqueue, fleet.clock.now_s + 3600)

    fleet.pool({}, cron=CRON).duty("periodic")

    assert len(fleet.members("scheduled")) >= HORIZON_S // 60 - 1


def test_d9b_pools_with_other_entries_do_not_keep_each_other_from_planning(fleet: Fleet) -> None:
    for name in ("a", "b"):
        fleet.pool({}, cron=[(MINUTELY, name)]).duty("periodic")
    assert {job["name"] for job in fleet.jobs("scheduled")} == {"a", "b"}


def test_d9b_a_pool_without_cron_says_nothing_to_go_pools(fleet: Fleet) -> None:
    fleet.pool({"a": boom}).duty("periodic")
    assert fleet.redis.exists(fleet.go_keys.last_periodic_enqueue) == 0
    assert plan(fleet.go())


def test_d9b_a_go_pool_plans_its_own_entries_right_after_workkit_has_planned_others(
    fleet: Fleet,
) -> None:
    fleet.pool({}, cron=CRON).duty("periodic")
    assert plan(fleet.go(b=GoJob()), name="b")
    assert {job["name"] for job in fleet.jobs("scheduled")} == {"a", "b"}


# D9c: downtime, new specs, backlogs.


def test_d9c_the_original_says_nothing_of_missed_slots(fleet: Fleet) -> None:
    go = fleet.go(a=GoJob())
    plan(go)
    fleet.redis.delete(go.keys.scheduled)
    fleet.advance(600)
    assert plan(go)
    assert due_slots(fleet) == []


@pytest.mark.parametrize("planners", [1, 2])
def test_d9c_after_a_downtime_the_newest_missed_slot_runs_once(
    fleet: Fleet, planners: int, caplog: pytest.LogCaptureFixture
) -> None:
    slots = Slots()
    run_first_slot(fleet, fleet.pool({"a": Slots()}, cron=CRON))
    fleet.redis.delete(fleet.go_keys.scheduled)
    fleet.advance(630)
    pools = [fleet.pool({"a": slots}, cron=CRON) for _ in range(planners)]

    for pool in pools:
        pool.duty("periodic")
    pools[0].duty("requeuer")
    for pool in pools:
        pool.work()

    assert slots.ran == [fleet.clock.now_s - 30]
    assert caplog.text.count("the newest runs now") == 1


def test_d9c_a_slot_that_was_missed_too_long_ago_is_left_out_aloud(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    daily = [("0 0 0 * * *", "a")]
    fleet.pool({}, cron=daily).duty("periodic")
    fleet.advance(86_400 + 8 * 3600)

    fleet.pool({}, cron=daily).duty("periodic")

    assert due_slots(fleet) == []
    assert "older than catch_up_s and do not run" in caplog.text


def test_d9c_slots_of_a_spec_that_nobody_has_any_more_do_not_run(fleet: Fleet) -> None:
    slots = Slots()
    former = fleet.pool({"a": slots}, cron=[("0 * * * * *", "a")])
    former.duty("periodic")
    former.step(former.engine.dispatcher.leave())
    gone_at = fleet.clock.now_s

    pool = fleet.pool({"a": slots}, cron=[("30 * * * * *", "a")])
    for _ in range(HORIZON_S // 30):
        pool.duty("periodic")
        pool.duty("requeuer")
        fleet.advance(30)
    pool.duty("requeuer")
    pool.work()

    of_the_former = [slot for slot in slots.ran if slot % 60 == 0]
    assert all(slot <= gone_at + RETIRED_S for slot in of_the_former)
    assert len(slots.ran) - len(of_the_former) == HORIZON_S // 60


def test_d9c_a_backlog_is_not_followed_by_slots_that_are_too_old_to_catch_up(fleet: Fleet) -> None:
    slots = Slots()
    pool = fleet.pool({"a": slots}, cron=CRON, catch_up_s=120)
    fleet.client.pause("a")
    for _ in range(30):
        pool.duty("periodic")
        fleet.advance(60)
        pool.duty("requeuer")
    fleet.client.unpause("a")

    pool.work()

    assert slots.ran == [fleet.clock.now_s - 120, fleet.clock.now_s - 60, fleet.clock.now_s]
