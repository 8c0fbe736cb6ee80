"""Each change is told once, from what a real server holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.client.stage import ClientStage, raw_job
from workkit.admin.live import _PollingWatch
from workkit.admin.notices.conditions import DEFAULTS, read_condition
from workkit.admin.notices.measures import MEASURES
from workkit.admin.notices.notices import Notice, Notices
from workkit.admin.notices.sight import Lookout, missed_s
from workkit.admin.watch import OverviewWatch
from workkit.core.records import CronEntry

Look = Callable[[], list[tuple[str, str, str]]]


class Reads(Lookout):
    """A lookout that reads everything each time; the server's announcements may come later."""

    def watch(self) -> OverviewWatch:
        return _PollingWatch(self)


def pool(stage: ClientStage, *names: str, pool_id: str = "p", beat_s: int = 0, **more: str) -> None:
    """Register a pool by hand; `beat_s` is the age of its heartbeat."""
    beat = {
        "heartbeat_at": str(stage.clock.now_s - beat_s), "started_at": "1", "concurrency": "2",
        "job_names": ",".join(names), "worker_ids": "", "host": "web-1", "pid": pool_id,
    }  # fmt: skip
    stage.redis.sadd(stage.keys.worker_pools, pool_id)
    stage.redis.hset(stage.keys.pool(pool_id), mapping=beat | more)


@pytest.fixture
def watch(stage: ClientStage) -> Callable[..., Look]:
    """Give what makes a watch of some conditions: it looks, and returns what was told."""

    def of(*conditions: str) -> Look:
        notices = Notices([read_condition(text) for text in conditions])
        lookout = Reads(stage.namespace, stage.url, clock=stage.clock)
        stage.on_close(lookout.close)

        def look() -> list[tuple[str, str, str]]:
            sight = lookout.look(notices.measures, notices.periods_s)
            return [brief(notice) for notice in notices.compare(sight, stage.clock.read())]

        return look

    return of


def brief(notice: Notice) -> tuple[str, str, str]:
    return notice.event, notice.kind, notice.text


def wait(stage: ClientStage, name: str, number: int, age_s: int = 0) -> None:
    stage.queue(
        name, *(raw_job(f"{n:024x}", name, t=stage.clock.now_s - age_s) for n in range(number))
    )


def test_a_finding_is_told_when_it_begins_and_when_it_ends(
    stage: ClientStage, watch: Callable[..., Look]
) -> None:
    pool(stage, "mail")
    look = watch("queue.latency[mail]>1m")
    assert look() == []
    wait(stage, "mail", 1, age_s=61)
    begins = [("begins", "queue.latency", "queue mail: its oldest job has waited for 1m 1s")]
    assert look() == begins
    assert look() == []
    stage.redis.delete(stage.keys.jobs("mail"))
    assert look() == [("ends", *begins[0][1:])]
    assert look() == []


def test_a_finding_must_hold_for_the_time_that_was_asked(
    stage: ClientStage, watch: Callable[..., Look]
) -> None:
    look = watch("queue.count[mail]>2 for 1m")
    wait(stage, "mail", 3)
    assert look() == []
    stage.clock.advance(59)
    assert look() == []
    stage.redis.delete(stage.keys.jobs("mail"))
    assert look() == []  # it has not been told, so its end is not told either
    wait(stage, "mail", 3)
    stage.clock.advance(30)
    assert look() == []
    stage.clock.advance(60)
    assert [event for event, _, _ in look()] == ["begins"]


def test_deaths_are_counted_over_the_period_of_the_rate(
    stage: ClientStage, watch: Callable[..., Look]
) -> None:
    now = stage.clock.now_s
    look = watch("dead.rate>2/min", "dead.rate>3/h", "dead.count>=4")
    stage.lay("dead", {raw_job(f"{n}"): now - 100 for n in range(2)})
    assert look() == []
    stage.lay("dead", {raw_job(f"new {n}"): now - n for n in range(2)})
    assert [text for _, _, text in look()] == [
        "4 jobs died in the last 1h 0m", "4 jobs in the dead set",
    ]  # fmt: skip
    stage.lay("dead", {raw_job("junk"): float("inf"), raw_job("newest"): now})
    assert [text for _, _, text in look()] == ["3 jobs died in the last 1m 0s"]
    stage.clock.advance(61)
    assert look() == [("ends", "dead.rate", "3 jobs died in the last 1m 0s")]


def test_jobs_that_no_live_pool_takes_are_told_by_queue(
    stage: ClientStage, watch: Callable[..., Look]
) -> None:
    pool(stage, "mail")
    pool(stage, "export", pool_id="gone", beat_s=500)
    wait(stage, "mail", 2)
    wait(stage, "export", 3)
    stage.client.pause("mail")
    look = watch("queue.unserved", "queue.paused", "pools.silent", "pools.alive<2")
    assert [text for _, _, text in look()] == [
        "queue export: no live worker takes its 3 jobs",
        "queue mail: paused, 2 jobs waiting",
        "1 pool without a heartbeat",
        "1 pool alive",
    ]


def test_a_lock_that_differs_from_what_pools_hold_is_told(
    stage: ClientStage, watch: Callable[..., Look]
) -> None:
    pool(stage, "mail", "export")
    wait(stage, "mail", 1)
    wait(stage, "export", 1)
    queue = stage.keys.queue("mail", "")
    stage.redis.set(queue.lock, 3)
    stage.redis.hset(queue.lock_info, "p", 1)
    look = watch("lock.drift")
    ((event, _, text),) = look()
    assert event == "begins"
    assert text.startswith("queue mail: its lock differs by 2 from what pools hold")
    stage.redis.set(queue.lock, 1)
    assert [event for event, _, _ in look()] == ["ends"]


def test_overdue_sets_are_told(stage: ClientStage, watch: Callable[..., Look]) -> None:
    now = stage.clock.now_s
    stage.lay("scheduled", {raw_job("a"): now - 40})
    stage.lay("retry", {raw_job("b"): now - 20})
    assert [kind for _, kind, _ in watch("scheduled.late", "retry.late")()] == ["scheduled.late"]


def test_a_missed_cron_slot_is_told_and_that_of_a_removed_entry_only_by_name(
    stage: ClientStage, watch: Callable[..., Look]
) -> None:
    now = stage.clock.now_s
    field = '["report","0 * * * * *"]'
    stage.redis.hset(stage.keys.periodic, field, now - 600)
    stage.redis.hset(stage.keys.periodic_seen, field, now - 500)
    look = watch("cron.missed")
    ((_, _, text),) = look()
    assert text == "cron job report: its slot has been due for 9m 0s, and no pool has queued it"
    pool(stage, "mail", workkit="1.0")
    assert look() == [("ends", "cron.missed", text)]  # pools run, and none declares it: removed
    assert [kind for _, kind, _ in watch("cron.missed[report]")()] == ["cron.missed"]
    stage.redis.hset(stage.keys.periodic, field, now + 240)
    stage.redis.hset(stage.keys.periodic_seen, field, now)
    assert watch("cron.missed", "cron.missed[report]")() == []


@pytest.mark.parametrize(
    ("fields", "late_s"),
    [
        ({"planned_until": 10_240}, 0),
        ({"planned_until": 0}, 0),  # an entry that nobody has planned yet
        ({"planned_until": 9_000}, 940),
        ({"planned_until": 9_000, "spec": "no spec"}, 0),
        ({"planned_until": 10_240, "last_slot": 9_960, "last_state": "scheduled"}, 40),
        ({"planned_until": 10_240, "last_slot": 9_960, "last_state": "queued"}, 0),
        ({"planned_until": 9_990}, 0),  # the next slot is not due yet
    ],
)
def test_a_slot_is_late_if_it_is_due_and_no_pool_has_queued_it(
    fields: dict[str, object], late_s: float
) -> None:
    entry = CronEntry(**({"job_name": "a", "spec": "0 * * * * *", "seen_at": 9_990} | fields))  # type: ignore[arg-type]
    assert missed_s(entry, 10_000.0) == late_s


def test_the_concerns_of_the_console_are_told_one_by_one(
    stage: ClientStage, watch: Callable[..., Look]
) -> None:
    pool(stage, "mail")
    for n in range(5):
        wait(stage, f"old-{n}", 1, age_s=90)
    look, one = watch(*DEFAULTS), "1 job, oldest 1m 30s"
    assert look() == [
        ("begins", "queue-unserved", f"queue old-{n}: no live worker takes its {one}")
        for n in range(5)
    ]
    pool(stage, "mail", *(f"old-{n}" for n in range(4)))
    assert [(event, kind) for event, kind, _ in look()] == [("ends", "queue-unserved")] * 4


def test_a_server_that_is_away_is_told_once_and_changes_nothing_else(stage: ClientStage) -> None:
    notices = Notices([read_condition("queue.count>0")])
    lookout = Reads(stage.namespace, stage.url, clock=stage.clock)
    stage.on_close(lookout.close)
    wait(stage, "mail", 1)
    now = stage.clock.read()
    assert len(notices.compare(lookout.look(notices.measures, ()), now)) == 1
    (away,) = notices.lost("the server\ndoes not answer", now)
    assert (away.event, away.condition, away.text) == (
        "begins", "server", "the server\\ndoes not answer",
    )  # fmt: skip
    assert notices.lost("still", now) == []
    stage.clock.advance(30)
    (back,) = notices.compare(lookout.look(notices.measures, ()), stage.clock.read())
    assert (back.event, back.condition, back.at - back.since) == ("ends", "server", 30)


def test_a_name_that_does_not_exist_is_asked_about(stage: ClientStage) -> None:
    wait(stage, "mail", 1)
    texts = ("queue.count[mali]>5", "queue.count[mail]>5", "queue.count[m*]>5", "cron.missed[x]")
    notices = Notices([read_condition(text) for text in texts])
    lookout = Reads(stage.namespace, stage.url, clock=stage.clock)
    stage.on_close(lookout.close)
    sight = lookout.look(notices.measures, notices.periods_s)
    assert notices.unknown(sight) == ["queue.count[mali]>5", "cron.missed[x]>1m"]


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_every_measure_can_be_read_of_an_empty_namespace(
    stage: ClientStage, watch: Callable[..., Look], name: str
) -> None:
    unit = MEASURES[name].unit
    limit = {"s": "1s", "jobs/period": "1/h"}.get(unit, "1")
    expected = 1 if not MEASURES[name].of else 0
    assert len(watch(f"{name}<{limit}")()) == expected
