"""How a server is shown: never with a user, a password or options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = ["server_label", "without_password"]

#: Shown instead of a URL if a part of the password may be in the place of the server.
_HIDDEN: Final = "..."
_HOST: Final = r"(?:\[[0-9A-Fa-f:.]+\]|[^\s\[\]:,/?#@]*)(?::\d*)?"
_HOSTS: Final = re.compile(rf"{_HOST}(?:,{_HOST})*", re.ASCII)


def server_label(settings: Mapping[str, Any], service: str = "") -> str:
    """Return the name of a server for people.

    Args:
        settings: The settings of a connection: `host`, `port` and `db`, or `path`.
        service: The name that Sentinel has for the master; "" without Sentinel.
    """
    if service:
        return f"Sentinel's master {service!r}"
    if path := settings.get("path"):
        return f"unix://{path}"
    host, port, db = (settings.get(name) for name in ("host", "port", "db"))
    return f"{host or 'localhost'}:{port or 6379}/{db or 0}"


def without_password(url: str) -> str:
    """Return a URL that can be shown: without user, password and options.

    A URL that cannot be read may have a password anywhere. Of such a URL only the scheme is shown.
    """
    scheme, found, _ = url.partition("://")
    hidden = f"{scheme}://{_HIDDEN}" if found and scheme.isascii() and scheme.isalnum() else _HIDDEN
    try:
        parts = urlsplit(url)
    except ValueError:  # which may quote the password
        return hidden
    hosts = parts.netloc.rpartition("@")[2]
    misplaced = "@" in parts.path + parts.fragment and parts.scheme != "unix"
    if misplaced or parts.fragment or not found or not _HOSTS.fullmatch(hosts):
        return hidden
    return f"{parts.scheme}://{hosts}{parts.path}"
