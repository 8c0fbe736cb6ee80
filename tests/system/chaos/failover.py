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
from redis.exceptions import BusyLoadingError

from tests.system.chaos.fleet import Fleet
from tests.system.chaos.place import Place
from tests.system.chaos.servers import BreakIt, at_each_fault
from tests.system.chaos.stage import REPLICAS, ChaosRun, Say, Scale
from tests.system.chaos.verdict import Verdict
from tests.system.chaos.waiting import await_that
from workkit.embedded import EmbeddedServer, find_server

__all__ = ["Sentinels", "failover", "sentinels", "switchover"]

_MASTER: Final = "chaos"
_QUORUM: Final = 2
#: Shorter than usual, but long enough that a busy machine is not taken for a dead server.
_DOWN_MS: Final = 4_000


class Sentinels:
    """A master, two replicas, three sentinels.

    Attributes:
        servers: The master and the replicas, in any order.
        ports: Of the sentinels.
    """

    def __init__(self, stack: ExitStack, directory: Path) -> None:
        start = stack.enter_context
        settings = {"min-replicas-to-write": "0", "repl-diskless-sync-delay": "0"}
        master = start(EmbeddedServer(port="any", appendonly=True, config=settings))
        follow = settings | {"replicaof": f"127.0.0.1 {master.port}"}
        self.servers = [
            master,
            *(
                start(EmbeddedServer(port="any", appendonly=True, config=follow))
                for _ in range(REPLICAS)
            ),
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

    def master(self) -> EmbeddedServer | None:
        """Return the server that all sentinels take for the master; None while they differ."""
        ports = set()
        for port in self.ports:
            with Redis(port=port) as client:
                reply: Any = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", _MASTER)
            ports.add(int(reply[1]))
        return next((s for s in self.servers if ports == {s.port}), None)

    def await_whole(self, replicas: int = REPLICAS) -> None:
        """Wait until all sentinels know the same master, and this many replicas follow it."""
        await_that(lambda: self._followers() >= replicas, "the replicas do not follow")

    def _followers(self) -> int:
        with Redis(port=self.ports[0]) as sentinel:
            (known,) = sentinel.sentinel_masters().values()
        master = self.master()
        if master is None or known["num-other-sentinels"] != len(self.ports) - 1:
            return 0
        return sum(_follows(server, master) for server in self.servers if server is not master)

    def fail_over(self) -> float:
        """Kill the master, wait for another, start the old one again as its replica.

        The old one is started only when all sentinels and the other replica know the new one.
        Before that it would come back as a second master. A sentinel that does not know yet may
        send clients to it. When it becomes a replica, it loses the writes that it accepted, even
        writes that an outdated replica has confirmed.

        Returns:
            When the new master was known, monotonic seconds.
        """
        old = self.master()
        assert old is not None
        old.kill()
        await_that(lambda: self.master() not in {None, old}, "nobody was promoted")
        promoted_at = time.monotonic()
        self.await_whole(replicas=1)
        old.start()
        self.await_whole()
        return promoted_at

    def switch_over(self) -> float:
        """Promote a replica while the master lives; the master learns of it seconds later.

        This happens to a master that seems dead: to sentinels, a busy master or one that they
        cannot reach looks dead.

        Returns:
            When the old master was a replica of the new one, monotonic seconds.
        """
        old = self.master()
        with Redis(port=self.ports[0]) as sentinel:
            sentinel.execute_command("SENTINEL", "FAILOVER", _MASTER)
        await_that(lambda: self.master() not in {None, old}, "nobody was promoted")
        self.await_whole()
        return time.monotonic()


def _follows(server: EmbeddedServer, master: EmbeddedServer) -> bool:
    """Tell whether a replica has all that its master has; the master believes it too early."""
    if server.pid is None:
        return False
    with Redis(port=server.port) as client:
        try:
            info: Any = client.info("replication")
        except BusyLoadingError:
            return False
    return bool(
        info["role"] == "slave"
        and info["master_port"] == master.port
        and info["master_link_status"] == "up"
    )


def failover(scale: Scale, say: Say) -> Verdict:
    """Kill the master under load; each enqueue waits for replicas."""
    with sentinels("Sentinel: master killed", scale, say) as (stage, group):
        return _at_each_fault(stage, scale, lambda _workers: group.fail_over())


def switchover(scale: Scale, say: Say) -> Verdict:
    """Promote a replica while the master lives; each enqueue waits for replicas.

    The old master works until it learns of this, or until it finds that no replica follows it any
    more. The jobs that it accepts until then are lost, and the jobs that it hands out run again.
    """
    with sentinels("Sentinel: living master replaced", scale, say) as (stage, group):
        for server in group.servers:
            with Redis.from_url(server.url) as client:
                client.config_set("min-replicas-to-write", 1)

        def replace_master(_workers: Fleet) -> float:
            began = time.monotonic()
            done_at = group.switch_over()
            stage.verdict.duplicates_at_most += stage.journal.starts_between(began, done_at)
            return done_at

        return _at_each_fault(stage, scale, replace_master)


def _at_each_fault(stage: ChaosRun, scale: Scale, break_it: BreakIt) -> Verdict:
    durable = {"replicas": scale.replicas, "timeout": 0.2} if scale.replicas else {}
    verdict = at_each_fault(stage, replace(scale, faults=scale.faults // 2), break_it, **durable)
    if scale.replicas < REPLICAS:
        verdict.notes.append("not all replicas were waited for; jobs may be lost, as documented")
    return verdict


@contextmanager
def sentinels(name: str, scale: Scale, say: Say) -> Iterator[tuple[ChaosRun, Sentinels]]:
    """Set the stage on servers that sentinels watch."""
    name = f"{name}, enqueue waits for {scale.replicas} of {REPLICAS} replicas"
    with tempfile.TemporaryDirectory(prefix="chaos-") as home, ExitStack() as stack:
        directory = Path(home)
        group = Sentinels(stack, directory)
        place = Place("chaos", sentinels=group.ports, master=_MASTER)
        yield ChaosRun(place, directory, name, say, place.redis), group
