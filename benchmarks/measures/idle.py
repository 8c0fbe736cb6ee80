"""The cost of an idle worker for the server."""

from __future__ import annotations

import time
from functools import partial

from benchmarks.bench import Bench, Side
from benchmarks.jobs import queue_names
from benchmarks.result import Result, Row, at_most
from benchmarks.workers import Workers
from workkit import Client, Enqueuer

__all__ = ["measure"]

_JOB_TYPES = 20
_SETTLING_S = 4.0
_WATCHED_S = 30.0  # long enough to see commands that run twice a minute
#: Jobs that idle pools may not run yet, and the pace at which they come.
_JOBS = 200
_EVERY_S = 0.05
_POOLS = {1: 5.0, 5: 10.0}  # how many -> the most commands an enqueue
_DELAYS_S = {"in an hour": 3_600, "for now": 0}


def measure(bench: Bench) -> Result:
    """Count commands a second, those inside scripts included, at concurrency 1 and 50."""
    watched_s = bench.seconds(_WATCHED_S)
    samples = bench.rounds(
        "idle commands/s",
        {str(concurrency): _side(bench, concurrency, watched_s) for concurrency in (1, 50)},
    )
    costs = bench.rounds(
        "commands an enqueue",
        {
            f"{pools} idle, scheduled {when}": partial(_cost, bench, pools, delay_s)
            for pools in _POOLS
            for when, delay_s in _DELAYS_S.items()
        },
    )
    bounds = [bound for bound in _POOLS.values() for _ in _DELAYS_S]
    return Result(
        f"One pool with {_JOB_TYPES} job types and nothing to do. The growth of all calls in the "
        f"server's `INFO commandstats`, which counts the commands inside scripts too, over "
        f"{watched_s:g} s, without the measuring client's own. Then `enqueue_in`, {1 / _EVERY_S:g} "
        "times a second, beside one and five pools whose queue is paused: all commands, those of "
        "the enqueuer and of the heartbeats included, for each call.",
        [
            Row(f"idle, concurrency {name}", sample, "commands/s", at_most(2.0))
            for name, sample in samples.items()
        ]
        + [
            Row(name, sample, "commands", at_most(bound))
            for (name, sample), bound in zip(costs.items(), bounds, strict=True)
        ],
    )


def _side(bench: Bench, concurrency: int, watched_s: float) -> Side:
    def run() -> float:
        bench.empty()
        with Workers(bench.spec(queues=_JOB_TYPES, concurrency=concurrency)):
            time.sleep(bench.seconds(_SETTLING_S))
            before, began = _calls(bench), time.monotonic()
            time.sleep(watched_s)
            after = _calls(bench)
            seconds = time.monotonic() - began
        grown = {name: count - before.get(name, 0) for name, count in after.items()}
        grown["info"] -= 1  # the second look
        shown = ", ".join(f"{name} {count}" for name, count in sorted(grown.items()) if count)
        bench.say(f"idle, concurrency {concurrency}, in {seconds:.0f} s: {shown}")
        return sum(grown.values()) / seconds

    return run


def _cost(bench: Bench, pools: int, delay_s: float) -> float:
    """Return how many commands the server carries out for one job that idle pools may not run."""
    bench.empty()
    spec = bench.spec(queues=_JOB_TYPES, concurrency=4)
    client, enqueuer = Client("bench", bench.url), Enqueuer("bench", bench.url)
    name, count = queue_names(spec.queues)[0], bench.jobs(_JOBS)
    client.pause(name)
    with Workers(spec, pools):
        enqueuer.enqueue_in(name, 0)  # by which the pools learn that the queue is paused
        time.sleep(bench.seconds(_SETTLING_S) + 1)
        before = sum(_calls(bench).values())
        for number in range(count):
            enqueuer.enqueue_in(name, delay_s, {"i": number})
            time.sleep(_EVERY_S)
        return (sum(_calls(bench).values()) - before) / count


def _calls(bench: Bench) -> dict[str, int]:
    stats: dict[str, dict[str, int]] = bench.client.info("commandstats")
    return {name.removeprefix("cmdstat_"): entry["calls"] for name, entry in stats.items()}
