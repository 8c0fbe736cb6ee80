"""D14, D17, D24: the cost of a look at Redis, and the effect of one bad element."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from redis import BlockingConnectionPool, Redis
from redis.exceptions import ResponseError

from tests.parity.defects.fleet import member
from tests.parity.defects.stage import ParityStage
from tests.parity.gopeer import GoDecodeError, GoJob, GoReplyError
from tests.support.handlers import nothing
from tests.support.steps import FaultyLink
from workkit import Client, Enqueuer, WorkerPool
from workkit.store.connections.link import Link
from workkit.store.connections.target import Target
from workkit.store.round_trip import Command

DEAD_JOBS = 1_600
BATCH = 500
JOB_ID = re.compile(r'"id":"([0-9a-f]{24})"')


@pytest.fixture
def stage(redis_url: str, redis_client: Redis, namespace: str) -> Iterator[ParityStage]:
    with ParityStage(redis_client, redis_url, namespace) as stage:
        yield stage


# D14: the queues page


@pytest.mark.parametrize("junk", [b"junk", b"[]", b'{"name":"bad"}', b'{"t":1.5}', b""])
def test_d14_an_element_that_is_no_job_hides_no_queue(stage: ParityStage, junk: bytes) -> None:
    go = stage.go(good=GoJob(), bad=GoJob())
    go.enqueue("good")
    stage.redis.lpush(stage.go_keys.queue("bad"), junk)
    stage.advance(7)
    if junk != b'{"name":"bad"}':
        with pytest.raises(GoDecodeError):
            go.queues()

    queues = stage.client.queues()

    assert [(q.job_name, q.count, q.latency) for q in queues] == [("bad", 1, 0), ("good", 1, 7)]


def test_d14_a_key_of_a_wrong_type_is_shown_and_hides_no_queue(stage: ParityStage) -> None:
    go = stage.go(good=GoJob(), bad=GoJob())
    go.enqueue("good")
    stage.redis.set(stage.go_keys.queue("bad"), "no list")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        go.queues()

    queues = stage.client.queues()

    assert [(q.job_name, q.count, q.broken) for q in queues] == [
        ("bad", 0, True),
        ("good", 1, False),
    ]


def test_d14_a_queue_that_empties_between_two_looks_is_empty(
    stage: ParityStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = stage.go(a=GoJob(), b=GoJob())
    go.enqueue("a")
    go.enqueue("b")
    ask: Any = go._wire.do
    whole: Any = Link.send

    def empty_after(verb: object) -> None:
        if verb == "LLEN":
            stage.redis.delete(stage.go_keys.queue("a"))

    def do(*words: Any) -> Any:
        reply = ask(*words)
        empty_after(words[0])
        return reply

    def send(link: Link, commands: Sequence[Command], *_meanwhile: Any) -> list[Any]:
        """Send one by one the commands of one write: other clients may come in between."""
        replies = []
        for command in commands:
            replies += whole(link, [command])
            empty_after(command[0])
        return replies

    monkeypatch.setattr(go._wire, "do", do)
    with pytest.raises(GoReplyError):
        go.queues()
    go.enqueue("a")
    monkeypatch.setattr(Link, "send", send)

    queues = stage.client.queues()

    assert [(q.job_name, q.latency) for q in queues] == [("a", 0), ("b", 0)]


def test_d14_a_queue_that_cannot_be_shown_keeps_no_job_dead(stage: ParityStage) -> None:
    go = stage.go(bad=GoJob())
    stage.redis.lpush(stage.go_keys.queue("bad"), b"junk")
    stage.redis.zadd(stage.go_keys.dead, {member("a", "one"): 10, member("a", "two"): 20})
    with pytest.raises(GoDecodeError):
        go.retry_dead_job(10, "one")
    with pytest.raises(GoDecodeError):
        go.retry_all_dead_jobs()

    stage.client.retry_dead_job(10, "one")
    assert stage.client.retry_all_dead_jobs() == 1

    assert stage.ids("a") == ["one", "two"]


@pytest.mark.parametrize("which", ["scheduled", "retry", "dead"])
def test_d14_junk_on_a_page_is_shown_among_the_rest(stage: ParityStage, which: str) -> None:
    go = stage.go(a=GoJob())
    stage.redis.zadd(stage.key(which), {b"junk": 1, member("a", "good"): 2})
    with pytest.raises(GoDecodeError):
        getattr(go, f"{which}_jobs")()

    page = getattr(stage.client, f"{which}_jobs")()

    assert page.total == 2
    assert [(bool(row.job.undecodable), row.job.id) for row in page.jobs] == [
        (True, ""),
        (False, "good"),
    ]


# D17: one connection at a time


@pytest.fixture
def stingy(stage: ParityStage) -> Iterator[Redis]:
    """A user's client whose only connection is in use."""
    pool: Any = BlockingConnectionPool.from_url(
        stage.url, max_connections=1, timeout=0, client_name=stage.namespace
    )
    connection = pool.get_connection()
    yield Redis(connection_pool=pool)
    pool.release(connection)
    pool.disconnect()


def connections(stage: ParityStage) -> int:
    return sum(row["name"] == stage.namespace for row in stage.redis.client_list())


def test_d17_a_client_looks_at_busy_workers_over_one_connection(
    stage: ParityStage, stingy: Redis
) -> None:
    pool = stage.pool({"a": nothing})
    stage.enqueuer.enqueue("a")
    pool.turn()
    pool.runner.begin()
    pool.duty("observer")
    client = Client(stage.namespace, stingy)
    before = connections(stage)

    busy = [seen.job_name for seen in client.worker_observations() if seen.is_busy]
    for look in (client.queues, client.worker_pool_heartbeats, client.dead_jobs):
        look()
    assert client.find("nobody") is None

    assert busy == ["a"]
    assert connections(stage) - before == 1
    client.close()


def test_d17_enqueuing_never_waits_for_a_connection_of_the_users(
    stage: ParityStage, stingy: Redis
) -> None:
    enqueuer = Enqueuer(stage.namespace, stingy)
    before = connections(stage)
    for _ in range(3):
        enqueuer.enqueue("a")
        enqueuer.enqueue_unique_in_by_key("a", 10, None, {"k": 1})
    assert connections(stage) - before == 1
    enqueuer.close()


def test_d17_a_reaper_needs_no_second_connection(stage: ParityStage, stingy: Redis) -> None:
    dead = stage.pool({"a": nothing})
    stage.enqueuer.enqueue("a")
    dead.turn()
    dead.crash()
    pool = WorkerPool(stage.namespace, stingy)
    pool.job("b", nothing)
    reaper = stage.stepped(pool)
    reaper.close()
    reaper.link = FaultyLink(Target.of(stingy))
    before = connections(stage)

    reaper.watch(14)

    assert len(stage.queue("a")) == 1
    assert connections(stage) - before == 1


# D24: a huge dead set


def test_d24_a_huge_dead_set_is_emptied_in_bounded_batches(
    stage: ParityStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic = tap(monkeypatch)
    fill(stage)
    assert stage.client.delete_all_dead_jobs() == DEAD_JOBS

    assert stage.redis.exists(stage.go_keys.dead) == 0
    assert largest(traffic) <= BATCH
    assert {"DEL", "UNLINK"} & {command[0] for command, _ in traffic} == set()


def test_d24_a_huge_dead_set_is_retried_in_bounded_batches(
    stage: ParityStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic = tap(monkeypatch)
    fill(stage)
    assert stage.client.retry_all_dead_jobs() == DEAD_JOBS

    assert len(stage.queue("a")) == DEAD_JOBS
    assert largest(traffic) <= BATCH


def fill(stage: ParityStage) -> None:
    now = stage.clock.now_s
    dead = {member("a", f"{n:024x}"): now - n % 3 for n in range(DEAD_JOBS)}
    stage.redis.zadd(stage.go_keys.dead, dead)


def tap(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Command, Any]]:
    """Note every command with its reply."""
    traffic: list[tuple[Command, Any]] = []
    whole: Any = Link.send

    def send(link: Link, commands: Sequence[Command], *_meanwhile: Any) -> list[Any]:
        replies: list[Any] = whole(link, commands)
        traffic.extend(zip(commands, replies, strict=True))
        return replies

    monkeypatch.setattr(Link, "send", send)
    return traffic


def largest(traffic: Sequence[tuple[Command, Any]]) -> int:
    """Count the jobs in the largest command or reply."""
    return max(len(set(JOB_ID.findall(repr(words)))) for pair in traffic for words in pair)
