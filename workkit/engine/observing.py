"""Tells observers what a pool has done; for metrics, which must cost next to nothing.

An observer hears of executions in batches, once Redis has confirmed their outcomes. So it costs a
pool without observers one test a batch, and a pool with one no call a job. It runs on a thread of
its own, so one that waits or hangs does not hold up the pool; reports that it does not take are
lost. One that is quick may run on the pool's own loops. Its errors are logged and change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

from workkit.core.guarding import guarded
from workkit.core.history import Record
from workkit.core.options import shown
from workkit.engine.handling.events import ReapedPool
from workkit.engine.process.courier import TELLER
from workkit.errors import InvalidOption

__all__ = ["Executed", "Fenced", "Observers", "PoolObserver"]


class Executed(Protocol):
    """An execution whose outcome counts."""

    @property
    def queue(self) -> str:
        """The queue that it was claimed from."""
        ...

    @property
    def record(self) -> Record:
        """The execution as history has it: times, outcome, error."""
        ...


class Fenced(NamedTuple):
    """An execution whose job another pool has taken over.

    Attributes:
        queue: The queue that it was claimed from.
        record: The execution as history has it.
    """

    queue: str
    record: Record


class PoolObserver:
    """Hears what a pool does; a subclass defines only the methods that it needs.

    Attributes:
        is_quick: Whether it only counts, and never waits. Then it is called on the pool's own
            loops, where it would hold up the pool. Otherwise it is called on another thread.
    """

    is_quick: ClassVar[bool] = False

    def starts(self, queues: Sequence[str]) -> None:
        """Hear which queues the pool takes jobs from, before its first claim."""

    def executed(self, executions: Sequence[Executed]) -> None:
        """Take executions that have ended."""

    def requeued(self, late_s: Sequence[float]) -> None:
        """Take how long after its due time each scheduled job entered its queue, seconds."""

    def reaped(self, pool: ReapedPool) -> None:
        """Take a dead pool whose jobs this one has recovered."""

    def disrupted(self) -> None:
        """Hear that Redis has stopped answering the dispatcher."""


class Observers:
    """The observers of one pool."""

    def __init__(self) -> None:
        self._all: list[PoolObserver] = []

    def __bool__(self) -> bool:
        return bool(self._all)

    def add(self, observer: PoolObserver) -> None:
        """Add an observer.

        Raises:
            InvalidOption: It is not an object of a subclass of `PoolObserver`.
        """
        if not isinstance(observer, PoolObserver):
            raise InvalidOption(
                "an observer is an object of a subclass of workkit.engine.observing.PoolObserver, "
                f"not {shown(observer)}"
            )
        self._all.append(observer)

    def plus(self, observer: PoolObserver) -> Observers:
        """Return these observers and another one."""
        more = Observers()
        more._all = [*self._all, observer]
        return more

    def starts(self, queues: Sequence[str]) -> None:
        """Tell all observers which queues the pool takes jobs from."""
        self._tell("starts", queues)

    def executed(self, executions: Sequence[Executed]) -> None:
        """Tell all observers of executions that have ended."""
        self._tell("executed", executions)

    def requeued(self, late_s: Sequence[float]) -> None:
        """Tell all observers how late scheduled jobs entered their queues, seconds."""
        self._tell("requeued", late_s)

    def reaped(self, pool: ReapedPool) -> None:
        """Tell all observers of a dead pool whose jobs were recovered."""
        self._tell("reaped", pool)

    def disrupted(self) -> None:
        """Tell all observers that Redis has stopped answering."""
        self._tell("disrupted")

    def _tell(self, method: str, *args: object) -> None:
        for observer in self._all:
            if getattr(observer, "is_quick", False):
                guarded(observer, method, *args)
            else:
                TELLER.tell(_hear, (observer, method, args))


def _hear(report: tuple[PoolObserver, str, tuple[Any, ...]]) -> None:
    observer, method, args = report
    guarded(observer, method, *args)
