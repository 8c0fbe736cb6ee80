"""Sets of connections that carry steps, for callers on any thread."""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import suppress
from typing import Protocol, TypeVar

from workkit.store.connections.link import Link
from workkit.store.connections.target import Target
from workkit.store.round_trip import Step

__all__ = ["Carrier", "Links", "carrier"]

R = TypeVar("R")


class Carrier(Protocol):
    """Carries steps to a server for callers on any thread."""

    @property
    def label(self) -> str:
        """The server as it may be shown: without user and password."""
        ...

    def carry(self, step: Step[R]) -> R:
        """Carry out a step."""
        ...

    def close(self) -> None:
        """Close open connections; the next step opens one again."""
        ...


def carrier(redis: object, namespace: str = "") -> Carrier:
    """Return a carrier to the server that a user has named.

    Args:
        redis: As for `Target.of`. A simulated server has its own carrier.
        namespace: Prefix of all keys.

    Raises:
        InvalidOption: `redis` is not a server.
    """
    own = getattr(redis, "workkit_carrier", None)
    if own is not None:
        own.check_namespace(namespace)
        simulated: Carrier = own
        return simulated
    return Links(Target.of(redis, namespace))


class Links:
    """A set of links for callers on any thread; grows to the number of concurrent calls.

    It grows up to the maximum of connections of the user's client, 100 by default. Then callers
    wait until another caller gives its link back.

    Args:
        target: Where the server is.
        timeout_s: As for `Link`.
        most: How many links there are at most, if fewer than the client may have.
    """

    def __init__(
        self, target: Target, *, timeout_s: float | None = None, most: int | None = None
    ) -> None:
        #: Where the server is.
        self.target = target
        self._timeout_s = timeout_s
        self._most = target.most if most is None else min(most, target.most)
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._idle: deque[Link] = deque()
        self._made = self._waiting = self._epoch = 0
        self._returned = threading.Condition(threading.Lock())

    @property
    def label(self) -> str:
        """The server as it may be shown: without user and password."""
        return self.target.label

    @property
    def address(self) -> tuple[str, int | None]:
        """The server's host and port; see `Target.address`."""
        return self.target.address

    def carry(self, step: Step[R]) -> R:
        """Carry out a step on a link that no other caller uses during the step.

        Raises:
            ServerError: An error that the step did not handle itself.
        """
        link = self._take()
        try:
            return link.carry(step)
        finally:
            self.give_back(link)

    def _take(self) -> Link:
        if self._pid != os.getpid():
            self._begin()  # after a fork: do not use the parent's connections
        try:
            link = self._idle.pop()
        except IndexError:
            link = self._another()
        link.usable()
        return link

    def take_idle(self) -> Link | None:
        """Return a link that no other caller uses, or a new one; None if all are in use."""
        try:
            link = self._idle.pop()
        except IndexError:
            with self._returned:
                return self._new() if self._made < self._most else None
        link.usable()
        return link

    def _new(self) -> Link:
        self._made += 1
        link = Link(self.target, timeout_s=self._timeout_s)
        link.epoch = self._epoch
        return link

    def _another(self) -> Link:
        with self._returned:
            if self._made < self._most:
                return self._new()
            self._waiting += 1
            try:
                # `give_back` first appends the link, and then checks whether a caller waits.
                while True:
                    with suppress(IndexError):  # a thread that does not wait may be faster
                        return self._idle.pop()
                    self._returned.wait()
            finally:
                self._waiting -= 1

    def give_back(self, link: Link) -> None:
        """Let other callers use a link."""
        if link.epoch != self._epoch:
            link.close()
            link.epoch = self._epoch
        self._idle.append(link)
        if self._waiting:
            with self._returned:
                self._returned.notify()

    def close(self) -> None:
        """Close all links, each as soon as the step on it is done."""
        self._epoch += 1
        closed = []
        while self._idle:
            closed.append(self._idle.pop())
            closed[-1].close()
        for link in closed:
            self.give_back(link)
