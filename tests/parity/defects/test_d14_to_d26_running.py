"""D23, D24, D25, D26: writes, reads and random draws of a running pool."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from tests.conftest import PrivateServer, ServerKind
from tests.parity.defects.fleet import FleetPool
from tests.parity.defects.stage import ParityStage, await_event
from tests.parity.gopeer import GoJob, GoJobRecord
from tests.support.handlers import nothing
from tests.support.steps import FakeClock, FaultyLink
from workkit import Job
from workkit.core.entropy import Entropy
from workkit.engine.process.outage import Outage
from workkit.engine.process.waker import Waker
from workkit.store.connections.target import Target

DAY_S = 86_400
HOUR_S = 3_600
#: More check-ins than the original takes before it blocks.
CHECKINS = 5_000
MEGABYTE = 1_000_000
MEMBER_BYTES = 20_000


@pytest.fixture
def stage(redis_url: str, redis_client: Redis, namespace: str) -> Iterator[ParityStage]:
    with ParityStage(redis_client, redis_url, namespace) as stage:
        yield stage


@pytest.fixture
def own_stage(
    private_server: PrivateServer, server_kind: ServerKind, namespace: str
) -> Iterator[ParityStage]:
    """Start a private server."""
    server = private_server()
    with Redis.from_url(server.url) as redis, ParityStage(redis, server.url, namespace) as stage:
        yield stage


# D23: progress that is reported too often


def check_in_often(job: Job) -> None:
    for n in range(CHECKINS):
        job.checkin(f"{n + 1} of {CHECKINS}")


def observation(stage: ParityStage, worker_id: str) -> dict[bytes, bytes]:
    return dict(stage.redis.hgetall(stage.go_keys.observation(worker_id)))


def test_d23_check_ins_that_nobody_writes_hold_no_handler_up(stage: ParityStage) -> None:
    pool = stage.pool({"a": check_in_often})
    stage.enqueuer.enqueue("a")
    pool.turn()
    execution = pool.runner.begin()
    sent = len(pool.link.sent)

    check_in_often(execution.job)

    assert len(pool.link.sent) == sent
    pool.duty("observer")
    seen = observation(stage, execution.worker_id)
    assert seen[b"checkin"] == b"%d of %d" % (CHECKINS, CHECKINS)
    assert len(pool.link.sent) == sent + 1


def test_d23_a_server_that_hangs_holds_no_handler_up(
    private_server: PrivateServer, server_kind: ServerKind, namespace: str
) -> None:
    server = private_server()
    started, hanging, ended = threading.Event(), threading.Event(), threading.Event()

    def handler(job: Job) -> None:
        started.set()
        await_event(hanging, "the server to hang")
        check_in_often(job)
        ended.set()

    with Redis.from_url(server.url) as redis, ParityStage(redis, server.url, namespace) as stage:
        pool = stage.worker_pool()
        pool.job("a", handler)
        with pool:
            stage.live_enqueuer().enqueue("a")
            await_event(started, "the handler")
            assert server.pid is not None
            os.kill(server.pid, signal.SIGSTOP)
            try:
                hanging.set()
                await_event(ended, "the handler to end")
            finally:
                os.kill(server.pid, signal.SIGCONT)


def test_d23_a_job_that_runs_for_days_stays_visible(stage: ParityStage) -> None:
    go = stage.go(a=GoJob())
    pool = stage.pool({"b": nothing})
    stage.enqueuer.enqueue("b")
    pool.turn()
    execution = pool.runner.begin()
    pool.duty("observer")
    go.enqueue("a")
    claim = go.fetch()
    assert claim is not None
    go.begin(claim)
    keys = [stage.go_keys.observation(id_) for id_ in (claim.worker.id, execution.worker_id)]

    # What a day is to the server, three hours are here: its clock cannot be moved.
    for key in keys:
        assert stage.redis.expire(key, 60)
    for _ in range(3):
        stage.advance(HOUR_S)
        go.observe()
        pool.turn()  # it resyncs, and what it runs is written again
        pool.duty("observer")

    assert stage.redis.ttl(keys[0]) <= 60
    assert stage.redis.ttl(keys[1]) > DAY_S - 60


# D24: errors without end


def endless(depth: int) -> None:
    endless(depth + 1)


FAILURES: dict[str, Callable[[Job], object]] = {
    "message": lambda _job: fail("x" * MEGABYTE),
    "lines": lambda _job: fail("x\n" * MEGABYTE),
    "recursion": lambda _job: endless(0),
    "wide": lambda _job: fail("\N{SNOWMAN}" * MEGABYTE),
}


def fail(message: str) -> None:
    raise RuntimeError(message)


def test_d24_the_original_stores_an_error_of_any_length(stage: ParityStage) -> None:
    def handler(_job: GoJobRecord) -> None:
        raise RuntimeError("x" * MEGABYTE)

    go = stage.go(a=GoJob(handler=handler))
    go.enqueue("a")
    go.run_all()
    assert len(next(iter(stage.members("retry")))) > MEGABYTE


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize(("max_fails", "which"), [(1, "dead"), (2, "retry")])
def test_d24_an_error_is_cut(stage: ParityStage, failure: str, max_fails: int, which: str) -> None:
    pool = stage.pool({"a": FAILURES[failure]}, max_fails=max_fails)
    stage.enqueuer.enqueue("a")

    pool.work()

    (raw,) = stage.members(which)
    assert len(raw) < MEMBER_BYTES
    (job,) = stage.jobs(which)
    assert job["err"].startswith(("RuntimeError: ", "RecursionError: "))


# D25: what an idle pool asks


def idle(pool: FleetPool, duties_link: FaultyLink, seconds: float) -> None:
    """Let time pass for a pool without work as its threads would: who is due has a turn."""
    clock, dispatcher = pool.clock, pool.engine.dispatcher
    end_s = clock.monotonic_s + seconds
    due_s = dict.fromkeys([*pool._duties, "dispatcher"], clock.monotonic_s)
    while clock.monotonic_s < end_s:
        for name in [name for name, at_s in due_s.items() if at_s <= clock.monotonic_s]:
            if name == "dispatcher":
                while not (rest := pool.step(dispatcher.turn())).listen:
                    assert rest.for_s == 0
                look = pool.link.arm(dispatcher.look())
                assert look is not None
                assert not dispatcher.looked(look)
                wait_s = min(rest.for_s, 5.0)
            else:
                wait_s = duties_link.carry(pool._duties[name].step(clock.read()))
            due_s[name] = clock.monotonic_s + wait_s
        clock.advance(min(due_s.values()) - clock.monotonic_s)


def calls(redis: Any) -> int:
    """Count the commands that the server has carried out, those inside scripts included."""
    stats: dict[str, dict[str, int]] = redis.info("commandstats")
    own = ("cmdstat_info", "cmdstat_config|resetstat", "cmdstat_client|setinfo")
    return sum(row["calls"] for name, row in stats.items() if name not in own)


def test_d25_an_idle_pool_asks_little(own_stage: ParityStage) -> None:
    minute_s = 60
    names = [f"job{n}" for n in range(20)]
    pool = own_stage.pool(dict.fromkeys(names, nothing), concurrency=50)
    duties_link = FaultyLink(Target.of(own_stage.url))
    idle(pool, duties_link, minute_s)
    pool.link.sent.clear()
    duties_link.sent.clear()
    own_stage.redis.config_resetstat()

    idle(pool, duties_link, minute_s)

    carried_out = calls(own_stage.redis)
    round_trips = len(pool.link.sent) + len(duties_link.sent)
    duties_link.close()
    # The original: 12 scripts a second with 400 commands in them.
    assert round_trips <= 6 * minute_s
    assert carried_out <= 50 * minute_s


def is_woken(pool: FleetPool, enqueue: Callable[[], object]) -> bool:
    """Let an idle pool listen while somebody enqueues."""
    waker = Waker()
    pool.link.arm(pool.engine.dispatcher.look())
    assert pool.link.armed
    enqueue()
    pool.link.wait(5, waker.fileno())
    waker.close()
    return not pool.link.armed


def test_d25_a_job_wakes_an_idle_pool_at_once_whoever_enqueues_it(stage: ParityStage) -> None:
    pool, go = stage.pool({"a": nothing, "b": nothing}), stage.go()
    pool.turn()
    assert is_woken(pool, lambda: go.enqueue("a"))
    assert is_woken(pool, lambda: stage.enqueuer.enqueue("b"))
    assert is_woken(pool, lambda: stage.enqueuer.enqueue_in("b", 60))
    stage.client.pause("a")
    pool.turn()
    assert is_woken(pool, lambda: stage.client.unpause("a"))


def test_d25_a_job_wakes_a_pool_that_looks_at_a_fresh_server_for_the_first_time(
    own_stage: ParityStage,
) -> None:
    pool = own_stage.pool({"a": nothing})
    assert is_woken(pool, lambda: own_stage.enqueuer.enqueue("a"))


def test_d25_an_outage_is_logged_once_and_asked_about_ever_more_rarely(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outage = Outage("dispatcher", FakeClock(), Entropy(1))
    with caplog.at_level(logging.WARNING, "workkit"):
        waits_s = [outage.failed(OSError("away")) for _ in range(200)]
        outage.over()
    assert len(caplog.records) == 2
    assert all(0.5 <= wait_s <= 1 for wait_s in waits_s[10:])
    assert len(set(waits_s[10:])) > 100


# D26: a pause key without a pause, and dice


def test_d26_a_pause_key_that_says_0_pauses_nothing(stage: ParityStage) -> None:
    go, pool = stage.go(a=GoJob()), stage.pool({"a": nothing})
    stage.enqueuer.enqueue("a")
    stage.redis.set(stage.go_keys.paused("a"), "0")
    assert go.fetch() is None

    assert [queue.paused for queue in stage.client.queues()] == [False]
    assert len(pool.work()) == 1

    stage.client.pause("a")
    stage.enqueuer.enqueue("a")
    assert go.fetch() is None
    assert pool.work() == []


DRAW = """
import json, os
from workkit.core.backoff import default_backoff
from workkit.core.entropy import Entropy
entropy = Entropy()
def draw():
    delays = [default_backoff(40, entropy) for _ in range(16)]
    draws = [entropy.weighted([1, 2, 3], 1) for _ in range(64)]
    return json.dumps([entropy.identifier(), delays, draws])
if os.fork() == 0:
    print(draw(), flush=True)
    os._exit(0)
os.wait()
print(draw(), flush=True)
"""


def test_d26_no_two_processes_throw_the_same_dice() -> None:
    lines: list[str] = []
    for _ in range(2):
        run = subprocess.run(
            [sys.executable, "-c", DRAW], capture_output=True, text=True, check=True
        )
        lines += run.stdout.splitlines()
    assert len(lines) == 4
    for part in zip(*map(json.loads, lines), strict=True):
        assert len({str(draws) for draws in part}) == 4


def test_d26_queues_are_drawn_by_weight(stage: ParityStage) -> None:
    ran = run_beside_a_backlog(stage, {"a": 3, "b": 1}, in_time=True)
    assert ran["a"] + ran["b"] == 200
    assert 35 <= ran["b"] <= 65


def test_d26_a_queue_that_fills_beside_a_busy_one_gets_its_share(stage: ParityStage) -> None:
    ran = run_beside_a_backlog(stage, {"a": 1, "b": 1}, in_time=False)
    assert 75 <= ran["b"] <= 125


def run_beside_a_backlog(
    stage: ParityStage, weights: dict[str, int], *, in_time: bool
) -> Counter[str]:
    """Run 200 jobs, a tenth of a second each, of two queues that both have more.

    Args:
        stage: Where.
        weights: The priority of each queue.
        in_time: Whether the second has its jobs before the pool looks at it first.
    """
    definition = stage.worker_pool()
    for name, priority in weights.items():
        definition.job(name, nothing, priority=priority)
    pool = stage.stepped(definition)
    first, second = weights
    stage.enqueuer.enqueue_many([(first, None)] * 400)
    if not in_time:
        run_jobs(pool, 20)
    stage.enqueuer.enqueue_many([(second, None)] * 400)
    return run_jobs(pool, 200)


def run_jobs(pool: Any, wanted: int) -> Counter[str]:
    ran: Counter[str] = Counter()
    for _ in range(3 * wanted):
        pool.turn()
        pool.clock.advance(0.1)
        if pool.runner.waiting:
            ran[pool.runner.run().job.name] += 1
        if ran.total() == wanted:
            return ran
    raise AssertionError(f"only {ran.total()} jobs ran")
