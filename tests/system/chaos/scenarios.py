"""All scenarios by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tests.system.chaos import clustered, failover, servers, workers
from tests.system.chaos.stage import Say, Scale
from tests.system.chaos.verdict import Verdict

__all__ = ["SCENARIOS"]

SCENARIOS: Final[Mapping[str, Callable[[Scale, Say], Verdict]]] = {
    "worker-killed": workers.killed,
    "worker-frozen": workers.frozen,
    "worker-terminated": workers.terminated,
    "server-killed": servers.killed,
    "server-full": servers.full,
    "server-read-only": servers.demoted,
    "server-emptied": servers.emptied,
    "connections-killed": servers.cut_off,
    "network-slow": servers.slow,
    "network-stalled": servers.stalled,
    "sentinel-failover": failover.failover,
    "sentinel-switchover": failover.switchover,
    "cluster": clustered.moved,
}
