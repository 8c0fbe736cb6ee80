"""A connection on which the server announces changes of the keys that were read on it."""

from __future__ import annotations

from redis import exceptions as redis_errors

from workkit.errors import ServerError
from workkit.store.connections.link import Link
from workkit.store.connections.links import Carrier, Links
from workkit.store.connections.target import Target

__all__ = ["WatchLink", "watch_link"]


class WatchLink(Link):
    """Reads keys, and collects the names of those that change.

    The server remembers each key that the link reads, and announces its next change once. Then the
    caller must read the key again to watch it further. The link sends nothing while it waits.

    Args:
        target: Where the server is.
        timeout_s: As for `Link`.
    """

    def __init__(self, target: Target, *, timeout_s: float | None = None) -> None:
        super().__init__(target, timeout_s=timeout_s, name="workkit-top")
        self._changed: set[bytes] = set()
        self._lost = True

    def watches(self) -> bool:
        """Ask the server to announce changes, unless it was asked; tell whether it does.

        Returns:
            False if it refuses (no RESP3, no permission).

        Raises:
            ServerError: It was not reached.
        """
        if self._tracking:
            return True
        (reply,) = self.send([("CLIENT", "TRACKING", "ON", "NOLOOP")])
        if isinstance(reply, ServerError) or not self.hears:
            return False
        self._tracking = self._lost = True
        return True

    def _on_change(self, keys: list[bytes] | None) -> None:
        """Take the names of keys; None for all, as after a flush."""
        if keys is None:
            self._lost = True
        else:
            self._changed.update(keys)

    def changed(self) -> set[bytes] | None:
        """Return the keys that have changed since the last call; None if that is not known.

        Raises:
            ServerError: The connection broke; the next read opens it again.
        """
        line = self._line
        if not self._tracking or line is None:
            return None
        try:
            while line.has_input():
                line.hear()
        except (OSError, redis_errors.RedisError, ValueError):
            self.close()
            return None
        lost, self._lost = self._lost, False
        found, self._changed = self._changed, set()
        return None if lost else found


def watch_link(carrier: Carrier) -> WatchLink | None:
    """Return a separate connection to the server of a carrier; None for a simulated server."""
    return WatchLink(carrier.target) if isinstance(carrier, Links) else None
