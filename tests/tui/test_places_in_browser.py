"""`workkit top --serve` with several places: each has a page, and the first has them all."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, CookieJar, WSServerHandshakeError

from tests.conftest import PrivateServer, WaitUntil
from tests.tools.cli.shell import Shell
from tests.tui.stage import ConsoleStage
from tests.tui.test_in_browser import let_in, parts, served, until_seen
from workkit import Enqueuer

pytestmark = pytest.mark.one_server

SIZE = "?width=140&height=30"


def arguments_of_all() -> str:
    """Return the arguments of all processes, which each user of the machine can read."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended
            found.append(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
    return "\n".join(found)


async def asked_for(page: ClientWebSocketResponse) -> dict[str, object]:
    """Return the page that a console asks its browser to open."""
    async with asyncio.timeout(60):
        while True:
            found = await page.receive()
            if isinstance(found.data, str) and "open_url" in found.data:
                message: dict[str, object] = json.loads(found.data)[1]
                return message


def test_several_namespaces_are_a_list_with_attention_and_a_page_each(
    stage: ConsoleStage, wait_until: WaitUntil
) -> None:
    stage.dead("a" * 24, 60)
    odd = f"{stage.namespace}<b>odd"
    stage.redis.zadd(f"{odd}:dead", {b"no job": 1, b"another": 2})

    async def look(address: str) -> None:
        async with let_in(address) as (session, url):
            async with session.get(f"{url}?place=2") as answer:
                text = await answer.text()
                assert 'new URL("ws/2", location.href)' in text
                assert f"<title>workkit: {stage.namespace}&lt;b&gt;odd</title>" in text
            for of_none in ("", "?place=3", "?place=x"):
                async with session.get(f"{url}{of_none}") as answer:
                    assert 'new URL("ws", location.href)' in await answer.text()
            for number, dead in ((1, "6 Dead 1"), (2, "6 Dead 2")):
                async with session.ws_connect(f"{url}ws/{number}{SIZE}") as page:
                    assert "P Places" in await until_seen(page, dead)
            with pytest.raises(WSServerHandshakeError, match="404"):
                await session.ws_connect(f"{url}ws/3{SIZE}")
            async with session.ws_connect(f"{url}ws{SIZE}") as page:
                seen = await until_seen(page, "2 places")
                assert "Attention" in seen
                await page.send_json(["stdin", "G\r"])
                assert await asked_for(page) == {"url": "?place=2", "new_tab": False}

    with served(stage, wait_until, "--namespace", f"{stage.namespace},{odd}") as address:
        asyncio.run(look(address))
    stage.redis.delete(f"{odd}:dead")


def test_places_on_several_servers_are_read_and_no_process_shows_their_addresses(
    stage: ConsoleStage, wait_until: WaitUntil, private_server: PrivateServer, tmp_path: Path
) -> None:
    other = private_server(port="any", config={"requirepass": "hunter22"})
    secret = f"redis://:hunter22@127.0.0.1:{other.port}/0"
    with Enqueuer("far", secret) as enqueuer:
        enqueuer.enqueue("mail")
    file = tmp_path / "places.toml"
    named = (
        ("here", stage.url, stage.namespace), ("Paris", secret, "far"),
        ("gone <b>", "unix:///nowhere/at-all.sock", "work"),
    )  # fmt: skip
    rows = [
        f"[[place]]\ntitle = {json.dumps(title)}\nredis = {json.dumps(redis)}\n"
        f"namespace = {json.dumps(namespace)}\n"
        for title, redis, namespace in named
    ]
    file.write_text("".join(rows))

    async def look(address: str) -> None:
        async with let_in(address) as (session, url):
            async with session.ws_connect(f"{url}ws{SIZE}") as page:
                seen = await until_seen(page, "no answer from Redis")
                seen += await until_seen(page, "need attention") if "need" not in seen else ""
                assert re.search(r"here|Paris", seen)
                assert "gone <b>" in seen
                processes = arguments_of_all()
                assert "-m workkit top --refresh" in processes, "the console runs"
                assert "hunter22" not in processes
                assert "at-all.sock" not in processes
            async with session.ws_connect(f"{url}ws/2{SIZE}") as page:
                seen = await until_seen(page, "mail")
                assert "hunter22" not in seen
            async with session.get(f"{url}?place=3") as answer:
                text = await answer.text()
                assert "gone &lt;b&gt;" in text
                assert "nowhere" not in text

    # The file may change, or go: the pages keep their numbers.
    with served(stage, wait_until, "--places", str(file)) as address:
        file.unlink()
        asyncio.run(look(address))


def test_the_rules_hold_for_the_page_of_every_place(
    stage: ConsoleStage, wait_until: WaitUntil
) -> None:
    async def knock(address: str) -> None:
        url, token = parts(address)
        async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as stranger:
            for path in ("", "?place=1", "?place=2"):
                async with stranger.get(f"{url}{path}") as answer:
                    assert answer.status == 403
            for path in ("ws", "ws/1", "ws/2"):
                with pytest.raises(WSServerHandshakeError, match="403"):
                    await stranger.ws_connect(f"{url}{path}{SIZE}")
        evil = {"Origin": "http://evil.example"}
        async with let_in(address) as (session, _):
            for path in ("ws", "ws/1", "ws/2"):
                with pytest.raises(WSServerHandshakeError, match="403"):
                    await session.ws_connect(f"{url}{path}{SIZE}", headers=evil)
                with pytest.raises(WSServerHandshakeError, match="400"):
                    await session.ws_connect(f"{url}{path}?width=100000")
            for path in ("ws/0", "ws/9", "ws/x", "ws/1;id"):
                with pytest.raises(WSServerHandshakeError, match="404"):
                    await session.ws_connect(f"{url}{path}{SIZE}")
        assert token

    both = f"{stage.namespace},{stage.namespace}-other"
    with served(stage, wait_until, "--namespace", both) as address:
        asyncio.run(knock(address))


def test_places_none_of_which_answers_are_told_before_a_browser_asks(tmp_path: Path) -> None:
    file = tmp_path / "places.toml"
    row = '[[place]]\nredis = "unix:///nowhere/redis.sock"\nnamespace = "{}"\n'
    file.write_text(row.format("a") + row.format("b"))
    told = Shell("redis://localhost:1", "x").complaint(
        "top", "--serve", "--port", "0", "--places", str(file), code=69
    )
    assert "no answer from Redis" in told
