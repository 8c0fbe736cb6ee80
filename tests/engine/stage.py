"""One namespace in virtual time: an enqueuer, a client, and pools that the test steps."""

from __future__ import annotations

import threading
from typing import Any

from tests.engine.signals import PATIENCE_S
from tests.support.stage import Stage
from tests.support.steps import FakeClock
from workkit import HistoryRecord, WorkerPool
from workkit.core.entropy import Entropy
from workkit.engine.dispatch.dispatcher import Rest
from workkit.engine.engine import Engine
from workkit.engine.process.sources import Sources
from workkit.engine.runners import HandlerRunner
from workkit.store.connections.link import Link
from workkit.store.connections.target import Target
from workkit.store.round_trip import Step

__all__ = ["EngineStage", "ThreadedPool"]


class ThreadedPool:
    """A pool whose handlers run on real threads and a real loop, on a clock that the test sets.

    Dispatcher and duties have their turns when the test says so.
    """

    def __init__(self, pool: WorkerPool, url: str, clock: FakeClock) -> None:
        self._clock = clock
        self._link = Link(Target.of(url))
        self._ended = threading.Semaphore(0)
        sources = Sources(clock, Entropy(1))
        self.engine = Engine(
            pool.spec,
            sources,
            make_runner=HandlerRunner,
            notify=self._ended.release,
        )
        self.do(self.engine.dispatcher.register())

    def do(self, step: Step[Any]) -> Any:
        """Carry out any step."""
        return self._link.carry(step)

    def turn(self) -> None:
        """Let the dispatcher take turns until it has nothing to do."""
        dispatcher = self.engine.dispatcher
        while True:
            rest: Rest = self.do(dispatcher.turn())
            if rest.for_s > 0 and not (rest.listen and self._finds_work()):
                return

    def _finds_work(self) -> bool:
        dispatcher = self.engine.dispatcher
        return dispatcher.looked(self._link.do(dispatcher.look()))

    def settle(self) -> None:
        """Wait for the end of one handler, then settle it."""
        assert self._ended.acquire(timeout=PATIENCE_S), "no handler ended in time"
        self.turn()

    def beat(self) -> None:
        """Write a heartbeat."""
        self.do(self.engine.heartbeat.step(self._clock.read()))

    def close(self) -> None:
        """End threads and connection; the jobs that the pool holds stay in progress."""
        self.engine.runner.close(wait_s=0.1)
        self._link.close()


class EngineStage(Stage):
    """A namespace with pools that the test moves by hand, stepped or on threads."""

    def pool(self, **options: Any) -> WorkerPool:
        """Make a pool, for the test to register handlers with."""
        pool = WorkerPool(self.namespace, self.url, **options)
        self.on_close(lambda: pool.spec.events.close(PATIENCE_S))
        return pool

    def threaded(self, pool: WorkerPool) -> ThreadedPool:
        """Start a pool whose handlers run on threads."""
        threaded = ThreadedPool(pool, self.url, self.clock)
        self.on_close(threaded.close)
        return threaded

    # What lies in Redis.

    def waiting(self, name: str) -> list[str]:
        """Read the ids in a queue, the job that runs next first."""
        return [entry.job.id for entry in self.client.iter_queued_jobs(name)]

    def in_progress(self, name: str) -> int:
        """Count what all pools hold of a queue, by their lists."""
        lists = self.redis.keys(self.key(f"jobs:{name}:*:inprogress"))
        return sum(self.redis.llen(key) for key in lists)

    def lock(self, name: str) -> int:
        """Read how many jobs of a queue are counted as running."""
        return int(self.redis.get(self.key(f"jobs:{name}:lock")) or 0)

    def history(self) -> list[HistoryRecord]:
        """Read what ran, the oldest first."""
        return list(self.client.history())[::-1]

    def outcomes(self) -> list[str]:
        """Read how all executions ended, the oldest first."""
        return [record.outcome for record in self.history()]
