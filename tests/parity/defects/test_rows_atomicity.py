"""Rows 16 and 21 of the users' reports: reads of moving jobs, and interrupted moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from tests.parity.defects.stage import ParityStage
from tests.parity.gopeer import GoJob, GoReplyError
from tests.support.handlers import nothing
from tests.support.steps import FaultyLink, StepPool
from workkit import Job, ServerUnavailable
from workkit.store.connections.link import Link
from workkit.store.connections.target import Target

if TYPE_CHECKING:
    from redis import Redis

    from workkit.store.round_trip import Command


@pytest.fixture
def stage(redis_url: str, redis_client: Redis, namespace: str) -> Iterator[ParityStage]:
    with ParityStage(redis_client, redis_url, namespace) as stage:
        yield stage


# Row 16: pages that fail when a queue empties


def test_row_16_every_page_can_be_read_while_a_pool_empties_the_queue(
    stage: ParityStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, go = stage.pool({"a": nothing}), stage.go(a=GoJob())
    ask: Any = go._wire.do
    whole: Any = Link.send

    def refill() -> None:
        if not stage.queue("a"):
            go_enqueuer.enqueue("a")

    def do(*words: Any) -> Any:
        if words[0] == "LLEN":
            refill()
        reply = ask(*words)
        pool.work()
        return reply

    def send(link: Link, commands: Sequence[Command], *_meanwhile: Any) -> list[Any]:
        if isinstance(link, FaultyLink):
            replies: list[Any] = whole(link, commands)
            return replies
        replies = []
        for command in commands:
            if command[0] == "LLEN":
                refill()
            replies += whole(link, [command])
            pool.work()
        return replies

    go_enqueuer = stage.go("enqueuer")
    monkeypatch.setattr(go._wire, "do", do)
    with pytest.raises(GoReplyError):
        go.queues()
    monkeypatch.setattr(Link, "send", send)

    for _ in range(3):
        (queue,) = stage.client.queues()
        assert (queue.job_name, queue.latency, queue.broken) == ("a", 0, False)
        assert stage.client.queued_jobs("a").jobs == []
        assert stage.client.find("nobody") is None
        stage.client.worker_observations()
        stage.client.dead_jobs()


# Row 21: moves that are not atomic


class CrashingLink(FaultyLink):
    """A connection that looks where a job is after every exchange, and breaks at one of them.

    Args:
        target: Where the server is.
        stage: Whose keys to look at.
        at: After how many exchanges it breaks; before its effect, or (`late`) before its reply.
        late: Whether the last exchange takes effect.
    """

    def __init__(self, target: Target, stage: ParityStage, at: int, *, late: bool) -> None:
        super().__init__(target)
        self._stage = stage
        self._left = at
        self._late = late
        self.broken = False

    def send(
        self, commands: Sequence[Command], meanwhile: Callable[[], None] | None = None
    ) -> list[Any]:
        self._left -= 1
        if self.broken or self._left < 0:
            (self.lose_reply if self._late and not self.broken else self.drop)()
            self.broken = True
        replies = super().send(commands, meanwhile)
        assert len(places(self._stage)) <= 1
        return replies


def places(stage: ParityStage) -> list[str]:
    """Say where the job is: each place that has it, as often as it has it."""
    found = []
    for key in stage.redis.scan_iter(f"{stage.namespace}:*", count=1_000):
        name = key.decode().removeprefix(f"{stage.namespace}:")
        if name in {"scheduled", "retry", "dead"}:
            found += [name] * stage.redis.zcard(key)
        elif name == "jobs:a" or name.endswith(":inprogress"):
            found += [name] * stage.redis.llen(key)
    return found


def live(pool: StepPool, stage: ParityStage, ran: list[str]) -> None:
    """Take a scheduled unique job through its first failure to its end."""
    for _ in range(4):
        pool.duty("requeuer")
        pool.duty("heartbeat")
        for _ in range(3):
            pool.turn()
            while pool.runner.waiting:
                ran.append(pool.runner.run().job.id)
        stage.advance(10)


def flaky_pool(stage: ParityStage, link: FaultyLink | None = None) -> StepPool:
    """Start a pool whose handler fails a job once."""

    def handler(job: Job) -> None:
        if not job.fails:
            raise RuntimeError("once")

    definition = stage.worker_pool()
    definition.job("a", handler, backoff=lambda _job: 5)
    if link is None:
        return stage.stepped(definition)
    pool = StepPool(definition, stage.url, stage.clock, 99)
    pool.close()
    pool.link = link
    return pool


#: More exchanges than a life has.
LIFE = 48


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(LIFE))
def test_row_21_a_crash_at_any_exchange_loses_and_doubles_nothing(
    stage: ParityStage, at: int, late: bool
) -> None:
    job = stage.enqueuer.enqueue_unique_in_by_key("a", 1, {"v": 1}, {"k": 1})
    assert job is not None
    stage.advance(1)
    link = CrashingLink(Target.of(stage.url), stage, at, late=late)
    crashing = flaky_pool(stage, link)
    ran: list[str] = []

    try:
        live(crashing.start(), stage, ran)
    except ServerUnavailable:
        assert len(places(stage)) == 1 or settled(stage) == [job.job.id]
    crashing.close()
    survivor = flaky_pool(stage)
    survivor.watch(16)
    live(survivor, stage, ran)

    assert settled(stage) == [job.job.id]
    assert places(stage) == []
    assert (stage.lock("a"), stage.lock_info("a")) == (0, {})
    assert stage.redis.exists(job.job.unique_key) == 0


def settled(stage: ParityStage) -> list[str]:
    return [record.job_id for record in stage.client.history(outcome="done")]


def test_row_21_the_life_is_shorter_than_the_crashes_reach(stage: ParityStage) -> None:
    stage.enqueuer.enqueue_unique_in_by_key("a", 1, {"v": 1}, {"k": 1})
    stage.advance(1)
    link = CrashingLink(Target.of(stage.url), stage, 1_000, late=False)
    live(flaky_pool(stage, link).start(), stage, [])
    link.close()
    assert len(link.sent) < LIFE
    assert len(settled(stage)) == 1
