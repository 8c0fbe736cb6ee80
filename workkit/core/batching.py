"""Splits jobs into batches, one for each script call, bounded by number and by bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

__all__ = ["batches"]

T = TypeVar("T")


def batches(
    jobs: Sequence[T], raw_of: Callable[[T], bytes], most: int, most_bytes: int
) -> Iterator[Sequence[T]]:
    """Split jobs into batches, in their order.

    Args:
        jobs: The jobs.
        raw_of: Returns the bytes of a job.
        most: How many jobs a batch has at most.
        most_bytes: How many bytes a batch has at most; a single job may have more.
    """
    for start in range(0, len(jobs), most):
        batch = jobs[start : start + most]
        if sum(map(len, map(raw_of, batch))) <= most_bytes:
            yield batch
        else:
            yield from _bounded(batch, raw_of, most_bytes)


def _bounded(
    jobs: Sequence[T], raw_of: Callable[[T], bytes], most_bytes: int
) -> Iterator[Sequence[T]]:
    """Split jobs by bytes. A batch has at least one job."""
    first = size = 0
    for at, job in enumerate(jobs):
        more = len(raw_of(job))
        if at > first and size + more > most_bytes:
            yield jobs[first:at]
            first, size = at, 0
        size += more
    yield jobs[first:]
