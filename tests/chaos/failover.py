"""Sentinel: the master is killed under load, and a replica takes its place."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from redis import Redis

from tests.chaos.fleet import Fleet
from tests.chaos.place import Place
from tests.chaos.servers import at_each_fault
from tests.chaos.stage import Say, Scale, Stage, wait_s
from tests.chaos.verdict import Verdict
from workkit.embedded import EmbeddedServer, find_server

__all__ = ["Sentinels", "failover", "sentinels"]

_MASTER: Final = "chaos"
_QUORUM: Final = 2
_DOWN_MS: Final = 1_000
_WITHIN_S: Final = 60.0


class Sentinels:
    """A master, two replicas, three sentinels.

    Attributes:
        servers: Master and replicas, whoever is which at present.
        ports: Of the sentinels.
    """

    def __init__(self, stack: ExitStack, directory: Path) -> None:
        start = stack.enter_context
        settings = {"min-replicas-to-write": "0", "repl-diskless-sync-delay": "0"}
        master = start(EmbeddedServer(port="any", appendonly=True, config=settings))
        follow = settings | {"replicaof": f"127.0.0.1 {master.port}"}
        self.servers = [
            master,
            *(start(EmbeddedServer(port="any", appendonly=True, config=follow)) for _ in range(2)),
        ]
        # The server looks at the name by which it was called.
        server = find_server()
        program = directory / server.name.replace("server", "sentinel")
        program.symlink_to(server)
        watch = {"sentinel": f"monitor {_MASTER} 127.0.0.1 {master.port} {_QUORUM}"}
        watching = [
            start(EmbeddedServer(binary=program, port="any", config=watch)) for _ in range(3)
        ]
        self.ports = tuple(sentinel.port for sentinel in watching)
        for sentinel in watching:
            with Redis.from_url(sentinel.url) as client:
                for name, value in (
                    ("down-after-milliseconds", _DOWN_MS),
                    ("failover-timeout", 6_000),
                ):
                    client.execute_command("SENTINEL", "SET", _MASTER, name, value)
        self.await_whole()

    def master(self) -> EmbeddedServer:
        """Return the server that the sentinels take for the master.

        Raises:
            RuntimeError: They know none of ours.
        """
        for port in self.ports:
            with Redis(port=port) as client:
                reply: Any = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", _MASTER)
            found = [server for server in self.servers if server.port == int(reply[1])]
            if found:
                return found[0]
        raise RuntimeError("the sentinels know no master")

    def await_whole(self) -> None:
        """Wait until there is a master with two replicas, and the sentinels know each other."""
        _await(self._is_whole, "the replicas do not follow")

    def _is_whole(self) -> bool:
        with Redis(port=self.ports[0]) as sentinel:
            ((known, *_),) = [list(sentinel.sentinel_masters().values())]
        with Redis(port=self.master().port) as master:
            info: Any = master.info("replication")
        online = [
            replica
            for name, replica in info.items()
            if name.startswith("slave")
            and isinstance(replica, dict)
            and replica["state"] == "online"
        ]
        return len(online) == 2 and known["num-other-sentinels"] == 2 and known["num-slaves"] == 2

    def fail_over(self) -> float:
        """Kill the master, wait for another, start the old one again as its replica.

        Returns:
            When the new master was known, monotonic seconds.
        """
        old = self.master()
        old.kill()
        _await(lambda: self.master() is not old, "nobody was promoted")
        promoted_at = time.monotonic()
        wait_s(1)
        old.start()
        self.await_whole()
        return promoted_at


def failover(scale: Scale, say: Say, *, replicas: int = 1) -> Verdict:
    """Kill the master under load; each enqueue waits for a number of replicas."""
    name = f"Sentinel: master killed, enqueue waits for {replicas} replica"
    if not replicas:
        name = "Sentinel: master killed, enqueue waits for no replica"
    with sentinels(name, say) as (stage, group):

        def kill_master(_workers: Fleet) -> float:
            return group.fail_over()

        durable = {"replicas": replicas} if replicas else {}
        fewer = replace(scale, faults=scale.faults // 2)
        verdict = at_each_fault(stage, fewer, kill_master, **durable)
        if not replicas:
            verdict.notes.append("asynchronous replication may lose jobs here; that is no failure")
        return verdict


@contextmanager
def sentinels(name: str, say: Say) -> Iterator[tuple[Stage, Sentinels]]:
    """Set the stage on servers that sentinels watch."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as home, ExitStack() as stack:
        directory = Path(home)
        group = Sentinels(stack, directory)
        place = Place("chaos", sentinels=group.ports, master=_MASTER)
        yield Stage(place, directory, name, say, place.redis), group


def _await(condition: Any, trouble: str) -> None:
    deadline = time.monotonic() + _WITHIN_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(trouble)
        wait_s(0.05)
