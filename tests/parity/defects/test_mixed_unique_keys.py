"""Unique keys of jobs that a Go pool has moved, and so has written again: whose key is it?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.house.sources import LUA
from tests.parity.defects.fleet import Fleet, member
from tests.parity.gopeer import GoJob
from tests.support.handlers import boom
from workkit.core.job import decode
from workkit.core.records import Place

if TYPE_CHECKING:
    from redis import Redis

    from tests.parity.defects.fleet import FleetPool
    from workkit import Job

ARGS = {"v": 1, "list": [1], "url": "a/b"}


@pytest.fixture
def fleet(redis_client: Redis, redis_url: str, namespace: str) -> Iterator[Fleet]:
    with Fleet(redis_client, redis_url, namespace) as fleet:
        yield fleet


class Moody:
    """A handler that fails as long as it is told to."""

    def __init__(self) -> None:
        self.fails = True

    def __call__(self, job: Job) -> None:
        if self.fails:
            boom(job)


def until_done_through_go(fleet: Fleet) -> str:
    """Schedule a job that keeps its key until it is done, and let Go move it; gives its id."""
    scheduled = fleet.enqueuer.enqueue_unique_in("a", 0, ARGS, until="done")
    assert scheduled is not None
    fleet.go(a=GoJob()).requeue_step()
    (raw,) = fleet.queue("a")
    assert not raw.startswith(b'{"name"')  # the order of fields is Go's business
    return scheduled.job.id


def revived(fleet: Fleet, handler: Any, **options: Any) -> FleetPool:
    """Let such a job die, and retry it."""
    job_id = until_done_through_go(fleet)
    pool = fleet.pool({"a": handler}, max_fails=1, **options)
    pool.work()
    (died_at,) = fleet.members("dead").values()
    fleet.client.retry_dead_job(died_at, job_id)
    assert is_held(fleet)
    return pool


def is_held(fleet: Fleet) -> bool:
    """Tell whether the next job with these args is refused."""
    return fleet.enqueuer.enqueue_unique("a", ARGS, until="done") is None


def test_a_key_is_free_once_its_job_is_done_though_go_had_moved_it(fleet: Fleet) -> None:
    moody = Moody()
    pool = revived(fleet, moody)
    moody.fails = False
    pool.work()
    assert fleet.jobs("dead") == []
    assert not is_held(fleet)


def test_a_key_is_free_once_its_job_is_dead_again_though_go_had_moved_it(fleet: Fleet) -> None:
    revived(fleet, boom).work()
    assert len(fleet.jobs("dead")) == 1
    assert not is_held(fleet)


@pytest.mark.parametrize("in_bulk", [True, False])
def test_deleting_a_job_that_go_had_moved_frees_its_key(fleet: Fleet, in_bulk: bool) -> None:
    revived(fleet, boom)
    (job,) = fleet.client.queued_jobs("a").jobs
    if in_bulk:
        plan = fleet.client.actions.plan("delete", Place("queued", "a"))
        assert plan is not None
        assert (plan.unique, plan.contested) == (1, 0)
        fleet.client.actions.apply(plan)
    else:
        fleet.client.delete_queued_job("a", job.job.id)
    assert fleet.queue("a") == []
    assert not is_held(fleet)


def test_a_job_that_go_had_moved_and_that_dies_with_its_pools_frees_its_key(fleet: Fleet) -> None:
    revived(fleet, boom)
    for _ in range(3):
        holder, reaper = fleet.pool({"a": boom}), fleet.pool({"b": boom})
        holder.turn()
        holder.crash()
        fleet.watch(reaper, reaper)
        reaper.crash()
    assert len(fleet.jobs("dead")) == 1
    assert not is_held(fleet)


def test_a_key_says_whose_it_is_by_the_id_of_the_job_and_by_no_other(fleet: Fleet) -> None:
    pool = revived(fleet, Moody())
    key = fleet.keys.unique("a", json.dumps(ARGS, separators=(",", ":"), sort_keys=True).encode())
    (mine,) = (decode(raw) for raw in fleet.queue("a"))
    theirs = member("a", "theirs", json.dumps({"id": mine.id, "in": {"id": mine.id}}))
    fleet.redis.set(key, theirs)
    pool.work()
    assert len(fleet.jobs("dead")) == 1
    assert fleet.redis.get(key) == theirs
    fleet.client.delete_all_dead_jobs()
    assert fleet.redis.get(key) == theirs


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        (b'{"id":"x"}', b"x"),
        (b'{"args":{"id":"y"},"t":1,"id":"x","name":"a"}', b"x"),
        (b'{"args":{"a":["]}\\"",{}],"b":"\\\\"},"unique":true,"id" : "x"}', b"x"),
        ('{"id":"<\\u2028\\"é"}'.encode(), '<\\u2028\\"é'.encode()),
        (b'{"args":{"id":"x"},"id":"y"}', b"y"),
        (b'{"note":"\\"id\\":\\"x\\"","id":"y"}', b"y"),
        (b'{"err":"id","name":"x","id":"y"}', b"y"),
        (b'{"id":5,"name":"x"}', None),
        (b'["id","x"]', None),
        (b'[{"id":"x"}]', None),
        (b'{"id":"x', b""),
        (b'{"id', None),
        (b"{}", None),
        (b"1", None),
        (b"", None),
    ],
)
def test_the_id_of_a_payload_is_found_in_whatever_order_its_fields_stand(
    fleet: Fleet, payload: bytes, found: bytes | None
) -> None:
    part = (LUA / "parts" / "fields.lua").read_text("utf-8")
    assert fleet.redis.eval(f"{part} return field_of(ARGV[1], 'id')", 0, payload) == found


def test_a_job_that_keeps_its_args_keeps_them_though_go_had_moved_it(fleet: Fleet) -> None:
    ran: list[Any] = []
    moody = Moody()

    def handler(job: Job) -> None:
        moody(job)
        ran.append(job.args)

    pool = revived(fleet, handler)
    moody.fails = False
    assert fleet.enqueuer.enqueue_unique_by_key("a", {"other": 1}, ARGS) is None
    pool.work()
    assert ran == [ARGS]
    assert not is_held(fleet)
