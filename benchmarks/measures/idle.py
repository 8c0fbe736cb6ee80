"""The cost of an idle worker for the server."""

from __future__ import annotations

import time

from benchmarks.bench import Bench, Side
from benchmarks.result import Result, Row, at_most
from benchmarks.workers import Workers

__all__ = ["measure"]

_JOB_TYPES = 20
_SETTLING_S = 4.0
_WATCHED_S = 30.0  # long enough to see commands that run twice a minute


def measure(bench: Bench) -> Result:
    """Count commands a second, those inside scripts included, at concurrency 1 and 50."""
    watched_s = bench.seconds(_WATCHED_S)
    samples = bench.rounds(
        "idle commands/s",
        {str(concurrency): _side(bench, concurrency, watched_s) for concurrency in (1, 50)},
    )
    return Result(
        f"One pool with {_JOB_TYPES} job types and nothing to do. The growth of all calls in the "
        f"server's `INFO commandstats`, which counts the commands inside scripts too, over "
        f"{watched_s:g} s, without the measuring client's own.",
        [
            Row(f"idle, concurrency {name}", sample, "commands/s", at_most(2.0))
            for name, sample in samples.items()
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


def _calls(bench: Bench) -> dict[str, int]:
    stats: dict[str, dict[str, int]] = bench.client.info("commandstats")
    return {name.removeprefix("cmdstat_"): entry["calls"] for name, entry in stats.items()}
