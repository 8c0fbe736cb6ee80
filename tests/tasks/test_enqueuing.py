"""Every form of enqueuing takes a call, and a connected task enqueues itself in every form."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from tests.enqueuer.faces import blocking
from workkit import AsyncEnqueuer, Call, Client, Enqueuer, InvalidArgs, Task, Tasks

LATER = datetime.datetime(2040, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture(params=["threads", "asyncio"])
def enqueuer(request: pytest.FixtureRequest, namespace: str, redis_url: str) -> Iterator[Any]:
    """An enqueuer of each kind; its methods block."""
    if request.param == "threads":
        threaded = Enqueuer(namespace, redis_url)
        yield threaded
        threaded.close()
        return
    with asyncio.Runner() as runner:
        face = blocking(AsyncEnqueuer(namespace, redis_url), runner)
        yield face
        face.close()


def send_email(address: str, copies: int = 1) -> None: ...


@pytest.fixture
def send(namespace: str, redis_url: str) -> Iterator[Task[..., None]]:
    """A task of a connected registry."""
    tasks = Tasks()
    tasks.connect(namespace, redis_url)
    yield tasks.task(send_email)
    tasks.close()


def registry_of(task: Task[..., None]) -> Tasks:
    registry = task._registry
    assert isinstance(registry, Tasks)
    return registry


FORMS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("enqueue", (), {}),
    ("enqueue_in", (60,), {}),
    ("enqueue_at", (LATER,), {}),
    ("enqueue_unique", (), {}),
    ("enqueue_unique", (), {"until": "done"}),
    ("enqueue_unique_in", (60,), {}),
    ("enqueue_unique_by_key", (), {"key": {"k": 1}}),
    ("enqueue_unique_by_key", ({"k": 1},), {}),
    ("enqueue_unique_in_by_key", (60,), {"key": {"k": 1}}),
    ("enqueue_unique_in_by_key", (60, {"k": 1}), {}),
]


def job_of(result: Any) -> Any:
    """Return the job of what an enqueuer returned."""
    return getattr(result, "job", result)


@pytest.mark.parametrize(("form", "args", "named"), FORMS)
def test_a_call_is_enqueued_as_its_name_with_its_args(
    enqueuer: Any, form: str, args: tuple[Any, ...], named: dict[str, Any], redis_client: Redis
) -> None:
    call = Tasks().task(send_email).call("a@x", copies=2)
    job = job_of(getattr(enqueuer, form)(call, *args, **named))
    assert (job.name, job.args) == ("send_email", {"address": "a@x", "copies": 2})
    assert job.unique == ("unique" in form)
    if "by_key" in form:
        assert job.unique_key.endswith(':unique:send_email:{"k":1}\n')
    elif job.unique:
        assert job.unique_key.endswith(':unique:send_email:{"address":"a@x","copies":2}\n')


def test_calls_and_pairs_are_enqueued_together(enqueuer: Any) -> None:
    task = Tasks().task(send_email)
    jobs = enqueuer.enqueue_many([task.call("a@x"), ("other", {"n": 1}), Call("bare")])
    assert [(job.name, job.args) for job in jobs] == [
        ("send_email", {"address": "a@x"}), ("other", {"n": 1}), ("bare", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("form", "args"),
    [
        ("enqueue", ({"n": 1},)),
        ("enqueue_in", (60, {"n": 1})),
        ("enqueue_unique", ({"n": 1},)),
        ("enqueue_unique_by_key", ({"n": 1}, {"k": 1})),
    ],
)
def test_args_beside_a_call_are_refused(enqueuer: Any, form: str, args: tuple[Any, ...]) -> None:
    call = Tasks().task(send_email).call("a@x")
    with pytest.raises(InvalidArgs, match="the call of 'send_email' has its args"):
        getattr(enqueuer, form)(call, *args)


TASK_FORMS: list[tuple[str, tuple[Any, ...]]] = [
    ("enqueue", ()),
    ("enqueue_in", (60,)),
    ("enqueue_at", (LATER,)),
    ("enqueue_unique", ()),
    ("enqueue_unique_in", (60,)),
    ("enqueue_unique_by_key", ({"k": 1},)),
    ("enqueue_unique_in_by_key", (60, {"k": 1})),
]


@pytest.mark.parametrize(("form", "before"), TASK_FORMS)
@pytest.mark.parametrize("awaited", [False, True], ids=["threads", "asyncio"])
def test_a_connected_task_enqueues_itself(
    send: Task[..., None], form: str, before: tuple[Any, ...], awaited: bool, client: Client
) -> None:
    if awaited:

        async def enqueue() -> Any:
            try:
                return await getattr(send, f"{form}_async")(*before, "a@x", copies=2)
            finally:
                await registry_of(send).close_async()

        result = asyncio.run(enqueue())
    else:
        result = getattr(send, form)(*before, "a@x", copies=2)
    job = job_of(result)
    assert (job.name, job.args) == ("send_email", {"address": "a@x", "copies": 2})
    assert job.unique == ("unique" in form)
    found = client.find(job.id)
    assert found is not None


@pytest.fixture
def client(namespace: str, redis_url: str) -> Iterator[Client]:
    client = Client(namespace, redis_url)
    yield client
    client.close()


def test_each_event_loop_has_connections_of_its_own(send: Task[..., None], client: Client) -> None:
    async def enqueue() -> None:
        await asyncio.gather(*(send.enqueue_async("a@x") for _ in range(5)))
        await registry_of(send).close_async()

    for _ in range(2):
        asyncio.run(enqueue())
    assert sum(queue.count for queue in client.queues()) == 10


def test_arguments_are_checked_before_anything_is_sent(
    send: Task[..., None], client: Client
) -> None:
    for wrong in (lambda: send.enqueue(5), lambda: send.enqueue_in(60, "a@x", copy=2)):
        with pytest.raises(InvalidArgs, match="send_email: "):
            wrong()
    assert client.queues() == []


def test_a_registry_may_be_connected_again(
    send: Task[..., None], redis_url: str, namespace: str, redis_client: Redis
) -> None:
    send.enqueue("a@x")
    registry = registry_of(send)
    registry.connect(f"{namespace}:other", redis_url)
    send.enqueue("b@x")
    registry.close()
    assert redis_client.llen(f"{namespace}:jobs:send_email") == 1
    assert redis_client.llen(f"{namespace}:other:jobs:send_email") == 1
