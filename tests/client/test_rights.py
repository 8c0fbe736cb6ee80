"""No job is lost where the server refuses a command in the middle of an act."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from redis import Redis

from tests.client.stage import raw_job
from tests.conftest import PrivateServer, ServerKind
from workkit import Client, Enqueuer, ServerRefused
from workkit.embedded import EmbeddedServer

AT: Final = 17
#: The commands that acts send behind their first write.
LATE: Final = ("lpush", "rpush", "zadd", "set", "del", "sadd", "expire", "hdel")


def undo(client: Client) -> object:
    return client.actions.undo(client.actions.operations()[0].operation_id)


ACTS: Final[dict[str, Callable[[Client], object]]] = {
    "retry": lambda client: client.retry_dead_job(AT, "x"),
    "retry all": Client.retry_all_dead_jobs,
    "delete": lambda client: client.delete_dead_job(AT, "x"),
    "undo": undo,
}


def limited(server: EmbeddedServer, without: str) -> str:
    """Return the address for a user who may call all commands but one."""
    with Redis.from_url(server.url) as admin:
        rules = ("reset", "on", ">pw", "~*", "&*", "+@all", f"-{without}")
        admin.execute_command("ACL", "SETUSER", "user", *rules)
    return f"unix://user:pw@{server.url.removeprefix('unix://')}"


def places(admin: Any) -> list[str]:
    """Return the keys that hold the job."""
    values = {
        key.decode(): admin.lrange(key, 0, -1) if admin.type(key) == b"list" else
        admin.zrange(key, 0, -1) if admin.type(key) == b"zset" else []
        for key in admin.keys("*")
    }  # fmt: skip
    return sorted(key for key, held in values.items() if any(b'"id": "x"' in raw for raw in held))


@pytest.mark.parametrize("act", ACTS)
def test_an_act_that_lacks_a_right_is_done_as_a_whole_or_not_at_all(
    act: str, private_server: PrivateServer, server_kind: ServerKind
) -> None:
    server = private_server(server_kind)
    admin: Any = Redis.from_url(server.url)
    for unique in (False, True):
        for command in LATE:
            admin.flushall()
            more: dict[str, Any] = {"fails": 4, "err": "e", "failed_at": AT}
            more |= {"unique": True} if unique else {}
            admin.zadd("work:dead", {raw_job("x", **more): AT})
            with closing(Client("work", server.url)) as allowed:
                if act == "undo":
                    allowed.delete_dead_job(AT, "x")
            before = places(admin)
            with closing(Client("work", limited(server, command))) as client:
                try:
                    ACTS[act](client)
                except ServerRefused:
                    assert places(admin) == before, f"without {command}, unique: {unique}"
                else:
                    assert places(admin), f"without {command}, unique: {unique}"
    admin.close()


def test_a_refused_unique_job_leaves_no_key(
    private_server: PrivateServer, server_kind: ServerKind
) -> None:
    server = private_server(server_kind)
    admin: Any = Redis.from_url(server.url)
    for command in ("lpush", "zadd"):
        enqueuer = Enqueuer("work", limited(server, command))
        with closing(enqueuer), pytest.raises(ServerRefused):
            if command == "lpush":
                enqueuer.enqueue_unique("mail", {"n": 1})
            else:
                enqueuer.enqueue_unique_in("mail", 60, {"n": 1})
        assert not admin.keys("work:unique:*")
    admin.close()


def test_an_act_names_the_command_that_the_server_lacks(
    private_server: PrivateServer, tmp_path: Path
) -> None:
    settings = tmp_path / "renamed.conf"
    settings.write_text('rename-command RPUSH ""\n', "utf-8")
    server = private_server("redis", config={"include": str(settings)})
    admin: Any = Redis.from_url(server.url)
    admin.zadd("work:dead", {raw_job("x", fails=4, err="e", failed_at=AT): AT})
    with closing(Client("work", server.url)) as client:
        with pytest.raises(ServerRefused, match="unknown command 'RPUSH'; workkit needs it"):
            client.delete_dead_job(AT, "x")
        assert client.dead_jobs().total == 1
    admin.close()
