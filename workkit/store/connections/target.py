"""The server that a user's client or URL names, and how to connect to it.

The engine never takes connections from the user's pool. Each role (dispatcher, heartbeat,
maintenance) has a connection with its own timeout, so no loop can starve another. The calls of an
enqueuer share a few. No call waits for a second connection while it holds one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

from workkit.core.showing import shown
from workkit.core.urls import server_label
from workkit.errors import InvalidOption
from workkit.store.connections import sentinel
from workkit.store.connections.cluster import Address, Route, needs_braces, shares_a_slot
from workkit.store.connections.tls import check_tls
from workkit.store.handshake import introduce, introduce_async, unix_class
from workkit.store.url import check_host, pool_of_url

__all__ = ["RedisLike", "Target", "client_of"]


class _Client(Protocol):
    """A client of redis-py, sync or asyncio, or of fakeredis."""

    @property
    def connection_pool(self) -> Any: ...


class _ClusterClient(Protocol):
    """A client of a cluster, sync or asyncio."""

    @property
    def nodes_manager(self) -> Any: ...


#: How users name a server: by a client or a URL. A namespace is a string, so that type checkers see
#: if a client and a namespace were swapped.
RedisLike: TypeAlias = "str | _Client | _ClusterClient"

#: Settings of a user's client that our connections must not inherit.
_NOT_INHERITED: Final = frozenset(
    {
        "cache_config",
        "decode_responses",
        "encoding",
        "encoding_errors",
        "event_dispatcher",
        "health_check_interval",
        "himport_registry",
        "legacy_responses",
        "max_connections",
        "protocol",
        "response_callbacks",
        "retry",
        "retry_on_error",
        "retry_on_timeout",
        "single_connection_client",
        "socket_connect_timeout",
        "socket_timeout",
    }
)
#: Settings of a cluster's client that our connections inherit, in addition to those of TLS.
_OF_A_CLUSTER: Final = frozenset(
    {"client_name", "credential_provider", "password", "socket_keepalive", "username"}
)
#: How long workkit waits for a node to say where a slot is, seconds.
_ASK_S: Final = 2.0
#: Default time to connect and to get each reply, seconds.
DEFAULT_S: Final = 5.0
#: A longer time does not fit a socket, seconds.
_LONGEST_S: Final = 10**9
#: How many connections callers may open at once by default; as redis-py's pools.
_MOST: Final = 100
#: fakeredis's connection classes, for threads and for asyncio.
_FAKES: Final = (
    ("FakeRedisConnection", "FakeAsyncRedisConnection"),
    ("FakeConnection", "FakeAsyncConnection"),
)


@dataclass(frozen=True, slots=True)
class Target:
    """A server, and how to open connections to it.

    Attributes:
        connection_class: redis-py's connection class.
        settings: Its arguments.
        label: The server as it may be shown: without user and password.
        keeper: The user's pool or client; this reference keeps it alive.
        route: Finds the server to connect to; None for a socket.
        timeout_s: How long a reply may take, seconds; None for no limit.
        connect_timeout_s: How long connecting may take, seconds; None as above.
        most: How many connections callers may open at once.
        lacking: Commands that the server lacks, as far as is known.
    """

    connection_class: type[Any]
    settings: dict[str, Any]
    label: str
    keeper: Any
    route: Route | sentinel.MasterRoute | None = None
    timeout_s: float | None = DEFAULT_S
    connect_timeout_s: float | None = DEFAULT_S
    most: int = _MOST
    lacking: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, redis: object, namespace: str = "") -> Target:
        """Read a user's argument.

        Args:
            redis: A redis-py client (also one of a cluster, from Sentinel, or fakeredis), an
                asyncio client, or a URL; of a cluster, that of any node.
            namespace: Prefix of all keys.

        Raises:
            InvalidOption: `redis` has another type, or is a cluster that cannot hold the namespace.
        """
        if hasattr(redis, "nodes_manager"):
            return cls._of_cluster(redis, namespace)
        if isinstance(redis, str):
            pool = sentinel.pool_of(redis) if _is_sentinels(redis) else pool_of_url(redis)
        else:
            pool = getattr(redis, "connection_pool", None)
            if pool is None or not hasattr(pool, "connection_kwargs"):
                raise InvalidOption(
                    "redis must be a redis-py client or a URL such as redis://localhost:6379/0, "
                    f"not {type(redis).__name__}"
                )
        settings = {
            key: value
            for key, value in pool.connection_kwargs.items()
            if key not in _NOT_INHERITED and not key.startswith(("maint_notifications", "orig_"))
        }
        target = cls._made(_sync_class(pool.connection_class), settings, pool, namespace)
        try:
            target.open(timeout_s=1.0)
        except TypeError as error:
            raise _refused(target.connection_class, error) from None
        return target

    @classmethod
    def _made(
        cls,
        connection_class: type[Any],
        settings: dict[str, Any],
        pool: Any,
        namespace: str,
        nodes: list[Address] | None = None,
        times: dict[str, Any] | None = None,
    ) -> Target:
        route: Route | sentinel.MasterRoute | None = sentinel.route_of(pool)
        if route is not None:
            settings.pop("connection_pool", None)
            connection_class = _plain_class(connection_class)
        elif connection_class.__module__ == "redis.connection" and "path" not in settings:

            def connect(node: Address) -> Any:
                at = {"host": node[0], "port": node[1]}
                return connection_class(**(target.arguments(timeout_s=_ASK_S) | at))

            known = nodes or [(settings.get("host", "localhost"), settings.get("port", 6379))]
            route = Route(known, namespace, connect, clustered=nodes is not None)
        given = getattr(pool, "connection_kwargs", {}) if nodes is None else times or {}
        _check_settings(settings, given)
        timeout_s = given.get("socket_timeout", DEFAULT_S)
        target = cls(
            connection_class,
            settings,
            server_label(settings, getattr(pool, "service_name", "")),
            pool,
            route,
            timeout_s,
            given.get("socket_connect_timeout", timeout_s),
            given.get("max_connections") or getattr(pool, "max_connections", None) or _MOST,
        )
        return target

    @classmethod
    def _of_cluster(cls, cluster: Any, namespace: str) -> Target:
        """Read a client of a cluster, of redis-py's threads or its asyncio side."""
        from redis.connection import Connection, SSLConnection

        if not shares_a_slot(namespace):
            raise InvalidOption(needs_braces(namespace))
        manager = cluster.nodes_manager
        given = getattr(cluster, "connection_kwargs", None) or manager.connection_kwargs
        nodes = [(node.host, int(node.port)) for node in manager.startup_nodes.values()]
        kept = _OF_A_CLUSTER | {name for name in given if name.startswith("ssl_")}
        settings = {name: given[name] for name in kept if given.get(name) is not None}
        settings |= {"host": nodes[0][0], "port": nodes[0][1]}
        secure = given.get("ssl") or "SSL" in getattr(given.get("connection_class"), "__name__", "")
        if not secure:
            settings = {k: v for k, v in settings.items() if not k.startswith("ssl_")}
        kind = SSLConnection if secure else Connection
        return cls._made(kind, settings, cluster, namespace, nodes, given)

    @property
    def address(self) -> tuple[str, int | None]:
        """The host and the port that the user named; a socket's path, or a master, and None."""
        if service := getattr(self.keeper, "service_name", ""):
            return str(service), None
        if path := self.settings.get("path"):
            return str(path), None
        return str(self.settings.get("host") or "localhost"), int(self.settings.get("port") or 6379)

    @property
    def is_tls(self) -> bool:
        """Whether its connections use TLS."""
        return "SSL" in self.connection_class.__name__

    @property
    def is_in_memory(self) -> bool:
        """Whether the server is fakeredis, to which there are no sockets."""
        return self.connection_class.__module__.partition(".")[0] == "fakeredis"

    def open(self, *, timeout_s: float | None = None, name: str = "") -> Any:
        """Return a new connection object, not yet connected.

        Args:
            timeout_s: Time to connect, and for each read and write, seconds; None for the user's
                setting.
            name: Shown by CLIENT LIST.
        """
        return self.connection_class(**self.arguments(timeout_s=timeout_s, name=name))

    def open_async(self, *, timeout_s: float | None = None, name: str = "") -> Any:
        """Return a new asyncio connection object, not yet connected; the arguments are `open`'s."""
        connection_class = _async_class(self.connection_class)
        return connection_class(**self.arguments(timeout_s=timeout_s, name=name, is_async=True))

    def arguments(
        self, *, timeout_s: float | None = None, name: str = "", is_async: bool = False
    ) -> dict[str, Any]:
        """Return the arguments for a connection, of redis-py's threads or its asyncio side."""
        from redis.asyncio.retry import Retry as AsyncRetry
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        settings = dict(self.settings)
        if name and not settings.get("client_name"):
            settings["client_name"] = name
        return settings | {
            "protocol": 3,
            "decode_responses": False,
            "socket_timeout": timeout_s or self.timeout_s,
            "socket_connect_timeout": timeout_s or self.connect_timeout_s,
            "redis_connect_func": settings.get("redis_connect_func")
            or (introduce_async if is_async else introduce),
            "retry": (AsyncRetry if is_async else Retry)(NoBackoff(), 0),
        }


def _check_settings(settings: Mapping[str, Any], times: Mapping[str, Any]) -> None:
    """Refuse settings that redis-py takes and no socket accepts, so that each call would fail.

    Raises:
        InvalidOption: The message names the setting.
    """
    if not isinstance(host := settings.get("host", "localhost"), str):
        raise InvalidOption(f"redis has the host {shown(host)}, which is not a text")
    try:
        check_host(host)
    except InvalidOption:
        raise InvalidOption(
            f"redis has the host {shown(host)}, which is not the name of a host or an address"
        ) from None
    for name in ("socket_timeout", "socket_connect_timeout"):
        value = times.get(name)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value is not None and not (is_number and 0 < value <= _LONGEST_S):
            raise InvalidOption(
                f"redis has the {name} {shown(value)}; it must be a number of seconds above 0, "
                "or None"
            )
    check_tls(settings)


def _refused(connection_class: type[Any], error: TypeError) -> InvalidOption:
    """Return the error of a client whose connections do not take redis-py's settings."""
    from redis.asyncio.connection import AbstractConnection as AsyncConnection
    from redis.connection import AbstractConnection

    if issubclass(connection_class, (AbstractConnection, AsyncConnection)):
        return InvalidOption(f"redis has a setting that no connection knows: {error}")
    library = connection_class.__module__.partition(".")[0]
    return InvalidOption(
        f"redis must be a redis-py client or a URL such as redis://localhost:6379/0; this client "
        f"is of {library}. redis-py and redis:// URLs reach Valkey too"
    )


def client_of(url: str) -> Any:
    """Return a redis-py client of a URL; replies are bytes.

    Raises:
        InvalidOption: The URL cannot be read.
    """
    from redis import Redis

    return Redis(connection_pool=sentinel.pool_of(url) if _is_sentinels(url) else pool_of_url(url))


def _is_sentinels(url: str) -> bool:
    return url.startswith(sentinel.SCHEME)


def _plain_class(connection_class: type[Any]) -> type[Any]:
    """Return the plain class of a Sentinel connection class: it does not ask sentinels."""
    from redis.connection import Connection, SSLConnection

    return SSLConnection if "SSL" in connection_class.__name__ else Connection


def _sync_class(connection_class: type[Any]) -> type[Any]:
    """Return the threaded twin of an asyncio connection class, or the class itself."""
    if not any(kind.__module__.startswith("redis.asyncio") for kind in connection_class.__mro__):
        return connection_class
    from redis import connection, sentinel

    twin = _twin(connection_class, (connection, sentinel), is_async=False)
    if twin is None:
        raise InvalidOption(
            f"redis has connections of the class {connection_class.__name__}, which has no twin "
            "for threads; give a redis.Redis client or a URL"
        )
    return twin


def _async_class(connection_class: type[Any]) -> type[Any]:
    """Return the asyncio twin of a threaded connection class."""
    from redis.asyncio import connection, sentinel

    twin = _twin(connection_class, (connection, sentinel), is_async=True)
    if twin is None:
        name = connection_class.__name__
        raise InvalidOption(f"AsyncEnqueuer cannot use connections of the class {name}")
    return unix_class() if twin is connection.UnixDomainSocketConnection else twin


def _twin(kind: type[Any], modules: tuple[Any, ...], *, is_async: bool) -> type[Any] | None:
    """Return the class for asyncio that matches a class for threads, or the reverse."""
    # fakeredis's classes are subclasses of redis-py's; those would connect to servers.
    if kind.__module__.partition(".")[0] == "fakeredis":
        names = next((pair for pair in _FAKES if kind.__name__ in pair), ("", ""))
        fake: type[Any] | None = getattr(sys.modules["fakeredis"], names[is_async], None)
        return fake
    for each in kind.__mro__:
        for module in modules:
            found: type[Any] | None = getattr(module, each.__name__, None)
            if found is not None and each.__module__.startswith("redis."):
                return found
    return None
