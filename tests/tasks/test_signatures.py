"""Pools publish what their typed tasks take, and edits and new jobs are checked against it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import WaitUntil
from tests.engine.conftest import MakePool, client, enqueuer
from tests.engine.signals import PATIENCE_S
from workkit import ArgsMismatch, Client, Enqueuer, Tasks
from workkit.core.lifetimes import SIGNATURES_KEPT_S
from workkit.core.records import Place
from workkit.engine.duties import heartbeat
from workkit.store.calls.publish import Signatures
from workkit.store.keys import Keys

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["client", "enqueuer"]

pytestmark = pytest.mark.one_server


def resize(sizes: list[int], *, name: str = "") -> None: ...


def resize_texts(sizes: list[str]) -> None: ...


def registry(*functions: Any, **options: Any) -> Tasks:
    tasks = Tasks()
    for function in functions:
        tasks.task(function, name="resize", **options)
    return tasks


def published(redis: Redis, namespace: str) -> list[bytes]:
    return list(redis.scan_iter(Keys(namespace).signatures("").decode() + "*"))


def test_a_pool_publishes_what_its_tasks_take_for_as_long_as_it_lives(
    make_pool: MakePool, client: Client, redis_client: Redis, namespace: str,
    wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.05)
    assert client.actions.signature("resize") is None
    pool = make_pool(tasks=registry(resize))
    pool.job("plain", lambda job: None)
    pool.start()
    signature = client.actions.signature("resize")
    assert signature is not None
    assert signature.takes == "sizes: list[int], name: str = ..."
    assert client.actions.signature("plain") is None
    (key,) = published(redis_client, namespace)
    assert redis_client.hkeys(key) == [b"resize"]
    assert 0 < redis_client.ttl(key) <= SIGNATURES_KEPT_S
    redis_client.delete(key)
    wait_until(lambda: redis_client.exists(key))
    redis_client.expire(key, 3)
    wait_until(lambda: redis_client.ttl(key) > 3)
    pool.stop(PATIENCE_S)
    assert client.actions.signature("resize") is None
    assert redis_client.ttl(key) > 0  # another pool of the same program may publish it


def test_a_pool_without_typed_tasks_publishes_nothing(
    make_pool: MakePool, redis_client: Redis, namespace: str
) -> None:
    pool = make_pool()
    pool.job("plain", lambda job: None)
    pool.start()
    assert published(redis_client, namespace) == []
    assert not redis_client.hexists(Keys(namespace).pool(pool.pool_id), "signatures")


def test_pools_of_the_same_program_share_what_they_publish(
    make_pool: MakePool, redis_client: Redis, namespace: str
) -> None:
    for function in (resize, resize, resize_texts):
        make_pool(tasks=registry(function)).start()
    assert len(published(redis_client, namespace)) == 2


def test_a_key_of_a_wrong_type_disturbs_no_pool(
    make_pool: MakePool, client: Client, redis_client: Redis, namespace: str,
    wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.05)
    pool = make_pool(tasks=registry(resize))
    pool.start()
    (key,) = published(redis_client, namespace)
    redis_client.set(key, "no hash")
    pool.stop(PATIENCE_S)
    pool.start()
    wait_until(lambda: pool.health.ready)
    assert client.actions.signature("resize") is None


def test_new_args_are_checked_unless_somebody_insists(make_pool: MakePool, client: Client) -> None:
    make_pool(tasks=registry(resize)).start()
    told = (
        r"^args.sizes\[2\]: expected int, got str "
        r"\(resize takes sizes: list\[int\], name: str = ...\)$"
    )
    with pytest.raises(ArgsMismatch, match=told):
        client.actions.new_job("resize", '{"sizes": [1, 2, "x"]}')
    made = client.actions.new_job("resize", '{"sizes": [1, 2, "x"]}', insist=True)
    assert made.doubts == ["args.sizes[2]: expected int, got str (you insist)"]
    assert client.actions.new_job("resize", '{"sizes": [1]}').doubts == []
    assert client.actions.new_job("other", '{"sizes": "x"}').doubts == []


def test_an_edit_is_checked_as_well(
    make_pool: MakePool, client: Client, enqueuer: Enqueuer
) -> None:
    pool = make_pool(tasks=registry(resize))
    pool.start()
    enqueuer.enqueue_in("resize", 3_600, {"sizes": "old"})
    place = Place("scheduled")
    (record,) = client.jobs(place).jobs
    with pytest.raises(ArgsMismatch, match=r"args.sizes: missing; args.size: unknown; did you"):
        client.actions.plan_edit(place, record, '{"size": []}')
    insisted = client.actions.plan_edit(place, record, '{"size": []}', insist=True)
    assert [each.partition(" (")[2] for each in insisted.doubts] == ["you insist)"] * 2
    assert client.actions.plan_edit(place, record, '{"sizes": []}').doubts == []


def test_during_a_deployment_the_newest_counts_and_only_warns(
    make_pool: MakePool, client: Client, redis_client: Redis, namespace: str
) -> None:
    older, newer = make_pool(tasks=registry(resize)), make_pool(tasks=registry(resize_texts))
    older.start()
    newer.start()
    for pool, at in ((older, 1_000), (newer, 2_000)):
        redis_client.hset(Keys(namespace).pool(pool.pool_id), "started_at", at)
    made = client.actions.new_job("resize", '{"sizes": [1]}')
    assert made.doubts == [
        "args.sizes[0]: expected str, got int (pools of another version take other args)"
    ]
    older.stop(PATIENCE_S)
    with pytest.raises(ArgsMismatch):
        client.actions.new_job("resize", '{"sizes": [1]}')


def test_beside_a_go_pool_a_complaint_is_a_warning(
    make_pool: MakePool, client: Client, redis_client: Redis, namespace: str
) -> None:
    make_pool(tasks=registry(resize)).start()
    keys = Keys(namespace)
    redis_client.sadd(keys.worker_pools, "go")
    redis_client.hset(keys.pool("go"), mapping={"job_names": "a,resize", "started_at": 5})
    made = client.actions.new_job("resize", '{"sizes": 1}')
    assert made.doubts == [
        "args.sizes: expected list[int], got int (other pools of this job publish no signature)"
    ]


def test_a_task_that_upgrades_older_args_only_warns(make_pool: MakePool, client: Client) -> None:
    make_pool(tasks=registry(resize, upgrade=dict)).start()
    (doubt,) = client.actions.new_job("resize", "{}").doubts
    assert doubt == "args.sizes: missing (the task upgrades older args)"


def test_what_is_published_is_bounded() -> None:
    small, large = b"x" * 1_000, b"x" * 16_385
    chosen = Signatures.of({f"{n:04}": small for n in range(300)} | {"a": large, "b": b""})
    assert len(chosen.by_name) == 262
    assert not Signatures.of({"a": large})
    assert Signatures.of({"a": b"1", "b": b"2"}) == Signatures.of({"b": b"2", "a": b"1"})
    assert Signatures.of({"a": b"1"}).digest != Signatures.of({"a": b"2"}).digest


def test_a_type_that_cannot_be_described_is_left_out() -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Order", number=(int, ...))

    def take(order: Any) -> None: ...

    take.__annotations__["order"] = model
    told = json.loads(Tasks().task(take).signature)
    assert told["args"]["$defs"]["Args"]["properties"] == {"order": {"title": "Order"}}
