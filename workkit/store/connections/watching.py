"""A connection whose server tells which of the keys that were read on it have changed."""

from __future__ import annotations

from redis import exceptions as redis_errors

from workkit.errors import ServerError
from workkit.store.connections.link import Carrier, Link, Links
from workkit.store.connections.target import Target

__all__ = ["WatchLink", "watch_link"]


class WatchLink(Link):
    """Reads keys, and collects the names of those that change.

    The server remembers each key that was read since, and names it once when it changes; it is to
    be read again to be watched further. Nothing is sent for that, so waiting costs nothing.

    Args:
        target: Where the server is.
        timeout_s: As for `Link`.
    """

    def __init__(self, target: Target, *, timeout_s: float | None = None) -> None:
        super().__init__(target, timeout_s=timeout_s, name="workkit-top")
        self._changed: set[bytes] = set()
        self._lost = True

    def watches(self) -> bool:
        """Tell whether the server names changes, and ask it to if it is not asked yet.

        Returns:
            False where it refuses (no RESP3, no permission).

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
    """Return a connection of its own to the server of a carrier; None to a simulated one."""
    return WatchLink(carrier.target) if isinstance(carrier, Links) else None
