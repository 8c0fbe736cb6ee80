"""D7, D7b, D8, D11: a job that waits for its time keeps its bytes, and comes back to its queue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.parity.defects.fleet import Fleet, member
from tests.parity.gopeer import GoJob
from tests.support.handlers import boom
from workkit.core import job as wire
from workkit.errors import InvalidArgs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

    from workkit import Job

DAY_S = 86_400
#: What cjson or a float64 changes, and keys in an order of their own.
ARGS = (
    '{"us":1700000000123456,"flake":123456789012345678,"odd":9007199254740993,'
    '"huge":123456789012345678901234567890,"f":0.12345678901234567,"none":[],"nested":[[]],'
    '"empty":{},"url":"a/b","z":1,"a":2}'
)
DEEP = "[" * 100_000 + "]" * 100_000

POISON = {
    "cut off": b"{",
    "no object": b"[]",
    "no utf-8": b'{"name":"a","id":"\xff',
    "too deep": member("a", "x", f'{{"v":{DEEP}}}'),
    "no name": b'{"id":"x","t":1,"args":null}',
    "empty name": member("", "x"),
    "not a number": member("a", "x", '{"v":NaN}'),
    "beyond floats": member("a", "x", '{"v":1e400}'),
    "float time": b'{"name":"a","id":"x","t":1.5,"args":null}',
}


@pytest.fixture
def fleet(redis_client: Redis, redis_url: str, namespace: str) -> Iterator[Fleet]:
    with Fleet(redis_client, redis_url, namespace) as fleet:
        yield fleet


def args_of(raw: bytes) -> str:
    return wire.args_json(raw).decode()


# D7: every byte of the args.


def test_d7_the_original_changes_numbers_and_empty_lists(fleet: Fleet) -> None:
    go = fleet.go(a=GoJob())
    fleet.redis.zadd(go.keys.scheduled, {member("a", "x", '{"v":[1700000000123456,[]]}'): 0})
    assert go.requeue_step() == {"ok": 1, "dead": 0}
    assert json.loads(fleet.queue("a")[0])["args"] == {"v": [1.7000000001235e15, {}]}


def test_d7_args_keep_every_byte_until_they_run_and_when_they_come_back(fleet: Fleet) -> None:
    seen: list[dict[str, Any] | None] = []

    def run(job: Job) -> None:
        seen.append(job.args)
        boom(job)

    pool = fleet.pool({"a": run}, max_fails=2)
    fleet.redis.zadd(fleet.go_keys.scheduled, {member("a", "x", ARGS): 0})
    pool.duty("requeuer")
    assert [args_of(raw) for raw in fleet.queue("a")] == [ARGS]
    pool.work()
    assert [args_of(raw) for raw in fleet.members("retry")] == [ARGS]
    fleet.advance(DAY_S)
    pool.duty("requeuer")
    assert [args_of(raw) for raw in fleet.queue("a")] == [ARGS]
    pool.work()
    assert [args_of(raw) for raw in fleet.members("dead")] == [ARGS]

    fleet.client.retry_all_dead_jobs()

    assert [args_of(raw) for raw in fleet.queue("a")] == [ARGS]
    assert seen == [json.loads(ARGS)] * 2


def test_d7_a_retried_dead_job_alone_keeps_its_args_too(fleet: Fleet) -> None:
    fleet.redis.zadd(fleet.go_keys.dead, {member("a", "x", ARGS, fails=4, err="e"): 9})
    fleet.client.retry_dead_job(9, "x")
    assert [args_of(raw) for raw in fleet.queue("a")] == [ARGS]


def test_d7_recovered_jobs_keep_every_byte(fleet: Fleet) -> None:
    dead, reaper = (fleet.pool({"a": lambda _job: None}) for _ in range(2))
    raw = member("a", "x", ARGS)
    fleet.redis.lpush(fleet.go_keys.queue("a"), raw)
    dead.claim()
    dead.crash()

    fleet.watch(reaper, reaper)

    assert fleet.queue("a") == [raw]


def test_d7_what_a_go_service_schedules_reaches_it_unchanged(fleet: Fleet) -> None:
    go, pool = fleet.go(a=GoJob()), fleet.pool({"other": boom})
    args = {"us": 1700000000123456, "none": [], "f": 0.12345678901234567}
    go.enqueue_in("a", 0, args)
    pool.duty("requeuer")

    claim = go.fetch()

    assert claim is not None
    assert claim.job.args == args
    assert claim.job.enqueued_at == fleet.clock.now_s


# D7b: a member that is not a job.


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
@pytest.mark.parametrize("which", ["retry", "scheduled"])
def test_d7b_a_member_that_is_no_job_neither_blocks_the_others_nor_is_lost(
    fleet: Fleet, which: str, poison: bytes
) -> None:
    key = f"{fleet.namespace}:{which}"
    good = member("a", "good")
    fleet.redis.zadd(key, {poison: 0, good: 1})
    pool = fleet.pool({"a": lambda _job: None})

    pool.duty("requeuer")

    assert [wire.decode(raw).id for raw in fleet.queue("a")] == ["good"]
    assert fleet.members(which) == {}
    (dead,) = fleet.client.dead_jobs().jobs
    assert "undecodable" in dead.job.last_err
    assert [job.job.id for job in fleet.go().dead_jobs().jobs] == [dead.job.id]

    fleet.client.retry_dead_job(dead.died_at, dead.job.id)
    assert list(fleet.members(which)) == [poison]


@pytest.mark.parametrize("poison", [POISON["cut off"], POISON["no name"]], ids=["blocks", "loses"])
def test_d7b_the_original_is_blocked_or_loses_the_member(fleet: Fleet, poison: bytes) -> None:
    go = fleet.go(a=GoJob())
    fleet.redis.zadd(go.keys.retry, {poison: 0, member("a", "good"): 1})
    assert go.requeue_one("retry") is None
    assert fleet.queue("a") == []
    assert (poison in fleet.members("retry")) == (poison == POISON["cut off"])
    assert fleet.members("dead") == {}


def test_d7b_a_go_pool_is_unblocked_by_a_workkit_pool_beside_it(fleet: Fleet) -> None:
    go, pool = fleet.go(a=GoJob()), fleet.pool({"b": boom})
    fleet.redis.zadd(go.keys.retry, {POISON["too deep"]: 0, POISON["cut off"]: 1})
    go.enqueue_in("a", 0)
    fleet.redis.zadd(go.keys.retry, {member("a", "retried"): 2})

    pool.duty("requeuer")

    assert go.run_all() == 2
    assert len(go.dead_jobs().jobs) == 2


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_d7b_workkit_enqueues_no_poison_itself(fleet: Fleet, value: float) -> None:
    for enqueue in (fleet.enqueuer.enqueue, fleet.enqueuer.enqueue_unique):
        with pytest.raises(InvalidArgs, match=r"args\.v"):
            enqueue("a", {"v": value})
    with pytest.raises(InvalidArgs):
        fleet.enqueuer.enqueue_in("a", 1, {"v": [value]})


# D8: jobs of other services.


def test_d8_the_original_kills_the_jobs_of_another_service(fleet: Fleet) -> None:
    cron_only, worker = fleet.go("go1"), fleet.go("go2", b=GoJob())
    worker.enqueue_in("b", 0)
    assert cron_only.requeue_step() == {"ok": 0, "dead": 1}
    assert worker.run_all() == 0


@pytest.mark.parametrize("handled", [[], ["a"]], ids=["cron only", "other jobs"])
def test_d8_jobs_of_another_service_go_to_their_own_queue(fleet: Fleet, handled: list[str]) -> None:
    ran: list[str] = []
    requeuer = fleet.pool(dict.fromkeys(handled, boom), cron=[("@daily", "c")])
    worker = fleet.pool({"b": lambda job: ran.append(job.id)})
    scheduled = fleet.enqueuer.enqueue_in("b", 0).job.id
    fleet.redis.zadd(fleet.go_keys.retry, {member("b", "retried", fails=1): 0})
    fleet.advance(1)

    requeuer.duty("requeuer")
    worker.work()

    assert sorted(ran) == sorted([scheduled, "retried"])
    assert fleet.members("dead") == {}


def test_d8_a_go_service_gets_its_jobs_from_a_workkit_requeuer(fleet: Fleet) -> None:
    requeuer, go = fleet.pool({"a": boom}), fleet.go(b=GoJob())
    job = go.enqueue_in("b", 0).job

    requeuer.duty("requeuer")

    claim = go.fetch()
    assert claim is not None
    assert claim.job.id == job.id
    assert fleet.members("dead") == {}


def test_d8_a_name_that_nobody_has_used_before_is_known_once_it_is_requeued(fleet: Fleet) -> None:
    fleet.redis.zadd(fleet.go_keys.scheduled, {member("new", "x"): 0})
    fleet.pool({"a": boom}).duty("requeuer")
    assert [(queue.job_name, queue.count) for queue in fleet.client.queues()] == [
        ("a", 0),
        ("new", 1),
    ]


# D11: what a handler or a backoff does must not cost the job.


def spoil(job: Any) -> None:
    """Put something into the args that no JSON can hold, and fail."""
    job.args = {"v": object()}
    boom(job)


def test_d11_the_original_loses_a_job_whose_args_were_spoilt(fleet: Fleet) -> None:
    go = fleet.go(a=GoJob(handler=spoil))
    go.enqueue("a")
    assert go.run_all() == 1
    assert fleet.queue("a") == fleet.held("a") == []
    assert fleet.members("retry") == fleet.members("dead") == {}


@pytest.mark.parametrize(("max_fails", "which"), [(4, "retry"), (1, "dead")])
def test_d11_a_job_whose_args_were_spoilt_keeps_those_it_was_enqueued_with(
    fleet: Fleet, max_fails: int, which: str
) -> None:
    pool = fleet.pool({"a": spoil}, max_fails=max_fails)
    fleet.redis.lpush(fleet.go_keys.queue("a"), member("a", "x", ARGS))

    pool.work()

    assert [args_of(raw) for raw in fleet.members(which)] == [ARGS]
    assert (fleet.held("a"), fleet.lock("a")) == ([], 0)


@pytest.mark.parametrize(
    "text",
    [pytest.param("\ud800"), pytest.param("caf\udce9.txt"), "\0"],
    ids=["lone surrogate", "file name", "null"],
)
def test_d11_an_error_that_is_no_text_costs_neither_its_job_nor_its_neighbours(
    fleet: Fleet, text: str
) -> None:
    def fail(_job: Job) -> None:
        raise FileNotFoundError(text)

    pool = fleet.pool({"a": fail, "b": boom}, concurrency=2)
    fleet.enqueuer.enqueue("a")
    fleet.enqueuer.enqueue("b")
    pool.claim()
    while pool.runner.waiting:
        pool.runner.run()

    pool.turn()

    assert sorted((job["name"], job["fails"]) for job in fleet.jobs("retry")) == [
        ("a", 1),
        ("b", 1),
    ]
    assert fleet.held("a") == fleet.held("b") == []


def panic(_job: object) -> float:
    raise ZeroDivisionError


def leave(_job: object) -> float:
    raise SystemExit(1)


@pytest.mark.parametrize(
    "backoff",
    [
        panic,
        pytest.param(
            leave,
        ),
        lambda _job: float("nan"),
        lambda _job: float("inf"),
        lambda _job: -1,
        lambda _job: None,
        lambda _job: "soon",
    ],
    ids=["raises", "exits", "nan", "infinite", "negative", "nothing", "text"],
)
def test_d11_a_broken_backoff_costs_the_delay_but_not_the_job(
    fleet: Fleet, backoff: Callable[[object], Any]
) -> None:
    pool = fleet.pool({"a": boom}, backoff=backoff)
    fleet.enqueuer.enqueue("a")

    pool.work()

    (retry_at,) = fleet.members("retry").values()
    assert 16 <= retry_at - fleet.clock.now_s <= 74
    assert (fleet.held("a"), fleet.lock("a")) == ([], 0)
