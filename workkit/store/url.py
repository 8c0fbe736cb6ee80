"""URLs of servers, read more strictly than redis-py reads them.

redis-py ignores parts that it does not understand: a database that is not a number becomes database
0, an empty host becomes localhost. A mistake would then send jobs to another server or database
without an error. So workkit refuses every part that it does not understand. No message quotes a
value, because it may be a password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from workkit.errors import InvalidOption

__all__ = ["check_host", "pool_of_url", "port_of", "split"]

_SCHEMES: Final = ("redis://", "rediss://", "unix://")
_ENCODED: Final = "a password with / : @ ? or # in it is written percent-encoded"
_MAX_PORT: Final = 65_535
_NUMBER: Final = re.compile(r"\d{1,9}", re.ASCII)
_SECONDS: Final = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)
_NAME: Final = re.compile(r"[a-z_]{1,40}", re.ASCII)
_PRINTABLE: Final = re.compile(r"[!-~]+", re.ASCII)
_STRANGE: Final = re.compile(r"[\s\x00-\x1f\x7f]")


def _is_flag(value: str) -> bool:
    return value.lower() in {"1", "0", "true", "false", "yes", "no", "y", "n", "t", "f"}


def _is_number(value: str) -> bool:
    return _NUMBER.fullmatch(value) is not None


def _is_seconds(value: str) -> bool:
    return _SECONDS.fullmatch(value) is not None and float(value) > 0


def _is_printable(value: str) -> bool:
    """Tell whether Redis takes a text as the name of a connection."""
    return _PRINTABLE.fullmatch(value) is not None


#: Option of a query -> whether a value is valid, and a description of valid values.
_OPTIONS: Final[Mapping[str, tuple[Callable[[str], bool], str]]] = {
    "db": (_is_number, "a database number"),
    "username": (bool, "a name"),
    "password": (bool, "a password"),
    "client_name": (_is_printable, "a name of printable ASCII characters without spaces"),
    "socket_timeout": (_is_seconds, "a number of seconds above 0"),
    "socket_connect_timeout": (_is_seconds, "a number of seconds above 0"),
    "timeout": (_is_seconds, "a number of seconds above 0"),
    "health_check_interval": (_is_number, "a whole number of seconds"),
    "socket_read_size": (_is_number, "a number of bytes"),
    "max_connections": (lambda value: _is_number(value) and int(value) > 0, "1 or more"),
    "protocol": (lambda value: value in {"2", "3"}, "2 or 3"),
    "socket_keepalive": (_is_flag, "true or false"),
    "retry_on_timeout": (_is_flag, "true or false"),
    "decode_responses": (_is_flag, "true or false"),
    "legacy_responses": (_is_flag, "true or false"),
    "encoding": (bool, "the name of an encoding"),
    "encoding_errors": (bool, "the name of an error handler"),
}
_TLS_OPTIONS: Final[Mapping[str, tuple[Callable[[str], bool], str]]] = {
    "ssl_cert_reqs": (lambda value: value in {"none", "optional", "required"},
                      "none, optional or required"),
    "ssl_check_hostname": (_is_flag, "true or false"),
    "ssl_min_version": (_is_number, "a number of Python's ssl.TLSVersion"),
} | {
    f"ssl_{name}": (bool, "a text")
    for name in ("keyfile", "certfile", "ca_certs", "ca_path", "ca_data", "password", "ciphers",
                 "include_verify_flags", "exclude_verify_flags")
}  # fmt: skip
#: Only redis-py's blocking pool has it, and we never wait for a connection of that pool.
_DROPPED: Final = ("timeout",)


def pool_of_url(url: str) -> Any:
    """Return redis-py's pool for a URL; the caller reads settings from it.

    Raises:
        InvalidOption: A part of the URL is not valid.
    """
    if not url.startswith(_SCHEMES):
        scheme = url.partition("://")[0] if "://" in url else ""
        found = f"this one starts with {scheme}://" if scheme.isalpha() else "this one does not"
        raise InvalidOption(f"a Redis URL starts with {', '.join(_SCHEMES)}; {found}")
    parts = split(url)
    if parts.scheme == "unix":
        if not parts.path.strip("/") or parts.netloc.rpartition("@")[2]:
            raise _bad("a socket has an absolute path and no host, as in unix:///run/redis.sock")
    else:
        _check_place(parts, bare=url in _SCHEMES)
    options = _options(parts)
    in_path = parts.path.strip("/") if parts.scheme != "unix" else ""
    if in_path and options.get("db", in_path) != in_path:
        raise _bad("it names two databases, one in its path and one as an option")
    from redis.connection import ConnectionPool

    try:
        pool = ConnectionPool.from_url(url)
    except (ValueError, TypeError):
        # The error quotes parts of the URL, and the password may be one of them.
        raise _bad(f"its port, its database or an option is not a number; {_ENCODED}") from None
    for name in _DROPPED:
        pool.connection_kwargs.pop(name, None)
    return pool


def split(url: str) -> SplitResult:
    """Take a URL apart.

    Raises:
        InvalidOption: It has characters or a part that a Redis URL cannot have.
    """
    if _STRANGE.search(url):
        raise _bad("there is a space or a control character in it")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _bad(f"its host cannot be read; {_ENCODED}") from None
    if parts.fragment or url.endswith("#"):
        raise _bad(f"a Redis URL has nothing after a #; {_ENCODED}")
    return parts


def port_of(text: str) -> int:
    """Read a port.

    Raises:
        InvalidOption: The port is not a number from 1 to 65535.
    """
    if not (_is_number(text) and 1 <= int(text) <= _MAX_PORT):
        raise _bad(f"a port is a number from 1 to 65535; {_ENCODED}")
    return int(text)


def check_host(host: object) -> None:
    """Refuse what no resolver takes as the name of a host.

    Raises:
        InvalidOption: It is not a text, or has an empty label or one of more than 63 characters.
    """
    try:
        if isinstance(host, str):
            host.encode("idna")
            return
    except UnicodeError:
        pass
    raise _bad("its host is not the name of a host or an address")


def _check_place(parts: SplitResult, *, bare: bool) -> None:
    """Check host, port and database; the scheme alone means redis-py's defaults."""
    address = parts.netloc.rpartition("@")[2]
    host, colon, port = address.rpartition(":")
    if address.endswith("]") or not colon:
        host, colon, port = address, "", ""
    if colon:
        port_of(port)
    if not host and not bare:
        raise _bad("it names no host; write redis://localhost:6379/0 for this machine")
    check_host(unquote(host))
    if "," in host:
        raise _bad("it names several hosts; those of sentinels take redis+sentinel://")
    if (host.startswith("[") != host.endswith("]")) or (":" in host and not host.startswith("[")):
        raise _bad(f"an IPv6 address is written in brackets, redis://[::1]:6379/0; {_ENCODED}")
    database = unquote(parts.path).removeprefix("/").removesuffix("/")
    if database and not _is_number(database):
        raise _bad(
            f"its database is not a number; it comes after the host, as in redis://HOST:PORT/0, "
            f"and {_ENCODED}"
        )


def _options(parts: SplitResult) -> dict[str, str]:
    """Check the options of the query."""
    known = dict(_OPTIONS)
    if parts.scheme == "rediss":
        known |= _TLS_OPTIONS
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise _bad(f"its options are written ?NAME=VALUE&NAME=VALUE; {_ENCODED}") from None
    for name, value in pairs:
        if name in _TLS_OPTIONS and name not in known:
            raise _bad(f"option {name} is for TLS, which takes rediss://")
        if name not in known:
            which = (
                f"there is no option {name}" if _NAME.fullmatch(name) else "an option is unknown"
            )
            raise _bad(f"{which}; there are {', '.join(sorted(known))}")
        if name in found:
            raise _bad(f"option {name} is there twice")
        fits, expected = known[name]
        if not fits(value):
            raise _bad(f"option {name} must be {expected}")
        found[name] = value
    return found


def _bad(why: str) -> InvalidOption:
    return InvalidOption(f"cannot read the Redis URL: {why}")
