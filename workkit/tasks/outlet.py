"""Where the calls of tasks go: the enqueuers of a server, or what takes their place in tests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol, Unpack
from weakref import WeakKeyDictionary

from workkit.errors import PoolState

if TYPE_CHECKING:
    from workkit.core.options import EnqueuerKeywords
    from workkit.enqueuer import AsyncEnqueuer, Enqueuer
    from workkit.store.connections.target import RedisLike

__all__ = ["Outlet", "ServerOutlet", "Unconnected"]

#: The server of a registry that has none: nothing is sent there, and nothing could be.
_NOWHERE: Final = ("work", "redis://tests-need-no-server.invalid:1")


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
    """The outlet of a registry before `Tasks.connect`, which works only in tests.

    Outside `Tasks.inline` and `Tasks.recorded`, every use raises `PoolState`.
    """

    @property
    def enqueuer(self) -> Enqueuer:
        """An enqueuer whose jobs a test takes."""
        from workkit.enqueuer import Enqueuer

        self._refuse_outside_of_tests()
        return Enqueuer(*_NOWHERE)

    @property
    def async_enqueuer(self) -> AsyncEnqueuer:
        """An enqueuer whose jobs a test takes."""
        from workkit.enqueuer import AsyncEnqueuer

        self._refuse_outside_of_tests()
        return AsyncEnqueuer(*_NOWHERE)

    def _refuse_outside_of_tests(self) -> None:
        from workkit.enqueuer.capturing import captures
        from workkit.tasks.testing import TestMode

        modes = [each for each in captures() if isinstance(each, TestMode)]
        if not any(mode.tasks.outlet is self and mode.is_open for mode in modes):
            raise PoolState(
                "the tasks are not connected to a server: call tasks.connect(namespace, url) once, "
                "or give task.call(...) to an enqueuer; in tests, use tasks.inline() or "
                "tasks.recorded()"
            )


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

    def __init__(
        self, namespace: str, redis: RedisLike, **options: Unpack[EnqueuerKeywords]
    ) -> None:
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

    @property
    def server(self) -> tuple[str, RedisLike]:
        """The namespace and the server."""
        return self._server[:2]

    def close(self) -> None:
        """Close the connections of threads; they open again when needed."""
        self.enqueuer.close()

    async def close_async(self) -> None:
        """Close the connections of this event loop; they open again when needed."""
        enqueuer = self._by_loop.get(asyncio.get_running_loop())
        if enqueuer is not None:
            await enqueuer.close()
