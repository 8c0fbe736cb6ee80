"""A random walk through everything that can happen to jobs, checked after every step.

Two pools are stepped by hand on one clock. Replies get lost, exchanges arrive late, pools crash and
are reaped, operators retry and delete; after each step every accepted job is in exactly one place,
and in the end every one has been settled.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections import Counter
from typing import Any, Final

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis import Redis

from tests.support.steps import FakeClock, ManualRunner, StepPool
from workkit import Client, Enqueuer, Job, ServerUnavailable, WorkerPool
from workkit.core.entropy import Entropy
from workkit.core.job import decode

MAX_FAILS: Final = 2
LIMIT: Final = 2
NAMES: Final = ("plain", "limited")

_walks = itertools.count()


class Walk(RuleBasedStateMachine):
    """One walk in its own namespace."""

    def __init__(self, url: str, namespace: str) -> None:
        super().__init__()
        self.url = url
        self.namespace = f"{namespace}.{next(_walks)}"
        self.redis = Redis.from_url(url)
        self.clock = FakeClock()
        self.tags = itertools.count(1)
        self.accepted: dict[int, int] = {}  # tag -> how many jobs with it were accepted
        self.ended: Counter[int] = Counter()  # tag -> how many of them were settled for good
        self.succeeded: dict[int, Any] = {}  # by id(), and kept so that no id comes back
        self.run_at: dict[int, int] = {}
        self.deleted: Counter[int] = Counter()
        self.enqueuer = Enqueuer(self.namespace, url, clock=self.clock, entropy=Entropy("enqueuer"))
        self.client = Client(self.namespace, url, clock=self.clock)
        self.seeds = itertools.count(1)
        self.pools = [self.new_pool(), self.new_pool()]

    def new_pool(self) -> StepPool:
        pool = WorkerPool(self.namespace, self.url, concurrency=2, max_recoveries=1_000)
        pool.job("plain", self.handle, max_fails=MAX_FAILS, backoff=lambda _: 5)
        pool.job(
            "limited", self.handle, max_fails=MAX_FAILS, max_concurrency=LIMIT, backoff=lambda _: 5
        )
        stepped = StepPool(pool, self.url, self.clock, seed=next(self.seeds))
        stepped.engine.identity.worker_ids[:] = [f"w{next(self.seeds)}" for _ in range(64)]
        return stepped.start()

    def handle(self, job: Job) -> None:
        assert self.clock.now_s >= self.run_at.get(job.arg_int("tag"), 0)

    def accept(self, tag: int, job: Any) -> None:
        if job is not None:
            self.accepted[tag] = self.accepted.get(tag, 0) + 1

    # What users do.

    @rule(name=st.sampled_from(NAMES))
    def enqueue(self, name: str) -> None:
        tag = next(self.tags)
        self.accept(tag, self.enqueuer.enqueue(name, {"tag": tag}))

    @rule(name=st.sampled_from(NAMES), seconds=st.integers(0, 20))
    def enqueue_in(self, name: str, seconds: int) -> None:
        tag = next(self.tags)
        self.run_at[tag] = self.clock.now_s + seconds
        self.accept(tag, self.enqueuer.enqueue_in(name, seconds, {"tag": tag}))

    @rule(tag=st.sampled_from((-1, -2)), until=st.sampled_from(("start", "done")))
    def enqueue_unique(self, tag: int, until: Any) -> None:
        self.accept(tag, self.enqueuer.enqueue_unique("plain", {"tag": tag}, until=until))

    @rule(tag=st.sampled_from((-3, -4)), version=st.integers(0, 9))
    def enqueue_unique_by_key(self, tag: int, version: int) -> None:
        args = {"tag": tag, "version": version}
        self.accept(tag, self.enqueuer.enqueue_unique_by_key("plain", args, {"key": tag}))

    @rule(name=st.sampled_from(NAMES), pause=st.booleans())
    def pause(self, name: str, pause: bool) -> None:
        if pause:
            self.client.pause(name)
        else:
            self.client.unpause(name)

    @rule()
    def retry_all_dead(self) -> None:
        self.client.retry_all_dead_jobs()

    @rule()
    def delete_a_dead_job(self) -> None:
        for dead in self.client.dead_jobs().jobs[:1]:
            self.client.delete_dead_job(dead.died_at, dead.job.id)
            self.deleted[dead.job.arg_int("tag")] += 1

    # What pools do.

    @rule(which=st.integers(0, 1))
    def turn(self, which: int) -> None:
        pool = self.pools[which]
        before = {id(e): e for e in pool.engine.ledger.held()}
        pool.turn()
        self.note_settled(pool, before)

    @rule(which=st.integers(0, 1), fault=st.sampled_from(("lose_reply", "drop", "delay")))
    def turn_with_fault(self, which: int, fault: str) -> None:
        pool = self.pools[which]
        before = {id(e): e for e in pool.engine.ledger.held()}
        getattr(pool.link, fault)()
        try:
            pool.turn()
        except ServerUnavailable:
            pass
        finally:
            pool.link.behave()
        self.note_settled(pool, before)

    @precondition(lambda self: any(pool.link.late for pool in self.pools))
    @rule(which=st.integers(0, 1))
    def a_late_exchange_arrives(self, which: int) -> None:
        if self.pools[which].link.late:
            self.pools[which].link.deliver_late()

    @rule(which=st.integers(0, 1), fails=st.booleans())
    def run_a_job(self, which: int, fails: bool) -> None:
        runner = self.pools[which].runner
        if runner.waiting and len(runner.running) < 2:
            runner.begin()
        elif runner.running:
            self.end(runner, ValueError("told to") if fails else None)

    def end(self, runner: ManualRunner, error: Exception | None = None) -> None:
        execution = runner.running[0]
        if error is None:
            self.succeeded[id(execution)] = execution
        runner.end(execution, error)

    @rule(which=st.integers(0, 1))
    def requeue(self, which: int) -> None:
        self.pools[which].duty("requeuer")

    @rule(which=st.integers(0, 1))
    def beat(self, which: int) -> None:
        self.pools[which].duty("heartbeat")

    @rule(seconds=st.integers(1, 10))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(which=st.integers(0, 1))
    def crash_and_recover(self, which: int) -> None:
        other = self.pools[1 - which]
        self.pools[which].close()
        for _ in range(10):
            other.duty("heartbeat")
            other.duty("reaper")
            self.clock.advance(2)
        self.pools[which] = self.new_pool()

    @rule(which=st.integers(0, 1))
    def freeze_and_wake(self, which: int) -> None:
        other = self.pools[1 - which]
        for _ in range(10):
            other.duty("heartbeat")
            other.duty("reaper")
            self.clock.advance(2)
        self.pools[which].duty("heartbeat")

    @rule(which=st.integers(0, 1))
    def stop_and_start(self, which: int) -> None:
        pool = self.pools[which]
        dispatcher = pool.engine.dispatcher
        dispatcher.stop_claiming()
        before = {id(e): e for e in pool.engine.ledger.held()}
        dispatcher.give_back()
        for _ in range(3):
            pool.step(dispatcher.turn())
        self.note_settled(pool, before)
        assert pool.step(dispatcher.leave()) == 0
        pool.close()
        self.pools[which] = self.new_pool()

    # What must hold.

    def note_settled(self, pool: StepPool, before: dict[int, Any]) -> None:
        """Count jobs that were done and have left the system."""
        held = {id(e) for e in pool.engine.ledger.held()}
        for key, execution in before.items():
            gone = key not in held and not execution.fenced
            if gone and key in self.succeeded:
                self.ended[execution.job.arg_int("tag")] += 1

    def places(self) -> Counter[int]:
        """Count the jobs in Redis by tag, wherever they are."""
        prefix = f"{self.namespace}:"
        found: Counter[int] = Counter()
        for name in NAMES:
            found.update(self.tags_of(self.redis.lrange(f"{prefix}jobs:{name}", 0, -1)))
            for key in self.redis.keys(f"{prefix}jobs:{name}:*:inprogress"):
                found.update(self.tags_of(self.redis.lrange(key, 0, -1)))
        for key in ("scheduled", "retry", "dead"):
            found.update(self.tags_of(self.redis.zrange(prefix + key, 0, -1)))
        return found

    @staticmethod
    def tags_of(raws: Any) -> list[int]:
        return [decode(raw).arg_int("tag") for raw in raws]

    @invariant()
    def no_job_is_lost_or_in_two_places(self) -> None:
        """In Redis are at least as many jobs as are not settled, and no more than accepted.

        A settled job whose reply was lost has left Redis before its pool knows; hence the bounds.
        """
        found = self.places()
        unknown: Counter[int] = Counter()
        for pool in self.pools:
            for execution in pool.engine.ledger.held():
                unknown[execution.job.arg_int("tag")] += 1
        for tag, accepted in self.accepted.items():
            left = accepted - self.ended[tag] - self.deleted[tag]
            assert found[tag] <= max(left, 0), f"tag {tag}: {found[tag]} in Redis, {left} expected"
            assert found[tag] + unknown[tag] >= left, f"tag {tag}: lost, {found[tag]} of {left}"

    @invariant()
    def locks_equal_what_is_in_progress(self) -> None:
        prefix = f"{self.namespace}:jobs:"
        for name in NAMES:
            held = sum(
                self.redis.llen(key) for key in self.redis.keys(f"{prefix}{name}:*:inprogress")
            )
            info = self.redis.hgetall(f"{prefix}{name}:lock_info")
            assert int(self.redis.get(f"{prefix}{name}:lock") or 0) == held
            assert sum(map(int, info.values())) == held
            assert name != "limited" or held <= LIMIT

    @invariant()
    def nothing_fails_more_often_than_allowed(self) -> None:
        raws: Any = self.redis.zrange(f"{self.namespace}:dead", 0, -1)
        for raw in raws:
            assert decode(raw).fails <= MAX_FAILS

    def teardown(self) -> None:
        """Without faults everything comes to an end, and no unique key is left behind."""
        for name in NAMES:
            self.client.unpause(name)
        for pool in self.pools:
            while pool.runner.running:
                self.end(pool.runner)
        for _ in range(40):
            for pool in self.pools:
                pool.duty("heartbeat")
                pool.duty("requeuer")
                before = {id(e): e for e in pool.engine.ledger.held()}
                for execution in pool.work():
                    before[id(execution)] = self.succeeded[id(execution)] = execution
                self.note_settled(pool, before)
                pool.duty("reaper")
            self.clock.advance(2)
        self.no_job_is_lost_or_in_two_places()
        dead = Counter(job.job.arg_int("tag") for job in self.client.iter_dead_jobs())
        for tag, accepted in self.accepted.items():
            assert self.ended[tag] + dead[tag] + self.deleted[tag] >= accepted
        assert self.redis.keys(f"{self.namespace}:unique:*") == []
        for pool in self.pools:
            pool.close()
        self.redis.close()


def test_every_accepted_job_is_in_exactly_one_place_whatever_happens(
    redis_url: str, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "workkit")
    machine: Any = lambda: Walk(redis_url, namespace)  # noqa: E731 - the signature wants a class
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=int(os.environ.get("WORKKIT_WALKS", "20")),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
