"""What the readers of a server share, for threads and for asyncio: no I/O."""

from __future__ import annotations

from typing import Protocol

from workkit.core.clock import Clock, SystemClock
from workkit.core.options import check_sources
from workkit.store.keys import Keys

__all__ = ["LiveState"]


class _Labelled(Protocol):
    """A carrier of steps, as far as this module needs it."""

    @property
    def label(self) -> str: ...


class LiveState:
    """A namespace on a server, and the time.

    Args:
        namespace: Prefix of all Redis keys.
        clock: The source of the time; None for the host's clock.
    """

    _links: _Labelled  # the reader's own kind of carrier

    def __init__(self, namespace: str, clock: Clock | None) -> None:
        self._keys = Keys(namespace)
        check_sources(clock, None)
        self._clock = clock if clock is not None else SystemClock()

    @property
    def label(self) -> str:
        """The namespace and its server, without user and password."""
        namespace = self._keys.namespace
        return f"{namespace} at {self._links.label}" if namespace else self._links.label

    @property
    def live(self) -> bool:
        """True: the namespace can change."""
        return True

    def now_s(self) -> float:
        """Return the time, epoch seconds."""
        return self._clock.read().epoch_ms / 1_000

    def _now_s(self) -> int:
        return self._clock.read().epoch_s
