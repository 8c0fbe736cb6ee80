"""`workkit top --serve`: the console in a browser, and who is let in."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, CookieJar, WSServerHandshakeError

from tests.conftest import WaitUntil
from tests.tools.cli.shell import Shell, environment
from tests.tui.programs import browser
from tests.tui.stage import Stage

pytestmark = pytest.mark.one_server

_STARTED = "document.body && document.body.classList.contains('-first-byte')"
ROOT = Path(__file__).parents[2]


@contextmanager
def served(stage: Stage, wait_until: WaitUntil, *args: str) -> Iterator[str]:
    """Serve a console; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = environment(
        WORKKIT_REDIS_URL=stage.url,
        WORKKIT_NAMESPACE=stage.namespace,
        PYTHONPATH=f"{ROOT}{os.pathsep}{ROOT / 'tui'}",
    )
    command = [sys.executable, "-m", "workkit", "top", "--serve", "--port", str(port), *args]
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert f"127.0.0.1:{port}" in process.stderr.readline()

            def answers() -> bool:
                with socket.socket() as client:
                    return client.connect_ex(("127.0.0.1", port)) == 0

            wait_until(answers, 30)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait(20)


@pytest.mark.slow
def test_the_console_works_in_a_browser_and_loads_nothing_from_other_hosts(
    stage: Stage, wait_until: WaitUntil, tmp_path: Path
) -> None:
    stage.busy()

    async def look(url: str) -> None:
        async with browser() as page:
            await page.open(url)
            async with asyncio.timeout(60):
                while not await page.evaluate(_STARTED):  # noqa: ASYNC110 - a page gives no signal
                    await asyncio.sleep(0.1)
                await asyncio.sleep(1)
                first = await page.picture()
                picture = first
                while picture == first:
                    await page.evaluate("document.querySelector('textarea').focus()")
                    await page.press("6")
                    await asyncio.sleep(0.3)
                    picture = await page.picture()
            (Path(os.environ.get("WORKKIT_PICTURES", tmp_path)) / "browser.png").write_bytes(
                picture
            )
            hosts = {urlsplit(asked).hostname for asked in page.asked} - {None}
            assert hosts == {"127.0.0.1"}, page.asked
            assert len(page.asked) >= 3

    with served(stage, wait_until) as url:
        asyncio.run(look(url))


def test_a_token_and_the_origin_are_looked_at(stage: Stage, wait_until: WaitUntil) -> None:
    async def knock(url: str) -> None:
        async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
            async with session.get(url) as answer:
                assert answer.status == 403
            async with session.get(url, params={"token": "wrong"}) as answer:
                assert answer.status == 403
            async with session.get(url, params={"token": "s3cret"}) as answer:
                assert answer.status == 200
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                text = await answer.text()
            assert "googleapis" not in text
            async with session.get(url) as answer:  # by the cookie
                assert answer.status == 200
            with pytest.raises(WSServerHandshakeError):
                await session.ws_connect(f"{url}ws", headers={"Origin": "http://evil.example"})

    with served(stage, wait_until, "--token", "s3cret") as url:
        asyncio.run(knock(url))


def test_other_addresses_need_a_token_or_a_console_that_only_reads(
    redis_url: str, namespace: str
) -> None:
    shell = Shell(redis_url, namespace)
    for host in ("0.0.0.0", "192.0.2.7", "example.com"):  # noqa: S104 - it is refused
        told = shell.complaint("top", "--serve", "--host", host, code=2)
        assert "give --read-only, or --token SECRET" in told
