"""The original's Client, the backend of its web pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from tests.parity.gopeer import scripts
from tests.parity.gopeer.endpoint import GoEndpoint, as_bytes, as_count
from tests.parity.gopeer.errors import (
    GoDecodeError,
    GoReplyError,
    NothingDeletedError,
    NothingRetriedError,
)
from tests.parity.gopeer.gojson import UINT64_MAX, parse_int64
from tests.parity.gopeer.records import (
    GoDeadJob,
    GoJobRecord,
    GoPage,
    GoQueue,
    GoRetryJob,
    GoScheduledJob,
    GoWorkerObservation,
    GoWorkerPoolHeartbeat,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.parity.gopeer.endpoint import StartVerdict

#: How many jobs a page shows.
PAGE_SIZE = 20

#: How many dead jobs one script call retries, and how many calls there are at most.
RETRY_BATCH = 1000
RETRY_CALLS = 1000


class GoClient(GoEndpoint):
    """Reads and repairs as the original's pages do.

    Every method raises ``RedisError`` where Redis fails. The readers raise ``GoDecodeError``
    when there is one thing that Go could not read, since that is what makes the whole page fail.
    """

    def queues(self) -> list[GoQueue]:
        """Look at the queues of all known jobs.

        Returns:
            The queues, by name.

        Raises:
            GoDecodeError: The next job of a queue is not JSON; Go dereferences nil there.
            GoReplyError: A queue was emptied between the looks at its length and its end.
        """
        names = sorted(name.decode() for name in self._wire.do("SMEMBERS", self.keys.known_jobs))
        counts = [as_count(self._wire.do("LLEN", self.keys.queue(name))) for name in names]
        queues = []
        for name, count in zip(names, counts, strict=True):
            latency_s = 0
            if count > 0:
                tail = as_bytes(self._wire.do("LINDEX", self.keys.queue(name), -1))
                latency_s = self._wire.now() - GoJobRecord.decode(tail).enqueued_at
            queues.append(GoQueue(name, count, latency_s))
        return queues

    def worker_pool_heartbeats(self) -> list[GoWorkerPoolHeartbeat]:
        """Read the heartbeats of all registered pools, by id; unknown fields are skipped.

        Raises:
            GoDecodeError: A field that should be an integer is not one.
        """
        ids = sorted(id_.decode() for id_ in self._wire.do("SMEMBERS", self.keys.worker_pools))
        return [self._heartbeat(pool_id) for pool_id in ids]

    def _heartbeat(self, pool_id: str) -> GoWorkerPoolHeartbeat:
        beat = GoWorkerPoolHeartbeat(pool_id)
        for name, value in self._fields(self.keys.heartbeat(pool_id)):
            match name:
                case "heartbeat_at" | "started_at" | "pid":
                    setattr(beat, name, parse_int64(value))
                case "concurrency":
                    beat.concurrency = _parse_uint64(value)
                case "job_names" | "worker_ids":
                    setattr(beat, name, sorted(value.decode().split(",")))
                case "host":
                    beat.host = value.decode()
        return beat

    def worker_observations(self) -> list[GoWorkerObservation]:
        """Read what each worker of each registered pool is doing.

        Raises:
            GoDecodeError: A field that should be an integer is not one.
        """
        return [
            self._observation(worker_id)
            for beat in self.worker_pool_heartbeats()
            for worker_id in beat.worker_ids
        ]

    def _observation(self, worker_id: str) -> GoWorkerObservation:
        seen = GoWorkerObservation(worker_id)
        for name, value in self._fields(self.keys.observation(worker_id)):
            seen.is_busy = True
            match name:
                case "started_at" | "checkin_at":
                    setattr(seen, name, parse_int64(value))
                case "job_name" | "job_id" | "checkin":
                    setattr(seen, name, value.decode())
                case "args":
                    seen.args_json = value.decode()
        return seen

    def _fields(self, key: str) -> Iterator[tuple[str, bytes]]:
        for name, value in self._wire.do("HGETALL", key).items():
            yield name.decode(), value

    def scheduled_jobs(self, page: int = 1) -> GoPage[GoScheduledJob]:
        """Read a page of the jobs that wait for their time, the next one first.

        Args:
            page: From 1.
        """
        jobs, total = self._page(self.keys.scheduled, page)
        return GoPage([GoScheduledJob(score, job) for score, job in jobs], total)

    def retry_jobs(self, page: int = 1) -> GoPage[GoRetryJob]:
        """Read a page of the jobs that wait for their next try, the next one first.

        Args:
            page: From 1.
        """
        jobs, total = self._page(self.keys.retry, page)
        return GoPage([GoRetryJob(score, job) for score, job in jobs], total)

    def dead_jobs(self, page: int = 1) -> GoPage[GoDeadJob]:
        """Read a page of the dead jobs, the oldest first.

        Args:
            page: From 1.
        """
        jobs, total = self._page(self.keys.dead, page)
        return GoPage([GoDeadJob(score, job) for score, job in jobs], total)

    def _page(self, key: str, page: int) -> tuple[list[tuple[int, GoJobRecord]], int]:
        offset = (max(page, 1) - 1) * PAGE_SIZE
        reply = self._wire.do(
            "ZRANGEBYSCORE", key, "-inf", "+inf", "WITHSCORES", "LIMIT", offset, PAGE_SIZE
        )
        jobs = [(score, GoJobRecord.decode(member)) for member, score in _scored(reply)]
        return jobs, as_count(self._wire.do("ZCARD", key))

    def retry_dead_job(self, died_at: int, job_id: str) -> None:
        """Put the dead jobs with this score and id back in their queue.

        Args:
            died_at: The score.
            job_id: The id.

        Raises:
            NothingRetriedError: No job matches, or no queue has its name; then it is dead again,
                five seconds ahead and with another error.
        """
        keys, args = self._retry_words()
        if not self._wire.script(scripts.RETRY_ONE, keys, [*args, died_at, job_id]):
            raise NothingRetriedError(job_id)

    def retry_all_dead_jobs(self) -> None:
        """Put the dead jobs back in their queues, up to the first 1000 of which none moved."""
        keys, args = self._retry_words()
        for _ in range(RETRY_CALLS):
            if not self._wire.script(scripts.RETRY_ALL, keys, [*args, RETRY_BATCH]):
                break

    def _retry_words(self) -> tuple[list[str], list[StartVerdict]]:
        # It is by way of the queues page that the names are learnt, so that one queue which
        # cannot be shown keeps every dead job dead.
        names = [queue.job_name for queue in self.queues()]
        keys = [self.keys.dead, *map(self.keys.queue, names)]
        return keys, [self.keys.jobs_prefix, self._wire.now()]

    def delete_dead_job(self, died_at: int, job_id: str) -> None:
        """Delete the dead jobs with this score and id.

        Raises:
            NothingDeletedError: No job matches.
        """
        self._delete(self.keys.dead, died_at, job_id)

    def delete_all_dead_jobs(self) -> None:
        """Delete every dead job."""
        self._wire.do("DEL", self.keys.dead)

    def delete_retry_job(self, retry_at: int, job_id: str) -> None:
        """Delete the jobs with this score and id that wait for their next try.

        Raises:
            NothingDeletedError: No job matches.
        """
        self._delete(self.keys.retry, retry_at, job_id)

    def delete_scheduled_job(self, run_at: int, job_id: str) -> None:
        """Delete the scheduled jobs with this score and id.

        A unique job's key is made up from its args, which misses one that was given by key.

        Raises:
            NothingDeletedError: No job matches.
        """
        job = GoJobRecord.decode(self._delete(self.keys.scheduled, run_at, job_id))
        if job.unique:
            self._wire.do("DEL", self.keys.unique(job.name, job.args))

    def _delete(self, key: str, score: int, job_id: str) -> bytes:
        try:
            count, last = self._wire.script(scripts.DELETE, [key], [score, job_id])
        except RedisError as error:
            # The original looks at the length of the reply first, and so hides the reason.
            raise GoReplyError("wanted two values") from error
        if not count:
            raise NothingDeletedError(job_id)
        return as_bytes(last)


def _scored(reply: list[object]) -> Iterator[tuple[bytes, int]]:
    """Read members and scores, which come nested in RESP3 and alternating in RESP2."""
    nested = not reply or isinstance(reply[0], list)
    pairs = reply if nested else [list(pair) for pair in zip(reply[::2], reply[1::2], strict=True)]
    for pair in pairs:
        if not isinstance(pair, list):
            raise GoReplyError(f"wanted a member and its score, got {pair!r}")
        member, score = pair
        yield as_bytes(member), _parse_score(score)


def _parse_score(score: object) -> int:
    if isinstance(score, float):
        # Go speaks RESP2, where Redis writes a whole number without a fraction.
        text = f"{score:.17g}"
        return parse_int64(text.encode())
    return parse_int64(as_bytes(score))


def _parse_uint64(text: bytes) -> int:
    if text.isdigit() and (number := int(text)) <= UINT64_MAX:
        return number
    reason = f"{text!r} is no uint64"
    raise GoDecodeError(reason, text)
