"""Servers that refuse or do not answer: clear errors, no partial writes, no secrets shown."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any, Final

import pytest
from redis import Redis

from tests.conftest import PrivateServer, ServerKind, WaitUntil
from tests.enqueuer.faces import on_one_loop
from tests.parity.gopeer import Scene
from workkit import Enqueuer, ServerError, ServerRefused, ServerUnavailable
from workkit.embedded import EmbeddedServer

SECRET: Final = "hunter2"  # noqa: S105 - a stand-in, which must not turn up anywhere
CALLS: Final[dict[str, Callable[[Enqueuer], object]]] = {
    "enqueue": lambda e: e.enqueue("mail", {"a": 1}),
    "enqueue_many": lambda e: e.enqueue_many([("mail", {"n": n}) for n in range(3)]),
    "enqueue_in": lambda e: e.enqueue_in("mail", 5),
    "enqueue_at": lambda e: e.enqueue_at("mail", 5),
    "enqueue_unique": lambda e: e.enqueue_unique("mail", {"a": 1}),
    "enqueue_unique_in": lambda e: e.enqueue_unique_in("mail", 5, {"a": 1}),
    "enqueue_unique_by_key": lambda e: e.enqueue_unique_by_key("mail", {"a": 1}, {"k": 1}),
    "enqueue_unique_in_by_key": lambda e: e.enqueue_unique_in_by_key("mail", 5, None, {"k": 1}),
}

Make = Callable[[str], Enqueuer]


@pytest.fixture(params=["threads", "asyncio"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Make enqueuers of either kind for a URL."""
    with on_one_loop() as asynchronous:
        made: list[Enqueuer] = []

        def make_one(url: str) -> Enqueuer:
            made.append(
                Enqueuer("n", url) if request.param == "threads" else asynchronous("n", url)
            )
            return made[-1]

        yield make_one
        for enqueuer in made:
            enqueuer.close()


@pytest.fixture
def own(private_server: PrivateServer, server_kind: ServerKind) -> Callable[..., EmbeddedServer]:
    """Start a server of this run's kind."""
    return lambda **options: private_server(server_kind, **options)


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


# Servers that say no


def test_a_full_server_refuses_and_stays_empty(make: Make, own: Callable[..., Any]) -> None:
    server = own()
    enqueuer = make(server.url)
    with Redis.from_url(server.url) as redis:
        redis.config_set("maxmemory", 1)
        for call in CALLS.values():
            with pytest.raises(
                ServerRefused, match=r"maxmemory.*free memory or raise the limit"
            ) as no:
                call(enqueuer)
            assert no.value.code == "OOM"
        assert redis.dbsize() == 0
        redis.config_set("maxmemory", 0)
        for call in CALLS.values():
            call(enqueuer)
        assert redis.llen("n:jobs:mail") == 6


def test_a_replica_refuses_until_it_is_the_master(make: Make, own: Callable[..., Any]) -> None:
    server = own(config={"replicaof": "127.0.0.1 1"})
    enqueuer = make(server.url)
    with Redis.from_url(server.url) as redis:
        for call in CALLS.values():
            with pytest.raises(ServerRefused, match="is a replica; connect to the master") as no:
                call(enqueuer)
            assert no.value.code == "READONLY"
        redis.execute_command("REPLICAOF", "NO", "ONE")
        enqueuer.enqueue("mail")
        assert redis.llen("n:jobs:mail") == 1


def test_a_master_that_its_replicas_have_left_is_asked_no_more(
    make: Make, own: Callable[..., Any], wait_until: WaitUntil
) -> None:
    server = own(config={"min-replicas-to-write": "1"})
    enqueuer = make(server.url)
    with pytest.raises(ServerRefused, match="fewer replicas follow this server") as no:
        enqueuer.enqueue("mail")
    assert no.value.code == "NOREPLICAS"
    # The next call opens another connection, and asks sentinels first who is master by then.
    with Redis.from_url(server.url) as redis:
        wait_until(lambda: not any(c["name"] == "workkit" for c in redis.client_list()))


def test_a_user_without_the_permission_is_told_so(make: Make, own: Callable[..., Any]) -> None:
    server = own(config={"user": f"bob on >{SECRET} ~other:* +@all"})
    enqueuer = make(server.url + f"?username=bob&password={SECRET}")
    with pytest.raises(ServerRefused) as no:
        enqueuer.enqueue("mail")
    assert no.value.code == "NOPERM"
    assert "the ACL user lacks a permission" in str(no.value)
    assert SECRET not in shown(no.value)


@pytest.mark.parametrize("name", CALLS)
def test_a_key_of_a_wrong_type_is_refused_and_nothing_is_enqueued(
    enqueuer: Enqueuer, scene: Scene, redis_client: Redis, name: str
) -> None:
    redis_client.set(f"{scene.namespace}:jobs:mail", "x")
    redis_client.set(f"{scene.namespace}:scheduled", "x")
    with pytest.raises(ServerRefused) as no:
        CALLS[name](enqueuer)
    assert no.value.code == "WRONGTYPE"
    kept = {f"{scene.namespace}:{rest}" for rest in ("jobs:mail", "scheduled")}
    assert set(scene.dump()) - {f"{scene.namespace}:known_jobs"} == kept


def test_many_jobs_of_which_one_queue_is_refused_are_not_enqueued_either(
    enqueuer: Enqueuer, scene: Scene, redis_client: Redis
) -> None:
    redis_client.set(f"{scene.namespace}:jobs:bad", "x")
    for order in (["bad", "good"], ["good", "bad", "good"]):
        with pytest.raises(ServerRefused, match=f"{scene.namespace}:jobs:bad holds a string"):
            enqueuer.enqueue_many([(name, None) for name in order])
    assert set(scene.dump()) == {f"{scene.namespace}:jobs:bad"}


# Servers that say nothing


def test_a_dead_server_is_named_and_found_again_when_it_lives(
    make: Make, own: Callable[..., Any]
) -> None:
    server = own()
    enqueuer = make(server.url)
    enqueuer.enqueue("mail")
    server.kill()
    for call in CALLS.values():
        with pytest.raises(ServerUnavailable, match=f"^no answer from Redis at {server.url}: "):
            call(enqueuer)
    server.start()
    for call in CALLS.values():
        call(enqueuer)


@pytest.mark.one_server
@pytest.mark.parametrize(
    ("url", "shown_as"),
    [
        (f"redis://:{SECRET}@127.0.0.1:1/5", "127.0.0.1:1/5"),
        (f"unix:///nowhere/redis.sock?password={SECRET}", "unix:///nowhere/redis.sock"),
    ],
)
def test_a_server_that_was_never_there_is_named(
    make: Make, server_kind: str, url: str, shown_as: str
) -> None:
    with pytest.raises(ServerUnavailable) as no:
        make(url).enqueue("mail")
    assert str(no.value).startswith(f"no answer from Redis at {shown_as}: ")
    assert SECRET not in shown(no.value)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (f"password=wrong-{SECRET}", "password"),
        (f"username=nobody&password={SECRET}", "password"),
        ("", r"put it into the URL, as in unix:///PATH\?password=PASSWORD"),
    ],
)
def test_a_wrong_password_is_said_and_no_password_shown(
    make: Make, own: Callable[..., Any], given: str, reason: str
) -> None:
    server = own(config={"requirepass": SECRET})
    enqueuer = make(f"{server.url}?{given}")
    with pytest.raises(ServerError, match=f"(?i){reason}") as no:
        enqueuer.enqueue("mail")
    assert server.url in str(no.value) or isinstance(no.value, ServerRefused)
    assert SECRET not in shown(no.value)
    right = make(f"{server.url}?password={SECRET}")
    assert right.enqueue("mail").name == "mail"


@pytest.fixture
def web_server() -> Iterator[int]:
    """Something on a port that does not speak Redis's language."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            try:
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(100)
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            except OSError:
                return

        thread = Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.one_server
def test_what_is_no_redis_server_is_said_to_be_unavailable(
    make: Make, server_kind: str, web_server: int
) -> None:
    with pytest.raises(
        ServerUnavailable, match=f"no answer from Redis at 127.0.0.1:{web_server}/0"
    ):
        make(f"redis://127.0.0.1:{web_server}").enqueue("mail")
