"""Both enqueuers with one interface, so that each test covers both; and a server with delays."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from redis import Redis

from workkit import AsyncEnqueuer, Enqueuer
from workkit.embedded import EmbeddedServer

__all__ = ["HeldUp", "blocking", "on_one_loop"]


class _Blocking:
    """Runs the methods of an `AsyncEnqueuer` to their end."""

    def __init__(self, enqueuer: AsyncEnqueuer, runner: asyncio.Runner) -> None:
        self._enqueuer = enqueuer
        self._runner = runner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._enqueuer, name)

        @functools.wraps(method)
        def run(*args: Any, **options: Any) -> Any:
            return self._runner.run(method(*args, **options))

        return run


def blocking(enqueuer: AsyncEnqueuer, runner: asyncio.Runner) -> Enqueuer:
    """Wrap an `AsyncEnqueuer` so that it has the methods of an `Enqueuer`."""
    return cast("Enqueuer", _Blocking(enqueuer, runner))


class HeldUp:
    """A server, and a connection that can delay its writes."""

    def __init__(self, server: EmbeddedServer) -> None:
        self.url = server.url
        self.redis = Redis.from_url(server.url)

    def hold(self) -> None:
        """Let the server answer no writes for the time being."""
        self.redis.client_pause(600_000, all=False)

    def go_on(self) -> None:
        """Let the server answer what has been waiting."""
        self.redis.client_unpause()

    def waiting(self) -> int:
        """Count the commands that wait in the server."""
        return int(self.redis.info("clients")["blocked_clients"])


@contextmanager
def on_one_loop() -> Iterator[Callable[[str, Any], Enqueuer]]:
    """Make async enqueuers that share a loop and look like others."""
    with asyncio.Runner() as runner:
        yield lambda namespace, redis: blocking(AsyncEnqueuer(namespace, redis), runner)
