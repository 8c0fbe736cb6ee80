"""Which queue is drawn next, how many jobs of a name run at once, and queues that are paused."""

from __future__ import annotations

import random  # noqa: TID251 - the dice of the original are seeded here
from collections import Counter
from collections.abc import Mapping

import pytest

from tests.engine.stage import EngineStage
from tests.parity.gopeer import Claim, Clock, GoJob, Scene
from tests.parity.gopeer.worker import weighted_order
from tests.support.handlers import nothing
from tests.support.steps import StepPool
from workkit.core.job import encode
from workkit.engine.handling.execution import Execution

WEIGHTS = {"rare": 1, "low": 2, "middle": 5, "high": 20}
DRAWS = 100_000
#: Three degrees of freedom; a right distribution exceeds this once in a million runs.
CHI_SQUARE_BOUND = 30.66


def chi_square(counts: Mapping[str, int], weights: Mapping[str, int]) -> float:
    """Measure how far counts differ from the weights."""
    total, weight = sum(counts.values()), sum(weights.values())
    expected = {name: total * weights[name] / weight for name in weights}
    return sum((counts[name] - expected[name]) ** 2 / expected[name] for name in weights)


def fill(stage: EngineStage, name: str, count: int) -> None:
    """Put many jobs into a queue, fast."""
    raw = encode(name, "0" * 24, stage.clock.now_s, b"null")
    stage.redis.sadd(stage.key("known_jobs"), name)
    stage.redis.lpush(stage.key(f"jobs:{name}"), *[raw] * count)


def claim_and_finish(pool: StepPool, claims: Counter[str]) -> None:
    """Do one exchange, and let all claimed jobs end."""
    pool.step(pool.engine.dispatcher.turn())
    while pool.runner.waiting:
        execution = pool.runner.begin()
        claims[execution.queue] += 1
        pool.runner.end(execution)


# Priorities.


@pytest.mark.one_server
@pytest.mark.slow
def test_100000_contested_claims_follow_the_weights_as_those_of_the_original(
    stage: EngineStage,
) -> None:
    worker = stage.pool(concurrency=500, history=None)
    for name, weight in WEIGHTS.items():
        worker.job(name, nothing, priority=weight)
    for name in WEIGHTS:
        fill(stage, name, 5_000)
    pool, claims = stage.stepped(worker), Counter[str]()
    while claims.total() < DRAWS:
        claim_and_finish(pool, claims)
        for name in WEIGHTS:
            if stage.redis.llen(stage.key(f"jobs:{name}")) < 1_000:
                fill(stage, name, 5_000)

    dice = random.Random(1)
    original = Counter(weighted_order(dice, WEIGHTS)[0] for _ in range(DRAWS))
    assert chi_square(original, WEIGHTS) < CHI_SQUARE_BOUND
    assert chi_square(claims, WEIGHTS) < CHI_SQUARE_BOUND


@pytest.mark.one_server
def test_queues_without_jobs_change_nothing_for_the_others(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=20, history=None)
    for name, weight in WEIGHTS.items():
        worker.job(name, nothing, priority=weight)
    present = {"rare": 1, "middle": 5}
    fill(stage, "low", 500)
    stage.client.pause("low")
    for name in present:
        fill(stage, name, 9_000)
    pool, claims = stage.stepped(worker), Counter[str]()
    while claims.total() < 10_000:
        claim_and_finish(pool, claims)
    dice = random.Random(1)
    original = Counter(
        next(name for name in weighted_order(dice, WEIGHTS) if name in present)
        for _ in range(10_000)
    )
    assert chi_square(original, present) < CHI_SQUARE_BOUND
    assert chi_square(claims, present) < CHI_SQUARE_BOUND


def test_a_queue_of_low_priority_is_served_while_others_never_run_empty(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=10, history=None)
    worker.job("high", nothing, priority=1_000)
    worker.job("low", nothing, priority=10)
    fill(stage, "high", 5_000)
    fill(stage, "low", 100)
    pool, claims = stage.stepped(worker), Counter[str]()
    while claims["high"] < 4_000:
        claim_and_finish(pool, claims)
    assert 10 <= claims["low"] <= 100


def test_jobs_of_one_queue_run_in_the_order_in_which_they_were_enqueued(stage: EngineStage) -> None:
    worker, ran = stage.pool(concurrency=7), []
    worker.job("work", lambda job: ran.append(job.arg_int("n")))
    stage.enqueuer.enqueue_many([("work", {"n": n}) for n in range(500)])
    stage.stepped(worker).work()
    assert ran == list(range(500))


# Limits.


def limited_to_three(stage: EngineStage) -> StepPool:
    worker = stage.pool(concurrency=5)
    worker.job("work", nothing, max_concurrency=3)
    return stage.stepped(worker)


@pytest.mark.parametrize("seed", range(5))
def test_a_limit_holds_across_two_pools_and_one_of_the_original(
    stage: EngineStage, seed: int
) -> None:
    pools = [limited_to_three(stage) for _ in range(2)]
    scene = Scene(stage.redis, stage.namespace, Clock(stage.clock.now_s))
    go = scene.peer(concurrency=5, work=GoJob(max_concurrency=3))
    stage.enqueuer.enqueue_many([("work", {"n": n}) for n in range(300)])
    running: list[Execution | Claim] = []
    dice, highest, done = random.Random(seed), 0, 0

    def take() -> None:
        who = dice.randrange(3)
        if who == 2:
            running.extend(claim for claim in [go.fetch()] if claim is not None)
        else:
            pools[who].turn()
            while pools[who].runner.waiting:
                running.append(pools[who].runner.begin())

    def give() -> None:
        ended = running.pop(dice.randrange(len(running)))
        if isinstance(ended, Execution):
            owner = next(pool for pool in pools if ended in pool.runner.running)
            owner.runner.end(ended, ValueError() if dice.random() < 0.1 else None)
            owner.turn()
            while owner.runner.waiting:
                running.append(owner.runner.begin())
        else:
            go.settle(ended)

    while done < 300:
        if running and dice.random() < 0.5:
            give()
            done += 1
        else:
            take()
        assert len(running) <= 3
        assert stage.lock("work") == stage.in_progress("work") == len(running)
        highest = max(highest, len(running))
        if not running and not stage.waiting("work"):
            break
    assert highest == 3


def test_a_limit_leaves_workers_to_other_queues(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=4)
    worker.job("limited", nothing, max_concurrency=1, priority=1_000)
    worker.job("free", nothing)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue_many([("limited", None)] * 5 + [("free", None)] * 5)
    for _ in range(5):
        stage.clock.advance(0.2)
        pool.turn()
    assert Counter(e.queue for e in pool.runner.waiting) == {"limited": 1, "free": 3}


def test_a_limit_set_by_an_operator_counts_for_every_pool_from_the_next_claim_on(
    stage: EngineStage,
) -> None:
    worker = stage.pool(concurrency=4)
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    stage.redis.set(stage.key("jobs:work:max_concurrency"), 2)
    stage.enqueuer.enqueue_many([("work", None)] * 4)
    assert len(pool.claim()) == 2
    stage.redis.set(stage.key("jobs:work:max_concurrency"), 0)
    assert len(pool.claim()) == 4


# Pauses.


def test_a_paused_queue_gives_no_job_even_to_a_claim_that_is_on_its_way(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=2)
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    (job,) = stage.enqueuer.enqueue_many([("work", None)])
    dispatcher = pool.engine.dispatcher
    assert dispatcher.looked(pool.do(dispatcher.look()))  # it has seen the job
    stage.client.pause("work")
    assert pool.claim() == []
    assert stage.waiting("work") == [job.id]
    assert stage.client.unpause("work")
    assert [execution.job.id for execution in pool.claim()] == [job.id]


def test_a_pause_leaves_running_jobs_and_other_queues_alone(stage: EngineStage) -> None:
    worker = stage.pool(concurrency=2)
    worker.job("first", nothing)
    worker.job("second", nothing)
    pool = stage.stepped(worker)
    stage.enqueuer.enqueue("first")
    pool.turn()
    running = pool.runner.begin()
    stage.client.pause("first")
    stage.enqueuer.enqueue_many([("first", None), ("second", None)])
    stage.clock.advance(0.2)
    while pool.turn().for_s == 0:
        pass
    assert [execution.queue for execution in pool.runner.waiting] == ["second"]
    pool.runner.end(running)
    pool.work()
    assert stage.outcomes() == ["done", "done"]
    assert len(stage.waiting("first")) == 1


@pytest.mark.parametrize(("value", "stops"), [(b"1", True), (b"anything", True), (b"0", False)])
def test_a_pause_written_by_anybody_counts_unless_it_says_0(
    stage: EngineStage, value: bytes, *, stops: bool
) -> None:
    worker = stage.pool(concurrency=2)
    worker.job("work", nothing)
    pool = stage.stepped(worker)
    stage.redis.set(stage.key("jobs:work:paused"), value)
    stage.enqueuer.enqueue("work")
    assert (pool.claim() == []) is stops
