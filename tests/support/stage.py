"""A namespace in which time stands still until the test moves it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from tests.support.steps import FakeClock, StepPool
from workkit import Client, Enqueuer, Entropy, WorkerPool
from workkit.store.keys import Keys

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["Stage"]


class Stage:
    """One namespace, its client and its enqueuer; folders of tests derive their own from it.

    Args:
        redis: A client that does not decode replies.
        url: The same server.
        namespace: Where the keys are.

    Attributes:
        redis: The client.
        clock: The time of everybody who is not said to go wrong.
        keys: The names of the keys.
        client: A `Client` on this clock.
        enqueuer: An `Enqueuer` on this clock, with fixed random numbers.
    """

    #: The source of the enqueuer's ids.
    seed: int | str = "stage"

    def __init__(self, redis: Redis, url: str, namespace: str) -> None:
        self.redis: Any = redis  # redis-py's types do not tell bytes from str
        self.url = url
        self.namespace = namespace
        self.clock = FakeClock()
        self.keys = Keys(namespace)
        self._open = ExitStack()
        self._seeds = 0
        self.client = self.make_client()
        self.on_close(self.client.close)
        self.enqueuer = Enqueuer(namespace, url, clock=self.clock, entropy=Entropy(self.seed))
        self.on_close(self.enqueuer.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened here, the newest first."""
        self._open.close()

    def on_close(self, close: Callable[[], object]) -> None:
        """Have something closed at the end."""
        self._open.callback(close)

    def make_client(self) -> Client:
        """Make a client on this clock; the caller closes it."""
        return Client(self.namespace, self.url, clock=self.clock)

    def next_seed(self) -> int:
        """Return another seed each time."""
        self._seeds += 1
        return self._seeds

    def stepped(self, pool: WorkerPool, clock: FakeClock | None = None) -> StepPool:
        """Start a pool whose every move the test makes."""
        stepped = StepPool(pool, self.url, clock or self.clock, self.next_seed())
        self.on_close(stepped.close)
        return stepped.start()

    def key(self, rest: str) -> str:
        """Return the full name of a key."""
        return f"{self.namespace}:{rest}"
