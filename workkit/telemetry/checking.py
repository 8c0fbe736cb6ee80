"""Checks the pools of one host by their heartbeats, for containers without HTTP."""

from __future__ import annotations

from dataclasses import dataclass

from workkit.admin.steps import reads
from workkit.core.liveness import is_silent
from workkit.core.text import counted
from workkit.errors import ServerError, ServerRefused
from workkit.store.calls import server
from workkit.store.connections.links import carrier
from workkit.store.connections.target import RedisLike
from workkit.store.keys import Keys
from workkit.store.round_trip import Step

__all__ = ["HostCheck", "check_host"]


@dataclass(frozen=True, slots=True)
class HostCheck:
    """The pools of a host.

    Attributes:
        ok: Whether enough of them are well.
        host: The host's name.
        well: How many have a fresh heartbeat.
        silent: How many have an old heartbeat, or none.
        reason: Why not enough are well; "" otherwise.
    """

    ok: bool
    host: str
    well: int
    silent: int
    reason: str


def check_host(
    namespace: str, redis: RedisLike, host: str, *, wanted: int = 1, live: bool = False
) -> HostCheck:
    """Compare the heartbeats of a host's pools with the server's clock.

    Args:
        namespace: Prefix of all keys.
        redis: A redis-py client or a URL.
        host: The host's name, as in the heartbeats.
        wanted: How many pools must be well.
        live: Whether all is well if the server does not answer: a new process would not help.
    """
    links = carrier(redis, namespace)
    try:
        well, silent = links.carry(_counted(Keys(namespace), host))
    except ServerError as error:
        return HostCheck(live, host, 0, 0, str(error))
    finally:
        links.close()
    reason = ""
    if well < wanted:
        reason = f"{counted(well, 'pool')} of host {host!r} well, {wanted} wanted"
        if silent:
            reason += f"; {counted(silent, 'pool')} without a fresh heartbeat"
    return HostCheck(not reason, host, well, silent, reason)


def _counted(keys: Keys, host: str) -> Step[tuple[int, int]]:
    """Return how many pools of a host have a fresh heartbeat, and how many have not.

    Raises:
        ServerRefused: The server does not tell its time. This machine's clock may be wrong, and
            then every pool would seem dead or alive.
    """
    beats = [beat for beat in (yield from reads.heartbeats(keys)) if beat.host == host]
    now_ms = yield from server.server_ms()
    if now_ms is None:
        raise ServerRefused(
            "NOPERM",
            "Redis refused TIME, so the age of heartbeats is unknown; allow the user +time",
        )
    silent = sum(is_silent(beat.heartbeat_at, now_ms / 1000) for beat in beats)
    return len(beats) - silent, silent
