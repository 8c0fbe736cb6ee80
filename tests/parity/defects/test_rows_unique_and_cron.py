"""Rows 5 to 9 of the users' reports: jobs that run twice, mails sent eight times, jobs that die."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.parity.defects.stage import PATIENCE_S, ParityStage, await_event
from tests.parity.gopeer import GoJob, GoJobRecord
from tests.support.handlers import boom, nothing
from workkit import Enqueuer, Job, SystemClock
from workkit.core.clock import Instant

if TYPE_CHECKING:
    from redis import Redis

DAY_S = 86_400
EVERY_SECOND = "* * * * * *"


@pytest.fixture
def stage(redis_url: str, redis_client: Redis, namespace: str) -> Iterator[ParityStage]:
    with ParityStage(redis_client, redis_url, namespace) as stage:
        yield stage


# Row 5: a unique job that runs twice


def test_row_05_a_unique_job_by_key_runs_once_with_its_newest_args(stage: ParityStage) -> None:
    go_ran: list[object] = []
    go = stage.elsewhere().peer(
        "p1", a=GoJob(handler=lambda job: go_ran.append((job.args or {})["v"]))
    )
    ran: list[int] = []
    last = threading.Event()

    def handler(job: Job) -> None:
        ran.append(job.arg_int("v"))
        if job.arg_bool("last"):
            last.set()

    enqueuer = stage.live_enqueuer()
    for maker in (go, enqueuer):
        assert maker.enqueue_unique_in_by_key("a", 0, {"v": 1}, {"k": 1}) is not None
        assert maker.enqueue_unique_by_key("a", {"v": 2}, {"k": 1}) is None
    go.requeue_step()
    go.run_all()
    go.stop()
    for _ in range(2):  # what the first pool has left behind, the second would run
        pool = stage.worker_pool(concurrency=2)
        pool.job("a", handler)
        with pool:
            enqueuer.enqueue_unique_in_by_key("a", 0, {"v": 3, "last": True}, {"k": 2})
            await_event(last, "the last job")
            last.clear()
            assert pool.drain(PATIENCE_S).complete

    assert ran.count(2) == 1
    assert ran.count(1) == 0
    assert (stage.held("a"), stage.queue("a"), stage.lock("a")) == ([], [], 0)
    assert len(stage.elsewhere().in_progress("a")) == 1  # the original's ghost


# Row 6: the same args in several workers at once


def test_row_06_until_done_keeps_the_same_args_from_running_twice_at_once(
    stage: ParityStage,
) -> None:
    go = stage.elsewhere().peer(a=GoJob())
    go.enqueue_unique("a", {"v": 1})
    claim = go.fetch()
    assert claim is not None
    go.begin(claim)
    assert go.enqueue_unique("a", {"v": 1}) is not None  # while it runs
    started, go_on = threading.Semaphore(0), threading.Event()
    done = threading.Event()

    def handler(job: Job) -> None:
        started.release()
        await_event(go_on, "the test's second try")

    def clean_up(job: Job) -> None:
        done.set()

    enqueuer = stage.live_enqueuer()
    pool = stage.worker_pool(concurrency=4)
    pool.job("a", handler)
    pool.job("b", clean_up)
    with pool:
        assert enqueuer.enqueue_unique("a", {"v": 1}, until="done") is not None
        assert started.acquire(timeout=PATIENCE_S)
        assert enqueuer.enqueue_unique("a", {"v": 1}, until="done") is None
        assert enqueuer.enqueue_unique("a", {"v": 1}) is None
        assert enqueuer.enqueue_unique("a", {"v": 2}, until="done") is not None
        assert started.acquire(timeout=PATIENCE_S)
        go_on.set()
        assert pool.drain(PATIENCE_S).complete
        assert enqueuer.enqueue_unique("a", {"v": 1}, until="done") is not None


def test_row_06_until_done_lets_the_next_one_in_after_a_death(stage: ParityStage) -> None:
    dead = threading.Event()
    pool = stage.worker_pool()
    pool.job("a", boom, max_fails=1)
    pool.on("dead", lambda _job, _error: dead.set())
    enqueuer = stage.live_enqueuer()
    with pool:
        enqueuer.enqueue_unique("a", until="done")
        await_event(dead, "the job's death")
        assert enqueuer.enqueue_unique("a", until="done") is not None
        assert pool.drain(PATIENCE_S).complete


def test_row_06_until_done_holds_on_while_the_job_waits_for_its_next_try(
    stage: ParityStage,
) -> None:
    failed = threading.Event()
    pool = stage.worker_pool()
    pool.job("a", boom, backoff=lambda _job: 3_600)
    pool.on("failed", lambda _job, _error: failed.set())
    enqueuer = stage.live_enqueuer()
    with pool:
        enqueuer.enqueue_unique("a", until="done")
        await_event(failed, "the failure")
        assert enqueuer.enqueue_unique("a", until="done") is None
        (waiting,) = stage.client.retry_jobs().jobs
        stage.client.delete_retry_job(waiting.retry_at, waiting.job.id)
        assert enqueuer.enqueue_unique("a", until="done") is not None


# Row 7: a unique job that is due in more than a day


@pytest.mark.parametrize("key", [None, {"k": 1}], ids=["by args", "by key"])
def test_row_07_a_key_outlives_the_delay_however_long_it_is(
    stage: ParityStage, key: dict[str, Any] | None
) -> None:
    go = stage.elsewhere().peer()
    left_s = {}
    for maker in (go, stage.enqueuer):
        scheduled: Any = (
            maker.enqueue_unique_in("a", 7 * DAY_S, {"v": 1})
            if key is None
            else maker.enqueue_unique_in_by_key("a", 7 * DAY_S, {"v": 1}, key)
        )
        left_s[isinstance(maker, Enqueuer)] = stage.redis.ttl(scheduled.job.unique_key)

    assert left_s[False] <= DAY_S  # from the second day on the original takes duplicates
    assert 7 * DAY_S < left_s[True] <= 8 * DAY_S


# Row 8: a daily mail that is sent eight times


class SlowClock(SystemClock):
    """The clock of a host that is late."""

    def read(self) -> Any:
        now = super().read()
        return Instant(now.epoch_ms - 10_000, now.monotonic_s)


def test_row_08_a_slot_runs_once_though_a_late_host_plans_it_again(stage: ParityStage) -> None:
    ran: Counter[str] = Counter()
    two_ran, caught_up = threading.Event(), threading.Event()
    late_since_s = 0

    def report(job: Job) -> None:
        ran[job.id] += 1
        if len(ran) == 2:
            two_ran.set()

    def sentinel(job: Job) -> None:
        if int(job.id.rpartition(":")[2]) > late_since_s:
            caught_up.set()  # every slot that was due before has left the scheduled set

    prompt = stage.worker_pool()
    late = stage.worker_pool(clock=SlowClock())
    for pool in (prompt, late):
        pool.job("report", report)
        pool.periodically_enqueue(EVERY_SECOND, "report")
    # The late host plans this one last.
    late.job("sentinel", sentinel)
    late.periodically_enqueue(EVERY_SECOND, "sentinel")
    with prompt:
        await_event(two_ran, "two slots")
        late_since_s = SystemClock().read().epoch_s
        with late:
            await_event(caught_up, "the late host's slots")
            assert late.drain(PATIENCE_S).complete
            assert prompt.drain(PATIENCE_S).complete

    assert len(ran) >= 2
    assert set(ran.values()) == {1}


def test_row_08_eight_hosts_send_one_mail_a_day(stage: ParityStage) -> None:
    offsets_s = [3.0, 2.0, 1.0, 0.0, -2.0, -3.0, -5.0, -8.0]  # who is late plans after the slot ran
    hosts = [
        stage.pool({"mail": nothing}, ahead_s=offset_s, cron=[("CRON_TZ=UTC 0 9 * * *", "mail")])
        for offset_s in offsets_s
    ]
    stage.advance((9 * 3_600 - stage.clock.now_s) % DAY_S - 360)

    mails: list[str] = []
    for _ in range(40):
        for host in hosts:
            host.duty("periodic")
            host.duty("requeuer")
            mails += [execution.job.id for execution in host.work()]
        stage.advance(15)

    assert len(mails) == 1


def test_row_08_the_original_sends_a_mail_again_when_a_late_host_plans(stage: ParityStage) -> None:
    mails: list[GoJobRecord] = []
    mail = GoJob(handler=mails.append)
    nine = stage.clock.now_s + 60

    def next_slot(_spec: str, after: int) -> int | None:
        return nine if after < nine else nine + DAY_S

    stage.advance(60)
    late, prompt = stage.go("late", ahead_s=-4, mail=mail), stage.go("prompt", mail=mail)
    late.periodic_enqueue([("@mail", "mail")], next_slot)
    for _ in range(2):
        prompt.requeue_step()
        prompt.run_all()
        stage.redis.delete(stage.go_keys.last_periodic_enqueue)
        late.periodic_enqueue([("@mail", "mail")], next_slot)
    assert len(mails) == 2


# Row 9: scheduled jobs that die since somebody else looked at them first


def test_row_09_two_services_in_one_namespace_do_not_kill_each_others_jobs(
    stage: ParityStage,
) -> None:
    alone = stage.elsewhere()
    go = alone.peer("billing", invoice=GoJob())
    go.enqueue_in("letter", 0)
    assert go.requeue_step() == {"ok": 0, "dead": 1}
    billing, letters = stage.worker_pool(), stage.worker_pool()
    invoiced, written = threading.Event(), threading.Event()
    billing.job("invoice", lambda _job: invoiced.set())
    letters.job("letter", lambda _job: written.set())
    enqueuer = stage.live_enqueuer()
    letter = enqueuer.enqueue_at("letter", 1)
    enqueuer.enqueue_at("invoice", 2)

    with billing:
        await_event(invoiced, "the invoice, which is due after the letter")
    assert stage.ids("letter") == [letter.job.id]
    assert stage.client.dead_jobs().total == 0
    with letters:
        await_event(written, "the letter")
