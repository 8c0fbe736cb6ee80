"""A fleet with further helpers for the tests of D14 to D26 and of the users' reports."""

from __future__ import annotations

from threading import Event
from typing import Any, Final

from tests.parity.defects.fleet import Fleet
from tests.parity.gopeer import Scene
from tests.support.steps import StepPool
from workkit import Enqueuer, WorkerPool
from workkit.core.job import Job, decode
from workkit.store.round_trip import RoundTrip, Step

__all__ = ["PATIENCE_S", "Paced", "ParityStage", "await_event"]

#: A test fails if it waits this long for another thread, seconds.
PATIENCE_S: Final = 60


class ParityStage(Fleet):
    """One namespace, in which pools are stepped or run on threads."""

    # Who works here.

    def worker_pool(self, *, concurrency: int = 1, **options: Any) -> WorkerPool:
        """Make a pool that is not started and has no registrations."""
        return WorkerPool(self.namespace, self.url, concurrency=concurrency, **options)

    def live_enqueuer(self) -> Enqueuer:
        """Make an enqueuer on the machine's clock, for pools that run on threads."""
        enqueuer = Enqueuer(self.namespace, self.url)
        self.on_close(enqueuer.close)
        return enqueuer

    def elsewhere(self) -> Scene:
        """Return a namespace that only the original uses."""
        return Scene(self._scene.redis, f"{self.namespace}:alone", self._scene.clock)

    # What lies in Redis.

    def jobs_of(self, name: str) -> list[Job]:
        """Read a queue, the job that runs next first."""
        return [decode(raw) for raw in reversed(self.queue(name))]

    def held_ids(self, name: str) -> list[str]:
        """Read the ids of the jobs in progress of all pools."""
        return [decode(raw).id for raw in self.held(name)]

    def ids(self, name: str) -> list[str]:
        """Read the ids in a queue, the job that runs next first."""
        return [job.id for job in self.jobs_of(name)]

    def lock_info(self, name: str) -> dict[bytes, bytes]:
        """Read how many jobs of a name each pool runs, by `lock_info`."""
        return self._scene.lock_info(name)

    def limit(self, name: str) -> int:
        """Read how many jobs of a name may run at once; 0 for no limit."""
        return int(self.redis.get(self.go_keys.max_concurrency(name)) or 0)

    def lose_data(self) -> None:
        """Delete every key, as a flush does, or a failover to an empty server."""
        if keys := list(self.redis.scan_iter(f"{self.namespace}:*", count=1000)):
            self.redis.delete(*keys)


class Paced:
    """A step that is carried out a few exchanges at a time.

    Args:
        pool: On whose connection.
        step: The step.
    """

    def __init__(self, pool: StepPool, step: Step[Any]) -> None:
        self._link = pool.link
        self._step = step
        self._exchange: RoundTrip[Any] | None = next(step, None)

    def go_on(self, exchanges: float = float("inf")) -> None:
        """Carry out the next exchanges, or all that are left."""
        while self._exchange is not None and exchanges > 0:
            exchanges -= 1
            replies = self._link.send(self._exchange.commands)
            try:
                self._exchange = self._step.send(replies)
            except StopIteration:
                self._exchange = None


def await_event(event: Event, what: str) -> None:
    """Wait for a signal of another thread."""
    assert event.wait(PATIENCE_S), f"{what} did not come in time"
