"""Carriers that can be closed for good, for enqueuers and clients."""

from __future__ import annotations

from typing import TypeVar

from workkit.errors import Closed
from workkit.store.connections.aio import AsyncCarrier
from workkit.store.connections.link import Carrier
from workkit.store.round_trip import Step

__all__ = ["AsyncClosing", "Closing"]

R = TypeVar("R")


class _Closable:
    """What both kinds share.

    Args:
        what: Who uses the carrier, for messages.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._closed = False

    def check(self) -> None:
        """Check that it is open.

        Raises:
            Closed: It was closed.
        """
        if self._closed:
            raise Closed(f"the {self._what} was closed; make a new one")


class Closing(_Closable):
    """Carries steps until it is closed; a call that is under way then ends normally.

    Args:
        carrier: Carries the steps.
        what: As above.

    Attributes:
        inner: The carrier.
    """

    def __init__(self, carrier: Carrier, what: str) -> None:
        super().__init__(what)
        self.inner = carrier

    @property
    def label(self) -> str:
        """The server as it may be shown: without user and password."""
        return self.inner.label

    def carry(self, step: Step[R]) -> R:
        """Carry out a step.

        Raises:
            Closed: It was closed.
            ServerError: What the step did not handle itself.
        """
        if self._closed:
            self.check()
        try:
            return self.inner.carry(step)
        finally:
            if self._closed:
                self.inner.close()  # the connection of this call was not idle before

    def close(self) -> None:
        """Close all connections; a second call does nothing."""
        self._closed = True
        self.inner.close()


class AsyncClosing(_Closable):
    """The same for an event loop.

    Args:
        carrier: Carries the steps.
        what: As above.
    """

    def __init__(self, carrier: AsyncCarrier, what: str) -> None:
        super().__init__(what)
        self._inner = carrier

    @property
    def label(self) -> str:
        """The server as it may be shown: without user and password."""
        return self._inner.label

    async def carry(self, step: Step[R]) -> R:
        """Carry out a step.

        Raises:
            Closed: It was closed.
            ServerError: What the step did not handle itself.
        """
        if self._closed:
            self.check()
        try:
            return await self._inner.carry(step)
        finally:
            if self._closed:
                await self._inner.close()

    async def close(self) -> None:
        """Close all connections; a second call does nothing."""
        self._closed = True
        await self._inner.close()
