"""Programs that some tests need: a terminal multiplexer, a browser."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Browser", "browser", "program"]

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-port=0", "--window-size=1100,640",
)  # fmt: skip


def program(*names: str) -> str:
    """Return the first program that is here; without one skip, or fail where all are required."""
    for name in names:
        if found := shutil.which(name):
            return found
    trouble = f"there is no {' or '.join(names)} here"
    if os.environ.get("CI") or os.environ.get("WORKKIT_REQUIRE_ALL_SERVERS"):
        pytest.fail(f"{trouble}, and CI or WORKKIT_REQUIRE_ALL_SERVERS wants it")
    pytest.skip(trouble)


class Browser:
    """One page of a headless browser, spoken to by its debugging protocol."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._last = 0
        self.asked: list[str] = []

    async def call(self, method: str, **params: Any) -> Any:
        """Call a method, and record the addresses that the page requests until the reply."""
        self._last += 1
        await self._socket.send_json({"id": self._last, "method": method, "params": params})
        while True:
            message = json.loads((await self._socket.receive()).data)
            if message.get("method") == "Network.requestWillBeSent":
                self.asked.append(message["params"]["request"]["url"])
            if message.get("method") == "Network.webSocketCreated":
                self.asked.append(message["params"]["url"])
            if message.get("id") == self._last:
                return message.get("result", {})

    async def open(self, url: str) -> None:
        """Open a page."""
        await self.call("Network.enable")
        await self.call("Page.enable")
        await self.call("Page.navigate", url=url)

    async def evaluate(self, expression: str) -> Any:
        """Compute something in the page."""
        found = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return found.get("result", {}).get("value")

    async def press(self, key: str) -> None:
        """Press a key that writes a character."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if kind == "keyDown" else {}
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, **text)

    async def picture(self) -> bytes:
        """Return a PNG of the page."""
        found = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(found["data"])


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Start a browser, and open an empty page in it."""
    from aiohttp import ClientSession

    binary = program("chromium", "chromium-browser", "google-chrome")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [binary, *_FLAGS, f"--user-data-dir={folder}", "about:blank"]
        process = subprocess.Popen(  # noqa: ASYNC220 - it is only started here
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            port_file = Path(folder) / "DevToolsActivePort"
            async with asyncio.timeout(30):
                while not _written(port_file):  # noqa: ASYNC110 - files give no signal
                    await asyncio.sleep(0.05)
            port = port_file.read_text().split()[0]
            async with ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                    pages = await answer.json(content_type=None)
                address = next(page for page in pages if page["type"] == "page")
                async with session.ws_connect(
                    address["webSocketDebuggerUrl"], max_msg_size=0
                ) as socket:
                    yield Browser(socket)
        finally:
            process.kill()
            process.wait()


def _written(path: Path) -> bool:
    return path.exists() and bool(path.read_text().strip())
