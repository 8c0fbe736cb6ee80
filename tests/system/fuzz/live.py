"""Mangled payloads, fields, scores and keys of wrong types, thrown at a server at work."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from redis import Redis
from redis.exceptions import ResponseError

from tests.system.fuzz.onlookers import look_on, pressing
from tests.system.fuzz.payloads import Mutator
from workkit import Client, Enqueuer, HistoryOptions, Job, WorkerPool
from workkit.admin.steps.reads import read_job
from workkit.core.entropy import Entropy
from workkit.core.undecodable import restore_undecodable

__all__ = ["Outcome", "bombard"]

NAMESPACE: Final = "fuzz"
_HANDLED: Final = ("good", "other")
_VICTIMS: Final = tuple(f"victim{n}" for n in range(4))
_SETTLED_S: Final = 90.0
_CANARIES: Final = 100
#: More than all payloads of a run.
_REMEMBERED: Final = 1_000_000
_SCORES: Final = (0, 1, -1, "-inf", "+inf", 0.5, 1e300, -1e300, 1_700_000_000, 2**62)


@dataclass(slots=True)
class Outcome:
    """The result of a run.

    Attributes:
        thrown: Kind of mutation -> how often.
        stored: Payloads that the server has taken.
        ran: Handlers that ended.
        dead: Members of the dead set at the end.
        waiting: Jobs that wait at the end: not due, or in queues that nobody serves.
        missing: Lost payloads: they have not run, are not dead and do not wait, and history has no
            record of them.
        crashes: Log lines about exceptions in a pool, unexpected errors of the client, and errors
            that ended the console.
        screens: Screen of the console -> how many keys were pressed there.
        stuck: Jobs that should have run at the end, and did not.
    """

    thrown: Counter[str] = field(default_factory=Counter)
    stored: list[bytes] = field(default_factory=list)
    ran: int = 0
    dead: int = 0
    waiting: int = 0
    missing: list[bytes] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    screens: Counter[str] = field(default_factory=Counter)
    stuck: int = 0


class _Crashes(logging.Handler):
    """Notes what pools log with a traceback."""

    def __init__(self, crashes: list[str]) -> None:
        super().__init__()
        self._crashes = crashes

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self._crashes.append(logging.Formatter("%(message)s").format(record))


class _Thrower:
    """Throws one mutation after another.

    Args:
        redis: The server.
        entropy: The dice.
        outcome: Where it is noted.
        pool_ids: Ids of the pools at work.
    """

    def __init__(
        self, redis: Any, entropy: Entropy, outcome: Outcome, pool_ids: Callable[[], list[str]]
    ) -> None:
        self._redis = redis
        self._entropy = entropy
        self._outcome = outcome
        self._pool_ids = pool_ids
        self._mutator = Mutator(entropy)
        self._ways: dict[str, Callable[[], None]] = {
            "queue": self._to_queue,
            "set": self._to_set,
            "dead": self._to_dead,
            "heartbeat": self._to_heartbeat,
            "strange pool": self._strange_pool,
            "lock": self._to_lock,
            "unique key": self._to_unique,
            "wrong type": self._wrong_type,
            "observation": self._to_observation,
        }

    def throw(self) -> None:
        """Throw one; a mutation that the server refuses has changed nothing."""
        kind = self._mutator.choose(("queue", "queue", "set", *self._ways))
        self._outcome.thrown[kind] += 1
        with suppress(ResponseError):
            self._ways[kind]()

    def _key(self, rest: str) -> str:
        return f"{NAMESPACE}:{rest}"

    def _to_queue(self) -> None:
        payload = self._mutator.payload()
        self._redis.lpush(self._key(f"jobs:{self._mutator.choose(_HANDLED)}"), payload)
        self._outcome.stored.append(payload)

    def _to_set(self) -> None:
        payload = self._mutator.payload()
        which = self._mutator.choose(("scheduled", "retry"))
        self._redis.zadd(self._key(which), {payload: self._mutator.choose(_SCORES)})
        self._outcome.stored.append(payload)

    def _to_dead(self) -> None:
        payload = self._mutator.junk()
        self._redis.zadd(self._key("dead"), {payload: self._mutator.choose(_SCORES)})
        self._outcome.stored.append(payload)

    def _to_heartbeat(self) -> None:
        fields = ("heartbeat_at", "started_at", "job_names", "concurrency", "worker_ids", "host",
                  "pid", "fence", "applied", "limits", "workkit", "nonsense")  # fmt: skip
        pool_id = self._mutator.choose(self._pool_ids())
        key = self._key(f"worker_pools:{pool_id}")
        if not self._entropy.below(8):
            self._redis.delete(key)
            self._put_wrong_type(key)
        elif self._redis.exists(key):
            self._redis.hset(key, self._mutator.choose(fields), self._mutator.junk())

    def _strange_pool(self) -> None:
        pool_id = f"strange{self._entropy.below(20)}"
        self._redis.sadd(self._key("worker_pools"), pool_id)
        key = self._key(f"worker_pools:{pool_id}")
        if self._entropy.below(2):
            self._redis.hset(key, "heartbeat_at", self._mutator.junk())
        else:
            self._put_wrong_type(key)

    def _to_lock(self) -> None:
        name = self._mutator.choose(_HANDLED)
        if self._entropy.below(2):
            self._redis.set(self._key(f"jobs:{name}:lock"), self._mutator.junk())
        else:
            self._redis.hset(
                self._key(f"jobs:{name}:lock_info"), self._mutator.junk(), self._mutator.junk()
            )

    def _to_unique(self) -> None:
        key = self._mutator.choose(("good:", "good:{}\n", 'good:{"k":1}\n', "good:\xff"))
        value = self._mutator.junk()
        # A job there would be an update, which rightly takes the place of the one that waits.
        if self._entropy.below(4) and read_job(value).undecodable:
            self._redis.set(self._key(f"unique:{key}"), value, ex=600)
        else:
            self._put_wrong_type(self._key(f"unique:{key}"), than="string")

    def _to_observation(self) -> None:
        self._put_wrong_type(self._key(f"worker:strange{self._entropy.below(20)}"))

    def _wrong_type(self) -> None:
        """Break a separate queue; nothing else may stop."""
        name = self._mutator.choose(_VICTIMS)
        suffix = self._mutator.choose(
            ("", ":lock", ":lock_info", ":paused", ":max_concurrency", ":%s:inprogress")
        )
        pool_id = self._mutator.choose(self._pool_ids())
        key = self._key(f"jobs:{name}" + (suffix % pool_id if "%s" in suffix else suffix))
        self._redis.delete(key)
        self._put_wrong_type(key)

    def _put_wrong_type(self, key: str, than: str = "") -> None:
        junk = self._mutator.junk()
        put: dict[str, Callable[[], Any]] = {
            "string": lambda: self._redis.set(key, junk),
            "list": lambda: self._redis.rpush(key, junk),
            "hash": lambda: self._redis.hset(key, junk, junk),
            "zset": lambda: self._redis.zadd(key, {junk: 1}),
            "set": lambda: self._redis.sadd(key, junk),
            "stream": lambda: self._redis.xadd(key, {"junk": junk}),
        }
        put.pop(than, None)
        self._mutator.choose(list(put.values()))()


def bombard(
    url: str, count: int, seed: int | str, say: Callable[[str], None] = lambda _line: None
) -> Outcome:
    """Throw mutations at working pools, a client and a console, and count the fates of payloads.

    Args:
        url: A server that nobody else uses.
        count: How many mutations.
        seed: Of the dice.
        say: Takes progress.
    """
    outcome = Outcome()
    ran: Counter[str] = Counter()
    with Redis.from_url(url) as redis, _at_work(url, ran, outcome) as pools:
        thrower = _Thrower(redis, Entropy(seed), outcome, lambda: [p.pool_id for p in pools])
        for n in range(count):
            thrower.throw()
            if n % 1_000 == 999:
                say(f"{n + 1:,} mutations, {ran.total():,} handlers have run")
        victims = redis.keys(f"{NAMESPACE}:jobs:victim*")
        if victims:
            redis.delete(*victims)
        _release_queues(redis)
        enqueuer = Enqueuer(NAMESPACE, url)
        for name in (*_HANDLED, *_VICTIMS):
            enqueuer.enqueue_many([(name, {"canary": True})] * _CANARIES)
        expected = _CANARIES * len((*_HANDLED, *_VICTIMS))
        _await(lambda: ran["canary"] >= expected and _is_settled(redis))
        outcome.stuck = expected - ran["canary"]
    outcome.ran = ran.total() - ran["canary"]
    _account(url, outcome, {job_id for job_id in ran if job_id != "canary"})
    return outcome


def _account(url: str, outcome: Outcome, ran: set[str]) -> None:
    """Find the fate of each payload: by its id, or by its bytes if it is not a job."""
    client = Client(NAMESPACE, url)
    dead = list(client.iter_dead_jobs())
    waiting = [
        *(item.job for item in client.iter_scheduled_jobs()),
        *(item.job for item in client.iter_retry_jobs()),
    ]
    with Redis.from_url(url) as redis:
        for key in redis.keys(f"{NAMESPACE}:jobs:*"):
            if redis.type(key) == b"list":
                waiting += [read_job(raw) for raw in redis.lrange(key, 0, -1)]
    outcome.dead, outcome.waiting = len(dead), len(waiting)
    jobs = [*waiting, *(item.job for item in dead)]
    ids = ran | {job.id for job in jobs} | {record.job_id for record in client.history()}
    raws = {job.raw for job in jobs} | {restore_undecodable(job) for job in jobs}
    outcome.missing = [
        raw
        for raw in outcome.stored
        if raw not in raws and ((job := read_job(raw)).undecodable or job.id not in ids)
    ]


@contextmanager
def _at_work(url: str, ran: Counter[str], outcome: Outcome) -> Iterator[list[WorkerPool]]:
    """Let two pools work; a client and a console look on."""
    log = logging.getLogger("workkit")
    handler = _Crashes(outcome.crashes)
    log.addHandler(handler)
    lock, over = threading.Lock(), threading.Event()

    def note(job: Job) -> None:
        with lock:
            ran["canary" if (job.args or {}).get("canary") is True else job.id] += 1

    everything = HistoryOptions(max_records=_REMEMBERED)
    pools = [WorkerPool(NAMESPACE, url, concurrency=4, history=everything) for _ in range(2)]
    for pool in pools:
        for name in (*_HANDLED, *_VICTIMS):
            pool.job(name, note)
        pool.start()
    looking = threading.Thread(target=look_on, args=(url, NAMESPACE, over, outcome.crashes))
    looking.start()
    try:
        with pressing(url, NAMESPACE, outcome.crashes, outcome.screens):
            yield pools
    finally:
        over.set()
        looking.join()
        for pool in pools:
            pool.stop(20)
        log.removeHandler(handler)


def _release_queues(redis: Any) -> None:
    """Remove junk limits and pauses; the jobs that they block are not lost."""
    for name in _HANDLED:
        for suffix in (":paused", ":max_concurrency"):
            redis.delete(f"{NAMESPACE}:jobs:{name}{suffix}")


def _is_settled(redis: Any) -> bool:
    served = sum(redis.llen(f"{NAMESPACE}:jobs:{name}") for name in _HANDLED)
    held = sum(redis.llen(key) for key in redis.keys(f"{NAMESPACE}:jobs:*:inprogress"))
    due = sum(
        redis.zcount(f"{NAMESPACE}:{name}", "-inf", int(redis.time()[0]))
        for name in ("scheduled", "retry")
    )
    return bool(served + held + due == 0)


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SETTLED_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)  # noqa: TID251 -- nothing tells
