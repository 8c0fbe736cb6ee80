"""The Go peer has the defects of the original, so that tests against it mean something.

Each test shows one of them; other tests show workkit in the same situation.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.retry import Retry

from tests.parity.gopeer import (
    Claim,
    Clock,
    GoDecodeError,
    GoHangError,
    GoJob,
    GoJobRecord,
    GoPeer,
    Scene,
)
from tests.support.handlers import boom

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_700_000_000
DAY_S = 86_400


@pytest.fixture
def scene(redis_client: Redis, namespace: str) -> Scene:
    return Scene(redis_client, namespace, Clock(NOW))


def fetch(peer: GoPeer) -> Claim:
    claim = peer.fetch()
    assert claim is not None
    return claim


# Locks, fetch, completion


def test_a_claim_that_got_lost_stops_a_limited_queue(scene: Scene) -> None:
    peer = scene.peer(a=GoJob(max_concurrency=1))
    peer.enqueue("a")
    peer.enqueue("a")

    peer.forget(fetch(peer))

    assert peer.fetch() is None
    assert (scene.lock("a"), len(scene.in_progress("a")), len(scene.queue("a"))) == (1, 1, 1)


def test_a_job_that_go_cannot_read_keeps_its_lock(scene: Scene) -> None:
    peer = scene.peer(a=GoJob(max_concurrency=1))
    raw = b'{"name":"a","id":"x","t":1700000000.5,"args":null}'
    scene.redis.lpush(peer.keys.queue("a"), raw)

    assert peer.fetch() is None

    assert isinstance(peer.errors[-1].error, GoDecodeError)
    assert (scene.lock("a"), scene.in_progress("a"), peer.claims) == (1, [raw], [])


def test_a_commit_that_fails_leaves_the_job_in_progress(scene: Scene, tmp_path: Path) -> None:
    peer = scene.peer(a=GoJob(max_concurrency=1))
    peer.enqueue("a")
    claim = fetch(peer)
    peer.begin(claim)
    no_server = str(tmp_path / "nobody-listens")
    peer._wire._redis = Redis(unix_socket_path=no_server, retry=Retry(NoBackoff(), 0))

    peer.settle(claim, "boom")

    assert [error.where for error in peer.errors] == ["settle"]
    assert (scene.lock("a"), scene.members("retry"), peer.claims) == (1, {}, [])
    assert scene.in_progress("a") == [claim.fetched]


def test_a_pool_that_was_reaped_while_it_ran_takes_the_lock_below_zero(scene: Scene) -> None:
    paused, reaper = scene.peer("p1", a=GoJob()), scene.peer("p2", a=GoJob())
    paused.enqueue("a")
    claim = fetch(paused)
    scene.clock.now += 10
    reaper.heartbeat()
    assert reaper.reap_step() == ["p1"]

    paused.process(claim)

    assert (scene.lock("a"), scene.queue("a")) == (-1, [claim.fetched])
    assert scene.lock_info("a") == {b"p1": b"-1"}


def test_without_its_heartbeat_a_dead_pool_loses_its_jobs(scene: Scene) -> None:
    dead, reaper = scene.peer("p1", b=GoJob()), scene.peer("p2", a=GoJob())
    dead.enqueue("b")
    fetch(dead)
    dead.crash()
    scene.redis.delete(dead.keys.heartbeat("p1"))

    assert reaper.reap_step() == ["p1"]

    assert (scene.lock("b"), len(scene.in_progress("b")), scene.queue("b")) == (1, 1, [])
    assert scene.redis.smembers(reaper.keys.worker_pools) == {b"p2"}


def test_a_pool_is_buried_even_where_its_jobs_could_not_be_given_back(scene: Scene) -> None:
    dead, reaper = scene.peer("p1", a=GoJob()), scene.peer("p2", a=GoJob())
    dead.enqueue("a")
    fetch(dead)
    dead.crash()
    scene.redis.set(reaper.keys.queue("a"), "no list")
    scene.clock.now += 60
    reaper.heartbeat()

    assert reaper.reap_step() == ["p1"]

    assert [error.where for error in reaper.errors] == ["recover"]
    assert len(scene.in_progress("a")) == 1


def test_the_lock_is_given_back_under_the_name_in_the_job(scene: Scene) -> None:
    peer = scene.peer(a=GoJob())
    scene.redis.lpush(peer.keys.queue("a"), b'{"name":"zzz","id":"x","t":1,"args":null}')

    assert peer.run_all() == 1

    assert (scene.lock("a"), scene.lock("zzz")) == (1, -1)
    dead = scene.members("dead")
    assert [json.loads(member)["err"] for member in dead] == ["stray job: no handler"]


def test_a_stopped_pool_leaves_zero_fields_and_a_limit_behind(scene: Scene) -> None:
    peer = scene.peer(a=GoJob(max_concurrency=3))
    peer.enqueue("a")
    peer.run_all()
    peer.stop()

    scene.peer("p2", a=GoJob())

    assert scene.lock_info("a") == {b"p1": b"0"}
    assert scene.redis.get(peer.keys.max_concurrency("a")) == b"0"


def test_a_pool_stops_only_once_its_jobs_are_settled(scene: Scene) -> None:
    peer = scene.peer(a=GoJob())
    peer.enqueue("a")
    claim = fetch(peer)
    with pytest.raises(ValueError, match="not settled"):
        peer.stop()

    peer.process(claim)
    with pytest.raises(ValueError, match="not held"):
        peer.settle(claim)
    peer.stop()

    assert scene.redis.exists(peer.keys.worker_pools, peer.keys.heartbeat("p1")) == 0


@pytest.mark.parametrize("pause", ["1", "0"])
def test_any_value_pauses_a_queue(scene: Scene, pause: str) -> None:
    peer = scene.peer(a=GoJob(), b=GoJob())
    peer.enqueue("a")
    scene.redis.set(peer.keys.paused("a"), pause)
    assert peer.run_all() == 0
    scene.redis.delete(peer.keys.paused("a"))
    assert peer.run_all() == 1


def test_a_queue_named_like_a_pause_key_stops_every_fetch(scene: Scene) -> None:
    peer = scene.peer(a=GoJob(), b=GoJob())
    peer.enqueue("a:paused")
    peer.enqueue("a")
    peer.enqueue("b")
    assert peer.fetch(["a", "b"]) is None
    assert [error.where for error in peer.errors] == ["fetch"]


def test_an_enqueue_that_raises_may_have_enqueued(scene: Scene) -> None:
    peer = scene.peer()
    scene.redis.set(peer.keys.known_jobs, "no set")
    with pytest.raises(ResponseError):
        peer.enqueue("a")
    assert len(scene.queue("a")) == 1


def test_a_heartbeat_that_is_refused_goes_unnoticed(scene: Scene) -> None:
    scene.redis.set(f"{scene.namespace}:worker_pools", "no set")
    assert scene.peer(a=GoJob()).errors == []


def test_a_failing_job_is_retried_then_dies_unless_it_may_not(scene: Scene) -> None:
    peer = scene.peer(
        a=GoJob(max_fails=2, handler=boom, backoff=lambda job: 10 * job.fails),
        b=GoJob(max_fails=1, skip_dead=True, handler=boom),
    )
    peer.enqueue("a")
    peer.enqueue("b")
    assert peer.run_all() == 2
    assert list(scene.members("retry").values()) == [NOW + 10]
    scene.clock.now += 10

    assert peer.requeue_step() == {"ok": 1, "dead": 0}
    assert peer.run_all() == 1

    assert (list(scene.members("dead").values()), scene.members("retry")) == ([NOW + 10], {})


def test_a_job_whose_args_the_handler_spoilt_vanishes(scene: Scene) -> None:
    def spoil(job: GoJobRecord) -> None:
        job.args = {"v": object()}
        boom(job)

    peer = scene.peer(a=GoJob(handler=spoil))
    peer.enqueue("a")
    assert peer.run_all() == 1
    assert scene.in_progress("a") == scene.queue("a") == []
    assert scene.members("retry") == scene.members("dead") == {}


# Unique jobs


def test_a_unique_job_by_key_leaves_a_ghost_in_progress(scene: Scene) -> None:
    peer = scene.peer(a=GoJob())
    peer.enqueue_unique_in_by_key("a", 0, {"v": 1}, {"k": 1})
    peer.requeue_step()
    assert peer.run_all() == 1
    assert len(scene.in_progress("a")) == 1


def test_an_update_replaces_the_args_of_the_job_that_waits(scene: Scene) -> None:
    ran: list[object] = []
    peer = scene.peer(a=GoJob(handler=lambda job: ran.append(job.args)))
    assert peer.enqueue_unique_by_key("a", {"v": 1}, {"k": 1}) is not None
    assert peer.enqueue_unique_by_key("a", {"v": 2}, {"k": 1}) is None
    peer.run_all()
    assert ran == [{"v": 2.0}]


def test_a_retry_steals_the_next_unique_job(scene: Scene) -> None:
    ran: list[object] = []

    def run(job: GoJobRecord) -> None:
        ran.append((job.args or {})["v"])
        if len(ran) == 1:
            boom(job)

    peer = scene.peer(a=GoJob(handler=run))
    peer.enqueue_unique_by_key("a", {"v": "A"}, {"k": 1})
    peer.run_all()
    scene.clock.now += DAY_S
    peer.requeue_step()
    peer.enqueue_unique_by_key("a", {"v": "B"}, {"k": 1})

    peer.run_all()

    assert ran == ["A", "B", "B"]


def test_an_update_that_comes_between_read_and_delete_is_lost(scene: Scene) -> None:
    peer = scene.peer(a=GoJob())
    peer.enqueue_unique_by_key("a", {"v": 1}, {"k": 1})
    claim = fetch(peer)
    update = peer.read_update(claim)
    assert peer.enqueue_unique_by_key("a", {"v": 2}, {"k": 1}) is None

    peer.take_update(claim, update)

    assert claim.job.args == {"v": 1.0}
    assert scene.redis.exists(claim.job.unique_key) == 0


def test_a_refused_duplicate_prolongs_the_key(scene: Scene) -> None:
    peer = scene.peer()
    job = peer.enqueue_unique("a")
    assert job is not None
    scene.redis.expire(job.unique_key, 10)
    assert peer.enqueue_unique("a") is None
    assert scene.redis.ttl(job.unique_key) > DAY_S / 2


def test_deleting_a_scheduled_job_misses_a_key_that_was_given(scene: Scene) -> None:
    peer = scene.peer()
    by_args = peer.enqueue_unique_in("a", 5, {"v": 1})
    by_key = peer.enqueue_unique_in_by_key("a", 5, {"v": 1}, {"k": 1})
    assert by_args is not None
    assert by_key is not None
    for scheduled in (by_args, by_key):
        peer.delete_scheduled_job(scheduled.run_at, scheduled.job.id)
    assert peer.enqueue_unique("a", {"v": 1}) is not None
    assert peer.enqueue_unique_by_key("a", {"v": 1}, {"k": 1}) is None


# Requeuing


def test_a_requeued_job_is_what_cjson_makes_of_it(scene: Scene) -> None:
    peer = scene.peer(a=GoJob())
    args = {"us": 1700000000123456, "list": [], "f": 0.12345678901234567, "url": "a/b"}
    peer.enqueue_in("a", 0, args)
    peer.requeue_step()
    (raw,) = scene.queue("a")
    assert json.loads(raw)["args"] == {
        "us": 1.7000000001235e15,
        "list": {},
        "f": 0.12345678901235,
        "url": "a/b",
    }
    assert b'"a\\/b"' in raw


def test_one_member_that_is_not_json_blocks_all_that_are_due(scene: Scene) -> None:
    peer = scene.peer(a=GoJob())
    scene.redis.zadd(peer.keys.retry, {b"{": 0, GoJobRecord(name="a", id="x").encode(): 1})
    assert peer.requeue_step() == {"ok": 0, "dead": 0}
    assert len(scene.members("retry")) == 2


def test_a_member_without_a_name_is_lost(scene: Scene) -> None:
    peer = scene.peer(a=GoJob())
    scene.redis.zadd(peer.keys.retry, {'{"id":"x"}': 0})
    assert peer.requeue_one("retry") is None
    assert [error.where for error in peer.errors] == ["requeue"]
    assert scene.members("retry") == scene.members("dead") == {}


def test_the_jobs_of_another_service_go_to_dead(scene: Scene) -> None:
    here, there = scene.peer("p1", a=GoJob()), scene.peer("p2", b=GoJob())
    there.enqueue_in("b", 0)
    assert here.requeue_step() == {"ok": 0, "dead": 1}
    (member,) = scene.members("dead")
    assert json.loads(member)["err"] == "unknown job when requeueing"


# Cron


def test_slots_are_scheduled_again_after_three_seconds(scene: Scene) -> None:
    peer = scene.peer(a=GoJob())
    specs = [("0 * * * * *", "a")]

    def turn() -> bool:
        return peer.periodic_enqueue(specs, lambda _spec, t: (t // 60 + 1) * 60)

    assert turn()
    scene.redis.delete(peer.keys.scheduled)
    scene.clock.now += 2
    assert not turn()
    scene.clock.now += 1
    assert turn()
    assert len(scene.members("scheduled")) == 4


def test_a_pool_without_cron_keeps_the_others_from_their_turn(scene: Scene) -> None:
    assert scene.peer("p1").periodic_enqueue([], lambda _spec, _t: None)
    assert not scene.peer("p2").periodic_enqueue([("@daily", "a")], lambda _spec, _t: None)


def test_a_spec_that_never_fires_is_due_since_the_year_one(scene: Scene) -> None:
    with pytest.raises(GoHangError):
        scene.peer().periodic_enqueue([("0 0 0 30 2 *", "a")], lambda _spec, _t: None)
    assert list(scene.members("scheduled").values()) == [-62_135_596_800]
