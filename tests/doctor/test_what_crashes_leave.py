"""Faults that crashes of processes, servers and connections leave behind."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from redis import Redis

from tests.conftest import PrivateServer, WaitUntil
from tests.doctor.ward import Ward
from tests.support.steps import FakeClock, StepPool
from tests.system.survival.workers import worker_process
from workkit import Enqueuer, WorkerPool
from workkit.core.clock import SystemClock
from workkit.embedded import EmbeddedServer


def step_pool(ward: Ward, *names: str, off_s: int = 0, **options: Any) -> StepPool:
    """A pool that moves when the test says so; its clock differs from the server's by `off_s`."""
    pool = WorkerPool(ward.namespace, ward.url, concurrency=2)
    for name in names:
        pool.job(name, lambda _job: None, **options)
    clock = FakeClock(SystemClock().read().epoch_ms + off_s * 1000)
    stepped = StepPool(pool, ward.url, clock)
    return stepped.start()


def test_a_working_namespace_has_no_findings(ward: Ward, wait_until: WaitUntil) -> None:
    enqueuer = Enqueuer(ward.namespace, ward.url)
    ran: list[str] = []
    pool = WorkerPool(ward.namespace, ward.url)
    for name in ("a", "u", "k"):
        pool.job(name, lambda job: ran.append(job.name), max_concurrency=2)
    enqueuer.enqueue_many([("a", None)] * 50)
    enqueuer.enqueue_unique_in("u", 60)
    enqueuer.enqueue_unique_in_by_key("k", 60, None, {"k": 1})
    pool.start()
    wait_until(lambda: len(ran) == 50)
    wait_until(lambda: not ward.findings())
    assert ward.watched == []
    pool.stop(5)
    assert set(ward.checks()) == {"limit"}


def test_jobs_of_a_killed_process_go_back_to_their_queues(
    ward: Ward, wait_until: WaitUntil
) -> None:
    enqueuer = Enqueuer(ward.namespace, ward.url)
    enqueuer.enqueue_many([("hold", {"n": n}) for n in range(5)])
    with worker_process(ward.url, ward.namespace) as process:
        wait_until(lambda: ward.redis.llen(f"{ward.namespace}:holding") == 5, 30)
        process.kill()
        process.wait()
    wait_until(lambda: "dead-pool" in ward.checks(), 30)
    assert ward.repair("dead-pool") == ["5 jobs were given back, 0 went to the dead set"]
    assert ward.client.queued_jobs("hold").total == 5
    assert ward.watched
    assert ward.client.worker_pool_heartbeats() == []


def test_a_pool_that_sends_heartbeats_is_not_dead(ward: Ward) -> None:
    pool = step_pool(ward, "a", off_s=-60)
    Enqueuer(ward.namespace, ward.url).enqueue("a")
    pool.turn()

    def beat() -> None:
        pool.clock.advance(4)
        pool.duty("heartbeat")

    ward.alive = beat
    found = ward.findings()
    assert [finding.check for finding in found] == ["clock-skew"]
    assert "differs from the server's by about -" in found[0].says


def test_a_heartbeat_that_comes_before_the_repair_prevents_it(ward: Ward) -> None:
    pool = step_pool(ward, "a", off_s=-60)
    Enqueuer(ward.namespace, ward.url).enqueue("a")
    pool.turn()
    (dead,) = [finding for finding in ward.findings() if finding.check == "dead-pool"]
    pool.clock.advance(4)
    pool.duty("heartbeat")
    assert "the fault is gone" in ward.doctor.repair(dead)
    assert ward.client.queued_jobs("a").total == 0


def test_a_clock_that_is_ahead_is_a_finding(ward: Ward) -> None:
    pool = step_pool(ward, "a", off_s=3_600)

    def beat() -> None:
        pool.clock.advance(4)
        pool.duty("heartbeat")

    ward.alive = beat
    assert ward.checks() == ["clock-skew"]


def test_a_unique_key_that_no_job_holds_is_freed(ward: Ward) -> None:
    """The Go web UI has deleted the job, but not the unique key that it was enqueued with."""
    peer = ward.scene.peer()
    job = peer.enqueue_unique_in_by_key("a", 60, {"v": 1}, {"k": 1})
    assert job is not None
    assert "unique-key" not in ward.checks()
    peer.stop()
    peer.delete_scheduled_job(job.run_at, job.job.id)
    ward.repair("unique-key")
    assert Enqueuer(ward.namespace, ward.url).enqueue_unique_by_key("a", {"v": 2}, {"k": 1})


def test_keys_of_unique_jobs_in_any_place_are_kept(ward: Ward) -> None:
    enqueuer = Enqueuer(ward.namespace, ward.url)
    enqueuer.enqueue_unique("queued", {"a": "<&>"})
    enqueuer.enqueue_unique("running", until="done")
    enqueuer.enqueue_unique_in("scheduled", 60)
    enqueuer.enqueue_unique_by_key("keyed", {"v": 1}, {"k": 1})
    pool = step_pool(ward, "running")
    pool.turn()
    assert "unique-key" not in ward.checks()


def test_after_a_rolled_back_server_locks_are_counted_again(
    private_server: PrivateServer, wait_until: WaitUntil
) -> None:
    """A replica that missed the end takes over, with lists and locks of a moment before."""
    server = private_server(port="any", config={"repl-diskless-sync-delay": "0"})
    replica = private_server(port="any", config={"replicaof": f"127.0.0.1 {server.port}"})
    with Redis.from_url(replica.url) as client, Redis.from_url(server.url) as master:
        ward = Ward(server.url, master, "work")
        pool = step_pool(ward, "a", off_s=-60, max_concurrency=1)
        Enqueuer("work", server.url).enqueue_many([("a", None)] * 2)
        pool.turn()
        wait_until(lambda: client.get("work:jobs:a:lock") == b"1")
        client.execute_command("REPLICAOF", "NO", "ONE")
        pool.runner.run()
        pool.turn()
        server.kill()
        beside = Ward(replica.url, client, "work")
        dead, *_ = beside.findings()
        said = beside.doctor.repair(dead)
        assert said == "1 job was given back, 0 went to the dead set"
        beside.repair("limit")
        assert client.llen("work:jobs:a") == 2


@pytest.mark.one_server
@pytest.mark.parametrize(
    ("options", "check", "severity"),
    [
        ({"config": {"maxmemory-policy": "allkeys-lru"}, "maxmemory": 10**8}, "eviction", "risk"),
        ({"config": {"maxmemory-policy": "allkeys-lru"}}, "eviction", "note"),
        ({}, "persistence", "risk"),
        ({"config": {"save": "3600 1"}}, "persistence", "note"),
        ({"config": {"replicaof": "127.0.0.1 1"}}, "replica", "broken"),
        ({"maxmemory": 1_000_000}, "memory", "risk"),
        ({"config": {"client-output-buffer-limit": "normal 1mb 0 0"}}, "output-limit", "risk"),
    ],
)
def test_settings_that_put_jobs_at_risk_are_findings(
    private_server: PrivateServer,
    server_kind: str,
    options: dict[str, Any],
    check: str,
    severity: str,
) -> None:
    server: EmbeddedServer = private_server(**options)
    with Redis.from_url(server.url) as client:
        found = Ward(server.url, client, "work").doctor.examine()
    assert (check, severity) in {(finding.check, finding.severity) for finding in found}


def test_a_safe_server_has_no_findings(private_server: PrivateServer) -> None:
    server = private_server(appendonly=True)
    with Redis.from_url(server.url) as client:
        assert list(Ward(server.url, client, "work").doctor.examine()) == []


def test_a_pool_warns_at_its_start_if_the_server_evicts_keys(
    private_server: PrivateServer, caplog: pytest.LogCaptureFixture
) -> None:
    for policy, warns in (("allkeys-lru", True), ("noeviction", False)):
        caplog.clear()
        server = private_server(maxmemory=10**8, config={"maxmemory-policy": policy})
        pool = WorkerPool("work", server.url)
        pool.job("a", lambda _job: None)
        pool.start()
        pool.stop(5)
        assert ("set maxmemory-policy noeviction" in caplog.text) is warns


def test_a_pool_warns_at_its_start_if_the_server_does_not_finish_large_replies(
    private_server: PrivateServer, caplog: pytest.LogCaptureFixture
) -> None:
    for limit, warns in (("normal 1mb 0 0", True), ("normal 64mb 0 0", False)):
        caplog.clear()
        server = private_server(config={"client-output-buffer-limit": limit})
        pool = WorkerPool("work", server.url)
        pool.job("a", lambda _job: None)
        pool.start()
        pool.stop(5)
        assert ("whose reply exceeds 1048576 bytes" in caplog.text) is warns


def test_findings_are_sorted_by_severity(ward: Ward) -> None:
    Enqueuer(ward.namespace, ward.url).enqueue("a")
    ward.client.pause("a")
    weights = [finding.severity for finding in ward.doctor.examine()]
    assert [weight for weight, _ in itertools.groupby(weights)] == ["broken", "risk", "note"]


def test_the_ten_largest_jobs_are_listed_wherever_they_are(ward: Ward) -> None:
    enqueuer = Enqueuer(ward.namespace, ward.url)
    for size in range(8):
        enqueuer.enqueue("a", {"x": "x" * (20_000 + 100 * size)})
        enqueuer.enqueue_in("b", 60, {"x": "x" * (20_050 + 100 * size)})
        enqueuer.enqueue("c", {"x": "x" * 9_000})
    enqueuer.close()
    found = [each for each in ward.findings() if each.check == "large-job"]
    assert len(found) == 10
    assert found[0].severity == "note"
    assert re.search(r"\('b'\) in the scheduled set takes 20,8\d\d bytes", found[0].says)
    assert re.search(r"\('a'\) in queue 'a' takes 20,7\d\d bytes", found[1].says)
