"""Tells the process which jobs its enqueuers have put into Redis; for metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TypeAlias

from workkit.core.guarding import called
from workkit.errors import JobTimeout

__all__ = ["LISTENERS", "EnqueueListener", "enqueued", "listening"]

#: Takes the number of jobs by queue. It is called by the thread or the task that has enqueued.
EnqueueListener: TypeAlias = Callable[[Mapping[str, int]], object]

#: The listeners of this process; enqueuers only test whether there are any.
LISTENERS: Final[list[EnqueueListener]] = []


@contextmanager
def listening(listener: EnqueueListener) -> Iterator[None]:
    """Tell a listener of all jobs that enqueuers of this process put into Redis meanwhile."""
    LISTENERS.append(listener)
    try:
        yield
    finally:
        LISTENERS.remove(listener)


def enqueued(jobs: Mapping[str, int]) -> None:
    """Tell all listeners of jobs that Redis has accepted, queue -> how many."""
    for listener in tuple(LISTENERS):  # the jobs are enqueued, so the caller must not fail
        called(listener, jobs, through=JobTimeout)
