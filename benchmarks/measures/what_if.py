"""Waits that a replay predicts for half and twice the workers, and those of a real pool."""

from __future__ import annotations

import time
from itertools import groupby
from typing import Any, Final, NamedTuple

from benchmarks.bench import Bench
from benchmarks.figures import Sample
from benchmarks.result import Result, Row, at_most
from workkit import Client, Enqueuer, HistoryOptions, Job, WorkerPool, frames
from workkit.core.entropy import Entropy
from workkit.simulation import Simulation

__all__ = ["measure"]

_SECONDS: Final = 60.0
_WORKERS: Final = 8
#: So many jobs a second come one by one, and so many at once every few seconds.
_PER_S: Final = 10.0
_BURST: Final = 110
_BURST_EVERY_S: Final = 5.0
#: Jobs run this long, seconds.
_RUN_S: Final = (0.02, 0.18)
_NAMES: Final = ("mail", "report")
_QUANTILES: Final = {"p50": 0.5, "p95": 0.95}
_MOST_OFF: Final = 20


class _Planned(NamedTuple):
    at_s: float
    name: str
    run_s: float


def measure(bench: Bench) -> Result:
    """Measure the waits of a fleet, predict those of half and twice its workers, measure these."""
    plan = _plan(bench.seconds(_SECONDS))
    off: dict[str, list[float]] = {}
    waits: dict[str, list[float]] = {}
    for number in range(bench.effort.rounds):
        recorded = _real(bench, plan, _WORKERS)
        for workers in (_WORKERS // 2, _WORKERS * 2):
            real = _quantiles(_real(bench, plan, workers))
            with Simulation.from_history(recorded, concurrency=workers) as sim:
                predicted = _quantiles(sim.replay())
            for name, wait in real.items():
                title = f"{workers} workers, {name}"
                waits.setdefault(f"{title}, real", []).append(wait)
                waits.setdefault(f"{title}, predicted", []).append(predicted[name])
                off.setdefault(title, []).append(abs(predicted[name] / wait - 1) * 100)
                bench.say(
                    f"{title}: {wait:,.3f} s, predicted {predicted[name]:,.3f} s "
                    f"({predicted[name] / wait - 1:+.1%}; round {number + 1})"
                )
    return Result(
        f"{len(plan):,} jobs that sleep {_RUN_S[0]:g} to {_RUN_S[1]:g} s come in "
        f"{bench.seconds(_SECONDS):g} s, most of them {_BURST} at once every {_BURST_EVERY_S:g} s, "
        f"to a real pool with {_WORKERS} workers. Its history is replayed with half and twice the "
        "workers, and the same jobs come to real pools of these sizes.",
        [
            *(Row(f"wait with {title}", Sample.of(each), "s") for title, each in waits.items()),
            *(
                Row(f"prediction off, {title}", Sample.of(each), "%", at_most(_MOST_OFF))
                for title, each in off.items()
            ),
        ],
    )


def _plan(seconds: float) -> list[_Planned]:
    entropy = Entropy("what if")
    times = [entropy.uniform(0, seconds) for _ in range(int(_PER_S * seconds))]
    burst_s = 1.0
    while burst_s < seconds:
        times += [burst_s] * _BURST
        burst_s += _BURST_EVERY_S
    return [
        _Planned(at_s, _NAMES[entropy.below(2)], entropy.uniform(*_RUN_S)) for at_s in sorted(times)
    ]


def _real(bench: Bench, plan: list[_Planned], workers: int) -> Any:
    """Let a pool run the jobs as they come; return its history."""
    bench.empty()
    history = HistoryOptions(max_records=10**6, max_mb=None)
    pool = WorkerPool("bench", bench.url, concurrency=workers, history=history)
    for name in _NAMES:
        pool.job(name, _sleep)
    enqueuer, client = Enqueuer("bench", bench.url), Client("bench", bench.url)
    with pool:
        began_s = time.monotonic()
        for at_s, jobs in groupby(plan, key=lambda job: job.at_s):
            if (left_s := began_s + at_s - time.monotonic()) > 0:
                time.sleep(left_s)
            enqueuer.enqueue_many([(job.name, {"run_s": job.run_s}) for job in jobs])
        bench.await_true(
            lambda: client.history_extent().written >= len(plan), pause_s=0.1, timeout_s=600
        )
    return frames.history(client)


def _sleep(job: Job) -> None:
    time.sleep(job.arg_float("run_s"))


def _quantiles(history: Any) -> dict[str, float]:
    waits = history["wait"].dt.total_seconds()
    return {name: float(waits.quantile(quantile)) for name, quantile in _QUANTILES.items()}
