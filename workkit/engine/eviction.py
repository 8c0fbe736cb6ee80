"""What a server says of itself that decides how safe jobs are in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from workkit.errors import ServerError
from workkit.store.calls import inspecting
from workkit.store.round_trip import Step

__all__ = ["EVICTS", "evicts", "warn_of_eviction"]

#: What is wrong with a server that evicts, and what to do.
EVICTS: Final = (
    "the server evicts keys when its memory is full (maxmemory-policy %s), jobs included; "
    "set maxmemory-policy noeviction"
)


def evicts(info: Mapping[str, str]) -> str:
    """Return the policy by which a server with a memory limit drops keys; "" if it does not.

    Args:
        info: What INFO says.
    """
    policy = info.get("maxmemory_policy", "noeviction")
    limited = info.get("maxmemory", "0") != "0"
    return policy if limited and policy != "noeviction" else ""


def warn_of_eviction() -> Step[str]:
    """Return what to say of a server that evicts; "" of one that does not or does not tell."""
    try:
        info = yield from inspecting.info("memory")
    except ServerError:
        return ""  # without the permission, or it will be noticed elsewhere that it is away
    policy = evicts(info)
    return EVICTS % policy if policy else ""
