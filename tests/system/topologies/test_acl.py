"""A user that may do what the documentation lists, and nothing else, can do everything."""

from __future__ import annotations

import asyncio
import inspect
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from urllib.parse import quote

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from tests.conftest import PrivateServer, ServerKind, WaitUntil
from workkit import AsyncEnqueuer, Client, Enqueuer, Job, WorkerPool
from workkit.embedded import EmbeddedServer
from workkit.engine.needs import NEEDED, NEEDED_FOR_HISTORY
from workkit.store import handshake

ROOT: Final = Path(__file__).parents[3]
PASSWORD: Final = "p:a/s@s#word"  # noqa: S105 -- of a server that lives as long as its test
COMMAND: Final = re.compile(r"redis\.p?call\(\s*'([A-Z]+)'")
#: A command is a tuple whose first element is its name; two words for those with a subcommand.
VERB: Final = re.compile(r'\(\s*"([A-Z]{3,})",\s*(?:"(SLOTS|CACHING|TRACKING|GET|SETNAME)")?')
CALL: Final = re.compile(r"\b([a-z_]+)\.([a-z_]+)\(")
SCRIPT: Final = re.compile(r"\bscripts\.([A-Z_]+)")
PARENTS: Final = frozenset({"cluster", "client", "config"})


def rule() -> list[str]:
    text = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    found = re.search(r"^ACL SETUSER worker on >PASSWORD (.*)$", text, re.MULTILINE)
    assert found is not None
    return found[1].split()


def allowed() -> set[str]:
    return {word[1:] for word in rule() if word.startswith("+")}


def sent_by_the_store() -> set[str]:
    store = ROOT / "workkit" / "store"
    scripts = {
        name.lower()
        for path in (store / "lua").glob("*.lua")
        for name in COMMAND.findall(path.read_text("utf-8"))
    }
    commands = {
        f"{verb}|{sub}".lower() if verb.lower() in PARENTS else verb.lower()
        for path in store.rglob("*.py")
        for verb, sub in VERB.findall(path.read_text("utf-8"))
    }
    return scripts | commands


def test_every_command_that_is_sent_is_in_the_documented_list() -> None:
    words = {"moved", "crossslot", "wrongtype", "err"}  # codes of errors
    assert not sent_by_the_store() - allowed() - words


def sent_by_pools() -> set[str]:
    """Return the commands of the functions of `store/calls` that the engine calls."""
    found: set[str] = set()
    for path in (ROOT / "workkit" / "engine").rglob("*.py"):
        for module, function in CALL.findall(path.read_text("utf-8")):
            if (ROOT / "workkit" / "store" / "calls" / f"{module}.py").exists():
                calls = import_module(f"workkit.store.calls.{module}")
                found |= sent_by(calls, function)
    return found


def sent_by(module: ModuleType, function: str) -> set[str]:
    """Return the commands that a function sends, itself and in its scripts."""
    source = inspect.getsource(getattr(module, function))
    commands = {verb.lower() for verb, sub in VERB.findall(source) if not sub}
    for script in SCRIPT.findall(source):
        path = ROOT / "workkit" / "store" / "lua" / f"{script.lower()}.lua"
        commands |= {name.lower() for name in COMMAND.findall(path.read_text("utf-8"))}
    return commands


def test_pools_check_at_the_start_for_every_command_that_they_send() -> None:
    checked = {command.lower() for command, *_ in NEEDED + NEEDED_FOR_HISTORY} | {"set", "del"}
    assert "zadd" in sent_by_pools()
    assert not sent_by_pools() - checked - set(OPTIONAL)


def restricted(server: EmbeddedServer, namespace: str, without: str = "") -> str:
    with Redis.from_url(server.url) as admin:
        admin.execute_command("ACL", "SETUSER", "worker", "reset", "on", f">{PASSWORD}")
        for word in rule():
            if word == f"+{without}":
                continue
            try:
                own = word.replace("~work:*", f"~{namespace}:*")
                admin.execute_command("ACL", "SETUSER", "worker", own)
            except ResponseError:  # newer than the server
                assert word in {"+waitaof", "+client|setinfo"}
    return f"unix://worker:{quote(PASSWORD, safe='')}@{server.url.removeprefix('unix://')}"


def test_a_user_with_the_documented_rights_can_do_everything(
    private_server: PrivateServer, server_kind: ServerKind, wait_until: WaitUntil
) -> None:
    server = private_server(server_kind)
    url = restricted(server, "work")
    enqueuer, client = Enqueuer("work", url), Client("work", url)
    ran: list[str] = []
    pool = WorkerPool("work", url, concurrency=3)

    def note(job: Job) -> None:
        ran.append(job.name)
        job.checkin("half way")

    def fail(_job: Job) -> None:
        raise ValueError("not today")

    for name in ("plain", "unique", "keyed", "later"):
        pool.job(name, note)
    pool.job("limited", note, max_concurrency=1)
    pool.job("dies", fail, max_fails=1)
    pool.job("retries", fail, backoff=lambda _job: 3_600)
    pool.periodically_enqueue("@every 1s", "tick")
    pool.job("tick", note)

    def everything() -> None:
        enqueuer.enqueue("plain")
        enqueuer.enqueue_many([("plain", None), ("limited", None), ("dies", None)])
        enqueuer.enqueue("retries")
        enqueuer.enqueue_in("later", 1)
        enqueuer.enqueue_unique("unique", {"a": 1})
        enqueuer.enqueue_unique_by_key("keyed", {"a": 1}, {"k": 1})
        enqueuer.enqueue_unique_by_key("keyed", {"a": 2}, {"k": 1})

    client.pause("plain")
    everything()
    assert client.unpause("plain")
    with Redis.from_url(server.url) as admin:
        pool.start()
        wait_until(lambda: {"plain", "limited", "later", "unique", "keyed", "tick"} <= set(ran), 20)
        wait_until(lambda: client.dead_jobs().total and client.retry_jobs().total)
        admin.script_flush()
        everything()
        wait_until(lambda: client.dead_jobs().total > 1)
        look_around(client)
        pool.stop(5)
        log: Any = admin.execute_command("ACL", "LOG")
        assert not [(entry["reason"], entry["object"]) for entry in log]


def look_around(client: Client) -> None:
    """Read and mend all that there is."""
    assert client.queues()
    assert client.worker_pool_heartbeats()
    client.worker_observations()
    client.scheduled_jobs()
    assert list(client.history())
    client.history_extent()
    (first, *_), dead = client.retry_jobs().jobs, client.dead_jobs().jobs
    assert client.find(first.job.id) is not None
    client.delete_retry_job(first.retry_at, first.job.id)
    client.retry_dead_job(dead[0].died_at, dead[0].job.id)
    client.retry_all_dead_jobs()
    client.delete_all_dead_jobs()


@pytest.mark.one_server
def test_another_namespace_is_out_of_reach(
    private_server: PrivateServer, server_kind: ServerKind
) -> None:
    server = private_server(server_kind)
    with pytest.raises(Exception, match="the ACL user lacks a permission"):
        Enqueuer("other", restricted(server, "work")).enqueue("plain")


OPTIONAL: Final = (
    "hello", "ping", "client|setname", "client|setinfo", "client|tracking", "client|caching",
    "config|get", "info", "time", "scan",
)  # fmt: skip


@pytest.mark.parametrize("command", OPTIONAL)
def test_a_user_without_a_command_that_jobs_do_not_need_runs_jobs(
    command: str,
    private_server: PrivateServer,
    server_kind: ServerKind,
    wait_until: WaitUntil,
    caplog: pytest.LogCaptureFixture,
) -> None:
    handshake._warn_of_no_name.cache_clear()
    url = restricted(private_server(server_kind), "work", without=command)
    ran: list[str] = []

    async def enqueue() -> None:
        asynchronous = AsyncEnqueuer("work", url)
        await asynchronous.enqueue("plain", {"from": "asyncio"})
        await asynchronous.close()

    pool = WorkerPool("work", url, concurrency=1, sleep_backoffs=[10, 50])
    pool.job("plain", lambda job: ran.append(job.arg_str("from")))
    pool.start()
    asyncio.run(enqueue())
    wait_until(lambda: ran == ["asyncio"])
    Enqueuer("work", url).enqueue("plain", {"from": "threads"})
    wait_until(lambda: ran == ["asyncio", "threads"])
    pool.stop(5)
    assert not Client("work", url).worker_pool_heartbeats()  # it has signed off
    assert ("+client|setname" in caplog.text) is (command == "client|setname")
    assert "trying again" not in caplog.text


@pytest.mark.one_server
def test_a_password_is_in_no_message_and_in_no_heartbeat(
    private_server: PrivateServer,
    server_kind: ServerKind,
    caplog: pytest.LogCaptureFixture,
    wait_until: WaitUntil,
) -> None:
    caplog.set_level("DEBUG")
    server = private_server(server_kind)
    url = restricted(server, "work")
    pool = WorkerPool("work", url)
    pool.job("plain", lambda _job: None)
    pool.start()
    server.kill()
    wait_until(lambda: "trying again until it works" in caplog.text)
    server.restart()
    restricted(server, "work")
    wait_until(lambda: "answers again" in caplog.text)
    with Redis.from_url(server.url) as admin:
        wait_until(lambda: admin.exists("work:worker_pools"))
        stored = b"".join(
            repr(admin.hgetall(key) if admin.type(key) == b"hash" else key).encode()
            for key in admin.keys("work:*")
        )
        admin.execute_command("ACL", "SETUSER", "worker", "resetpass", ">another")
        with pytest.raises(Exception, match="password") as refused:
            Enqueuer("work", url).enqueue("plain")
    pool.stop(5)
    said = caplog.text + stored.decode() + str(refused.value) + repr(pool) + repr(refused)
    for secret in (PASSWORD, "p%3Aa", "s#word"):
        assert secret not in said
