"""What a pool counts: outcomes, and how long jobs ran and waited."""

from __future__ import annotations

import math
import re
import threading
from bisect import bisect_left
from collections.abc import Callable, Sequence
from random import Random  # noqa: TID251 -- drawn loads, from seeds
from typing import NamedTuple

import pytest

from tests.conftest import PrivateServer, WaitUntil
from tests.house.sources import ROOT
from tests.support.steps import FakeClock, StepPool
from tests.telemetry.scraping import Samples, collected, scrape
from workkit import Enqueuer, Job, PoolState, WorkerPool
from workkit.core.history import Record
from workkit.core.liveness import DEAD_S
from workkit.core.outcomes import OUTCOMES
from workkit.engine.observing import Executed, PoolObserver
from workkit.telemetry.counts import BOUNDS_S, METRICS, Counts
from workkit.telemetry.families import WorkerCollector
from workkit.telemetry.worker import PoolMetrics

EXECUTIONS = "workkit_executions_total"
LATENESS = "workkit_schedule_lateness_seconds"


class Ran(NamedTuple):
    queue: str
    record: Record


def ran(queue: str = "mail", *, run_ms: int = 0, wait_ms: int = 0, outcome: str = "done") -> Ran:
    enqueued_ms = 1_795_000_000_123
    started_ms = enqueued_ms + wait_ms
    return Ran(
        queue,
        Record(
            "ab" * 12, queue, enqueued_ms // 1000, started_ms, started_ms + run_ms,
            outcome,  # type: ignore[arg-type]
            enqueued_millis=enqueued_ms % 1000,
        ),
    )  # fmt: skip


def shown(metrics: PoolMetrics) -> Samples:
    return collected(WorkerCollector(metrics.take))


def quantile(samples: Samples, name: str, q: float, **labels: str) -> tuple[float, float]:
    """Return the bounds of the bucket in which a quantile lies, as `histogram_quantile` does."""
    buckets = sorted(
        (float(dict(found)["le"]), value)
        for (sample, found), value in samples.items()
        if sample == f"{name}_bucket" and labels.items() <= dict(found).items()
    )
    rank, lower = q * buckets[-1][1], 0.0
    for upper, count in buckets:
        if count >= rank:
            return lower, upper
        lower = upper
    raise AssertionError


def test_the_buckets_reach_from_a_millisecond_to_an_hour() -> None:
    assert BOUNDS_S[0] == 0.001
    assert BOUNDS_S[-1] == 3600
    assert list(BOUNDS_S) == sorted(set(BOUNDS_S))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("q", [0.5, 0.99])
def test_the_quantiles_of_a_known_load_lie_in_the_bucket_of_the_exact_ones(
    seed: int, q: float
) -> None:
    dice, metrics = Random(seed), PoolMetrics()
    waits_ms = [int(dice.lognormvariate(math.log(800), 1.5)) for _ in range(10_000)]
    runs_ms = [int(dice.lognormvariate(math.log(30), 1.0)) for _ in waits_ms]
    for start in range(0, len(waits_ms), 400):
        part = slice(start, start + 400)
        metrics.executed(
            [
                ran(run_ms=run, wait_ms=wait)
                for run, wait in zip(runs_ms[part], waits_ms[part], strict=True)
            ]
        )
    samples = shown(metrics)
    for name, times, labels in (
        ("workkit_wait_seconds", waits_ms, {"queue": "mail"}),
        ("workkit_run_seconds", runs_ms, {"queue": "mail", "outcome": "done"}),
    ):
        exact_s = sorted(times)[math.ceil(q * len(times)) - 1] / 1000
        lower, upper = quantile(samples, name, q, **labels)
        assert lower < exact_s <= upper or (lower == 0 and exact_s == 0)
        assert samples.of(f"{name}_count", **labels) == len(times)
        assert samples.of(f"{name}_sum", **labels) == pytest.approx(sum(times) / 1000)
        assert upper == BOUNDS_S[bisect_left(BOUNDS_S, exact_s)]


def test_an_execution_that_has_not_started_counts_but_has_no_times() -> None:
    metrics, record = PoolMetrics(), ran().record
    late = Record(record.job_id, "mail", record.enqueued_at, 0, record.finished_ms, "returned")
    metrics.executed([Ran("mail", late), ran()])
    samples = shown(metrics)
    assert samples.of(EXECUTIONS, queue="mail", outcome="returned") == 1
    assert samples.of("workkit_run_seconds_count", queue="mail", outcome="returned") is None
    assert samples.of("workkit_wait_seconds_count", queue="mail") == 1


@pytest.mark.parametrize("enqueued_at", [0, -5, 10**30])
def test_a_time_of_enqueuing_that_cannot_be_right_is_left_out(enqueued_at: int) -> None:
    metrics, record = PoolMetrics(), ran().record
    odd = Record("a", "mail", enqueued_at, record.started_ms, record.finished_ms, "done")
    metrics.executed([Ran("mail", odd)])
    samples = shown(metrics)
    assert samples.of("workkit_run_seconds_count", queue="mail", outcome="done") == 1
    assert samples.of("workkit_wait_seconds_count", queue="mail") is None


def test_a_clock_that_is_set_back_makes_no_negative_times() -> None:
    metrics = PoolMetrics()
    metrics.executed([ran(run_ms=-5_000, wait_ms=-3_000)])
    samples = shown(metrics)
    assert samples.of("workkit_run_seconds_sum", queue="mail", outcome="done") == 0
    assert samples.of("workkit_wait_seconds_sum", queue="mail") == 0


def test_many_different_times_take_bounded_memory() -> None:
    metrics = PoolMetrics()
    for start in range(0, 100_000, 1_000):
        metrics.executed([ran(wait_ms=start + n) for n in range(1_000)])
        assert len(metrics._executions) <= 21_000
    assert shown(metrics).of("workkit_wait_seconds_count", queue="mail") == 100_000


def test_counts_arrive_in_another_process_as_they_were() -> None:
    metrics, total = PoolMetrics(), Counts()
    for name in ('quo"te', "line\nbreak", "ü", "x" * 5_000):
        metrics.executed([ran(name, run_ms=7, wait_ms=90)])
        line = metrics.take().dump()
        assert "\n" not in line
        total.add(Counts.load(line))
    metrics.executed([ran("ü", run_ms=7_000_000)])
    total.add(Counts.load(metrics.take().dump()))
    arrived = iter([total])
    samples = collected(WorkerCollector(lambda: next(arrived, Counts())))
    assert samples.of(EXECUTIONS, queue="ü", outcome="done") == 2
    assert samples.of("workkit_run_seconds_sum", queue="ü", outcome="done") == 7000.007
    assert samples.of(EXECUTIONS, queue="line\nbreak", outcome="done") == 1
    assert not metrics.take()


def test_numbers_that_no_label_tells_apart_begin_at_zero() -> None:
    samples = shown(PoolMetrics())
    assert samples.of("workkit_pools_reaped_total") == 0
    assert samples.of("workkit_redis_disruptions_total") == 0


def test_a_pool_counts_what_it_runs_and_what_its_code_enqueues(
    make_pool: Callable[..., WorkerPool],
    serve: Callable[[WorkerPool], str],
    enqueuer: Enqueuer,
    wait_until: WaitUntil,
) -> None:
    pool = make_pool(concurrency=2, history=None)
    base, metrics = serve(pool), PoolMetrics()
    pool.observe(metrics)

    @pool.job
    def mail(job: Job) -> None:
        if job.arg_int("n") == 0:
            enqueuer.enqueue_many([("other", None), ("other", None)])
            enqueuer.enqueue_unique("once")
            enqueuer.enqueue_unique("once")

    @pool.job(max_fails=1)
    def dies(job: Job) -> None:
        raise ValueError

    enqueuer.enqueue_many([("mail", {"n": n}) for n in range(20)])
    enqueuer.enqueue("dies")
    enqueuer.enqueue_in("mail", 0, {"n": 1})
    with metrics.listening(), pool:
        # On a busy machine some go back to their queue first, and that is counted as well.
        wait_until(lambda: scrape(base).of(EXECUTIONS, queue="mail", outcome="done") == 21)
        wait_until(lambda: scrape(base).of(EXECUTIONS, queue="dies", outcome="dead"))
        wait_until(lambda: scrape(base).of(f"{LATENESS}_count"))  # told by another thread
        samples = scrape(base)
    assert samples.of(EXECUTIONS, queue="mail", outcome="done") == 21
    assert samples.of(EXECUTIONS, queue="dies", outcome="dead") == 1
    assert samples.of("workkit_run_seconds_count", queue="mail", outcome="done") == 21
    assert samples.of("workkit_wait_seconds_count", queue="mail") == 21
    assert samples.of(f"{LATENESS}_count") == 1
    own = shown(metrics)
    assert own.of("workkit_enqueued_total", queue="other") == 2
    assert own.of("workkit_enqueued_total", queue="once") == 1
    assert {f"{name}_total" for name, m in METRICS.items() if not m.timed and not m.labels} <= (
        samples.names()
    )


def test_a_pool_that_is_not_observed_tells_nobody(
    make_pool: Callable[..., WorkerPool], enqueuer: Enqueuer
) -> None:
    pool = make_pool()
    pool.job("mail", lambda _job: None)
    assert not pool.spec.observers
    with pool:
        enqueuer.enqueue("mail")
        pool.drain(30)
        with pytest.raises(PoolState, match="observer"):
            pool.observe(PoolMetrics())


def test_an_observer_that_fails_loses_no_job_and_is_logged_once(
    make_pool: Callable[..., WorkerPool], enqueuer: Enqueuer, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(PoolObserver):
        def executed(self, executions: Sequence[Executed]) -> None:
            raise RuntimeError("broken")

    pool, metrics = make_pool(), PoolMetrics()
    pool.job("mail", lambda _job: None)
    pool.observe(Broken())
    pool.observe(metrics)
    with pool:
        for _ in range(3):
            enqueuer.enqueue("mail")
            assert pool.drain(30).complete
    assert pool.totals["done"] == 3
    assert shown(metrics).of(EXECUTIONS, queue="mail", outcome="done") == 3
    assert caplog.text.count("Broken.executed has failed") == 1


def test_a_pool_whose_jobs_were_recovered_is_counted(redis_url: str, namespace: str) -> None:
    clock, stepped, metrics = FakeClock(), list[StepPool](), list[PoolMetrics]()
    for seed in range(2):
        pool = WorkerPool(namespace, redis_url, concurrency=1)
        pool.job("a", lambda _job: None)
        metrics.append(PoolMetrics())
        pool.observe(metrics[-1])
        stepped.append(StepPool(pool, redis_url, clock, seed).start())
    survivor, dead = stepped
    Enqueuer(namespace, redis_url).enqueue("a")
    dead.turn()
    survivor.watch(DEAD_S + 3)
    assert shown(metrics[0]).of("workkit_pools_reaped_total") == 1
    assert shown(metrics[1]).of("workkit_pools_reaped_total") == 0
    for pool_of_one in stepped:
        pool_of_one.close()


@pytest.mark.one_server
def test_an_outage_of_redis_is_one_disruption(
    private_server: PrivateServer,
    make_pool: Callable[..., WorkerPool],
    wait_until: WaitUntil,
) -> None:
    server, metrics = private_server(), PoolMetrics()
    pool, ended = make_pool(server.url), threading.Event()
    pool.job("mail", lambda _job: ended.set())
    pool.observe(metrics)
    total = Counts()

    def disruptions() -> int:
        total.add(metrics.take())
        return total.counters["workkit_redis_disruptions",]

    with pool:
        server.kill()
        wait_until(lambda: disruptions() == 1)
        server.restart()
        wait_until(lambda: pool.health.ready)
        with Enqueuer(pool.spec.namespace, server.url) as enqueuer:
            enqueuer.enqueue("mail")
        assert ended.wait(30)
        assert disruptions() == 1


def test_the_names_are_those_of_the_manual() -> None:
    assert sorted(METRICS) == [
        "workkit_enqueued", "workkit_executions", "workkit_pools_reaped",
        "workkit_process_restarts", "workkit_redis_disruptions", "workkit_run_seconds",
        "workkit_schedule_lateness_seconds", "workkit_wait_seconds",
    ]  # fmt: skip


def test_equal_executions_in_a_row_and_apart_all_count() -> None:
    metrics, dice = PoolMetrics(), Random(7)
    load = [
        ran(dice.choice("ab"), run_ms=dice.choice((0, 0, 0, 3)), wait_ms=dice.choice((5, 5, 70)))
        for _ in range(2_000)
    ]
    for start in range(0, len(load), 90):
        metrics.executed(load[start : start + 90])
    metrics.executed([])
    samples = shown(metrics)
    for queue in "ab":
        own = [execution.record for execution in load if execution.queue == queue]
        labels = {"queue": queue, "outcome": "done"}
        assert samples.of(EXECUTIONS, **labels) == len(own)
        run_ms = sum(record.finished_ms - record.started_ms for record in own)
        assert samples.of("workkit_run_seconds_sum", **labels) == pytest.approx(run_ms / 1000)
        waited = sum(record.started_ms - 1_795_000_000_123 for record in own) / 1000
        assert samples.of("workkit_wait_seconds_sum", queue=queue) == pytest.approx(waited)


REASONS = ["exit", "signal", "hung", "max_jobs", "max_rss", "SIGHUP", "edit"]


def test_counters_begin_at_zero_so_that_their_first_increase_is_seen(
    make_pool: Callable[..., WorkerPool],
    serve: Callable[[WorkerPool], str],
) -> None:
    pool = make_pool(concurrency=1)
    pool.job("mail", lambda job: None)
    base = serve(pool)
    with pool:
        samples = scrape(base)
    for outcome in set(OUTCOMES) - {"recovered"}:
        assert samples.of(EXECUTIONS, queue="mail", outcome=outcome) == 0
    assert samples.of("workkit_enqueued_total", queue="mail") == 0
    for reason in REASONS:
        assert samples.of("workkit_process_restarts_total", reason=reason) == 0


def test_every_reason_that_a_supervisor_counts_begins_at_zero() -> None:
    policy = (ROOT / "workkit/tools/supervisor/policy.py").read_text("utf-8")
    said = re.search(r"restarts: How many.*?\n\n|restarts: How many.*?\"\"\"", policy, re.DOTALL)
    assert said is not None
    assert set(re.findall(r'"(\w+)"', said[0])) == set(REASONS)
    assert METRICS["workkit_process_restarts"].values == tuple(REASONS)
