"""A namespace to examine. Pools, crashes and Go peers cause its faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from redis import Redis

from tests.parity.gopeer import Clock, Scene
from workkit import Client
from workkit.core.clock import SystemClock
from workkit.doctor import Doctor, Finding

__all__ = ["OF_THE_SERVER", "Ward"]

#: Findings of every test server.
OF_THE_SERVER = frozenset({"persistence"})


class Ward:
    """One namespace, its doctor, and Go peers with a right clock.

    While the doctor watches, it calls `alive`, which must send the heartbeats of live pools.
    """

    def __init__(self, url: str, redis: Redis, namespace: str) -> None:
        self.url = url
        self.redis = redis
        self.namespace = namespace
        self.scene = Scene(redis, namespace, Clock(SystemClock().read().epoch_s))
        self.alive: Callable[[], object] = lambda: None
        self.watched: list[float] = []
        self.client = Client(namespace, url)
        self.doctor = Doctor(namespace, url, wait=self._wait)

    def _wait(self, seconds: float) -> None:
        self.watched.append(seconds)
        self.scene.clock.now += 1
        self.alive()

    def findings(self) -> Sequence[Finding]:
        return [f for f in self.doctor.examine() if f.check not in OF_THE_SERVER]

    def checks(self) -> list[str]:
        return [finding.check for finding in self.findings()]

    def repair(self, *expected: str) -> list[str]:
        """Repair all faults, which must be the expected ones, and check that none is left."""
        findings = self.findings()
        assert sorted(f.check for f in findings if f.repairable) == sorted(expected), findings
        said = [self.doctor.repair(finding) for finding in findings if finding.repairable]
        left = [f for f in self.findings() if f.check not in {"no-handler", "paused"}]
        assert left == []
        return said
