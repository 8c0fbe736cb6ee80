"""Reads from the server's INFO whether it may evict jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from workkit.errors import ServerError
from workkit.store.calls import server
from workkit.store.round_trip import Step

__all__ = ["EVICTS", "evicts", "warn_of_eviction"]

#: A warning: the fault and the remedy.
EVICTS: Final = (
    "the server evicts keys when its memory is full (maxmemory-policy %s), jobs included; "
    "set maxmemory-policy noeviction"
)


def evicts(info: Mapping[str, str]) -> str:
    """Return the policy by which a server with a memory limit drops keys; "" if it drops none.

    Args:
        info: The fields of INFO.
    """
    policy = info.get("maxmemory_policy", "noeviction")
    limited = info.get("maxmemory", "0") != "0"
    return policy if limited and policy != "noeviction" else ""


def warn_of_eviction() -> Step[str]:
    """Return a warning if the server evicts; "" if it does not, or does not say."""
    try:
        info = yield from server.info("memory")
    except ServerError:
        return ""  # no permission for INFO, or an outage, which other calls report
    policy = evicts(info)
    return EVICTS % policy if policy else ""
