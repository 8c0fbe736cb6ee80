"""Typed tasks beside Go: both sides read and write the same jobs, with the same unique keys."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine.stage import EngineStage
from tests.parity.gopeer import Clock, GoJob, GoJobRecord, Scene
from workkit import Retry, Tasks

if TYPE_CHECKING:
    from redis import Redis

AT = datetime.datetime(2026, 5, 1, 8, 30, 0, 120_000, tzinfo=datetime.UTC)


class Colour(enum.Enum):
    RED = "<red>"


@dataclasses.dataclass
class Size:
    width: int
    height: float


@pytest.fixture
def stage(redis_client: Redis, redis_url: str, namespace: str) -> Iterator[EngineStage]:
    stage = EngineStage(redis_client, redis_url, namespace)
    yield stage
    stage.close()


@pytest.fixture
def scene(redis_client: Redis, namespace: str, stage: EngineStage) -> Scene:
    return Scene(redis_client, namespace, Clock(stage.clock.now_s))


def registry(seen: list[Any]) -> Tasks:
    tasks = Tasks()

    @tasks.task(max_fails=2)
    def resize(
        image: int,
        sizes: list[Size],
        colour: Colour = Colour.RED,
        *,
        at: datetime.datetime | None = None,
        price: decimal.Decimal = decimal.Decimal(1),
        data: bytes = b"",
    ) -> None:
        seen.append((image, sizes, colour, at, price, data))

    return tasks


#: The args as Go has them: what its encoding/json makes of a time, a []byte and a float.
GO_ARGS = {
    "at": "2026-05-01T08:30:00.12Z",
    "colour": "<red>",
    "data": "AP8=",
    "image": 7,
    "price": "1.50",
    "sizes": [{"height": 2, "width": 1}],
}
PYTHON_ARGS = (7, [Size(1, 2.0)], Colour.RED, AT, decimal.Decimal("1.50"), b"\x00\xff")


def test_a_typed_task_runs_what_go_enqueues(stage: EngineStage, scene: Scene) -> None:
    seen: list[Any] = []
    pool = stage.stepped(stage.pool(tasks=registry(seen)))
    go = scene.peer()
    go.enqueue("resize", GO_ARGS)
    go.enqueue_unique("resize", {"image": 8, "sizes": None})
    pool.work()
    assert seen == [PYTHON_ARGS]
    assert sorted(stage.outcomes()) == ["dead", "done"]
    (dead,) = stage.client.dead_jobs().jobs
    assert dead.job.last_err.startswith("ArgsMismatch: args.sizes: expected array, got null")


def test_a_go_pool_runs_what_a_call_enqueues(stage: EngineStage, scene: Scene) -> None:
    image, sizes, colour, at, price, data = PYTHON_ARGS
    call = registry([])["resize"].call(image, sizes, colour, at=at, price=price, data=data)
    got: list[GoJobRecord] = []
    go = scene.peer(resize=GoJob(handler=got.append))
    stage.enqueuer.enqueue(call)
    stage.enqueuer.enqueue_unique(call)
    for _ in range(2):
        claim = go.fetch()
        assert claim is not None
        go.process(claim)
    assert [job.args for job in got] == [GO_ARGS, GO_ARGS]
    assert go.errors == []
    assert stage.redis.keys(stage.key("unique:*")) == []


def test_go_and_python_agree_on_what_is_the_same_unique_job(
    stage: EngineStage, scene: Scene
) -> None:
    image, sizes, colour, at, price, data = PYTHON_ARGS
    call = registry([])["resize"].call(image, sizes, colour, at=at, price=price, data=data)
    go = scene.peer()
    assert go.enqueue_unique("resize", GO_ARGS) is not None
    assert stage.enqueuer.enqueue_unique(call) is None
    (key,) = stage.redis.keys(stage.key("unique:*"))
    args = json.dumps(GO_ARGS, separators=(",", ":"), sort_keys=True)
    args = args.replace("<", "\\u003c").replace(">", "\\u003e")
    assert key.decode() == stage.key(f"unique:resize:{args}\n")


def test_a_job_that_go_has_retried_still_fits(stage: EngineStage, scene: Scene) -> None:
    seen: list[Any] = []
    tasks = registry(seen)
    image, _, colour, at, price, data = PYTHON_ARGS
    worker = stage.pool(tasks=tasks)
    pool = stage.stepped(worker)
    go = scene.peer(resize=GoJob())
    call = tasks["resize"].call(image, [Size(1, 2.0)], colour, at=at, price=price, data=data)
    stage.enqueuer.enqueue(call)
    claim = go.fetch()
    assert claim is not None
    go.begin(claim)
    go.settle(claim, "not here")
    ((raw, due_s),) = scene.members("retry").items()
    assert json.loads(raw)["fails"] == 1
    stage.clock.advance(due_s - stage.clock.now_s)
    pool.duty("requeuer")
    pool.work()
    assert seen == [PYTHON_ARGS]
    assert stage.outcomes() == ["done"]


def test_a_postponed_job_is_one_that_go_can_run(stage: EngineStage, scene: Scene) -> None:
    tasks = Tasks()

    @tasks.task
    def work(n: int) -> None:
        raise Retry("later", in_s=5, counts=False)

    pool = stage.stepped(stage.pool(tasks=tasks))
    stage.enqueuer.enqueue(work.call(3))
    pool.work()
    got: list[GoJobRecord] = []
    go = scene.peer("p2", work=GoJob(handler=got.append))
    stage.clock.advance(5)
    pool.duty("requeuer")
    claim = go.fetch()
    assert claim is not None
    go.process(claim)
    assert [(job.args, job.fails, job.err) for job in got] == [({"n": 3}, 0, "Retry: later")]
