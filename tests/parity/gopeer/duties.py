"""The duties of an original pool in addition to its workers: heartbeat, requeue, reap, cron."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from tests.parity.gopeer import scripts
from tests.parity.gopeer.endpoint import as_bytes, as_count
from tests.parity.gopeer.errors import GoHangError, GoPeerError, GoReplyError
from tests.parity.gopeer.gojson import parse_int64
from tests.parity.gopeer.records import GoJobRecord
from tests.parity.gopeer.worker import GoWorkers

if TYPE_CHECKING:
    import random  # noqa: TID251 -- a type: the test brings the dice
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Literal

    from redis import Redis

    from tests.parity.gopeer.endpoint import StartVerdict
    from tests.parity.gopeer.records import GoJob

#: How old a heartbeat makes a pool dead.
DEAD_AFTER_S = 10

#: How far ahead slots are scheduled.
HORIZON_S = 240

#: How old the last scheduling must be for the next one; two minutes were meant.
PERIODIC_PAUSE_S = 2

#: The second that Go's zero time stands for, 1 January of the year 1.
ZERO_TIME_S = -62_135_596_800


class GoDuties(GoWorkers):
    """A pool that can be started, stopped and lost."""

    def __init__(
        self,
        redis: Redis,
        namespace: str,
        *,
        now: Callable[[], int],
        rng: random.Random,
        jobs: Mapping[str, GoJob],
        concurrency: int = 10,
        pool_id: str | None = None,
        host: str = "go-host",
        pid: int = 4242,
    ) -> None:
        """Prepare the pool; nothing is written yet.

        Args:
            redis: A client that does not decode replies.
            namespace: Where the keys are.
            now: The wall clock, in whole epoch seconds.
            rng: The source of ids, of the order of queues and of retry delays.
            jobs: What the pool has handlers for.
            concurrency: How many workers it has.
            pool_id: ``None`` draws one.
            host: The host in the heartbeat.
            pid: The process id in the heartbeat.
        """
        super().__init__(
            redis, namespace, now=now, rng=rng, jobs=jobs, concurrency=concurrency, pool_id=pool_id
        )
        self._host = host
        self._pid = pid
        self._started_at = 0

    def start(self) -> None:
        """Write the limits, the job names and the first heartbeat.

        A limit of this pool replaces what any other pool wrote, and is not written again.
        """
        for name, job in self.jobs.items():
            self._attempt("SET", self.keys.max_concurrency(name), job.max_concurrency)
        if self.jobs:
            self._attempt("SADD", self.keys.known_jobs, *self.jobs)
        self._started_at = self._wire.now()
        self.heartbeat()

    def _attempt(self, *words: StartVerdict) -> None:
        try:
            self._wire.do(*words)
        except RedisError as error:
            self._wire.log("start", error)

    def heartbeat(self) -> None:
        """Say that the pool is alive, as happens every 5 seconds."""
        fields: list[str | int] = ["heartbeat_at", self._wire.now()]
        fields += ["started_at", self._started_at]
        fields += ["job_names", ",".join(sorted(self.jobs))]
        fields += ["concurrency", self.concurrency]
        fields += ["worker_ids", ",".join(sorted(worker.id for worker in self.workers))]
        fields += ["host", self._host, "pid", self._pid]
        self._wire.send(
            "heartbeat",
            [
                ["SADD", self.keys.worker_pools, self.pool_id],
                ["HMSET", self.keys.heartbeat(self.pool_id), *fields],
            ],
        )

    def stop(self) -> None:
        """Say goodbye. The pool's zero fields in ``lock_info`` stay behind.

        Raises:
            ValueError: A worker holds a job; the original waits for it first.
        """
        if self.claims:
            raise ValueError(f"{len(self.claims)} jobs are not settled")
        for worker in self.workers:
            worker.observer.write()
        self._wire.send(
            "stop",
            [
                ["SREM", self.keys.worker_pools, self.pool_id],
                ["DEL", self.keys.heartbeat(self.pool_id)],
            ],
        )

    def crash(self) -> None:
        """Forget every claim and write nothing, as a killed process does."""
        for worker in self.workers:
            worker.claim = None

    def requeue_step(self) -> dict[str, int]:
        """Requeue all that is due for a retry or scheduled, as happens every second.

        Returns:
            How many jobs went to their queue (``ok``) and to dead (``dead``).
        """
        moved = {"ok": 0, "dead": 0}
        for which in ("retry", "scheduled"):
            while (fate := self.requeue_one(which)) is not None:
                moved[fate] += 1
        return moved

    def requeue_one(self, which: Literal["retry", "scheduled"]) -> Literal["ok", "dead"] | None:
        """Requeue one job, if one is due.

        Args:
            which: The sorted set to take it from.

        Returns:
            Where the job went, or ``None``: nothing is due, or an error, which is noted.
        """
        source = self.keys.retry if which == "retry" else self.keys.scheduled
        try:
            reply = self._wire.script(
                scripts.REQUEUE,
                [source, self.keys.dead, *map(self.keys.queue, self.jobs)],
                [self.keys.jobs_prefix, self._wire.now()],
            )
        except RedisError as error:
            self._wire.log("requeue", error)
            return None
        if reply == b"dead":
            self._wire.log("requeue", GoReplyError("no job name"))
            return "dead"
        return "ok" if reply == b"ok" else None

    def reap_step(self) -> list[str]:
        """Bury the dead pools, as happens 10 seconds after the start and every 10 minutes then.

        A failure to give a pool's jobs back is dropped, and the pool is buried anyway.
        Any other error ends the step, and is noted.

        Returns:
            The ids of the pools that were taken from the set.
        """
        buried: list[str] = []
        try:
            for pool_id, names in self._dead_pools():
                if names:
                    self._recover(pool_id, names)
                    self._wire.do("DEL", self.keys.heartbeat(pool_id))
                self._wire.do("SREM", self.keys.worker_pools, pool_id)
                buried.append(pool_id)
                self._release(pool_id, names or list(self.jobs))
        except (RedisError, GoPeerError) as error:
            self._wire.log("reap", error)
        return buried

    def _dead_pools(self) -> list[tuple[str, list[str]]]:
        dead: list[tuple[str, list[str]]] = []
        # Go goes through them in random order; which one matters only when a step fails midway.
        for member in sorted(self._wire.do("SMEMBERS", self.keys.worker_pools)):
            pool_id = as_bytes(member).decode()
            beat = self._wire.do("HGET", self.keys.heartbeat(pool_id), "heartbeat_at")
            if beat is None:
                dead.append((pool_id, []))
            elif parse_int64(as_bytes(beat)) + DEAD_AFTER_S <= self._wire.now():
                names = self._wire.do("HGET", self.keys.heartbeat(pool_id), "job_names")
                if names is not None:
                    dead.append((pool_id, as_bytes(names).decode().split(",")))
        return dead

    def _recover(self, pool_id: str, names: Sequence[str]) -> None:
        keys = self.keys
        four = [
            key
            for name in names
            for key in (
                keys.in_progress(name, pool_id),
                keys.queue(name),
                keys.lock(name),
                keys.lock_info(name),
            )
        ]
        try:
            while self._wire.script(scripts.RECOVER, four, [pool_id]) is not None:
                pass
        except RedisError as error:
            self._wire.log("recover", error)

    def _release(self, pool_id: str, names: Iterable[str]) -> None:
        two = [key for name in names for key in (self.keys.lock(name), self.keys.lock_info(name))]
        self._wire.script(scripts.RELEASE, two, [pool_id])

    def periodic_enqueue(
        self, specs: Iterable[tuple[str, str]], next_slot: Callable[[str, int], int | None]
    ) -> bool:
        """Schedule the slots of the next four minutes, if nobody did in the last two seconds.

        Happens at the start and every 120 to 149 seconds. Errors are noted.

        Args:
            specs: Pairs of cron spec and job name.
            next_slot: The first slot of a spec after an epoch second; ``None`` is never.

        Returns:
            Whether it was this pool's turn.

        Raises:
            GoHangError: A spec never fires. Go's answer to that is the year 1, which is
                before the horizon, so the original writes that one slot for ever.
        """
        if not self.should_enqueue_periodic():
            return False
        now = self._wire.now()
        try:
            for spec, name in specs:
                at = next_slot(spec, now)
                while at is not None and at < now + HORIZON_S:
                    self._schedule_slot(spec, name, at)
                    at = next_slot(spec, at)
                if at is None:
                    self._schedule_slot(spec, name, ZERO_TIME_S)
                    raise GoHangError(f"{spec!r} never fires")
            self._wire.do("SET", self.keys.last_periodic_enqueue, now)
        except RedisError as error:
            self._wire.log("periodic", error)
        return True

    def should_enqueue_periodic(self) -> bool:
        """Whether the last scheduling by any pool is long enough ago."""
        try:
            last = self._wire.do("GET", self.keys.last_periodic_enqueue)
            if last is None:
                return True
            return parse_int64(as_bytes(last)) < self._wire.now() - PERIODIC_PAUSE_S
        except (RedisError, GoPeerError) as error:
            self._wire.log("periodic", error)
            return True

    def _schedule_slot(self, spec: str, name: str, at: int) -> None:
        job = GoJobRecord(name=name, id=f"periodic:{name}:{spec}:{at}", enqueued_at=at)
        as_count(self._wire.do("ZADD", self.keys.scheduled, at, job.encode()))
