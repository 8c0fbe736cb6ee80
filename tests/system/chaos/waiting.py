"""Waits of these runs: between faults, and until a condition that no signal reports is true."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

__all__ = ["await_that", "wait_s"]

_LOOK_S: Final = 0.05
_WITHIN_S: Final = 60.0


def wait_s(seconds: float) -> None:
    """Let time pass: between faults, and while one lasts."""
    time.sleep(seconds)  # noqa: TID251 -- real time is what these runs are made of


def await_that(
    condition: Callable[[], object], trouble: Callable[[], str] | str, within_s: float = _WITHIN_S
) -> None:
    """Wait for an action of other processes that gives no signal.

    Args:
        condition: Whether it has come.
        trouble: The error if it does not come.
        within_s: How long it may take, seconds.

    Raises:
        RuntimeError: It has not come.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(trouble if isinstance(trouble, str) else trouble())
        wait_s(_LOOK_S)
