"""`workkit top --serve`: the console in a browser, and who is let in."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, CookieJar, WSServerHandshakeError, web
from aiohttp.test_utils import make_mocked_request

from tests.conftest import WaitUntil
from tests.tools.cli.shell import Shell, environment
from tests.tui.programs import browser
from tests.tui.stage import ConsoleStage
from workkit.core.masks import Masks
from workkit.core.secrets import SECRETS
from workkit.recording import Observer as RecordingObserver
from workkit.recording import Recorder, RecordingWriter
from workkit.snapshot import write_snapshot
from workkit_tui.remembered import Remembered, SavedView

pytestmark = pytest.mark.one_server

_ESCAPE = re.compile(r"\x1b\[[^a-zA-Z]*[a-zA-Z]")
_STARTED = "document.body && document.body.classList.contains('-first-byte')"
ROOT = Path(__file__).parents[2]


def test_an_address_that_is_the_name_of_no_host_is_told(stage: ConsoleStage) -> None:
    shell = Shell(stage.url, stage.namespace)
    told = shell.complaint("top", "--serve", "--read-only", "--port", "0", "--host", "a..b", code=2)
    assert "cannot listen on a..b:0: no such address" in told


@contextmanager
def served(
    stage: ConsoleStage, wait_until: WaitUntil, *args: str, cwd: Path | None = None
) -> Iterator[str]:
    """Serve a console; gives its address, with the token that is printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = environment(
        WORKKIT_REDIS_URL=stage.url,
        WORKKIT_NAMESPACE=stage.namespace,
        PYTHONPATH=f"{ROOT}{os.pathsep}{ROOT / 'tui'}",
    )
    command = [sys.executable, "-m", "workkit", "top", "--serve", "--port", str(port), *args]
    with subprocess.Popen(command, env=env, cwd=cwd, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            told, token = "", None
            while token is None:
                told = process.stderr.readline()
                assert told, "it ended"
                token = re.search(r"/\?token=([^\s;]+);", told)
            public = "--public-url" in args
            assert (args[-1] if public else f"http://127.0.0.1:{port}/?") in told

            def answers() -> bool:
                with socket.socket() as client:
                    return client.connect_ex(("127.0.0.1", port)) == 0

            wait_until(answers, 30)
            yield f"http://127.0.0.1:{port}/?token={token[1]}"
        finally:
            process.terminate()
            process.wait(20)


@pytest.mark.slow
def test_the_console_works_in_a_browser_and_loads_nothing_from_other_hosts(
    stage: ConsoleStage, wait_until: WaitUntil, tmp_path: Path
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


@pytest.mark.slow
def test_what_is_copied_is_in_the_clipboard_of_the_browser(
    stage: ConsoleStage, wait_until: WaitUntil
) -> None:
    stage.dead("a" * 24, 60)
    listen = "navigator.clipboard.writeText = async text => { window.copied = text; }"

    async def copy(url: str) -> None:
        async with browser() as page:
            await page.open(url)
            async with asyncio.timeout(60):
                while not await page.evaluate(_STARTED):  # noqa: ASYNC110 - a page gives no signal
                    await asyncio.sleep(0.1)
                await page.evaluate(listen)
                while await page.evaluate("window.copied") != "a" * 24:
                    await page.evaluate("document.querySelector('textarea').focus()")
                    await page.press("6")
                    await page.press("y")
                    await asyncio.sleep(0.3)

    with served(stage, wait_until) as url:
        asyncio.run(copy(url))


def parts(address: str) -> tuple[str, str]:
    """Return the address without its token, and the token."""
    url, _, token = address.partition("?token=")
    return url, token


@asynccontextmanager
async def let_in(address: str) -> AsyncIterator[tuple[ClientSession, str]]:
    """Open the page once; gives a session with the cookie, and the address without a token."""
    url, token = parts(address)
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        async with session.get(url, params={"token": token}) as answer:
            assert answer.status == 200
        yield session, url


@pytest.mark.parametrize("given", [(), ("--token", "s3cret"), ("--read-only",)])
def test_a_token_and_the_origin_are_looked_at(
    stage: ConsoleStage, wait_until: WaitUntil, given: tuple[str, ...]
) -> None:
    async def knock(address: str) -> None:
        url, token = parts(address)
        if "s3cret" in given:
            assert address.endswith("=..."), "a token of the user's is not printed"
            token = "s3cret"  # noqa: S105 - a secret of nobody
        assert len(token) >= 6
        async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
            async with session.get(url) as answer:
                assert answer.status == 403
            async with session.get(url, params={"token": "wrong"}) as answer:
                assert answer.status == 403
            async with session.get(f"{url}static/js/textual.js") as answer:
                assert answer.status == 403
            with pytest.raises(WSServerHandshakeError):
                await session.ws_connect(f"{url}ws")
            async with session.get(url, params={"token": token}) as answer:
                assert answer.status == 200
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                text = await answer.text()
            assert "googleapis" not in text
            assert "127.0.0.1" not in text, "all addresses are relative"
            async with session.get(url) as answer:  # by the cookie
                assert answer.status == 200
            with pytest.raises(WSServerHandshakeError):
                await session.ws_connect(f"{url}ws", headers={"Origin": "http://evil.example"})

    with served(stage, wait_until, *given) as address:
        asyncio.run(knock(address))


def test_only_names_of_the_console_and_of_this_machine_are_answered(
    stage: ConsoleStage, wait_until: WaitUntil
) -> None:
    async def knock(address: str) -> None:
        url, token = parts(address)
        port = urlsplit(url).port

        async def status(host: str, scheme: str = "http") -> int:
            headers = {"Host": host, "Origin": f"{scheme}://{host}"}
            async with (
                ClientSession() as session,
                session.get(url, params={"token": token}, headers=headers) as answer,
            ):
                return answer.status

        for host in (
            f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}",
            "localhost:9000", "127.0.0.1",
        ):  # fmt: skip
            assert await status(host) == 200, host
        assert await status("console.example.com", "https") == 200
        for host in (
            "evil.example", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}",
            f"localhost.evil.example:{port}", "192.0.2.7", f"evil.console.example.com:{port}",
            "[::1", "@localhost",
        ):  # fmt: skip
            assert await status(host) in {400, 403}, host

    with served(stage, wait_until, "--public-url", "https://console.example.com:443/") as address:
        asyncio.run(knock(address))


async def shown(page: ClientWebSocketResponse, text: str) -> None:
    """Wait until the page of a browser has received a text."""
    screen = ""
    async with asyncio.timeout(60):
        while text not in screen:
            found = await page.receive()
            if isinstance(found.data, bytes):
                screen = (screen + found.data.decode())[-50_000:]


@pytest.mark.slow
def test_a_file_goes_to_the_browser_and_never_to_a_path_of_the_server(
    stage: ConsoleStage, wait_until: WaitUntil, tmp_path: Path
) -> None:
    stage.busy()
    outside = tmp_path / "stolen.csv"

    async def fetch(address: str) -> None:
        async with (
            let_in(address) as (session, url),
            session.ws_connect(f"{url}ws?width=100&height=30") as page,
        ):
            see = partial(shown, page)
            await see("Needs attention")
            await page.send_json(["stdin", "2"])
            await see("Drains in")  # a heading that only the screen of the queues has
            await page.send_json(["stdin", "e"])
            await see("Download as")  # keys before it are for the list
            await page.send_json(["stdin", f"\x15{outside}\r"])
            await see("without a path")
            await page.send_json(["stdin", "\x15queues.csv\r"])
            async with asyncio.timeout(60):
                while True:
                    found = await page.receive()
                    if isinstance(found.data, str) and "deliver_file_start" in found.data:
                        break
            key = json.loads(found.data)[1]
            async with session.get(f"{url}download/{key}") as answer:
                assert answer.headers["Content-Disposition"] == ("attachment; filename=queues.csv")
                assert (await answer.text()).startswith("job_name,count")

    with served(stage, wait_until, cwd=tmp_path) as address:
        asyncio.run(fetch(address))
    assert not list(tmp_path.iterdir())


def test_views_of_a_browser_are_not_written_to_the_file_of_the_server(
    stage: ConsoleStage, wait_until: WaitUntil, tmp_path: Path
) -> None:
    path = tmp_path / "shared.json"
    Remembered(path).save_view("night", SavedView("dead"))
    before, files = path.read_bytes(), set(tmp_path.iterdir())

    async def save(address: str) -> None:
        async with (
            let_in(address) as (session, url),
            session.ws_connect(f"{url}ws?width=100&height=30") as page,
        ):
            see = partial(shown, page)
            await see("Nothing needs attention")
            await page.send_json(["stdin", ":view night\r"])
            await see("newest first")
            await page.send_json(["stdin", ":save mine\r"])
            await see("until the console ends")

    with served(stage, wait_until, "--settings", str(path), cwd=tmp_path) as address:
        asyncio.run(save(address))
    assert path.read_bytes() == before
    assert set(tmp_path.iterdir()) == files


def test_too_many_consoles_and_sizes_that_no_screen_has_are_refused(
    stage: ConsoleStage, wait_until: WaitUntil
) -> None:
    async def ask(address: str) -> None:
        async with let_in(address) as (session, url):
            for size in (
                "width=0",
                "width=100000&height=30",
                "height=-1",
                "width=9e9",
                "width=²",
                f"width={999:09}9999",
            ):
                with pytest.raises(WSServerHandshakeError) as refused:
                    await session.ws_connect(f"{url}ws?{size}")
                assert refused.value.status == 400
            async with session.get(f"{url}ws?width=90&height=25") as no_page:
                assert no_page.status == 400
                assert await no_page.text() == "only the page of the console connects here"
            async with session.ws_connect(f"{url}ws?width=90&height=25") as page:
                for junk in ("", "{", "[", "7", '["stdin", 7]', '["resize", {"width": "x"}]', "[]"):
                    await page.send_str(junk)
                await page.send_json(["resize", {"width": 10**12, "height": -5}])
                await page.send_json(["resize", {"width": 90, "height": 25}])
                await page.send_json(["ping", "still there"])
                async with asyncio.timeout(60):
                    while "still there" not in str((await page.receive()).data):
                        pass

    with served(stage, wait_until) as address:
        asyncio.run(ask(address))


def test_no_more_consoles_than_the_maximum_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    from workkit_tui import serving

    monkeypatch.setenv("WORKKIT_SERVED_PLACES", "")  # the server sets it for its consoles
    options = {"refresh_s": 2, "theme": "workkit", "read_only": True}
    place = serving.ServedPlace("work", "redis://nowhere", "work")
    server = serving.ConsoleServer([place], options, "127.0.0.1", 0, "token")
    opened, release = asyncio.Event(), asyncio.Event()

    async def console(request: web.Request) -> web.StreamResponse:
        if server._sessions == serving.MOST_SESSIONS:
            opened.set()
        await release.wait()
        return web.Response()

    async def ask() -> None:
        request = make_mocked_request("GET", "/ws?width=80&height=24")
        consoles = [
            asyncio.ensure_future(server._serve_session(request, console))
            for _ in range(serving.MOST_SESSIONS)
        ]
        await opened.wait()
        with pytest.raises(web.HTTPServiceUnavailable) as refused:
            await server._serve_session(request, console)
        assert refused.value.text == "16 consoles are open, which is the maximum; close one of them"
        release.set()
        await asyncio.gather(*consoles)
        assert (await server._serve_session(request, console)).status == 200

    asyncio.run(ask())


def test_other_addresses_need_a_token_or_a_console_that_only_reads(
    redis_url: str, namespace: str
) -> None:
    shell = Shell(redis_url, namespace)
    for host in ("0.0.0.0", "192.0.2.7", "example.com"):  # noqa: S104 - it is refused
        told = shell.complaint("top", "--serve", "--host", host, code=2)
        assert "add --read-only, --token SECRET or --user NAME=SECRET" in told


@pytest.mark.slow
def test_each_user_of_a_browser_acts_under_a_name_of_their_own(
    stage: ConsoleStage, wait_until: WaitUntil
) -> None:
    stage.enqueuer.enqueue("mail")

    def acted(user: str) -> Callable[[], bool]:
        by = f"{user}@{socket.gethostname()}"
        return lambda: by in [act.by for act in stage.client.acts()]

    async def pause(address: str) -> None:
        url, token = parts(address)
        assert token == "..."  # noqa: S105 - a token of a user is not printed
        for user, user_token in (("ann", "one1"), ("bob $(x)", "two2")):
            async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
                async with session.get(url, params={"token": user_token}) as answer:
                    assert answer.status == 200
                async with session.ws_connect(f"{url}ws?width=100&height=30") as page:
                    screen = ""
                    for text, keys in (("Needs attention", "2"), ("Drains in", "")):
                        async with asyncio.timeout(60):
                            while text not in screen:
                                found = await page.receive()
                                if isinstance(found.data, bytes):
                                    screen = (screen + found.data.decode())[-50_000:]
                        if keys:
                            await page.send_json(["stdin", keys])
                    async with asyncio.timeout(60):
                        while not acted(user)():  # until the queues are read, the key does nothing
                            await page.send_json(["stdin", "p"])
                            await asyncio.to_thread(threading.Event().wait, 0.5)

    users = ("--user", "ann=one1", "--user", "bob $(x)=two2")
    with served(stage, wait_until, *users) as address:
        asyncio.run(pause(address))


@pytest.mark.parametrize(
    ("users", "told"),
    [
        (["ann"], "a user is written as NAME=TOKEN"),
        (["=secret7"], "a user is written as NAME=TOKEN"),
        (["ann="], "the token of 'ann' is empty"),
        (["ann=secret7", "bob=secret7"], "'ann' and 'bob' have the same token"),
    ],
)
def test_a_wrong_user_is_refused_without_the_token(
    redis_url: str, namespace: str, users: list[str], told: str
) -> None:
    shell = Shell(redis_url, namespace)
    args = [part for user in users for part in ("--user", user)]
    message = shell.complaint("top", "--serve", *args, code=2)
    assert told in message
    assert "secret7" not in message


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--serve", "--once"), "give one of them"),
        (("--serve", "--json"), "give one of them"),
        (("--plain", "--json"), "give one of them"),
        (("--port", "8001"), "--port is an option of --serve; add --serve"),
        (("--once", "--token", "secret7"), "--token is an option of --serve"),
        (("--once", "--user", "ann=secret7"), "--user is an option of --serve"),
        (("--serve", "--public-url", "jobs.example.com"), "'jobs.example.com' is not the address"),
        (("--serve", "--public-url", "ftp://jobs.example.com"), "is not the address of a page"),
        (("--serve", "--public-url", "https://h:99999"), "is not the address of a page"),
        (("--serve", "--public-url", "https://[::1"), "is not the address of a page"),
    ],
)
def test_options_of_several_ways_and_addresses_of_no_page_are_refused(
    redis_url: str, namespace: str, args: tuple[str, ...], told: str
) -> None:
    message = Shell(redis_url, namespace).complaint("top", *args, code=2)
    assert told in message
    assert "secret7" not in message


async def until_seen(page: ClientWebSocketResponse, text: str) -> str:
    """Read what a console draws until a text is there; return all of it, without escapes."""
    screen = ""
    async with asyncio.timeout(60):
        while text not in (bare := _ESCAPE.sub("", screen)):
            found = await page.receive()
            if isinstance(found.data, bytes):
                screen += found.data.decode()
    return bare


@pytest.mark.parametrize("kind", ["recording", "snapshot"])
def test_a_file_is_shown_and_its_path_is_not(
    stage: ConsoleStage, wait_until: WaitUntil, tmp_path: Path, kind: str
) -> None:
    stage.dead("a" * 24, 60)
    path = tmp_path / "night.file"
    if kind == "recording":
        with closing(RecordingWriter(
            path, stage.client.label, every_s=2, keep_s=3_600, most_bytes=50_000_000
        )) as writer:  # fmt: skip
            Recorder(stage.client, writer, Masks(SECRETS)).record(
                *RecordingObserver(stage.client).read()
            )
    else:
        write_snapshot(stage.client, path)
    stage.redis.delete(stage.keys.dead)

    async def look(address: str) -> None:
        url, token = parts(address)
        async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
            async with session.get(url, params={"token": token}) as answer:
                assert str(tmp_path) not in await answer.text()
            async with session.ws_connect(f"{url}ws?width=120&height=30") as page:
                screen = await until_seen(page, "6 Dead 1")
                assert str(tmp_path) not in screen

    with served(stage, wait_until, f"--{kind}", path.name, cwd=tmp_path) as address:
        asyncio.run(look(address))


def test_a_file_that_cannot_be_shown_is_told_before_a_browser_asks(tmp_path: Path) -> None:
    path = tmp_path / "no.recording"
    path.write_text("x")
    command = [sys.executable, "-m", "workkit", "top", "--serve", "--recording", str(path)]
    env = environment(PYTHONPATH=f"{ROOT}{os.pathsep}{ROOT / 'tui'}")
    ended = subprocess.run(
        command, check=False, env=env, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2
    assert "name a file of `workkit record`" in ended.stderr
