"""Which servers work, and how a pool works if a server lacks a command: the table of the docs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from pathlib import Path
from typing import Any, Final

import fakeredis
import pytest
from redis import Redis

from tests.conftest import PrivateServer, WaitUntil
from workkit import (
    AsyncEnqueuer,
    Client,
    Enqueuer,
    Place,
    ServerError,
    ServerRefused,
    ServerUnavailable,
    WorkerPool,
)
from workkit.engine.needs import NEEDED_FOR_HISTORY
from workkit.store.calls.exchange import look
from workkit.store.connections.link import Link
from workkit.store.connections.target import Target
from workkit.store.keys import Keys

DOCS: Final = Path(__file__).parents[3] / "docs" / "reliability.md"

#: Row of the table -> kind of the server, and the commands that it lacks.
SERVERS: Final = {
    "Redis 7.0": ("redis", ()),
    "Valkey 9": ("valkey", ()),
    "without `CLIENT`": ("redis", ("CLIENT",)),
    "without `HELLO` (RESP2 only)": ("redis", ("HELLO",)),
    "without `EVALSHA`": ("redis", ("EVALSHA",)),
    "without `CLIENT`, `HELLO` and `EVALSHA`": ("redis", ("CLIENT", "HELLO", "EVALSHA")),
    "without `CONFIG`, `INFO`, `TIME`, `SCAN`, `KEYS` and `SCRIPT`": (
        "redis",
        ("CONFIG", "INFO", "TIME", "SCAN", "KEYS", "SCRIPT"),
    ),
}


def renamed(folder: Path, lacking: tuple[str, ...]) -> dict[str, str]:
    """Return settings of a server without some commands."""
    settings = folder / "renamed.conf"
    settings.write_text("".join(f'rename-command {name} ""\n' for name in lacking), "utf-8")
    return {"include": str(settings)}


def journey(redis: Any, namespace: str, wait_until: WaitUntil) -> set[str]:
    """Enqueue in every way, and return what has run."""
    ran: list[str] = []
    pool = WorkerPool(namespace, redis, concurrency=2, sleep_backoffs=[10, 50])
    pool.job("ok", lambda job: ran.append(job.args["way"]))
    pool.job("fails", lambda _: 1 / 0, max_fails=1)
    pool.periodically_enqueue("* * * * * *", "ok", {"way": "cron"})
    enqueuer, client = Enqueuer(namespace, redis), Client(namespace, redis)
    enqueuer.enqueue("ok", {"way": "plain"})
    enqueuer.enqueue_many([("ok", {"way": "many"}), ("fails", None)])
    assert enqueuer.enqueue_unique("ok", {"way": "unique"}) is not None
    assert enqueuer.enqueue_unique("ok", {"way": "unique"}) is None
    enqueuer.enqueue_in("ok", 1, {"way": "scheduled"})

    async def enqueue() -> None:
        asynchronous = AsyncEnqueuer(namespace, redis)
        await asynchronous.enqueue("ok", {"way": "asyncio"})
        await asynchronous.close()

    asyncio.run(enqueue())
    pool.start()
    ways = {"plain", "many", "unique", "scheduled", "asyncio", "cron"}
    wait_until(lambda: ways <= set(ran), 20)
    enqueuer.enqueue("ok", {"way": "woken"})
    wait_until(lambda: "woken" in ran)
    wait_until(lambda: client.dead_jobs().total == 1)
    pool.stop(5)
    enqueuer.close()
    client.close()
    return set(ran)


def level(redis: Any) -> list[str]:
    """Return the cells: how pools hear of jobs, how scripts go, whether it has a name."""
    target = Target.of(redis)
    link = Link(target, name="workkit-level")
    heard = link.arm(look(Keys("levels"), "pool", ["ok"])) is not None
    link.do(look(Keys("levels"), "pool", ["ok"]))
    (listed,) = link.send([("CLIENT", "GETNAME")])
    link.close()
    return [
        "announced" if heard else "polled",
        "source" if "EVALSHA" in target.lacking else "hash",
        "yes" if listed == b"workkit-level" else "no",
    ]


def documented(row: str) -> list[str]:
    for line in DOCS.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == row:
            return cells[1:]
    raise AssertionError(f"docs/reliability.md has no row {row!r}")


@pytest.mark.parametrize("row", SERVERS)
def test_each_server_works_at_the_level_that_the_docs_give(
    row: str,
    private_server: PrivateServer,
    namespace: str,
    wait_until: WaitUntil,
    tmp_path: Path,
) -> None:
    kind, lacking = SERVERS[row]
    server = private_server(kind, config=renamed(tmp_path, lacking))  # type: ignore[arg-type]
    assert journey(server.url, namespace, wait_until) >= {"plain", "cron", "woken"}
    assert level(server.url) == documented(row)


def test_fakeredis_works_at_the_level_that_the_docs_give(
    namespace: str, wait_until: WaitUntil
) -> None:
    fake = fakeredis.FakeRedis()
    assert journey(fake, namespace, wait_until) >= {"plain", "cron", "woken"}
    assert level(fake) == documented("fakeredis")


def test_a_client_acts_on_fakeredis_which_records_no_acts(namespace: str) -> None:
    fake = fakeredis.FakeRedis()
    client, died_at = Client(namespace, fake), 17
    raw = {"name": "ok", "id": "x", "t": 1, "args": None, "fails": 4, "err": "e", "failed_at": 17}
    fake.zadd(Keys(namespace).dead, {json.dumps(raw): died_at})
    client.pause("ok")
    client.retry_dead_job(died_at, "x")
    (waiting,) = client.queued_jobs("ok").jobs
    edit = client.actions.plan_edit(Place("queued", "ok"), waiting, '{"n": 1}')
    client.actions.apply_edit(edit)
    client.delete_queued_job("ok", "x")
    (deleted,) = [each for each in client.actions.operations() if each.verb == "delete"]
    assert client.actions.undo(deleted.operation_id).back == 1
    assert client.queued_jobs("ok").jobs[0].job.args == {"n": 1}
    assert client.unpause("ok")
    assert list(client.acts()) == []


@pytest.mark.one_server
@pytest.mark.parametrize("lacking", [("EVAL", "EVALSHA"), ("LPUSH", "RPUSH")])
def test_what_cannot_be_done_without_is_named_in_one_line(
    lacking: tuple[str, ...], private_server: PrivateServer, tmp_path: Path
) -> None:
    server = private_server("redis", config=renamed(tmp_path, lacking))
    enqueuer = Enqueuer("n", server.url)
    with pytest.raises(ServerRefused) as refused:
        enqueuer.enqueue("mail", {"secret": "hunter2"})
    enqueuer.close()
    assert "hunter2" not in str(refused.value)
    assert "\n" not in str(refused.value)
    if "EVAL" in lacking:
        assert "unknown command 'EVAL'; workkit needs it" in str(refused.value)


def test_a_server_that_takes_no_more_clients_is_quoted(private_server: PrivateServer) -> None:
    server = private_server("valkey", port="any", config={"maxclients": "2"})
    with Redis.from_url(server.url) as one, Redis.from_url(server.url) as two:
        one.ping()
        two.ping()
        for url in (server.url, server.tcp_url):
            enqueuer, asynchronous = Enqueuer("n", url), AsyncEnqueuer("n", url)
            with pytest.raises(Exception, match="max number of clients reached"):
                enqueuer.enqueue("mail")

            async def enqueue(used: AsyncEnqueuer = asynchronous) -> None:
                await used.enqueue("mail")

            with pytest.raises(Exception, match="max number of clients reached"):
                asyncio.run(enqueue())


@pytest.mark.parametrize("reply", [b"+OK\r\n", b":1\r\n", b"*0\r\n", b"_\r\n"])
def test_a_peer_that_introduces_itself_in_another_way_is_not_redis(reply: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = listening.accept()
                    with peer:
                        while peer.recv(4_096):
                            peer.sendall(reply)

        threading.Thread(target=answer, daemon=True).start()
        url = f"redis://127.0.0.1:{listening.getsockname()[1]}?socket_timeout=5"
        with pytest.raises(ServerUnavailable, match="does not introduce itself as Redis does"):
            Client("n", url).queues()
        pool = WorkerPool("n", url)
        pool.job("ok", lambda job: None)
        with pytest.raises(ServerUnavailable, match="does not introduce itself as Redis does"):
            pool.start()
        listening.shutdown(socket.SHUT_RDWR)


def test_a_server_that_speaks_only_resp2_is_told_the_password(
    private_server: PrivateServer, namespace: str, wait_until: WaitUntil
) -> None:
    server = private_server(
        "redis", port="any", config={"rename-command": 'HELLO ""', "requirepass": "secret"}
    )
    url = f"redis://:secret@127.0.0.1:{server.port}/3"
    assert journey(url, namespace, wait_until) >= {"plain", "cron", "woken"}
    with pytest.raises(ServerError, match="username-password pair"):
        Enqueuer("n", url.replace("secret", "wrong")).enqueue("mail")
    with pytest.raises(ServerError, match="wants a password"):
        Enqueuer("n", f"redis://127.0.0.1:{server.port}").enqueue("mail")


@pytest.mark.parametrize("command", ["LREM", "RPOP", "ZADD", "HEXISTS", "XREVRANGE"])
def test_a_pool_does_not_start_without_a_command_that_its_scripts_use(
    private_server: PrivateServer, tmp_path: Path, command: str
) -> None:
    server = private_server("redis", config=renamed(tmp_path, (command,)))
    pool = WorkerPool("work", server.url)
    pool.job("ok", lambda job: None)
    with pytest.raises(ServerRefused, match=f"(?i)unknown command '{command}'; workkit needs it"):
        pool.start()


def test_all_commands_that_a_pool_lacks_are_named(
    private_server: PrivateServer, tmp_path: Path
) -> None:
    server = private_server("redis", config=renamed(tmp_path, ("LREM", "ZADD", "RPUSH")))
    pool = WorkerPool("work", server.url)
    pool.job("ok", lambda job: None)
    with pytest.raises(ServerRefused, match="(?i)'LREM'; .*; pools also need RPUSH, ZADD$"):
        pool.start()


def test_a_pool_without_history_starts_without_its_commands(
    private_server: PrivateServer, tmp_path: Path, wait_until: WaitUntil
) -> None:
    lacking = tuple(command for command, *_ in NEEDED_FOR_HISTORY)
    server = private_server("redis", config=renamed(tmp_path, lacking))
    ran: list[str] = []
    pool = WorkerPool("work", server.url, history=None)
    pool.job("ok", lambda job: ran.append(job.id))
    with pool:
        job = Enqueuer("work", server.url).enqueue("ok")
        wait_until(lambda: ran == [job.id])


def test_a_pool_does_not_start_where_its_user_lacks_such_a_command(
    private_server: PrivateServer, wait_until: WaitUntil
) -> None:
    server = private_server("redis")
    admin: Any = Redis.from_url(server.url)
    admin.execute_command("ACL", "SETUSER", "worker", "on", ">pw", "~*", "&*", "+@all", "-lrem")
    pool = WorkerPool("work", f"{server.url}?username=worker&password=pw")
    pool.job("ok", lambda job: None)
    with pytest.raises(ServerRefused, match="no permissions to run the 'lrem' command"):
        pool.start()
    assert admin.keys("*") == []
    # What only a script calls is refused by the script, and Redis 7.0 does not name the command.
    admin.execute_command("ACL", "SETUSER", "worker", "+lrem", "-sadd")
    with pytest.raises(ServerRefused, match=r"lacks a right .* docs/reliability\.md"):
        Enqueuer("work", f"{server.url}?username=worker&password=pw").enqueue("ok")
    admin.execute_command("ACL", "SETUSER", "worker", "+sadd")
    with pool:
        wait_until(lambda: Client("work", server.url).worker_pool_heartbeats())
