"""What becomes of a job is decided by the exception of its handler."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.engine.stage import EngineStage
from workkit import Discard, Fail, HistoryRecord, InvalidOption, Job, JobTimeout, Retry, Tasks
from workkit.core.options import JobOptions
from workkit.core.verdicts import judge

Outcome = tuple[str, str, int, str]


class NearError(ConnectionError):
    """A class whose base others name."""


def told(record: HistoryRecord) -> Outcome:
    return record.outcome, record.reason, record.fails, record.error


def run(stage: EngineStage, raising: BaseException | None, **options: Any) -> HistoryRecord:
    """Run a job whose handler raises, and return what history says."""
    worker = stage.pool()

    def handler(job: Job) -> None:
        if raising is not None:
            raise raising

    worker.job("work", handler, **options)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue("work", {"n": 1})
    pool.work()
    return stage.history()[-1]


def test_a_retry_counts_and_waits_as_long_as_it_says(stage: EngineStage) -> None:
    record = run(stage, Retry("busy", in_s=6.2))
    assert told(record) == ("retry", "Retry", 1, "Retry: busy")
    (waiting,) = stage.client.retry_jobs().jobs
    assert waiting.retry_at == stage.clock.now_s + 7
    assert (waiting.job.fails, waiting.job.failed_at) == (1, stage.clock.now_s)


def test_a_retry_without_a_time_waits_for_the_backoff(stage: EngineStage) -> None:
    run(stage, Retry(), backoff=lambda job: 40 * job.fails)
    (waiting,) = stage.client.retry_jobs().jobs
    assert waiting.retry_at == stage.clock.now_s + 40


def test_the_last_retry_is_the_end(stage: EngineStage) -> None:
    record = run(stage, Retry("busy", in_s=6), max_fails=1)
    assert told(record) == ("dead", "Retry", 1, "Retry: busy")
    assert stage.client.dead_jobs().total == 1


def test_a_retry_that_does_not_count_is_no_failure(stage: EngineStage) -> None:
    failures: list[Job] = []
    worker = stage.pool()
    worker.on("failed", lambda job, error: failures.append(job))

    @worker.job(max_fails=1)
    def work(job: Job) -> None:
        if len(stage.history()) < 3:
            raise Retry("not yet", in_s=5, counts=False)

    pool = stage.stepped(worker)
    job = stage.enqueuer.enqueue("work")
    for _ in range(3):
        pool.work()
        (waiting,) = stage.client.retry_jobs().jobs
        assert waiting.retry_at == stage.clock.now_s + 5
        assert (waiting.job.id, waiting.job.fails) == (job.id, 0)
        assert waiting.job.last_err == "Retry: not yet"
        stage.clock.advance(5)
        pool.duty("requeuer")
    pool.work()
    assert [told(record) for record in stage.history()] == [
        *[("postponed", "Retry", 0, "Retry: not yet")] * 3,
        ("done", "", 0, ""),
    ]
    assert failures == []
    assert worker.spec.registrations["work"].options.max_fails == 1


def test_a_postponed_job_keeps_the_error_of_its_failure(stage: EngineStage) -> None:
    worker = stage.pool()

    @worker.job(backoff=lambda job: 1)
    def work(job: Job) -> None:
        if not job.fails:
            raise ValueError("broken")
        raise Retry("later", in_s=5, counts=False)

    pool = stage.stepped(worker)
    stage.enqueuer.enqueue("work")
    pool.work()
    stage.clock.advance(1)
    pool.duty("requeuer")
    pool.work()
    (waiting,) = stage.client.retry_jobs().jobs
    assert waiting.job.fails == 1
    assert waiting.job.last_err.startswith("ValueError: broken")


@pytest.mark.parametrize("until", ["start", "done"])
def test_a_postponed_unique_job_never_frees_the_key_of_a_newer_one(
    stage: EngineStage, until: Any
) -> None:
    worker = stage.pool()
    ran: list[str] = []

    @worker.job
    def work(job: Job) -> None:
        ran.append(job.id)
        if ran.count(job.id) == 1:
            raise Retry(in_s=5, counts=False)

    pool = stage.stepped(worker)
    first = stage.enqueuer.enqueue_unique("work", {"n": 1}, until=until)
    assert first is not None
    pool.work()
    second = stage.enqueuer.enqueue_unique("work", {"n": 1}, until=until)
    assert (second is None) == (until == "done")
    stage.redis.delete(stage.key("begun"))  # marks expire
    stage.client.pause("work")
    stage.clock.advance(5)
    pool.duty("requeuer")
    held = stage.redis.keys(stage.key("unique:*"))
    assert len(held) == 1
    if second is not None:  # it waits behind the postponed one, which begins no second time
        stage.redis.lrem(stage.key("jobs:work"), 1, second.raw)
    stage.client.unpause("work")
    pool.work()
    assert ran == [first.id, first.id]
    assert len(stage.redis.keys(stage.key("unique:*"))) == (1 if second is not None else 0)


def test_fail_is_dead_at_once(stage: EngineStage) -> None:
    record = run(stage, Fail("no such user"))
    assert told(record) == ("dead", "Fail", 1, "Fail: no such user")
    (dead,) = stage.client.dead_jobs().jobs
    assert dead.job.last_err.startswith("Fail: no such user\n\nTraceback")


def test_fail_drops_a_job_that_skips_the_dead_set(stage: EngineStage) -> None:
    record = run(stage, Fail("no such user"), skip_dead=True)
    assert told(record) == ("discarded", "Fail", 1, "Fail: no such user")
    assert stage.client.dead_jobs().total == 0


def test_discard_is_neither_retried_nor_dead(stage: EngineStage) -> None:
    record = run(stage, Discard("unsubscribed"))
    assert told(record) == ("discarded", "Discard", 1, "Discard: unsubscribed")
    assert stage.client.dead_jobs().total == stage.client.retry_jobs().total == 0
    assert stage.waiting("work") == []


@pytest.mark.parametrize(
    ("raising", "options", "outcome"),
    [
        (OSError("x"), {"retry_on": (OSError,)}, ("retry", "retry_on")),
        (NearError("x"), {"retry_on": (OSError,)}, ("retry", "retry_on")),
        (ValueError("x"), {"retry_on": (OSError,)}, ("dead", "not in retry_on")),
        (ValueError("x"), {"retry_on": ()}, ("dead", "not in retry_on")),
        (ValueError("x"), {"fail_on": (OSError,)}, ("retry", "")),
        (OSError("x"), {"fail_on": (OSError,)}, ("dead", "fail_on")),
        (NearError("x"), {"fail_on": (OSError,)}, ("dead", "fail_on")),
        (
            NearError("x"),
            {"fail_on": (OSError,), "retry_on": (ConnectionError,)},
            ("retry", "retry_on"),
        ),
        (
            PermissionError("x"),
            {"fail_on": (PermissionError,), "retry_on": (OSError,)},
            ("dead", "fail_on"),
        ),
        (Fail("x"), {"retry_on": (Exception,)}, ("dead", "Fail")),
        (Retry("x"), {"fail_on": (Exception,)}, ("retry", "Retry")),
        (
            ExceptionGroup("x", [ValueError("a"), Fail("b")]),
            {},
            ("dead", "Fail"),
        ),
        (
            ExceptionGroup("x", [OSError("a"), ConnectionError("b")]),
            {"retry_on": (OSError,)},
            ("retry", "retry_on"),
        ),
    ],
)
def test_the_nearest_class_decides(
    stage: EngineStage, raising: Exception, options: dict[str, Any], outcome: tuple[str, str]
) -> None:
    record = run(stage, raising, **options)
    assert (record.outcome, record.reason) == outcome


def test_a_timeout_is_retried_unless_fail_on_names_it() -> None:
    late = JobTimeout("late")
    assert judge(late, JobOptions(retry_on=(OSError,))).outcome == "retry"
    assert judge(late, JobOptions(fail_on=(JobTimeout,))).outcome == "dead"


def test_a_backoff_of_two_arguments_gets_the_error(stage: EngineStage) -> None:
    seen: list[tuple[int, str]] = []

    def backoff(job: Job, error: BaseException) -> float:
        seen.append((job.fails, str(error)))
        return 50

    run(stage, OSError("down"), backoff=backoff)
    assert seen == [(1, "down")]
    (waiting,) = stage.client.retry_jobs().jobs
    assert waiting.retry_at == stage.clock.now_s + 50


@pytest.mark.parametrize(
    "wrong",
    [
        {"in_s": -1},
        {"in_s": "7"},
        {"in_s": float("nan")},
        {"in_s": float("inf")},
        {"in_s": True},
        {"in_s": -(10**5_000)},
        {"counts": False},
    ],
)
def test_a_retry_checks_its_arguments(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption, match="in_s"):
        Retry("x", **wrong)


@pytest.mark.parametrize(
    "seconds", [7, 0.5, True, pytest.param(10**5_000, id="huge"), timedelta(seconds=7)]
)
def test_seconds_for_a_retry_need_their_name(seconds: Any) -> None:
    with pytest.raises(InvalidOption, match=r"Retry\(in_s=7\), not Retry\("):
        Retry(seconds)


def test_a_retry_counts_or_does_not() -> None:
    wrong: Any = "no"
    with pytest.raises(InvalidOption, match="counts must be True or False, not 'no'"):
        Retry(in_s=7, counts=wrong)


def test_a_subclass_of_a_verdict_that_says_nothing_else_is_one(stage: EngineStage) -> None:
    class RateLimitedError(Retry):
        def __init__(self, limit: int) -> None:
            Exception.__init__(self, f"limit {limit}")

    record = run(stage, RateLimitedError(5), backoff=lambda job: 3)
    assert (record.outcome, record.error) == ("retry", "RateLimitedError: limit 5")


def test_args_that_do_not_fit_are_dead_at_once(stage: EngineStage) -> None:
    tasks = Tasks()

    @tasks.task(retry_on=(Exception,))
    def work(sizes: list[int]) -> None: ...

    pool = stage.stepped(stage.pool(tasks=tasks))
    stage.enqueuer.enqueue("work", {"sizes": [1, 2, "x"]})
    pool.work()
    (record,) = stage.history()
    assert told(record) == (
        "dead",
        "args",
        1,
        "ArgsMismatch: args.sizes[2]: expected int, got str",
    )


def test_an_error_of_workkit_in_a_handler_is_stored_with_the_users_frames(
    stage: EngineStage,
) -> None:
    worker = stage.pool()

    @worker.job(max_fails=1)
    def work(job: Job) -> None:
        stage.enqueuer.enqueue("")

    pool = stage.stepped(worker)
    stage.enqueuer.enqueue("work")
    pool.work()
    (entry,) = stage.client.dead_jobs().jobs
    assert entry.job.last_err.startswith("InvalidName: ")
    assert f'File "{__file__}"' in entry.job.last_err


def test_totals_count_the_postponed_ones(stage: EngineStage) -> None:
    worker = stage.pool()

    @worker.job
    def work(job: Job) -> None:
        raise Retry(in_s=5, counts=False)

    pool = stage.stepped(worker)
    stage.enqueuer.enqueue("work")
    pool.work()
    assert pool.engine.ledger.totals == {"postponed": 1}
