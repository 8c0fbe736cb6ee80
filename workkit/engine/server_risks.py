"""Reads from the server's settings whether it may lose jobs, or keep them from pools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from workkit.errors import ServerError
from workkit.store.calls import server
from workkit.store.round_trip import Step

__all__ = ["CLOSES", "EVICTS", "OUTPUT_SETTING", "closes_at_bytes", "evicts", "warnings_at_start"]

#: A warning: the fault and the remedy.
EVICTS: Final = (
    "the server evicts keys when its memory is full (maxmemory-policy %s), jobs included; "
    "set maxmemory-policy noeviction"
)
#: The same, for replies that the server does not finish.
CLOSES: Final = (
    "the server closes a connection whose reply exceeds %d bytes (client-output-buffer-limit), so "
    "pools lose time with large jobs, and never receive a job that exceeds it; set it to "
    "normal 0 0 0"
)
OUTPUT_SETTING: Final = "client-output-buffer-limit"
#: No reply to a pool is larger: it claims up to 8 MiB and the jobs that exceed this.
_LARGEST_BYTES: Final = 32 * 1024 * 1024


def evicts(info: Mapping[str, str]) -> str:
    """Return the policy by which a server with a memory limit drops keys; "" if it drops none.

    Args:
        info: The fields of INFO.
    """
    policy = info.get("maxmemory_policy", "noeviction")
    limited = info.get("maxmemory", "0") != "0"
    return policy if limited and policy != "noeviction" else ""


def closes_at_bytes(setting: str | None) -> int:
    """Return the size of a reply at which the server closes a pool's connection; 0 for none.

    Args:
        setting: The value of client-output-buffer-limit; None if the server does not say.
    """
    _, found, limits = (setting or "").partition("normal ")
    hard = limits.partition(" ")[0]
    is_low = found and hard.isdecimal() and 0 < int(hard) < _LARGEST_BYTES
    return int(hard) if is_low else 0


def warnings_at_start() -> Step[list[str]]:
    """Return warnings of settings that endanger jobs; none where the server does not say."""
    found = []
    try:
        info = yield from server.info("memory")
    except ServerError:
        info = {}  # no permission for INFO, or an outage, which other calls report
    if policy := evicts(info):
        found.append(EVICTS % policy)
    try:
        limits = yield from server.setting(OUTPUT_SETTING)
    except ServerError:
        limits = None
    if limit := closes_at_bytes(limits):
        found.append(CLOSES % limit)
    return found
