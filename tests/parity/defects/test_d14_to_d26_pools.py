"""D15, D19, D20: pools that die, and pools that only seem to."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from redis import Redis

from tests.conftest import PrivateServer, ServerKind, WaitUntil
from tests.parity.defects.fleet import FleetPool
from tests.parity.defects.stage import ParityStage
from tests.parity.gopeer import GoJob
from tests.support.handlers import nothing
from tests.support.steps import StepPool
from workkit import ServerRefused, SystemClock
from workkit.core.entropy import Entropy
from workkit.core.job import decode
from workkit.engine.duties.loop import DutyLoop
from workkit.engine.process.sources import Sources
from workkit.store.connections.link import Link
from workkit.store.connections.target import Target

JOBS = 200
POISON_AT = 7
CRASHES = 3
CONCURRENCY = 20


@pytest.fixture
def stage(redis_url: str, redis_client: Redis, namespace: str) -> Iterator[ParityStage]:
    with ParityStage(redis_client, redis_url, namespace) as stage:
        yield stage


# D15: a job that kills its process


def until_crash(pool: StepPool, poison: str) -> bool:
    """Run jobs side by side until the poison runs as well, or until there are no more.

    Returns:
        Whether the poison killed the process; then all jobs that ran with it died too.
    """
    running = pool.runner.running
    while (rest := pool.turn()).for_s == 0 or pool.runner.waiting:
        while pool.runner.waiting and len(running) < CONCURRENCY:
            pool.runner.begin()
        if any(execution.job.id == poison for execution in running):
            return True
        while running:
            pool.runner.end(running[0])
    assert rest.listen
    return False


def test_d15_a_poison_job_among_two_hundred_dies_alone(stage: ParityStage) -> None:
    jobs = stage.enqueuer.enqueue_many([("work", {"n": n}) for n in range(JOBS)])
    poison = jobs[POISON_AT].id
    warden = stage.pool({"other": nothing})
    crashes = 0
    while until_crash(worker := stage.pool({"work": nothing}, concurrency=CONCURRENCY), poison):
        worker.crash()
        crashes += 1
        assert crashes <= CRASHES, "the job kills one process after the other"
        stage.watch(warden)

    done = {record.job_id for record in stage.client.history(outcome="done")}
    (dead,) = stage.client.dead_jobs().jobs
    assert (crashes, dead.job.id, len(done)) == (CRASHES, poison, JOBS - 1)
    assert done == {job.id for job in jobs} - {poison}
    assert "PoolDied" in dead.job.last_err
    assert (stage.queue("work"), stage.held("work"), stage.lock("work")) == ([], [], 0)
    assert stage.redis.hlen(stage.key("recoveries")) == 0


def test_d15_the_original_gives_a_poison_job_back_for_ever(stage: ParityStage) -> None:
    stage.elsewhere().peer("p0", work=GoJob(max_fails=1)).enqueue("work")
    for crash in range(3 * CRASHES):
        worker = stage.elsewhere().peer(f"p{crash}", work=GoJob(max_fails=1))
        assert worker.fetch() is not None
        worker.crash()
        stage.advance(600)
        reaper = stage.elsewhere().peer("reaper", other=GoJob())
        assert f"p{crash}" in reaper.reap_step()
    assert len(stage.elsewhere().queue("work")) == 1


def test_d15_a_job_that_kills_go_processes_is_counted_too(stage: ParityStage) -> None:
    warden = stage.pool({"other": nothing})
    stage.enqueuer.enqueue("work")
    for crash in range(CRASHES):
        go = stage.go(f"go{crash}", work=GoJob())
        assert go.fetch() is not None
        go.crash()
        stage.watch(warden)
    assert [dead.job.name for dead in stage.client.dead_jobs().jobs] == ["work"]
    assert stage.queue("work") == []


def test_d15_a_job_that_ends_well_is_forgiven(stage: ParityStage) -> None:
    warden = stage.pool({"other": nothing})
    stage.enqueuer.enqueue("work")
    for _ in range(CRASHES - 1):
        worker = stage.pool({"work": nothing})
        worker.turn()
        worker.crash()
        stage.watch(warden)
    assert stage.redis.hlen(stage.key("recoveries")) == 1

    assert len(stage.pool({"work": nothing}).work()) == 1

    assert stage.redis.hlen(stage.key("recoveries")) == 0
    assert stage.client.dead_jobs().total == 0


# D19: how long a killed pool's jobs wait, and where


def crash_with_two_of_four(stage: ParityStage) -> list[str]:
    """Let a pool die with the first two jobs of a queue.

    Returns:
        The ids of all four, the first first.
    """
    ids = [job.id for job in stage.enqueuer.enqueue_many([("work", None)] * 4)]
    victim = stage.pool({"work": nothing}, concurrency=2)
    victim.turn()
    assert stage.ids("work") == ids[2:]
    victim.crash()
    return ids


def reap_at_its_own_pace(stage: ParityStage, reaper: FleetPool) -> float:
    """Let the reaper look as often as it wants to.

    Returns:
        How many seconds passed until jobs were given back.
    """
    waited_s = 0.0
    before = len(stage.queue("work"))
    while len(stage.queue("work")) == before:
        assert waited_s < 600, "nobody gives the jobs back"
        delay_s = reaper.duty("reaper")
        stage.advance(delay_s)
        waited_s += delay_s
    return waited_s


@pytest.mark.parametrize("late_s", [0.0, 1.0, 2.4])
def test_d19_a_killed_pools_jobs_come_back_within_twenty_seconds(
    stage: ParityStage, late_s: float
) -> None:
    reaper = stage.pool({"other": nothing})
    reaper.duty("reaper")
    ids = crash_with_two_of_four(stage)
    stage.advance(late_s)

    assert reap_at_its_own_pace(stage, reaper) + late_s <= 20

    assert stage.ids("work") == ids
    assert (stage.held("work"), stage.lock("work"), stage.lock_info("work")) == ([], 0, {})


def test_d19_a_reaper_that_starts_later_needs_no_longer(stage: ParityStage) -> None:
    ids = crash_with_two_of_four(stage)
    assert reap_at_its_own_pace(stage, stage.pool({"other": nothing})) <= 20
    assert stage.ids("work") == ids


def test_d19_a_killed_go_pools_jobs_come_to_the_front_as_well(stage: ParityStage) -> None:
    order = {}
    for scene in (stage.elsewhere(), stage._scene):
        victim = scene.peer("victim", work=GoJob())
        order[scene.namespace] = [victim.enqueue("work").id for _ in range(4)]
        for _ in range(2):
            assert victim.fetch() is not None
        victim.crash()
    reaper = stage.pool({"other": nothing})

    assert reap_at_its_own_pace(stage, reaper) <= 20

    assert stage.ids("work") == order[stage.namespace]
    alone = stage.elsewhere()
    first = order[alone.namespace]
    assert alone.peer("reaper", other=GoJob()).reap_step() == ["victim"]
    back = [decode(raw).id for raw in reversed(alone.queue("work"))]
    assert back == first[2:] + first[:2]  # the original puts them at the back


# D20: a heartbeat that is refused


def full(url: str, *, is_full: bool) -> None:
    with Redis.from_url(url) as server:
        server.config_set("maxmemory", 1 if is_full else 0)


@pytest.fixture
def own_stage(
    private_server: PrivateServer, server_kind: ServerKind, namespace: str
) -> Iterator[ParityStage]:
    """Have a server alone."""
    server = private_server()
    with Redis.from_url(server.url) as redis, ParityStage(redis, server.url, namespace) as stage:
        yield stage
        full(server.url, is_full=False)


def test_d20_on_a_full_server_the_original_loses_its_heartbeat_without_a_word(
    own_stage: ParityStage,
) -> None:
    live = own_stage.go("live", a=GoJob())
    full(own_stage.url, is_full=True)
    unseen = own_stage.go("unseen")
    own_stage.advance(11)
    live.heartbeat()
    full(own_stage.url, is_full=False)

    assert live.errors == unseen.errors == []
    assert own_stage.registered() == {"live"}
    assert own_stage.go("reaper").reap_step() == ["live"]


def test_d20_a_full_server_hears_every_heartbeat(own_stage: ParityStage) -> None:
    live, reaper = own_stage.pool({"a": nothing}), own_stage.pool({"b": nothing})
    own_stage.enqueuer.enqueue("a")
    live.claim()
    full(own_stage.url, is_full=True)

    own_stage.watch(reaper, live)
    own_stage.watch(reaper, live)

    assert {live.id, reaper.id} <= own_stage.registered()
    assert len(own_stage.held("a")) == 1
    full(own_stage.url, is_full=False)
    live.runner.run()
    live.work()
    assert live.engine.totals()["done"] == 1


def test_d20_a_pool_can_start_on_a_full_server_and_drain_it(own_stage: ParityStage) -> None:
    own_stage.enqueuer.enqueue_many([("a", None)] * 5)
    full(own_stage.url, is_full=True)

    pool = own_stage.pool({"a": nothing})

    assert own_stage.registered() == {pool.id}
    assert len(pool.work()) == 5
    assert (own_stage.queue("a"), own_stage.held("a")) == ([], [])


def test_d20_a_replica_that_refuses_the_heartbeat_is_heard_of(
    own_stage: ParityStage, caplog: pytest.LogCaptureFixture, wait_until: WaitUntil
) -> None:
    go, pool = own_stage.go("go", a=GoJob()), own_stage.pool({"a": nothing})
    own_stage.redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    go.heartbeat()
    assert go.errors == []

    starting = own_stage.worker_pool()
    starting.job("a", nothing)
    with pytest.raises(ServerRefused, match="replica"):
        pool.duty("heartbeat")
    with pytest.raises(ServerRefused, match="replica"):
        starting.start()
    loop = DutyLoop(
        "heartbeat",
        Link(Target.of(own_stage.url)),
        [pool.engine.heartbeat],
        Sources(SystemClock(), Entropy()),
    )
    with caplog.at_level(logging.WARNING, "workkit"):
        loop.start()
        wait_until(lambda: "READONLY" in caplog.text or "replica" in caplog.text)
    loop.stop(10)
    assert "heartbeat" in caplog.text
