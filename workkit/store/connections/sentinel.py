"""Masters that sentinels know: from redis-py's clients, or from a URL.

workkit asks Sentinel before it opens each connection, so the first connection after a failover goes
to the new master. It closes a connection to a demoted server at the first refusal.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from redis import exceptions as redis_errors

from workkit.errors import InvalidOption
from workkit.store.connections.cluster import Address
from workkit.store.url import check_host, port_of, split

__all__ = ["SCHEME", "MasterRoute", "pool_of", "route_of"]

SCHEME: Final = "redis+sentinel://"
_PORT: Final = 26_379
#: How long workkit waits for a sentinel's answer, seconds; then it asks the next one.
_ASK_S: Final = 1.0
_UNREADABLE: Final = (
    f"cannot read the Redis URL; with Sentinel it is {SCHEME}HOST:PORT,HOST:PORT/MASTER "
    f"or {SCHEME}USER:PASSWORD@HOST/MASTER/DB"
)


class MasterRoute:
    """The route to a master; see `cluster.Route` for the methods.

    Args:
        sentinel: redis-py's client of the sentinels.
        service: The master's name.
    """

    #: Each connection asks for the master again.
    asks: Final = True
    known: Final = None

    def __init__(self, sentinel: Any, service: str) -> None:
        self._sentinel = sentinel
        self._service = service

    def find(self) -> Address:
        """Ask the sentinels, until more than half of them agree.

        Raises:
            redis.exceptions.ConnectionError: No sentinel knows a master.
        """
        said: Counter[Address] = Counter()
        for sentinel in self._sentinel.sentinels:
            with suppress(redis_errors.RedisError, OSError):
                # Not SENTINEL MASTERS, which redis-py uses: during a failover it still shows the
                # old master, even if that has just come back with old data.
                found = sentinel.sentinel_get_master_addr_by_name(self._service)
                if found:
                    master = (found[0], int(found[1]))
                    said[master] += 1
                    if said[master] > len(self._sentinel.sentinels) // 2:
                        return master  # the others may be out of date, but are a minority
        if not said:
            raise redis_errors.ConnectionError(f"no sentinel knows a master {self._service!r}")
        return said.most_common(1)[0][0]

    def moved(self, to: str) -> None:
        """Note nothing: a sentinel's master is not a cluster."""

    def lost(self) -> None:
        """Note nothing: the sentinels know."""


def route_of(pool: Any) -> MasterRoute | None:
    """Return the route to the master of a pool that Sentinel has made; None for other pools.

    Raises:
        InvalidOption: The pool connects to replicas.
    """
    manager = getattr(pool, "sentinel_manager", None)
    if manager is None:
        return None
    if not pool.is_master:
        raise InvalidOption("redis is a client of replicas (slave_for); give one of master_for")
    at = [client.connection_pool.connection_kwargs for client in manager.sentinels]
    kept = {k: v for k, v in manager.sentinel_kwargs.items() if not k.startswith("socket_")}
    hosts = [(kwargs["host"], kwargs["port"]) for kwargs in at]
    return MasterRoute(_sentinel(hosts, kept), pool.service_name)


def pool_of(url: str) -> Any:
    """Return redis-py's pool for a URL.

    Raises:
        InvalidOption: The URL is not valid; the message quotes no part of it.
    """
    try:
        parts = split(url)
        credentials, _, hosts = parts.netloc.rpartition("@")
        user, _, password = credentials.partition(":")
        service, _, db = parts.path.strip("/").partition("/")
        addresses = [_address(host) for host in hosts.split(",")]
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        sentinel_password = options.pop("sentinel_password", None)
        settings: dict[str, Any] = {"db": int(db or 0)}
    except InvalidOption as error:
        raise InvalidOption(f"{_UNREADABLE} ({str(error).partition(': ')[2]})") from None
    except ValueError:  # which may quote the password
        raise InvalidOption(_UNREADABLE) from None
    no_number = bool(db) and not (db.isascii() and db.isdigit())
    if not all(host for host, _ in addresses) or not service or options or no_number:
        raise InvalidOption(_UNREADABLE)
    if password or user:
        settings |= {"username": unquote(user) or None, "password": unquote(password) or None}
    own = {"password": sentinel_password} if sentinel_password else {}
    return _sentinel(addresses, own).master_for(unquote(service), **settings).connection_pool


def _address(text: str) -> Address:
    host, found, port = text.rpartition(":")
    if not found or text.endswith("]"):  # an IPv6 address in brackets has colons itself
        host, port = text, ""
    check_host(host)
    bare = host.removeprefix("[").removesuffix("]")
    return bare, port_of(port) if found and not text.endswith("]") else _PORT


def _sentinel(hosts: list[Address], kwargs: dict[str, Any]) -> Any:
    from redis.sentinel import Sentinel

    make: Any = Sentinel  # redis-py does not type it
    times = {"socket_timeout": _ASK_S, "socket_connect_timeout": _ASK_S}
    return make(hosts, sentinel_kwargs=kwargs | times)
