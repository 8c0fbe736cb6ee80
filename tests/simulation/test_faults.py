"""The engine survives all faults."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from workkit import InvalidOption, Job, ServerRefused, ServerUnavailable
from workkit.core.entropy import Entropy
from workkit.simulation import Fault, Faults, Simulation
from workkit.simulation.checkers import all_checkers


@pytest.fixture
def ran(sim: Simulation) -> list[int]:
    """Two pools with a handler that notes the number of its job after ten seconds."""
    ran: list[int] = []

    def work(job: Job) -> None:
        sim.sleep(10)
        ran.append(job.arg_int("n"))

    for _ in range(2):
        sim.pool(concurrency=1).job("work", work)
    return ran


def places(sim: Simulation) -> dict[str, int]:
    """Return how many jobs are where."""
    return {
        "queued": sum(queue.count for queue in sim.client.queues()),
        "retry": sim.client.retry_jobs().total,
        "dead": sim.client.dead_jobs().total,
    }


def test_the_jobs_of_a_crashed_pool_run_elsewhere(sim: Simulation, ran: list[int]) -> None:
    for n in range(2):
        sim.enqueuer.enqueue("work", {"n": n})
    sim.run_for(5)
    sim.crash(sim.pools[0])
    sim.run_until_idle()
    assert sorted(ran) == [0, 1]
    sim.run_for(minutes=1)
    assert len(sim.trace.of(kind="recovered")) == 1
    assert len(sim.client.worker_pool_heartbeats()) == 1


@pytest.mark.parametrize("script", ["exchange", "beat", "register", "look"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_command_loses_no_job(
    sim: Simulation, ran: list[int], script: str, when: str
) -> None:
    options: dict[str, Any] = {when: script, "restart_after": 1}
    sim.crash(sim.pools[0], **options)
    for n in range(4):
        sim.enqueuer.enqueue("work", {"n": n})
    sim.run_until_idle()
    sim.run_for(minutes=2)
    assert set(ran) == {0, 1, 2, 3}
    assert places(sim) == {"queued": 0, "retry": 0, "dead": 0}
    assert [event.detail["at"] for event in sim.trace.of(kind="fault")] == [script]


def test_a_lost_reply_settles_no_job_twice(sim: Simulation, ran: list[int]) -> None:
    for pool in sim.pools:
        sim.lose_reply(pool, "exchange")
        sim.drop_request(pool, 20)
    for n in range(6):
        sim.enqueuer.enqueue("work", {"n": n})
    sim.run_until_idle()
    assert sorted(ran) == list(range(6))


def test_a_crash_abandons_stacks_where_they_stand(sim: Simulation) -> None:
    reached: list[str] = []

    def sync(job: Job) -> None:
        try:
            sim.sleep(100)
        finally:
            reached.append("sync")
            sim.enqueuer.enqueue("from_finally")

    async def on_loop(job: Job) -> None:
        try:
            await asyncio.sleep(100)
        finally:
            reached.append("async")
            await sim.async_enqueuer.enqueue("from_finally")

    pool = sim.pool()
    pool.job("sync", sync)
    pool.job("async", on_loop)
    sim.enqueuer.enqueue("sync")
    sim.enqueuer.enqueue("async")
    sim.run_for(5)
    sim.crash(pool)
    sim.run_for(minutes=10)
    assert reached == []
    assert places(sim)["queued"] == 0
    sim.close()
    assert sim.trace.of(name="from_finally") == []


def test_a_frozen_pool_wakes_up_reaped_and_goes_on(sim: Simulation, ran: list[int]) -> None:
    sim.enqueuer.enqueue("work", {"n": 1})
    sim.run_for(5)
    (holder,) = [pool for pool in sim.pools if pool.busy]
    before = holder.pool_id
    sim.freeze(holder, 60)
    sim.run_for(minutes=2)
    assert ran == [1, 1]  # at least once: it could not know
    assert holder.pool_id not in {"", before}
    assert len(sim.client.worker_pool_heartbeats()) == 2
    assert len(sim.trace.of(kind="done")) == 1


def test_a_wall_clock_that_is_wrong_by_an_hour_kills_nobody(
    sim: Simulation, ran: list[int]
) -> None:
    sim.run_for(5)
    sim.step_clock(sim.pools[0], 3_600)
    sim.step_clock(sim.pools[1], -3_600)
    sim.enqueuer.enqueue("work", {"n": 1})
    sim.run_for(minutes=5)
    assert ran == [1]
    assert sim.trace.of(kind="recovered") == []


def test_what_arrives_after_its_sender_has_given_up_changes_nothing(
    sim: Simulation, ran: list[int]
) -> None:
    sim.run_for(1)
    sim.slow(sim.pools[0], 20, by=7)
    for n in range(4):
        sim.enqueuer.enqueue("work", {"n": n})
    sim.run_until_idle()
    sim.run_for(minutes=2)
    assert set(ran) == {0, 1, 2, 3}
    assert places(sim) == {"queued": 0, "retry": 0, "dead": 0}


def test_a_pool_that_is_cut_off_goes_on_afterwards(sim: Simulation, ran: list[int]) -> None:
    sim.run_for(1)
    for pool in sim.pools:
        sim.cut(pool, 8)
    sim.enqueuer.enqueue("work", {"n": 1})
    sim.run_until_idle()
    assert ran == [1]


def test_redis_comes_back_with_its_data(sim: Simulation, ran: list[int]) -> None:
    sim.enqueuer.enqueue("work", {"n": 1})
    sim.run_for(1)
    sim.stop_redis(30)
    with pytest.raises(ServerUnavailable):
        sim.enqueuer.enqueue("work", {"n": 2})
    sim.run_for(29)
    sim.run_for(5)
    sim.enqueuer.enqueue("work", {"n": 3})
    sim.run_until_idle()
    assert ran == [1, 3]


def test_pools_survive_a_redis_that_lost_everything(sim: Simulation, ran: list[int]) -> None:
    sim.enqueuer.enqueue("work", {"n": 1})
    sim.run_for(1)
    sim.wipe_redis()
    sim.run_for(minutes=1)
    sim.enqueuer.enqueue("work", {"n": 2})
    sim.run_until_idle()
    assert ran == [1, 2]
    assert len(sim.client.worker_pool_heartbeats()) == 2


@pytest.mark.parametrize("code", ["OOM", "READONLY"])
def test_a_redis_that_refuses_writes_says_so_and_is_drained_later(
    sim: Simulation, ran: list[int], code: Any
) -> None:
    sim.enqueuer.enqueue("work", {"n": 1})
    sim.run_for(1)
    sim.refuse_writes(30, code)
    with pytest.raises(ServerRefused, match="Redis refused") as refused:
        sim.enqueuer.enqueue("work", {"n": 2})
    assert refused.value.code == code
    sim.run_for(minutes=2)
    assert ran == [1]
    assert places(sim) == {"queued": 0, "retry": 0, "dead": 0}


def test_a_short_refusal_does_not_end_a_longer_one_that_began_before_it(
    sim: Simulation, ran: list[int]
) -> None:
    sim.run_for(1)
    sim.refuse_writes(30, "OOM")
    sim.refuse_writes(10, "READONLY")
    for after_s, code in ((5, "READONLY"), (15, "OOM")):
        sim.run_for(after_s)
        with pytest.raises(ServerRefused) as refused:
            sim.enqueuer.enqueue("work", {"n": 1})
        assert refused.value.code == code
    sim.run_for(15)
    sim.enqueuer.enqueue("work", {"n": 1})
    sim.run_until_idle()
    assert ran == [1]


def test_a_full_redis_is_drained_while_it_is_full(sim: Simulation, ran: list[int]) -> None:
    for n in range(3):
        sim.enqueuer.enqueue("work", {"n": n})
    sim.run_for(1)
    sim.refuse_writes(300, "OOM")
    sim.run_for(minutes=2)
    assert sorted(ran) == [0, 1, 2]


def test_a_plan_is_carried_out_once_however_often_the_world_runs() -> None:
    with Simulation(faults=[Fault("step", 1.0, "pool-1", by_s=60.0)]) as sim:
        pool = sim.pool()
        for _ in range(3):
            sim.run_for(10)
        assert pool.clock.skew_us == 60_000_000
        assert len(sim.trace.of(kind="fault")) == 1


def test_rates_and_plans_are_checked() -> None:
    with pytest.raises(InvalidOption, match="crash must be a rate per hour"):
        Faults(crash=-1)
    with Simulation(faults=[Fault("freeze", 0.0, "pool-9", for_s=1.0)]) as sim:
        sim.pool().job("work", lambda job: None)
        with pytest.raises(InvalidOption, match="no pool 'pool-9'; there are pool-1"):
            sim.run_for(1)


def test_what_is_called_off_while_a_pool_is_frozen_does_not_happen_when_it_thaws() -> None:
    with Simulation() as sim:
        pool = sim.pool(concurrency=2)
        pool.job("work", lambda job: None, takes=20)
        for _ in range(2):
            sim.enqueuer.enqueue("work")
        sim.run_for(18)
        pool.stop(timeout=3)  # interrupts the handlers after the thaw, before what was due happens
        sim.freeze(pool, 10)
        sim.run_for(minutes=1)
        assert [event.kind for event in sim.trace.of(kind="failed")] == ["failed"] * 2
        assert not pool.running


#: One fault of each kind, in the first seconds of a world.
KINDS = [
    Fault("crash", 3.0, "pool-1", for_s=2.0),
    Fault("lose", 3.0, "pool-1", after=1),
    Fault("drop", 3.0, "pool-1", after=1),
    Fault("freeze", 3.0, "pool-1", for_s=15.0),
    Fault("step", 3.0, "pool-1", by_s=-900.0),
    Fault("slow", 3.0, "pool-1", for_s=10.0, by_s=1.0),
    Fault("cut", 3.0, "pool-1", for_s=15.0),
    Fault("unheard", 3.0, "pool-1", for_s=15.0),
    Fault("deaf", 3.0, "pool-1", for_s=15.0),
    Fault("hold", 3.0, "pool-1", for_s=8.0),
    Fault("stop", 3.0, "pool-1", for_s=3.0, by_s=1.0),
    Fault("away", 3.0, for_s=5.0),
    Fault("oom", 3.0, for_s=5.0),
    Fault("readonly", 3.0, for_s=5.0),
    Fault("evict", 3.0),
    Fault("failover", 3.0, for_s=2.0),
    Fault("aof", 3.0, for_s=1.0),
    Fault("stall", 3.0, "pool-1", after=1, for_s=15.0),
    Fault("outage", 3.0, for_s=30.0),
    Fault("mistype", 3.0, for_s=5.0),
    Fault("orphan", 3.0),
]


@pytest.mark.parametrize("fault", KINDS, ids=lambda fault: fault.kind)
def test_jobs_survive_every_kind_of_fault(fault: Fault) -> None:
    ran: list[int] = []
    with Simulation(seed=7, faults=[fault], checkers=all_checkers()) as sim:
        for _ in range(2):
            pool = sim.pool(concurrency=2)
            pool.job("work", lambda job: ran.append(job.arg_int("n")), takes=2, max_concurrency=3)
        for n in range(8):
            sim.at(0.3 * n, sim.enqueuer.enqueue, "work", {"n": n})
        sim.run_for(minutes=1)
        struck = [event.detail["fault"] for event in sim.trace.of(kind="fault")]
        assert struck[:1] == ["away" if fault.kind == "outage" else fault.kind]
        sim.end_faults()
        sim.run_until_idle()
        sim.run_for(minutes=3)
        sim.check_at_rest()
    assert set(ran) == set(range(8))


def test_a_full_server_records_what_an_operator_does() -> None:
    with Simulation(seed=7, faults=[Fault("oom", 3.0, for_s=30.0)], checkers=all_checkers()) as sim:
        sim.pool().job("work", lambda job: None)
        sim.at(5, sim.client.pause, "work")
        sim.run_for(10)
        assert [act.verb for act in sim.client.acts()] == ["pause"]
        sim.assert_ran("work", times=0)


def test_a_failover_loses_what_was_written_since_the_replica_lags(sim: Simulation) -> None:
    sim.pool().job("work", lambda job: None)
    first = sim.enqueuer.enqueue_in("work", 600, {"n": 1})
    key = b"%s" % sim.keys.prefix.encode() + b"lease:mine"
    sim.redis.set(key, "1", ex=60)
    sim.run_for(1)
    sim.lose_writes(3)
    lost = sim.enqueuer.enqueue_in("work", 600, {"n": 2})
    sim.run_for(2)
    assert {job.job.id for job in sim.client.scheduled_jobs().jobs} == {first.job.id, lost.job.id}
    sim.run_for(10)
    assert {job.job.id for job in sim.client.scheduled_jobs().jobs} == {first.job.id}
    assert sim.redis.get(key) == b"1"
    sim.run_for(60)
    assert sim.redis.get(key) is None  # it still ends when it should
    sim.assert_ran("work", times=0)


def test_every_kind_of_fault_is_drawn_from_a_seed_and_written_as_text() -> None:
    rates = dict.fromkeys((fault.kind for fault in KINDS), 600.0)
    drawn = Faults(within=600, **rates).draw(Entropy(3), ["pool-1"])  # type: ignore[arg-type]
    assert {fault.kind for fault in drawn} == set(rates)
    for fault in drawn:
        assert fault.kind in str(fault)
        assert fault == Fault(**fault.record())


def test_held_requests_arrive_all_at_once_and_none_is_carried_out_twice(
    sim: Simulation, ran: list[int]
) -> None:
    sim.run_for(1)
    sim.hold(sim.pools[0], 4)
    for n in range(3):
        sim.enqueuer.enqueue("work", {"n": n})
    sim.run_until_idle()
    assert sorted(ran) == [0, 1, 2]


def test_a_deployed_pool_gives_its_jobs_back_and_starts_again(
    sim: Simulation, ran: list[int]
) -> None:
    for n in range(2):
        sim.enqueuer.enqueue("work", {"n": n})
    sim.run_for(5)
    sim.deploy(sim.pools[0], timeout=1, restart_after=0.5)
    sim.run_until_idle()
    assert sim.pools[0].running
    assert set(ran) == {0, 1}
    assert [event.detail["does"] for event in sim.trace.of(kind="pool")[2:]] == [
        "stop", "end", "start",
    ]  # fmt: skip
