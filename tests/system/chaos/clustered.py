"""A cluster: the slot of the namespace moves from node to node under load, and nodes are killed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from redis import Redis
from redis.crc import key_slot

from tests.system.chaos.fleet import Fleet
from tests.system.chaos.place import Place
from tests.system.chaos.servers import at_each_fault
from tests.system.chaos.stage import ChaosRun, Say, Scale
from tests.system.chaos.verdict import Verdict
from tests.system.chaos.waiting import await_that, wait_s
from workkit.embedded import EmbeddedServer

__all__ = ["Cluster", "moved"]

_SLOTS: Final = 16_384
_KEYS_AT_ONCE: Final = 100


class Cluster:
    """Three masters on loopback.

    Attributes:
        nodes: The servers.
    """

    def __init__(self, stack: ExitStack, namespace: str) -> None:
        self._slot = key_slot(namespace.encode())
        self.nodes = [
            stack.enter_context(
                EmbeddedServer(
                    port="any",
                    appendonly=True,
                    config={
                        "appendfsync": "always",
                        "cluster-enabled": "yes",
                        "cluster-node-timeout": "3000",
                        # Any free port; the usual one, 10,000 above, may not be valid.
                        "cluster-port": str(_another_port()),
                    },
                )
            )
            for _ in range(3)
        ]
        first, *others = self.nodes
        share = _SLOTS // len(self.nodes)
        for at, node in enumerate(self.nodes):
            last = _SLOTS - 1 if at == len(self.nodes) - 1 else (at + 1) * share - 1
            self._ask(node, "CLUSTER", "ADDSLOTSRANGE", at * share, last)
        for node in others:
            bus = self._ask(node, "CONFIG", "GET", "cluster-port")[b"cluster-port"]
            self._ask(first, "CLUSTER", "MEET", "127.0.0.1", node.port, int(bus))
        self.await_whole()

    @property
    def url(self) -> str:
        """The URL of a node that does not have the namespace."""
        return next(node.tcp_url for node in self.nodes if node is not self.owner())

    def owner(self) -> EmbeddedServer:
        """Return the node that has the namespace."""
        for node in self.nodes:
            for first, last, (_, port, *_), *_ in self._ask(node, "CLUSTER", "SLOTS"):
                if first <= self._slot <= last:
                    return next(other for other in self.nodes if other.port == port)
        raise RuntimeError("no node has the slot")

    def await_whole(self) -> None:
        """Wait until all nodes know that the cluster is complete.

        Raises:
            RuntimeError: It does not become complete.
        """
        await_that(self._is_whole, "the cluster does not come together")

    def _is_whole(self) -> bool:
        return all(
            b"cluster_state:ok" in self._ask(node, "CLUSTER", "INFO")
            and self._ask(node, "CLUSTER", "NODES").count(b"connected") == len(self.nodes)
            for node in self.nodes
        )

    def move(self) -> None:
        """Move the namespace to another node, as an operator's tools do."""
        source = self.owner()
        target = next(node for node in self.nodes if node is not source)
        source_id, target_id = (
            self._ask(node, "CLUSTER", "MYID").decode() for node in (source, target)
        )
        self._ask(target, "CLUSTER", "SETSLOT", self._slot, "IMPORTING", source_id)
        self._ask(source, "CLUSTER", "SETSLOT", self._slot, "MIGRATING", target_id)
        while keys := self._ask(source, "CLUSTER", "GETKEYSINSLOT", self._slot, _KEYS_AT_ONCE):
            self._ask(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys)
        for node in (target, source, *self.nodes):
            self._ask(node, "CLUSTER", "SETSLOT", self._slot, "NODE", target_id)

    def _ask(self, node: EmbeddedServer, *command: Any) -> Any:
        with Redis.from_url(node.url, protocol=3, legacy_responses=False) as client:
            client.response_callbacks.clear()
            return client.execute_command(*command)


def moved(scale: Scale, say: Say) -> Verdict:
    """Move the namespace to another node of a cluster, and kill the node that has it, by turns."""
    with _cluster("cluster: namespace moved, its node killed", say) as (stage, cluster):

        def disturb(_workers: Fleet) -> float:
            if stage.verdict.faults % 2:
                cluster.move()
            else:
                owner = cluster.owner()
                owner.kill()
                wait_s(0.5)
                owner.start()
                cluster.await_whole()
            return time.monotonic()

        return at_each_fault(stage, scale, disturb)


@contextmanager
def _cluster(name: str, say: Say) -> Iterator[tuple[ChaosRun, Cluster]]:
    namespace = "{chaos}"
    with tempfile.TemporaryDirectory(prefix="chaos-") as home, ExitStack() as stack:
        cluster = Cluster(stack, namespace)
        place = Place(namespace, cluster.url)
        yield (
            ChaosRun(place, Path(home), name, say, lambda: Redis.from_url(cluster.owner().url)),
            cluster,
        )


def _another_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
