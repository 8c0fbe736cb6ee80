"""How the duties of a pool reach the rest of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from workkit.core.history import Record
from workkit.core.stacks import RunningStack, encode
from workkit.engine.handling.events import ReapedPool

__all__ = ["Callbacks"]


def _ignore(*_: object) -> None:
    """Stand in for a part that is not there."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the heartbeat and the reaper call in their pool; by default, there is no such pool.

    Attributes:
        totals: Returns the running totals to publish.
        expelled: Called when the pool is no longer registered.
        reaped: Called with each dead pool whose jobs were recovered.
        remember: Takes records for history.
        is_heard: Tells whether the pool's last heartbeat arrived.
        stack: Returns where the handler of a job is, encoded.
    """

    totals: Callable[[], Mapping[str, int]] = dict
    expelled: Callable[[], None] = _ignore
    reaped: Callable[[ReapedPool], None] = _ignore
    remember: Callable[[Record], None] = _ignore
    is_heard: Callable[[], bool] = lambda: True
    stack: Callable[[str], bytes] = lambda job_id: encode(RunningStack(job_id))
