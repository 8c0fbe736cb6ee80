"""What the enqueuers for threads and for asyncio share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from workkit.core.clock import Clock
from workkit.core.entropy import Entropy
from workkit.core.options import MAX_CONNECTIONS, MAX_JOB_BYTES, check_connections
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

    @abstractmethod
    def _connect(self, redis: RedisLike, namespace: str, most: int) -> C:
        """Return the carrier of the steps; connections open when needed."""
