"""A TCP proxy on loopback that is slow, or falls silent in the middle of a reply."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

__all__ = ["Proxy", "proxy"]

_LOCALHOST: Final = "127.0.0.1"
_TURNS_TO_CLOSE: Final = 5
_CHUNK: Final = 65_536
_End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Passes bytes on to a server.

    Args:
        port: The server's.

    Attributes:
        port: Its own.
        latency_s: How long bytes are on their way, both ways together, seconds.
        stalled: How many replies were cut in two so far.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self.port = 0
        self.latency_s = 0.0
        self.stalled = 0
        self._stall_s = 0.0
        self._stalls = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._over = asyncio.Event()
        self._links: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="chaos-proxy")

    def stall(self, connections: int, for_s: float) -> None:
        """Cut the next reply on some connections: half of it, then nothing for a while."""
        self._stall_s, self._stalls = for_s, connections

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        self._ready.wait()

    def close(self) -> None:
        """End, and all connections with it."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        with socket.create_server((_LOCALHOST, 0)) as listening:
            listening.setblocking(False)
            self.port = listening.getsockname()[1]
            self._loop.add_reader(listening, self._accept, listening)
            self._ready.set()
            await self._over.wait()
            self._loop.remove_reader(listening)
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)
        for _ in range(_TURNS_TO_CLOSE):
            await asyncio.sleep(0)  # closed transports let go of their sockets in a later turn

    def _accept(self, listening: socket.socket) -> None:
        accepted, _ = listening.accept()
        link = self._loop.create_task(self._link(accepted))
        self._links.add(link)
        link.add_done_callback(self._links.discard)
        # A task that is cancelled before its first step closes nothing itself.
        link.add_done_callback(lambda _: accepted.close())

    async def _link(self, accepted: socket.socket) -> None:
        with suppress(OSError, asyncio.CancelledError):
            reader, writer = await asyncio.open_connection(sock=accepted)
            try:
                behind = await asyncio.open_connection(_LOCALHOST, self._server_port)
                try:
                    await self._pass_both_ways((reader, writer), behind)
                finally:
                    behind[1].transport.abort()
            finally:
                writer.transport.abort()

    async def _pass_both_ways(self, client: _End, server: _End) -> None:
        ways = [
            asyncio.create_task(self._pass(client[0], server[1], replies=False)),
            asyncio.create_task(self._pass(server[0], client[1], replies=True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pass(
        self, source: asyncio.StreamReader, to: asyncio.StreamWriter, *, replies: bool
    ) -> None:
        due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sender = asyncio.create_task(self._send(due, to, replies=replies))
        try:
            with suppress(ConnectionError):
                while data := await source.read(_CHUNK):
                    due.put_nowait((self._loop.time() + self.latency_s / 2, data))
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    async def _send(
        self, due: asyncio.Queue[tuple[float, bytes]], to: asyncio.StreamWriter, *, replies: bool
    ) -> None:
        while True:
            at, data = await due.get()
            await asyncio.sleep(max(at - self._loop.time(), 0))
            if replies and self._stalls > 0 and len(data) > 1:
                self._stalls -= 1
                self.stalled += 1
                to.write(data[: len(data) // 2])
                await asyncio.sleep(self._stall_s)
                data = data[len(data) // 2 :]
            to.write(data)
            with suppress(ConnectionError):
                await to.drain()


@contextmanager
def proxy(port: int) -> Iterator[Proxy]:
    """Put a proxy in front of a server on loopback."""
    between = Proxy(port)
    between.start()
    try:
        yield between
    finally:
        between.close()
