"""Where the calls of tasks go: the enqueuers of a server, or what takes their place in tests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from workkit.errors import PoolState

if TYPE_CHECKING:
    from workkit.enqueuer import AsyncEnqueuer, Enqueuer
    from workkit.store.connections.target import RedisLike

__all__ = ["Outlet", "ServerOutlet", "Unconnected"]


class Outlet(Protocol):
    """Where the calls of tasks go."""

    @property
    def enqueuer(self) -> Any:
        """An object with the methods of `Enqueuer`."""
        ...

    @property
    def async_enqueuer(self) -> Any:
        """An object with the methods of `AsyncEnqueuer`, for the running event loop."""
        ...


class Unconnected:
    """The outlet of a registry before `Tasks.connect`: every use raises `PoolState`."""

    @property
    def enqueuer(self) -> Any:
        """There is none."""
        raise PoolState(
            "the tasks are not connected to a server: call tasks.connect(namespace, url) once, or "
            "give task.call(...) to an enqueuer"
        )

    @property
    def async_enqueuer(self) -> Any:
        """There is none."""
        return self.enqueuer


class ServerOutlet:
    """The enqueuers of one server. Connections open when they are first used.

    Args:
        namespace: Prefix of all Redis keys.
        redis: A redis-py client or a URL.
        **options: Further options of `Enqueuer`.

    Raises:
        InvalidOption: `redis` is neither a client nor a URL, or an option is not valid.
        InvalidName: The namespace is not valid.
    """

    def __init__(self, namespace: str, redis: RedisLike, **options: Any) -> None:
        from workkit.enqueuer import Enqueuer

        self.enqueuer: Enqueuer = Enqueuer(namespace, redis, **options)
        self._server = (namespace, redis, options)
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncEnqueuer] = (
            WeakKeyDictionary()
        )

    @property
    def async_enqueuer(self) -> AsyncEnqueuer:
        """The enqueuer of the running event loop."""
        loop = asyncio.get_running_loop()
        enqueuer = self._by_loop.get(loop)
        if enqueuer is None:
            from workkit.enqueuer import AsyncEnqueuer

            namespace, redis, options = self._server
            enqueuer = self._by_loop[loop] = AsyncEnqueuer(namespace, redis, **options)
        return enqueuer

    def close(self) -> None:
        """Close the connections of threads; they open again when needed."""
        self.enqueuer.close()

    async def close_async(self) -> None:
        """Close the connections of this event loop; they open again when needed."""
        enqueuer = self._by_loop.get(asyncio.get_running_loop())
        if enqueuer is not None:
            await enqueuer.close()
