"""Passes on what the observers of a simulated pool hear."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from workkit.engine.handling.events import ReapedPool
from workkit.engine.observing import Executed, PoolObserver

__all__ = ["WorldObserver"]


class WorldObserver(PoolObserver):
    """Hears what a pool does, and passes it on.

    Args:
        name: The name of the pool.
        heard: Called with that name, the name of a method of an observer, and its argument.
    """

    is_quick: ClassVar[bool] = True

    def __init__(self, name: str, heard: Callable[[str, str, Any], object]) -> None:
        self._name = name
        self._heard = heard

    def executed(self, executions: Sequence[Executed]) -> None:
        """Pass on executions that have ended."""
        self._heard(self._name, "executed", executions)

    def requeued(self, late_s: Sequence[float]) -> None:
        """Pass on how late scheduled jobs entered their queues, seconds."""
        self._heard(self._name, "requeued", late_s)

    def reaped(self, pool: ReapedPool) -> None:
        """Pass on a dead pool whose jobs were recovered."""
        self._heard(self._name, "reaped", pool)
