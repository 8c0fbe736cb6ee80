"""Where the calls of a registry go: to a server, or to a test that takes its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workkit.store.connections.target import RedisLike

__all__ = ["Outlets"]


class Outlets:
    """The part of a registry that knows where its calls go."""

    _server: tuple[str, RedisLike, dict[str, Any]] | None

    @property
    def connected_to(self) -> tuple[str, RedisLike] | None:
        """The namespace and the server of `Tasks.connect`; None if it was not called."""
        return self._server[:2] if self._server is not None else None
