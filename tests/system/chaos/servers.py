"""The server is killed, filled, demoted, emptied, cut off, slowed down, under load."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from redis import Redis

from tests.system.chaos.fleet import Fleet, fleet
from tests.system.chaos.journal import TICK
from tests.system.chaos.load import enqueuing
from tests.system.chaos.place import Place
from tests.system.chaos.proxy import Proxy, proxy
from tests.system.chaos.stage import ChaosRun, Say, Scale, on_one_server
from tests.system.chaos.verdict import Verdict
from tests.system.chaos.waiting import await_that, wait_s

__all__ = [
    "BreakIt",
    "at_each_fault",
    "cut_off",
    "demoted",
    "emptied",
    "full",
    "killed",
    "slow",
    "stalled",
]

#: Breaks something once. If it was away, returns the time of its return (monotonic seconds).
BreakIt = Callable[[Fleet], float | None]

_PROCESSES: Final = 2
_CALM_S: Final = (1.0, 2.0)
#: Cron is planned twice a minute; the machine may be busy.
_STARTED_WITHIN_S: Final = 60.0


def killed(scale: Scale, say: Say) -> Verdict:
    """Kill the server with SIGKILL and start it again; it writes each command to disk first."""
    with on_one_server(
        "server killed (appendfsync always)", say, appendonly=True,
        config={"appendfsync": "always"},
    ) as (stage, server):  # fmt: skip

        def kill(_workers: Fleet) -> float:
            server.kill()
            wait_s(stage.entropy.uniform(0.2, 4.0))
            server.start()
            return time.monotonic()

        return at_each_fault(stage, scale, kill)


def full(scale: Scale, say: Say) -> Verdict:
    """Fill the server up to its maxmemory under noeviction, and give it more after a while."""
    with on_one_server("server full (noeviction)", say) as (stage, server):

        def fill(_workers: Fleet) -> None:
            with Redis.from_url(server.url) as client:
                client.config_set("maxmemory", "1mb")
                wait_s(2)
                client.config_set("maxmemory", "0")

        return at_each_fault(stage, scale, fill)


def demoted(scale: Scale, say: Say) -> Verdict:
    """Make the server a read-only replica of a master that is not there, and a master again."""
    with on_one_server("server read-only", say) as (stage, server):

        def demote(_workers: Fleet) -> float:
            with Redis.from_url(server.url) as client:
                client.execute_command("REPLICAOF", "127.0.0.1", "1")
                wait_s(2)
                client.execute_command("REPLICAOF", "NO", "ONE")
            return time.monotonic()

        return at_each_fault(stage, scale, demote)


def cut_off(scale: Scale, say: Say) -> Verdict:
    """Kill all connections and forget all scripts."""
    with on_one_server("CLIENT KILL and SCRIPT FLUSH", say) as (stage, server):

        def cut(_workers: Fleet) -> float:
            with Redis.from_url(server.url) as client:
                client.script_flush()
                for kind in ("normal", "pubsub"):
                    client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
            return time.monotonic()

        return at_each_fault(stage, scale, cut)


def emptied(scale: Scale, say: Say) -> Verdict:
    """Empty the server: stored jobs are lost by definition; everything else must recover."""
    with on_one_server("FLUSHALL", say) as (stage, server):
        refill = scale.jobs // scale.faults

        def empty(_workers: Fleet) -> float:
            with Redis.from_url(server.url) as client:
                client.flushall()
                at = time.monotonic()
                stage.give_up_what_waits()
                stage.load.prefill(refill)
                wait_for: dict[str, Callable[[], object]] = {
                    "pools": lambda: client.scard("chaos:worker_pools") == _PROCESSES,
                    "limit": lambda: client.get("chaos:jobs:limited:max_concurrency") == b"5",
                    "cron": lambda: stage.journal.started_since(TICK, at),
                }
                for what, condition in wait_for.items():
                    await_that(condition, f"{what} did not return", _STARTED_WITHIN_S)
            return at

        return at_each_fault(stage, replace(scale, faults=scale.faults // 2), empty)


def slow(scale: Scale, say: Say) -> Verdict:
    """Let each round trip take 200 ms for a while."""
    with _behind_a_proxy("network: 200 ms more a round trip", say) as (stage, between):

        def delay(_workers: Fleet) -> None:
            between.latency_s = 0.2
            wait_s(4)
            between.latency_s = 0.0

        return at_each_fault(stage, scale, delay)


def stalled(scale: Scale, say: Say) -> Verdict:
    """Let replies on all connections stop in the middle, for 10 s."""
    with _behind_a_proxy("network: replies cut in two for 10 s", say) as (stage, between):

        def stall(_workers: Fleet) -> float:
            between.stall(8, 10)
            wait_s(10)
            return time.monotonic()

        verdict = at_each_fault(stage, replace(scale, faults=scale.faults // 2), stall)
        verdict.notes.append(f"{between.stalled} replies were cut")
        return verdict


@contextmanager
def _behind_a_proxy(name: str, say: Say) -> Iterator[tuple[ChaosRun, Proxy]]:
    with (
        on_one_server(name, say, port="any") as (stage, server),
        proxy(server.port) as between,
    ):
        stage.move(Place(stage.place.namespace, f"redis://127.0.0.1:{between.port}"))
        yield stage, between


def at_each_fault(
    stage: ChaosRun, scale: Scale, break_it: BreakIt, *, rate: float = 50.0, **durable: Any
) -> Verdict:
    """Break something under load by workers and enqueuers, again and again, and count.

    Args:
        stage: Where.
        scale: How often.
        break_it: Breaks it once.
        rate: Jobs a second that each of two enqueuers enqueues.
        **durable: The options of `Enqueuer.durably` for each enqueue.
    """
    verdict, load = stage.verdict, stage.load
    if durable:
        load.wait_for(**durable)
    load.prefill(scale.jobs)
    with fleet(
        stage.place, stage.journal, stage.directory, processes=_PROCESSES, work_ms=scale.work_ms
    ) as workers:
        workers.await_work()
        verdict.slots = _PROCESSES * workers.concurrency
        with enqueuing(load, rate=rate):
            for _ in range(scale.faults):
                stage.journal.read()
                if len(load.accepted) - stage.journal.ran() < scale.jobs // 2:
                    load.prefill(scale.jobs)
                wait_s(stage.entropy.uniform(*_CALM_S))
                running = sum(stage.journal.running(p.pid) for p in workers.processes)
                verdict.in_flight.append(running)
                verdict.faults += 1
                well_at = break_it(workers)
                if well_at is not None:
                    _note_return(stage, well_at)
                stage.say(
                    f"{verdict.scenario}: fault {verdict.faults}, {stage.journal.ran():,} ran"
                )
        stage.finish(workers)
    for error, times in load.errors.most_common(3):
        verdict.notes.append(f"enqueuers were told {times} times: {error}")
    return verdict


def _note_return(stage: ChaosRun, since: float) -> None:
    """Note how long it takes until handlers start again."""
    deadline = time.monotonic() + _STARTED_WITHIN_S
    while time.monotonic() < deadline:
        stage.journal.read()
        started = stage.journal.first_start_after(since)
        if started is not None:
            stage.verdict.recoveries_s.append(started - since)
            return
        wait_s(0.02)
    stage.verdict.notes.append(f"nothing started within {_STARTED_WITHIN_S:.0f} s of its return")
