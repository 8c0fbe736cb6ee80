"""The original's workers: fetch a job, run it, settle it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from tests.parity.gopeer import scripts
from tests.parity.gopeer.endpoint import GoEndpoint, as_bytes
from tests.parity.gopeer.errors import GoEncodeError, GoPeerError, GoReplyError
from tests.parity.gopeer.observer import GoObserver
from tests.parity.gopeer.records import Claim, GoJobRecord, GoWorker

if TYPE_CHECKING:
    import random  # noqa: TID251 -- a type: the test brings the dice
    from collections.abc import Callable, Mapping, Sequence

    from redis import Redis

    from tests.parity.gopeer.endpoint import StartVerdict
    from tests.parity.gopeer.records import GoJob

#: What the original calls a job without a handler; it goes to dead with this.
STRAY = "stray job: no handler"

#: What a unique key holds where the job that waits carries its own args.
_NO_UPDATE = b"1"


def weighted_order(rng: random.Random, weights: Mapping[str, int]) -> list[str]:
    """Draw all names, one after another, each with a chance in proportion to its weight.

    Args:
        rng: The dice.
        weights: The weight of each name, 1 or more.

    Returns:
        The names in the order they were drawn.
    """
    left = sorted(weights)
    order = []
    while len(left) > 1:
        point = rng.randrange(sum(weights[name] for name in left))
        for name in left:
            point -= weights[name]
            if point < 0:
                break
        left.remove(name)
        order.append(name)
    return order + left


class GoWorkers(GoEndpoint):
    """The workers of one pool."""

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
    ) -> None:
        """Prepare the workers; nothing is written yet.

        Args:
            redis: A client that does not decode replies.
            namespace: Where the keys are.
            now: The wall clock, in whole epoch seconds.
            rng: The source of ids, of the order of queues and of retry delays.
            jobs: What the pool has handlers for.
            concurrency: How many workers it has.
            pool_id: ``None`` draws one.
        """
        super().__init__(redis, namespace, now=now, rng=rng)
        self.jobs = dict(jobs)
        self.concurrency = concurrency
        self.pool_id = self._wire.new_id() if pool_id is None else pool_id
        self.workers: list[GoWorker] = []
        for _ in range(concurrency):
            worker_id = self._wire.new_id()
            self.workers.append(GoWorker(worker_id, GoObserver(self._wire, worker_id)))

    @property
    def claims(self) -> list[Claim]:
        """What the pool's workers hold, in the order of the workers."""
        return [worker.claim for worker in self.workers if worker.claim is not None]

    def fetch(self, order: Sequence[str] | None = None) -> Claim | None:
        """Let the first free worker look once for a job.

        Bytes that Go cannot decode are noted in ``errors`` and stay in the in-progress list,
        with the lock taken and nobody to give it back.

        Args:
            order: The queues in the order of the look; ``None`` draws it by priority.

        Returns:
            The job, or ``None``: nothing to do, all workers busy, or an error, which is noted.
        """
        worker = next((worker for worker in self.workers if worker.claim is None), None)
        if worker is None:
            return None
        if order is None:
            weights = {name: job.priority for name, job in self.jobs.items()}
            order = weighted_order(self._wire.rng, weights)
        try:
            reply = self._wire.script(
                scripts.FETCH, [key for name in order for key in self._six(name)], [self.pool_id]
            )
            if reply is None:
                return None
            raw, queue, in_progress = (as_bytes(part) for part in reply)
            job = GoJobRecord.decode(raw)
        except (RedisError, GoPeerError) as error:
            self._wire.log("fetch", error)
            return None
        worker.claim = Claim(worker, job, raw, queue, in_progress)
        return worker.claim

    def _six(self, name: str) -> list[str]:
        keys = self.keys
        lists = [keys.queue(name), keys.in_progress(name, self.pool_id)]
        return [
            *lists,
            keys.paused(name),
            keys.lock(name),
            keys.lock_info(name),
            keys.max_concurrency(name),
        ]

    def process(self, claim: Claim) -> None:
        """Run a claimed job to its end: ``begin``, the handler, ``settle``."""
        job = self.begin(claim)
        if job.name not in self.jobs:
            self.settle(claim)
            return
        try:
            self.jobs[job.name].handler(job)
        except Exception as error:  # noqa: BLE001 -- the original recovers from any panic
            self.settle(claim, error)
        else:
            self.settle(claim)

    def begin(self, claim: Claim) -> GoJobRecord:
        """Do what comes before the handler.

        A unique job frees its key, even if another job holds it by now, and the update in the key
        replaces the job.

        Returns:
            The job for the handler; if its name is unknown, no handler is called.
        """
        self._check(claim)
        if claim.job.unique:
            self.take_update(claim, self.read_update(claim))
        claim.begun = True
        job = claim.job
        if job.name in self.jobs:
            claim.worker.observer.started(job)
            job.observer = claim.worker.observer
        else:
            self._wire.log("process", GoReplyError(STRAY))
        return job

    def read_update(self, claim: Claim) -> bytes | None:
        """Read what the unique key of a claimed job holds: the first half of ``begin``.

        Returns:
            The bytes; ``None`` when there are none, or on an error, which is noted.
        """
        try:
            return as_bytes(self._wire.do("GET", self._unique_key(claim.job)))
        except (RedisError, GoPeerError) as error:
            self._wire.log("unique", error)
            return None

    def take_update(self, claim: Claim, update: bytes | None) -> None:
        """Delete the unique key and swap the job for its update: the second half of ``begin``.

        The job that was fetched stays in the in-progress list; only the claim changes.

        Args:
            claim: What is about to run.
            update: What ``read_update`` returned; nothing happens without one.
        """
        if update is None:
            return
        try:
            self._wire.do("DEL", self._unique_key(claim.job))
            if update != _NO_UPDATE:
                claim.job = GoJobRecord.decode(update)
        except (RedisError, GoPeerError) as error:
            self._wire.log("unique", error)

    def _unique_key(self, job: GoJobRecord) -> str:
        return job.unique_key or self.keys.unique(job.name, job.args)

    def settle(self, claim: Claim, error: Exception | str | None = None) -> None:
        """Take a job out of the in-progress list, and send it on where it failed.

        The lock is given back by the job's own name, whether or not the job still lay there.
        When the transaction fails that is noted, and the job stays where it is.

        Args:
            claim: What ran.
            error: Why it failed; ``None`` is success. A job without a handler always fails.
        """
        self._check(claim)
        job = claim.job
        known = job.name in self.jobs
        if known:
            claim.worker.observer.done()
        else:
            error = STRAY
        commands: list[Sequence[StartVerdict]] = [
            ["LREM", claim.in_progress, 1, job.raw],
            ["DECR", self.keys.lock(job.name)],
            ["HINCRBY", self.keys.lock_info(job.name), self.pool_id, -1],
        ]
        if error is not None:
            job.fails += 1
            job.err = str(error)
            job.failed_at = self._wire.now()
            commands += self._fate(job)
        try:
            self._wire.transact(commands)
        except RedisError as refusal:
            self._wire.log("settle", refusal)
        claim.worker.claim = None

    def _fate(self, job: GoJobRecord) -> list[Sequence[StartVerdict]]:
        try:
            raw = job.encode()
        except GoEncodeError as error:
            self._wire.log("fate", error)
            return []
        options = self.jobs.get(job.name)
        if options is not None and job.fails < options.max_fails:
            delay_s = options.backoff(job) if options.backoff else self._delay_s(job.fails)
            return [["ZADD", self.keys.retry, self._wire.now() + delay_s, raw]]
        if options is not None and options.skip_dead:
            return []
        return [["ZADD", self.keys.dead, self._wire.now(), raw]]

    def _delay_s(self, fails: int) -> int:
        return fails**4 + 15 + self._wire.rng.randrange(30) * (fails + 1)

    def checkin(self, claim: Claim, message: str) -> None:
        """Report progress as the handler of a begun claim would."""
        self._check(claim)
        claim.job.checkin(message)

    def observe(self) -> None:
        """Let every worker's observer write what is new, as happens once a second."""
        for worker in self.workers:
            worker.observer.tick()

    def forget(self, claim: Claim) -> None:
        """Lose a claim on the way here, as when the reply to a fetch never arrives."""
        self._check(claim)
        claim.worker.claim = None

    def _check(self, claim: Claim) -> None:
        if claim.worker.claim is not claim:
            raise ValueError(f"{claim.job.id} is not held by a worker of pool {self.pool_id}")
