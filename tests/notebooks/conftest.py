"""A namespace with dead jobs, and the pool that would run them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from workkit import Client, Enqueuer, Job, WorkerPool

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["Morgue"]


@dataclass
class Morgue:
    """Jobs that died of two causes, and a pool in which the causes are gone.

    Of the jobs "mail" 1 to 30, multiples of 3 have died of a `ValueError`. The other multiples of 7
    have died of a `TimeoutError`.
    """

    client: Client
    url: str
    namespace: str
    pool: WorkerPool
    ran: list[str] = field(default_factory=list)
    broken: bool = True

    def dead(self) -> list[str]:
        """Return the ids of the dead jobs."""
        return [dead.job.id for dead in self.client.iter_dead_jobs()]

    def numbers(self) -> list[int]:
        """Return which of the jobs are dead."""
        return sorted(dead.job.arg_int("n") for dead in self.client.iter_dead_jobs())

    def kill(self, n: int) -> Job:
        """Make one more job die."""
        broken, self.broken = self.broken, True
        job = Enqueuer(self.namespace, self.url).enqueue("mail", {"n": n, "tenant": "late"})
        assert self.pool.drain(20).complete
        self.broken = broken
        return job


@pytest.fixture
def morgue(redis_client: Redis, redis_url: str, namespace: str) -> Iterator[Morgue]:
    del redis_client
    client = Client(namespace, redis_url)
    pool = WorkerPool(namespace, redis_url, concurrency=2)
    made = Morgue(client, redis_url, namespace, pool)

    def fetch(n: int) -> None:
        if made.broken and n % 3 == 0:
            raise ValueError(f"no luck with {n}")
        if made.broken and n % 7 == 0:
            raise TimeoutError(f"db-{n} did not answer")

    @pool.job(max_fails=1)
    def mail(job: Job) -> None:
        fetch(job.arg_int("n"))
        made.ran.append(job.id)

    jobs = [("mail", {"n": n, "tenant": f"t{n % 2}", "note": "<b>odd</b>"}) for n in range(1, 31)]
    Enqueuer(namespace, redis_url).enqueue_many(jobs)
    pool.start()
    assert pool.drain(20).complete
    made.broken = False
    made.ran.clear()
    yield made
    pool.stop(5)
    client.close()
