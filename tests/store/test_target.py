"""Where Redis is: clients and URLs, and that nothing said about them holds a secret."""

from __future__ import annotations

import asyncio
import traceback
from typing import Any

import fakeredis
import pytest
import redis
import redis.asyncio

from workkit import AsyncEnqueuer, Client, Enqueuer
from workkit.errors import InvalidOption
from workkit.store.connections.refusals import unavailable
from workkit.store.connections.sentinel import pool_of
from workkit.store.connections.target import Target

SECRET = "hunter2"  # noqa: S105 - a stand-in, which must not turn up anywhere


def said_about(call: Any) -> str:
    """Return everything that a refusal shows: its message and its traceback."""
    with pytest.raises(InvalidOption) as refusal:
        call()
    lines = traceback.format_exception(refusal.value)
    return "".join(line for line in lines if not line.lstrip().startswith("File"))


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("redis://h:1/2", "h:1/2"),
        ("redis://", "localhost:6379/0"),
        (f"redis://user:{SECRET}@h/3", "h:6379/3"),
        (f"rediss://:{SECRET}@h:7/0", "h:7/0"),
        (f"unix:///run/r.sock?db=2&password={SECRET}", "unix:///run/r.sock"),
    ],
)
def test_a_server_is_shown_without_user_and_password(url: str, label: str) -> None:
    target = Target.of(url)
    assert target.label == label
    assert SECRET not in str(unavailable(target, ConnectionError("refused.")))
    assert str(unavailable(target, ConnectionError("refused."))) == (
        f"no answer from Redis at {label}: refused"
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "localhost:6379",
        "http://localhost",
        "REDIS://localhost",
        "redis:/localhost",
        "redis://h:port/0",
        "redis://h/0?socket_timeout=soon",
        "redis://h/0?socket_timeout=-1",
        "redis://h/0?socket_timeout=",
        "redis://h/x",
        "redis://h/-1",
        "redis://h/1.5",
        "redis://h/\u0663",
        "redis://h/0/1",
        "redis://h/0?db=4",
        "redis://h?db=x",
        "redis://h/0?db",
        "redis://h/0?db=0&db=0",
        "redis://h:0/0",
        "redis://h:/0",
        "redis://h:99999/0",
        "redis://h:-1/0",
        "redis://:6379/0",
        "redis:///0",
        "redis://user:word@/0",
        "redis://h1,h2/0",
        "redis://::1/0",
        "redis://[::1/0",
        "redis://h /0",
        "redis://h\n/0",
        " redis://h/0",
        "redis://h/0#1",
        "redis://h#",
        "redis://h/0?host=other",
        "redis://h/0?port=7",
        "redis://h/0?colour=red",
        "redis://h/0?retry=3",
        "redis://h/0?credential_provider=x",
        "redis://h/0?protocol=9",
        "redis://h/0?max_connections=0",
        "redis://h/0?decode_responses=perhaps",
        "redis://h/0?ssl_cert_reqs=none",
        "rediss://h/0?ssl_cert_reqs=nonsense",
        "valkey://h/0",
        "unix://",
        "unix:///",
        "unix://run/r.sock",
        "unix:///run/r.sock?db=x",
        "redis+sentinel://h:99999/m",
        "redis+sentinel://h,/m",
        "redis+sentinel://h/m/-1",
        "redis+sentinel://h/m#0",
        "redis://a..b/0",
        "redis://./0",
        f"redis://{'a' * 64}.com/0",
        "redis+sentinel://a..b/m",
        "redis://h/0?client_name=the%20shop",
        "redis://h/0?client_name=a%0Ab",
        "redis://h/0?=x",
    ],
)
def test_a_url_that_is_none_of_redis_is_refused(url: str) -> None:
    with pytest.raises(InvalidOption, match="Redis URL"):
        Target.of(url)


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{SECRET}@h/0",
        f"user:{SECRET}@h",
        f"redis://user:{SECRET}@h:port/0",
        f"redis://h/0?socket_timeout=soon&password={SECRET}",
        f"localhost:6379?password={SECRET}",
        f"redis://user:{SECRET}/x@h:1/0",
    ],
)
def test_a_refused_url_is_shown_without_its_secrets(url: str) -> None:
    assert SECRET not in said_about(lambda: Target.of(url))


@pytest.mark.parametrize("thing", [None, 5, b"redis://h", object(), ["redis:", "", "h"], Target])
def test_what_is_neither_a_client_nor_a_url_is_refused_by_its_type(thing: object) -> None:
    with pytest.raises(
        InvalidOption, match=r"a redis-py client or a URL such as redis://"
    ) as refusal:
        Target.of(thing)
    assert str(refusal.value).endswith(f"not {type(thing).__name__}")


@pytest.mark.parametrize(
    "client",
    [
        redis.Redis(host="h", port=7, db=2, decode_responses=True, socket_timeout=None),
        redis.Redis(host="h", port=7, db=2, protocol=2, encoding="latin-1"),
        redis.asyncio.Redis(host="h", port=7, db=2, decode_responses=True),
        redis.Redis(connection_pool=redis.BlockingConnectionPool(host="h", port=7, db=2)),  # type: ignore[no-untyped-call]
    ],
)
def test_a_client_lends_its_address_and_none_of_its_habits(client: Any) -> None:
    target = Target.of(client)
    assert target.label == "h:7/2"
    for is_async in (False, True):
        arguments = target.arguments(timeout_s=1.5, name="workkit", is_async=is_async)
        assert (arguments["host"], arguments["port"], arguments["db"]) == ("h", 7, 2)
        assert (arguments["protocol"], arguments["decode_responses"]) == (3, False)
        assert (arguments["socket_timeout"], arguments["socket_connect_timeout"]) == (1.5, 1.5)
        assert "encoding" not in arguments
    assert type(target.open(timeout_s=1)).__module__ == "redis.connection"
    assert type(target.open_async(timeout_s=1)).__module__ == "redis.asyncio.connection"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("redis://h/0", (5, 5, 100)),
        ("redis://h/0?socket_timeout=0.5&max_connections=3", (0.5, 0.5, 3)),
        ("redis://h/0?socket_timeout=9&socket_connect_timeout=1", (9, 1, 100)),
        (redis.Redis(socket_timeout=None, socket_connect_timeout=2), (None, 2, 100)),
        (redis.asyncio.Redis(socket_timeout=7, max_connections=4), (7, 5, 4)),
        ("redis+sentinel://h/m", (5, 5, 100)),
    ],
)
def test_a_client_s_timeouts_and_number_of_connections_are_those_of_its_callers(
    given: Any, expected: tuple[float | None, float | None, int]
) -> None:
    target = Target.of(given)
    arguments = target.arguments()
    assert (target.timeout_s, target.connect_timeout_s, target.most) == expected
    assert (arguments["socket_timeout"], arguments["socket_connect_timeout"]) == expected[:2]


class OwnTls(redis.asyncio.SSLConnection):
    """What a user makes of a class of connections."""


def test_an_asyncio_class_of_connections_has_its_nearest_twin_on_threads() -> None:
    pool: Any = redis.asyncio.ConnectionPool(connection_class=OwnTls, host="h")
    assert Target.of(redis.asyncio.Redis(connection_pool=pool)).connection_class is (
        redis.SSLConnection
    )


@pytest.mark.parametrize(
    "client",
    [
        fakeredis.FakeRedis(),
        fakeredis.FakeStrictRedis(decode_responses=True),
        fakeredis.FakeAsyncRedis(),
        fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer()),
    ],
)
def test_fakeredis_of_either_kind_serves_threads_and_asyncio_with_the_same_keys(
    client: Any,
) -> None:
    async def enqueue() -> None:
        enqueuer = AsyncEnqueuer("n", client)
        await enqueuer.enqueue("mail", {"n": 1})
        await enqueuer.close()

    asyncio.run(enqueue())
    Enqueuer("n", client).enqueue("mail", {"n": 2})
    jobs = Client("n", client).queued_jobs("mail").jobs
    assert [queued.job.args for queued in jobs] == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"host": ["a", "b"]}, "the host "),
        ({"host": "a..b"}, "the host "),
        ({"socket_timeout": -1}, "the socket_timeout -1"),
        ({"socket_timeout": 0}, "the socket_timeout 0"),
        ({"socket_timeout": "5"}, "the socket_timeout '5'"),
        ({"socket_timeout": float("nan")}, "the socket_timeout nan"),
        ({"socket_connect_timeout": True}, "the socket_connect_timeout True"),
        ({"socket_connect_timeout": 1e300}, "the socket_connect_timeout 1e"),
        ({"ssl": True, "ssl_min_version": 5}, "the ssl_min_version 5; .* 772 "),
        ({"ssl": True, "ssl_min_version": "1.2"}, "the ssl_min_version '1.2'"),
        ({"ssl": True, "ssl_keyfile": "own.pem"}, "an ssl_keyfile, which needs ssl_certfile"),
        ({"ssl": True, "ssl_ca_certs": 5}, "the ssl_ca_certs 5"),
        ({"ssl": True, "ssl_ciphers": "none of them"}, "the ssl_ciphers 'none of them'"),
    ],
)
def test_a_client_whose_settings_no_socket_accepts_is_refused_by_the_setting(
    settings: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidOption, match=named):
        Target.of(redis.Redis(**settings))


@pytest.mark.parametrize("kind", ["FakeValkey", "FakeAsyncValkey"])
def test_a_client_of_another_library_is_told_from_a_setting_that_is_not_known(kind: str) -> None:
    with pytest.raises(InvalidOption, match=r"must be a redis-py client .* reach Valkey too"):
        Target.of(getattr(fakeredis, kind)())


def test_sentinels_may_have_ipv6_addresses() -> None:
    pool = pool_of("redis+sentinel://[::1],[fe80::7]:26380,h:26381/m")
    at = [each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels]
    assert [(each["host"], each["port"]) for each in at] == [
        ("::1", 26379), ("fe80::7", 26380), ("h", 26381),
    ]  # fmt: skip


def test_a_client_lends_its_credentials_and_its_name() -> None:
    client = redis.Redis(host="h", username="u", password=SECRET, client_name="mine", ssl=True)
    arguments = Target.of(client).arguments(timeout_s=1, name="workkit")
    assert (arguments["username"], arguments["password"]) == ("u", SECRET)
    assert arguments["client_name"] == "mine"
    assert type(Target.of(client).open(timeout_s=1)) is redis.SSLConnection


def test_a_url_with_a_setting_that_no_connection_knows_is_refused() -> None:
    with pytest.raises(InvalidOption):
        Target.of("redis://h/0?colour=red").open(timeout_s=1)
