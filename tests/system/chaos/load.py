"""Enqueuers that work during faults: they number their jobs and go on until they are stopped."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Final

from tests.system.chaos.place import Place
from workkit import Enqueuer, ServerError, ServerUnavailable

__all__ = ["Load", "enqueuing"]

_BATCH: Final = 1_000
_AFTER_ERROR_S: Final = 0.05


class Load:
    """The accepted jobs: those whose enqueue returned.

    Args:
        place: The server and the namespace.

    Attributes:
        enqueuer: The enqueuer.
        accepted: Numbers of jobs whose enqueue has returned.
        unsure: How many calls ended without an answer, and were made again.
        errors: The errors of callers, without numbers.
    """

    def __init__(self, place: Place) -> None:
        self._plain = self.enqueuer = Enqueuer(place.namespace, place.redis())
        self.accepted: set[int] = set()
        self.unsure = 0
        self.errors: Counter[str] = Counter()
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def wait_for(self, **wanted: Any) -> None:
        """Let each call wait until the jobs are safe; see `Enqueuer.durably`."""
        self.enqueuer = self._plain.durably(**wanted)

    def prefill(self, jobs: int, name: str = "note") -> None:
        """Enqueue many jobs at once, again until they are accepted."""
        for start in range(0, jobs, _BATCH):
            numbers = [next(self._numbers) for _ in range(min(_BATCH, jobs - start))]
            batch = [(name, {"n": n}) for n in numbers]
            while not self._accepted(lambda: self.enqueuer.enqueue_many(batch), numbers):  # noqa: B023 -- called at once
                self._stop.wait(_AFTER_ERROR_S)

    def run(self, rate: float) -> None:
        """Enqueue one job after another until `stop`, each until it is accepted."""
        kinds: list[Callable[[int], object]] = [
            lambda n: self.enqueuer.enqueue("note", {"n": n}),
            lambda n: self.enqueuer.enqueue("limited", {"n": n}),
            lambda n: self.enqueuer.enqueue_unique("unique", {"n": n}),
            lambda n: self.enqueuer.enqueue_in("scheduled", 1, {"n": n}),
        ]
        while not self._stop.wait(1 / rate):
            number = next(self._numbers)
            self._insist(kinds[number % 10 if number % 10 < len(kinds) else 0], number)

    def _insist(self, enqueue: Callable[[int], object], number: int) -> None:
        while not self._stop.is_set():
            if self._accepted(lambda: enqueue(number), [number]):
                return
            self._stop.wait(_AFTER_ERROR_S)

    def _accepted(self, enqueue: Callable[[], object], numbers: list[int]) -> bool:
        try:
            enqueue()
        except ServerError as error:
            with self._lock:
                # A refused call has changed nothing; a call without an answer may have enqueued its
                # job.
                self.unsure += len(numbers) * isinstance(error, ServerUnavailable)
                self.errors[f"{type(error).__name__}: {str(error)[:60]}"] += 1
            return False
        # None from a unique call: the first attempt got through, and its job waits.
        with self._lock:
            self.accepted.update(numbers)
        return True

    def stop(self) -> None:
        """Let the enqueuers end; jobs that are not accepted by then do not count."""
        self._stop.set()

    def close(self) -> None:
        """Close the connections; a later call opens them again."""
        self._plain.close()


@contextmanager
def enqueuing(load: Load, *, threads: int = 2, rate: float = 100.0) -> Iterator[None]:
    """Enqueue on some threads while the block runs.

    Args:
        load: Enqueues the jobs.
        threads: How many.
        rate: Jobs a second and thread at most.
    """
    running = [threading.Thread(target=load.run, args=(rate,)) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield
    finally:
        load.stop()
        for thread in running:
            thread.join()
