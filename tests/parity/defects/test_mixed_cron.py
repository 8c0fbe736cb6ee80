"""Cron entries that Go pools have, alone or with us: what they plan runs, and runs once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.parity.defects.fleet import Fleet, FleetPool
from tests.parity.gopeer import GoJob, GoPeer
from workkit.engine.duties.planner import HORIZON_S, RETIRED_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from workkit import Job

MINUTELY = "0 * * * * *"
HOURLY = "0 0 * * * *"
EVERY = "@every 30s"
PERIODS = {MINUTELY: 60, HOURLY: 3_600}
GO_PLANS_EVERY_S = 130
STEP_S = 10


@pytest.fixture
def fleet(redis_client: Redis, redis_url: str, namespace: str) -> Iterator[Fleet]:
    with Fleet(redis_client, redis_url, namespace) as fleet:
        assert fleet.clock.now_s % 3_600 == 0
        yield fleet


class Ran:
    """Which slots ran, in either library."""

    def __init__(self) -> None:
        self.slots: Counter[int] = Counter()

    def __call__(self, job: Any) -> None:
        self.slots[int(job.id.rpartition(":")[2])] += 1

    def ours(self, job: Job) -> None:
        self(job)


class GoHost:
    """A Go pool with cron entries, and its duties over time."""

    def __init__(self, fleet: Fleet, specs: list[str], ran: Ran, pool_id: str = "go1") -> None:
        self._fleet = fleet
        self._specs = [(spec, "a") for spec in specs]
        self._started_s = fleet.clock.now_s
        self._plans_at = fleet.clock.now_s
        self.pool: GoPeer = fleet.go(pool_id, a=GoJob(handler=ran))

    def next_slot(self, spec: str, after: int) -> int:
        if spec == EVERY:
            return after + 30
        return (after // PERIODS[spec] + 1) * PERIODS[spec]

    def turn(self) -> None:
        self.pool.heartbeat()
        if self._fleet.clock.now_s >= self._plans_at:
            self.pool.periodic_enqueue(self._specs, self.next_slot)
            self._plans_at += GO_PLANS_EVERY_S
        self.pool.requeue_step()
        self.pool.run_all()


def our_turn(pool: FleetPool) -> None:
    pool.duty("periodic")
    pool.duty("requeuer")
    pool.duty("heartbeat")
    pool.work()


def pass_time(fleet: Fleet, seconds: int, *hosts: GoHost | FleetPool) -> None:
    """Let time pass, with a turn of each host now and then."""
    for _ in range(seconds // STEP_S):
        for host in hosts:
            host.turn() if isinstance(host, GoHost) else our_turn(host)
        fleet.advance(STEP_S)


def our_pool(fleet: Fleet, ran: Ran, *specs: str, **options: Any) -> FleetPool:
    return fleet.pool({"a": ran.ours}, cron=[(spec, "a") for spec in specs], **options)


def expected(start_s: int, end_s: int, period_s: int = 60) -> dict[int, int]:
    """Name the slots of a span, each to run once; the last one may be about to run."""
    return dict.fromkeys(range(start_s + period_s, end_s, period_s), 1)


# Slots that Go has planned are not taken back.


@pytest.mark.parametrize("go_first", [True, False])
@pytest.mark.parametrize("seen_s_ago", [None, 86_400])
def test_go_goes_on_with_an_entry_that_our_pools_do_not_declare_any_more(
    fleet: Fleet, go_first: bool, seen_s_ago: int | None
) -> None:
    ran, start_s = Ran(), fleet.clock.now_s
    if seen_s_ago is None:
        ours = our_pool(fleet, ran, MINUTELY)
        pass_time(fleet, 60, ours)
        ours.step(ours.engine.dispatcher.leave())
    else:
        field = f'["a", "{MINUTELY}"]'
        fleet.redis.hset(fleet.keys.periodic_seen, field, start_s - seen_s_ago)
    go, other = GoHost(fleet, [MINUTELY], ran), our_pool(fleet, ran)

    pass_time(fleet, 3_000, *((go, other) if go_first else (other, go)))

    assert ran.slots == expected(start_s, fleet.clock.now_s)


def test_slots_that_only_we_have_planned_are_taken_back_and_that_is_logged(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    """Though a Go pool handles such jobs, and plans them by another entry."""
    ran, start_s = Ran(), fleet.clock.now_s
    half_past = Ran()
    ours = fleet.pool({"a": ran.ours}, cron=[("30 * * * * *", "a")])
    go, other = GoHost(fleet, [MINUTELY], ran), our_pool(fleet, ran)
    pass_time(fleet, 300, ours, go)
    ours.step(ours.engine.dispatcher.leave())
    gone_at = fleet.clock.now_s

    pass_time(fleet, 900, other, go)

    late = [at for at in ran.slots if at % 60 == 30 and at > gone_at + RETIRED_S]
    assert len(late) <= 1  # one, if Go has yet to show that it does not plan it
    assert "cron '30 * * * * *' of 'a': no pool declares it any more" in caplog.text
    assert {at: n for at, n in ran.slots.items() if at % 60 == 0} == expected(
        start_s, fleet.clock.now_s
    )
    assert not half_past.slots


def test_a_slot_of_ours_alone_is_taken_back_where_go_pools_know_nothing_of_its_job(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    ran = Ran()
    ours = our_pool(fleet, ran, MINUTELY)
    pass_time(fleet, 60, ours)
    ours.step(ours.engine.dispatcher.leave())
    gone_at = fleet.clock.now_s
    fleet.go("go1", b=GoJob()).periodic_enqueue([], lambda _spec, _after: None)
    pass_time(fleet, HORIZON_S, our_pool(fleet, ran))
    assert all(at <= gone_at + RETIRED_S for at in ran.slots)
    assert caplog.text.count("no pool declares it any more, so 1 slot") == 2


def test_what_go_had_planned_runs_though_its_pool_has_gone(fleet: Fleet) -> None:
    ran, start_s = Ran(), fleet.clock.now_s
    fleet.redis.hset(fleet.keys.periodic_seen, f'["a", "{MINUTELY}"]', start_s - 86_400)
    go, other = GoHost(fleet, [MINUTELY], ran), our_pool(fleet, ran)
    pass_time(fleet, 130, go, other)
    planned = {int(job.job.id.rpartition(":")[2]) for job in fleet.client.scheduled_jobs().jobs}
    go.pool.stop()
    pass_time(fleet, HORIZON_S, other)
    assert planned
    assert planned <= set(ran.slots)


def test_a_slot_is_not_taken_back_by_a_pool_that_has_not_heard_of_its_entrys_return(
    fleet: Fleet,
) -> None:
    ran, every_5_s = Ran(), "*/5 * * * * *"
    ours, other = our_pool(fleet, ran, every_5_s), our_pool(fleet, ran)
    pass_time(fleet, 30, ours, other)
    ours.step(ours.engine.dispatcher.leave())
    pass_time(fleet, 590, other)  # it looks at entries every 30 s, last 20 s ago
    our_pool(fleet, ran, every_5_s).duty("periodic")
    fleet.advance(5)
    other.duty("requeuer")
    other.work()
    assert fleet.clock.now_s in ran.slots


# Slots that Go ran while no workkit pool was running are not caught up.


@pytest.mark.parametrize("away_s", [300, 630, 3_000])
@pytest.mark.parametrize("returning", [1, 3])
def test_what_go_ran_while_our_pools_were_away_does_not_run_again(
    fleet: Fleet, away_s: int, returning: int, caplog: pytest.LogCaptureFixture
) -> None:
    ran, start_s = Ran(), fleet.clock.now_s
    go, ours = GoHost(fleet, [MINUTELY], ran), our_pool(fleet, ran, MINUTELY)
    pass_time(fleet, 120, ours, go)
    ours.crash()
    pass_time(fleet, away_s, go)
    back = [our_pool(fleet, ran, MINUTELY) for _ in range(returning)]

    pass_time(fleet, 600, *back, go)

    assert ran.slots == expected(start_s, fleet.clock.now_s)
    if away_s > HORIZON_S + 60:
        assert "so they are left to it" in caplog.text


def test_what_go_ran_does_not_run_again_though_it_has_stopped_and_others_of_us_planned(
    fleet: Fleet,
) -> None:
    """Pools of ours with other entries write over the mark that a Go pool has left."""
    ran, start_s = Ran(), fleet.clock.now_s
    go, ours = GoHost(fleet, [MINUTELY], ran), our_pool(fleet, ran, MINUTELY)
    others = fleet.pool({"b": ran.ours}, cron=[(HOURLY, "b")])
    pass_time(fleet, 60, ours, others, go)
    ours.crash()
    pass_time(fleet, 690, go, others)
    go.pool.stop()
    our_turn(others)

    pass_time(fleet, 300, our_pool(fleet, ran, MINUTELY), others)

    assert ran.slots == expected(start_s, fleet.clock.now_s)


def test_an_hourly_entry_is_left_to_a_go_pool_that_was_there_and_handles_it(fleet: Fleet) -> None:
    ran, start_s = Ran(), fleet.clock.now_s
    ours = our_pool(fleet, ran, HOURLY)
    go = GoHost(fleet, [HOURLY], ran)
    pass_time(fleet, 3_000, ours, go)
    ours.crash()
    pass_time(fleet, 1_500, go)
    pass_time(fleet, 600, our_pool(fleet, ran, HOURLY), go)
    assert ran.slots == {start_s + 3_600: 1}


def nobody_of_go(fleet: Fleet, ran: Ran) -> None:
    """No Go pool was ever there."""


def other_entries(fleet: Fleet, ran: Ran) -> GoHost:
    """A Go pool that handles the job, and has no cron entries."""
    return GoHost(fleet, [], ran)


@pytest.mark.parametrize("beside", [nobody_of_go, other_entries])
def test_what_nobody_has_planned_is_caught_up(
    fleet: Fleet, beside: Callable[[Fleet, Ran], GoHost | None]
) -> None:
    ran, start_s = Ran(), fleet.clock.now_s
    go, ours = beside(fleet, ran), our_pool(fleet, ran, MINUTELY)
    hosts = [go] if go else []
    pass_time(fleet, 60, ours, *hosts)
    ours.crash()
    pass_time(fleet, 660, *hosts)
    back_at = fleet.clock.now_s
    pass_time(fleet, 120, our_pool(fleet, ran, MINUTELY), *hosts)
    planned_before = {at for at in ran.slots if at <= start_s + HORIZON_S + 60}
    assert set(ran.slots) - planned_before == {back_at, back_at + 60}
    assert set(ran.slots.values()) == {1}


def test_a_daily_entry_of_ours_is_caught_up_where_no_go_pool_handles_its_job(fleet: Fleet) -> None:
    ran, start_s = Ran(), fleet.clock.now_s
    ours = our_pool(fleet, ran, HOURLY)
    go = fleet.go("go1", b=GoJob())
    pass_time(fleet, 3_000, ours)
    ours.crash()
    fleet.advance(1_200)
    go.periodic_enqueue([], lambda _spec, _after: None)
    pass_time(fleet, 60, our_pool(fleet, ran, HOURLY))
    assert ran.slots == {start_s + 3_600: 1}


def test_what_was_missed_before_the_go_pool_came_is_caught_up(fleet: Fleet) -> None:
    ran, start_s = Ran(), fleet.clock.now_s
    ours = our_pool(fleet, ran, HOURLY)
    pass_time(fleet, 3_000, ours)
    ours.crash()
    fleet.advance(1_200)
    go = GoHost(fleet, [HOURLY], ran)
    pass_time(fleet, 60, our_pool(fleet, ran, HOURLY), go)
    assert ran.slots == {start_s + 3_600: 1}


def test_an_interval_that_go_runs_in_its_own_phase_is_left_to_it_as_well(fleet: Fleet) -> None:
    ran = Ran()
    fleet.advance(7)
    go, ours = GoHost(fleet, [EVERY], ran), our_pool(fleet, ran, EVERY)
    pass_time(fleet, 60, ours, go)
    ours.crash()
    pass_time(fleet, 660, go)
    before = fleet.clock.now_s
    back = our_pool(fleet, ran, EVERY)
    our_turn(back)
    assert [at for at in ran.slots if at % 30 == 0 and before - 200 < at <= before] == []
