"""The metrics of a namespace, read from what pools of both libraries leave in Redis."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import PrivateServer, WaitUntil
from tests.parity.gopeer import Clock, GoJob, Scene
from tests.telemetry.scraping import Samples, collected
from workkit import Client, Enqueuer, Job, WorkerPool
from workkit.core.clock import SystemClock
from workkit.core.gauges import Gauges
from workkit.core.liveness import DEAD_S
from workkit.errors import ServerUnavailable
from workkit.store.connections.link import Link
from workkit.telemetry.exporter import NamespaceCollector

if TYPE_CHECKING:
    from redis import Redis

#: All names, as dashboards and alerts use them.
NAMES = {
    "workkit_up",
    "workkit_queue_jobs",
    "workkit_queue_latency_seconds",
    "workkit_queue_paused",
    "workkit_queue_running",
    "workkit_queue_limit",
    "workkit_lock_drift",
    "workkit_jobs",
    "workkit_pools",
    "workkit_workers",
    "workkit_workers_busy",
    "workkit_history_trimmed_total",
    "workkit_cron_last_run_timestamp_seconds",
}


def exported(client: Client) -> Samples:
    return collected(NamespaceCollector(client.gauges))


@pytest.fixture
def scene(redis_client: Redis, namespace: str) -> Scene:
    return Scene(redis_client, namespace, Clock(SystemClock().read().epoch_s))


def test_an_empty_namespace_has_its_totals(client: Client) -> None:
    samples = exported(client)
    assert samples.of("workkit_up") == 1
    assert samples.of("workkit_jobs", state="dead") == 0
    assert samples.of("workkit_pools") == 0
    assert samples.total("workkit_queue_jobs") == 0


def test_the_state_of_a_python_pool_and_its_queues_is_exported(
    client: Client,
    enqueuer: Enqueuer,
    make_pool: Callable[..., WorkerPool],
    wait_until: WaitUntil,
) -> None:
    pool, started, release = make_pool(concurrency=3), threading.Event(), threading.Event()

    @pool.job(max_concurrency=2)
    def hold(job: Job) -> None:
        started.set()
        release.wait(60)

    @pool.job(max_fails=1)
    def dies(job: Job) -> None:
        raise ValueError

    @pool.job(backoff=lambda *_: 600)
    def fails(job: Job) -> None:
        raise ValueError

    pool.periodically_enqueue("@every 1s", "dies")
    client.pause("paused")
    enqueuer.enqueue_many([("hold", None), ("dies", None), ("fails", None), ("paused", None)])
    enqueuer.enqueue_in("later", 600)
    with pool:
        try:
            assert started.wait(30)
            entry = {"name": "dies", "spec": "@every 1s"}
            ran = "workkit_cron_last_run_timestamp_seconds"
            samples = wait_until(lambda: (s := exported(client)).of(ran, **entry) and s)
            samples = wait_until(
                lambda: (s := exported(client)).of("workkit_workers_busy") == 1 and s
            )
        finally:
            release.set()
    assert samples.names() == NAMES
    assert samples.of("workkit_queue_jobs", queue="paused") == 1
    assert samples.of("workkit_queue_paused", queue="paused") == 1
    assert samples.of("workkit_queue_paused", queue="hold") == 0
    assert samples.of("workkit_queue_running", queue="hold") == 1
    assert samples.of("workkit_queue_limit", queue="hold") == 2
    assert samples.of("workkit_lock_drift", queue="hold") == 0
    assert samples.of("workkit_jobs", state="retry") == 1
    assert (samples.of("workkit_jobs", state="dead") or 0) >= 1
    assert (samples.of("workkit_jobs", state="scheduled") or 0) >= 1
    assert samples.of("workkit_pools") == 1
    assert samples.of("workkit_workers") == 3
    assert (samples.of(ran, **entry) or 0) > 1_700_000_000


def test_the_state_of_a_go_pool_is_exported(
    client: Client, scene: Scene, namespace: str, redis_client: Redis
) -> None:
    peer = scene.peer(concurrency=5, resize=GoJob(max_concurrency=3))
    for n in range(4):
        redis_client.lpush(
            f"{namespace}:jobs:resize",
            f'{{"name":"resize","id":"{n:024x}","t":{scene.clock.now - 100},"args":{{}}}}',
        )
    assert peer.fetch() is not None
    samples = exported(client)
    assert samples.of("workkit_pools") == 1
    assert samples.of("workkit_workers") == 5
    assert samples.of("workkit_workers_busy") == 1
    assert samples.of("workkit_queue_running", queue="resize") == 1
    assert samples.of("workkit_queue_limit", queue="resize") == 3
    assert samples.of("workkit_queue_jobs", queue="resize") == 3
    assert samples.of("workkit_lock_drift", queue="resize") == 0
    latency_s = samples.of("workkit_queue_latency_seconds", queue="resize")
    assert latency_s is not None
    assert latency_s >= 100


def test_the_age_of_the_oldest_job_has_milliseconds_if_workkit_has_enqueued_it(
    redis_url: str, namespace: str, enqueuer: Enqueuer
) -> None:
    class Frozen(SystemClock):
        def read(self) -> Any:
            return now

    now = SystemClock().read()
    with Enqueuer(namespace, redis_url, clock=Frozen()) as then:
        then.enqueue("mail")
    now = type(now)(now.epoch_ms + 1_234, now.monotonic_s)
    with Client(namespace, redis_url, clock=Frozen()) as client:
        assert exported(client).of("workkit_queue_latency_seconds", queue="mail") == 1.234


def test_a_lock_that_nobody_holds_is_a_drift(
    client: Client, redis_client: Redis, namespace: str, enqueuer: Enqueuer
) -> None:
    enqueuer.enqueue("stuck")
    redis_client.set(f"{namespace}:jobs:stuck:lock", 3)
    redis_client.hset(f"{namespace}:jobs:stuck:lock_info", "gone", 2)
    redis_client.lpush(f"{namespace}:jobs:stuck:gone:inprogress", "{}")
    assert exported(client).of("workkit_lock_drift", queue="stuck") == 2


def test_a_job_that_a_dead_pool_holds_is_no_drift(
    client: Client, redis_client: Redis, namespace: str, enqueuer: Enqueuer
) -> None:
    enqueuer.enqueue("stuck")
    redis_client.set(f"{namespace}:jobs:stuck:lock", 1)
    redis_client.hset(f"{namespace}:jobs:stuck:lock_info", "gone", 1)
    redis_client.lpush(f"{namespace}:jobs:stuck:gone:inprogress", "{}")
    assert exported(client).of("workkit_lock_drift", queue="stuck") == 0


def test_a_dead_pool_no_longer_counts(client: Client, redis_client: Redis, namespace: str) -> None:
    redis_client.sadd(f"{namespace}:worker_pools", "gone")
    redis_client.hset(f"{namespace}:worker_pools:gone", mapping={"heartbeat_at": 1})
    now_s = 0.0
    collector = NamespaceCollector(client.gauges, clock_s=lambda: now_s)
    assert collected(collector).of("workkit_pools") == 1
    now_s = DEAD_S + 1
    assert collected(collector).of("workkit_pools") == 0


ODD = ['quo"te', "line\nbreak", "back\\slash", "tab\tbell\x07", "ünïcode \u2028", "\x00", "{}", " "]


def test_names_of_queues_never_break_the_format(
    client: Client, redis_client: Redis, namespace: str
) -> None:
    for name in ODD:
        redis_client.sadd(f"{namespace}:known_jobs", name)
        redis_client.lpush(f"{namespace}:jobs:{name}", "not a job")
    redis_client.sadd(f"{namespace}:known_jobs", b"\xff\xfe", b"\xfe\xff")
    redis_client.hset(f"{namespace}:periodic_seen", mapping={'["\\ud800","@hourly"]': 1, "x": 1})
    samples = exported(client)
    for name in ODD:
        assert samples.of("workkit_queue_jobs", queue=name) == 1
    assert samples.of("workkit_up") == 1


def test_a_queue_whose_key_has_a_wrong_type_does_not_hide_the_others(
    client: Client, redis_client: Redis, namespace: str, enqueuer: Enqueuer
) -> None:
    enqueuer.enqueue_many([("good", None), ("bad", None)])
    redis_client.delete(f"{namespace}:jobs:bad")
    for part in ("jobs:bad", "jobs:bad:lock", "jobs:bad:lock_info", "jobs:bad:paused"):
        redis_client.sadd(f"{namespace}:{part}", 1)
    samples = exported(client)
    assert samples.of("workkit_queue_jobs", queue="good") == 1
    assert samples.of("workkit_lock_drift", queue="bad") is None


#: Part of a queue's keys -> the metrics that cannot be known without it.
OF_KEYS = {
    "": {"workkit_queue_jobs", "workkit_queue_latency_seconds"},
    ":paused": {"workkit_queue_paused"},
    ":lock": {"workkit_queue_running", "workkit_lock_drift"},
    ":lock_info": {"workkit_lock_drift"},
    ":max_concurrency": {"workkit_queue_limit"},
}


@pytest.mark.parametrize("part", OF_KEYS)
def test_what_a_key_of_a_wrong_type_hides_has_no_samples_and_the_key_is_named(
    client: Client, redis_client: Redis, namespace: str, enqueuer: Enqueuer, part: str
) -> None:
    enqueuer.enqueue_many([("good", None), ("bad", None)])
    key = f"{namespace}:jobs:bad{part}"
    redis_client.delete(key)
    redis_client.sadd(key, 1)
    samples = exported(client)
    assert samples.of("workkit_up") == 1
    assert samples.of("workkit_key_broken", key=key) == 1
    of_queues = {name for name in NAMES if name.startswith("workkit_queue_")}
    for name in of_queues | {"workkit_lock_drift"}:
        assert samples.of(name, queue="good") is not None
        assert (samples.of(name, queue="bad") is None) == (name in OF_KEYS[part])
    redis_client.delete(key)
    assert exported(client).total("workkit_key_broken") == 0


class Trips:
    """Counts the round trips and the commands of all links."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        real = Link._converse

        def converse(link: Link, commands: Sequence[Any], meanwhile: Any = None) -> list[Any]:
            self.sizes.append(len(commands))
            return real(link, commands, meanwhile)

        monkeypatch.setattr(Link, "_converse", converse)


def test_a_scrape_of_a_thousand_queues_takes_three_round_trips_however_many_jobs_wait(
    client: Client,
    redis_client: Redis,
    namespace: str,
    enqueuer: Enqueuer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"queue{n}" for n in range(1_000)]
    enqueuer.enqueue_many([(name, None) for name in names])
    redis_client.script_flush()  # the first scrape of a server may take no more
    trips = Trips(monkeypatch)
    client.gauges()
    assert len(trips.sizes) == 2
    few = sum(trips.sizes)
    enqueuer.enqueue_many([(name, None) for name in names[:100] for _ in range(50)])
    redis_client.zadd(f"{namespace}:dead", {f"dead {n}": n for n in range(5_000)})
    for name in names[:20]:  # a dead pool holds jobs of them
        redis_client.hset(f"{namespace}:jobs:{name}:lock_info", "gone", 1)
    trips.sizes.clear()
    client.gauges()
    assert len(trips.sizes) == 3
    assert sum(trips.sizes) == few + 20


@pytest.mark.one_server
def test_while_redis_is_away_a_scrape_says_so_and_then_goes_on(
    private_server: PrivateServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = private_server()
    with Client("work", server.url) as client:
        collector = NamespaceCollector(client.gauges)
        assert collected(collector).of("workkit_up") == 1
        assert collector.health().ready
        server.kill()
        assert collected(collector) == {("workkit_up", frozenset()): 0}
        assert not collector.health().ready
        assert collector.health().live
        server.restart()
        assert collected(collector).of("workkit_up") == 1
        assert collector.health().ready
    assert caplog.text.count("scrapes answer workkit_up 0") == 1
    assert caplog.text.count("the namespace can be read again") == 1


KEYS = [
    "known_jobs", "worker_pools", "scheduled", "retry", "dead", "history:head", "periodic",
    "periodic_seen",
]  # fmt: skip


@pytest.mark.parametrize("name", KEYS)
def test_a_key_of_a_wrong_type_that_hides_the_namespace_is_named(
    client: Client,
    redis_client: Redis,
    namespace: str,
    enqueuer: Enqueuer,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    enqueuer.enqueue("mail")
    key = f"{namespace}:{name}"
    redis_client.delete(key)
    redis_client.xadd(key, {"a": 1})
    collector = NamespaceCollector(client.gauges)
    for _ in range(2):
        samples = collected(collector)
        assert samples.of("workkit_up") == 0
        assert samples.of("workkit_key_broken", key=key) == 1
    assert caplog.text.count(f"the key '{key}' has another type than") == 1
    (why,) = collector.health().reasons
    assert why.startswith("the last scrape failed: ")
    assert key in why
    redis_client.delete(key)
    assert collected(collector).of("workkit_up") == 1
    assert collected(collector).of("workkit_key_broken", key=key) is None


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_reading_that_raises_anything_is_a_failed_scrape(error: type[BaseException]) -> None:
    raised = [True]

    def read() -> Gauges:
        if raised.pop():
            raise error("odd")
        return Gauges(0.0, [], [], 0, 0, 0, {}, 0, {})

    collector = NamespaceCollector(read)
    assert collected(collector) == {("workkit_up", frozenset()): 0}
    assert error.__name__ in collector.health().reasons[0]
    raised.append(False)
    assert collected(collector).of("workkit_up") == 1
    assert collector.health().ready


def test_a_redis_that_hangs_bounds_a_scrape_and_starts_no_second_reading(
    client: Client,
) -> None:
    release, readings = threading.Event(), []

    def read() -> Gauges:
        readings.append(threading.current_thread())
        release.wait(60)
        raise ServerUnavailable("it hung")

    collector = NamespaceCollector(read, within_s=0.05)
    for _ in range(3):
        assert {sample.value for sample in next(iter(collector.collect())).samples} == {0.0}
    assert len(readings) == 1
    release.set()
    readings[0].join(30)
    collected(collector)
    assert len(readings) > 1


def test_the_last_run_of_a_cron_entry_outlives_the_state_of_its_slot() -> None:
    runs: list[int | None] = [100, None, 90, 130]
    entry = ("mail", "@hourly")

    def read() -> Gauges:
        return Gauges(0.0, [], [], 0, 0, 0, {}, 0, {entry: runs[0]})

    collector, seen = NamespaceCollector(read), []
    while runs:
        found = list(collector.collect())[-1]
        seen += [sample.value for sample in found.samples]
        del runs[0]
    assert seen == [100, 100, 100, 130]


def test_a_cron_field_with_half_a_character_breaks_no_reader(
    client: Client, redis_client: Redis, namespace: str
) -> None:
    redis_client.hset(f"{namespace}:periodic_seen", mapping={'["\\ud800","@hourly"]': 1})
    assert [entry.job_name for entry in client.cron()] == ['["\\ud800","@hourly"]']
