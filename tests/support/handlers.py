"""Handlers that tests give to pools."""

from __future__ import annotations

from workkit import Job


def nothing(job: Job) -> None:
    """Do nothing."""


def boom(job: object) -> None:
    """Fail with a `RuntimeError`; also takes the job record of a Go pool."""
    raise RuntimeError("boom")


def fail(job: Job) -> None:
    """Fail with a `ValueError`."""
    raise ValueError("no")
