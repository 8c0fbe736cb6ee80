"""The jobs of the load: `workkit worker benchmarks.observed.app:tasks`."""

from __future__ import annotations

import threading
from typing import Final

from workkit import Tasks

__all__ = ["tasks"]

tasks: Final = Tasks()

_pause: Final = threading.Event()  # nobody sets it


@tasks.task
def mail(n: int) -> None:
    """Take some milliseconds, and enqueue another job now and then."""
    _pause.wait(0.002 + n % 17 / 1_000)
    if n % 10 == 0:
        receipt.enqueue(n)


@tasks.task
def receipt(n: int) -> None:
    """Take a millisecond."""
    _pause.wait(0.001 + n % 2 / 1_000)


@tasks.task(max_concurrency=2)
def render(n: int) -> None:
    """Take long, with a limit."""
    _pause.wait(0.05 + n % 7 / 50)


@tasks.task(max_fails=2, backoff=lambda _: 2)
def charge(n: int) -> None:
    """Fail in a third of all executions."""
    _pause.wait(0.005)
    if n % 3 == 0:
        raise ValueError("declined")


@tasks.cron("@every 2s")
@tasks.task
def sync() -> None:
    """Run every two seconds."""
