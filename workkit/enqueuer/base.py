"""What the enqueuers for threads and for asyncio share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from workkit.core.clock import Clock
from workkit.core.entropy import Entropy
from workkit.core.options import MAX_CONNECTIONS, MAX_JOB_BYTES, check_connections
from workkit.core.probes import Probe, Where
from workkit.enqueuer.steps import EnqueueSteps
from workkit.store.connections.target import RedisLike

__all__ = ["BaseEnqueuer"]

C = TypeVar("C")


class BaseEnqueuer(ABC, Generic[C]):
    """The constructor of both enqueuers; each of them documents the arguments.

    A subclass says with `_connect` how its steps reach Redis.
    """

    def __init__(
        self,
        namespace: str,
        redis: RedisLike,
        *,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        allow_huge_integers: bool = False,
        max_job_bytes: int = MAX_JOB_BYTES,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._steps = EnqueueSteps(
            namespace,
            clock,
            entropy,
            max_job_bytes,
            allow_huge_integers=allow_huge_integers,
        )
        self._links: C = self._connect(redis, namespace, check_connections(max_connections))
        self._steps.where = Where(namespace, *getattr(self._links, "address", ()))

    @property
    def probes(self) -> tuple[Probe, ...]:
        """What watches the jobs that this enqueuer sends, such as tracing; mostly nothing.

        The enqueuers that `durably` returns share the probes. Those of the process come on top.
        """
        return self._steps.probes

    @probes.setter
    def probes(self, probes: tuple[Probe, ...]) -> None:
        self._steps.probes = probes

    @abstractmethod
    def _connect(self, redis: RedisLike, namespace: str, most: int) -> C:
        """Return the carrier of the steps; connections open when needed."""
