"""The Go peer is held to what the original was seen to write, byte for byte."""

from __future__ import annotations

import json
import random  # noqa: TID251 -- the peer's dice are seeded here
from collections import Counter
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.parity.gopeer import (
    Clock,
    GoDecodeError,
    GoEncodeError,
    GoEnqueuer,
    GoJob,
    GoJobRecord,
    GoPeer,
    Scene,
)
from tests.parity.gopeer.keys import GoKeys
from tests.parity.gopeer.worker import weighted_order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

GOLDEN = Path(__file__).parents[1] / "parity" / "golden"
VECTORS: dict[str, list[dict[str, Any]]] = json.loads((GOLDEN / "vectors.json").read_text("utf-8"))
LIVE_STATE = (GOLDEN / "live_pool_state.json").read_text("utf-8")

VECTOR_ID = "0123456789abcdef01234567"
VECTOR_TIME = 1479946920
VECTOR_ERROR = 'bad <thing> & "worse"\n\u2028 é'
LIVE_TIME = 1795436629
#: Expiries are compared to the minute: the server's clock runs on between write and look.
TTL_SLACK_S = 60


class ScriptedDice(random.Random):
    """Dice that show the ids a recording has, and one retry delay."""

    def __init__(self, ids: Iterator[str], delay: int = 0) -> None:
        super().__init__()
        self.ids = ids
        self.delay = delay

    def getrandbits(self, k: int) -> int:
        assert k == 96
        return int(next(self.ids), 16)

    def randrange(self, *_: object) -> int:
        return self.delay


@pytest.fixture
def scene(redis_client: Redis, namespace: str) -> Scene:
    return Scene(redis_client, namespace, Clock(VECTOR_TIME))


def boom(_job: GoJobRecord) -> None:
    raise RuntimeError(VECTOR_ERROR)


def go_args(text: str) -> dict[str, Any] | None:
    """Read args as Go reads JSON: every number is a float64."""
    args: dict[str, Any] | None = json.loads(text, parse_int=float)
    return args


# What the original wrote


def test_the_peer_leaves_the_keyspace_that_a_live_pool_of_the_original_left(
    redis_client: Redis, namespace: str
) -> None:
    pool, busy, free = (
        "3836d157f7e260305638f989",
        "34aabe381d01f0c35a80ead8",
        "c23c397aa57cfc1a0b40cb3c",
    )
    slow, bad, bad2 = (
        "c6a94361a74f88dd5e61d940",
        "b42d859fe56fa4be825835b2",
        "b437de1e416edd1a620b15f1",
    )
    later, stray = "32737e1ece3f875065bbead5", "cf95ab6d49bebd8bf96b226f"
    unique, by_key = "3e1f11ae449f91a2b227e8aa", "80d9e487f1874a9e3dcc2a7d"
    dice = ScriptedDice(
        iter([pool, busy, free, slow, bad, bad2, later, stray, unique, by_key]), delay=28
    )
    peer = GoPeer(
        redis_client,
        namespace,
        now=Clock(LIVE_TIME),
        rng=dice,
        jobs={"slow": GoJob(max_concurrency=3), "bad": GoJob(max_fails=1), "bad2": GoJob()},
        concurrency=2,
        host="vm",
        pid=16614,
    )

    peer.start()
    peer.periodic_enqueue([("0 * * * * *", "slow")], lambda _spec, t: (t // 60 + 1) * 60)
    peer.enqueue("slow", {"a": 1})
    running = peer.fetch()
    assert running is not None
    peer.begin(running)
    for name, args, error in (("bad", {"a": 1}, "boom"), ("bad2", {"a": []}, "boom2")):
        peer.enqueue(name, args)
        failing = peer.fetch([name])
        assert failing is not None
        peer.begin(failing)
        peer.settle(failing, error)
    peer.enqueue_in("slow", 300, {"later": True})
    peer.enqueue("stray")
    peer.enqueue_unique("stray", {"k": "v"})
    peer.enqueue_unique_by_key("stray", {"k": "v2"}, {"key": 1})
    peer.checkin(running, "i=5")
    peer.observe()

    recorded = json.loads(
        LIVE_STATE.replace('"work:', f'"{namespace}:').replace('\\"work:', f'\\"{namespace}:')
    )
    found = Scene(redis_client, namespace).dump()
    assert peer.errors == []
    assert found.keys() == recorded.keys()
    for key, entry in recorded.items():
        value = entry["value"]
        if entry["type"] == "set":
            value = set(value)
        elif entry["type"] == "zset":
            value = dict(zip(value[::2], map(int, value[1::2]), strict=True))
        assert found[key]["type"] == entry["type"], key
        assert found[key]["value"] == value, key
        assert found[key]["ttl_s"] == pytest.approx(entry["ttl"], abs=TTL_SLACK_S), key


@pytest.mark.parametrize("vector", VECTORS["jobs"], ids=lambda v: v["args_json"])
def test_a_job_has_the_bytes_that_the_original_gave_it(
    scene: Scene, vector: dict[str, Any]
) -> None:
    name = vector["name"]
    dice = ScriptedDice(iter([VECTOR_ID, VECTOR_ID, VECTOR_ID]))
    peer = GoPeer(
        scene.redis,
        scene.namespace,
        now=scene.clock,
        rng=dice,
        jobs={name: GoJob(handler=boom)},
        concurrency=1,
    )
    peer.enqueue(name, go_args(vector["args_json"]))
    assert scene.queue(name) == [vector["fresh"].encode()]

    assert peer.run_all() == 1

    assert list(scene.members("retry")) == [vector["failed_once"].encode()]


@pytest.mark.parametrize("vector", VECTORS["unique"], ids=lambda v: v["key"])
def test_a_unique_job_has_the_key_and_the_bytes_of_the_original(
    redis_client: Redis, namespace: str, vector: dict[str, Any]
) -> None:
    args = go_args(vector["args_json"])
    key = GoKeys(vector["namespace"]).unique(vector["name"], args)
    assert key == vector["key"]

    dice = ScriptedDice(iter([VECTOR_ID]))
    enqueuer = GoEnqueuer(redis_client, namespace, now=Clock(VECTOR_TIME), rng=dice)
    enqueuer.enqueue_unique(vector["name"], args)

    prefix = GoKeys(vector["namespace"]).prefix
    private_key = f"{namespace}:{key.removeprefix(prefix)}"
    private_job = vector["job_json"].replace(
        f'"unique_key":"{prefix}', f'"unique_key":"{namespace}:'
    )
    assert redis_client.get(private_key) == b"1"
    assert redis_client.lrange(f"{namespace}:jobs:{vector['name']}", 0, -1) == [
        private_job.encode()
    ]


@pytest.mark.parametrize("vector", VECTORS["periodic"], ids=lambda v: v["spec"])
def test_a_periodic_job_has_the_bytes_of_the_original(scene: Scene, vector: dict[str, Any]) -> None:
    slot = vector["epoch"]
    scene.clock.now = slot - 1
    peer = scene.peer()

    peer.periodic_enqueue(
        [(vector["spec"], vector["name"])], lambda _spec, t: slot if t < slot else slot + 86_400
    )

    assert scene.members("scheduled") == {vector["raw"].encode(): slot}


@pytest.mark.parametrize("vector", VECTORS["backoff"], ids=lambda v: f"{v['fails']} fails")
def test_a_retry_waits_as_long_as_the_original_was_seen_to_wait(
    scene: Scene, vector: dict[str, int]
) -> None:
    waits = []
    for dice in (0, 29):
        peer = GoPeer(
            scene.redis,
            scene.namespace,
            now=scene.clock,
            rng=ScriptedDice(iter([VECTOR_ID, VECTOR_ID]), delay=dice),
            jobs={"a": GoJob(handler=boom, max_fails=99)},
            concurrency=1,
        )
        raw = GoJobRecord(name="a", id=str(dice), fails=vector["fails"] - 1).encode()
        scene.redis.lpush(f"{scene.namespace}:jobs:a", raw)
        peer.run_all()
        waits.append(max(scene.members("retry").values()) - VECTOR_TIME)
    assert waits == [vector["min_seen"], vector["max_seen"]]


def test_the_draw_of_queues_gives_each_its_weight() -> None:
    weights = {"a": 3, "b": 1, "c": 2}

    class Points(random.Random):
        points: Iterator[int]

        def randrange(self, start: int, *_: object) -> int:
            return next(self.points) % start

    # Every point of the first draw with every point of the second, each equally likely.
    orders: Counter[tuple[str, ...]] = Counter()
    for points in product(range(6), range(60)):
        dice = Points()
        dice.points = iter(points)
        orders[tuple(weighted_order(dice, weights))] += 1
    first: Counter[str] = Counter()
    for order, count in orders.items():
        first[order[0]] += count
    assert first == {"a": 180, "b": 60, "c": 120}
    assert orders["a", "b", "c"] == 60
    assert orders["b", "a", "c"] == 36


# What Go reads, and what it refuses


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"[]",
        b'"x"',
        b'{"t":1700000000.5}',
        b'{"t":1e3}',
        b'{"t":9223372036854775808}',
        b'{"fails":1.0}',
        b'{"failed_at":"1"}',
        b'{"name":5}',
        b'{"args":[]}',
        b'{"args":{"v":NaN}}',
        b'{"args":{"v":1e400}}',
        b'{"unique":1}',
        b'{"id":"a","id":null,"t":true}',
    ],
)
def test_bytes_that_go_refuses_are_refused(raw: bytes) -> None:
    with pytest.raises(GoDecodeError):
        GoJobRecord.decode(raw)


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        (b"null", '{"id":"","t":0,"args":null}'),
        (b'{"ID":"x","T":null,"ARGS":{},"more":[1]}', '{"id":"x","t":0,"args":{}}'),
        (b'{"args":{"a":1},"args":{"b":2}}', '{"id":"","t":0,"args":{"a":1,"b":2}}'),
        (b'{"args":{"n":9007199254740993}}', '{"id":"","t":0,"args":{"n":9007199254740992}}'),
        (
            b'{"id":"\\ud800\\/\xff\xfe\\b"}',
            '{"id":"\ufffd/\ufffd\ufffd\\u0008","t":0,"args":null}',
        ),
    ],
)
def test_bytes_that_go_accepts_are_written_back_as_go_would(raw: bytes, written: str) -> None:
    assert GoJobRecord.decode(raw).encode() == written.encode()


@pytest.mark.parametrize("value", [float("nan"), 2**64, {1: 2}, object()])
def test_a_value_that_go_cannot_write_is_refused(value: object) -> None:
    with pytest.raises(GoEncodeError):
        GoJobRecord(args={"v": value}).encode()
