"""Waits against load, beside those of queueing theory."""

from __future__ import annotations

import os
import time
from typing import Any, Final, NamedTuple

import numpy as np

from benchmarks.bench import Bench
from benchmarks.figures import Sample
from benchmarks.result import Result, Row, at_least
from benchmarks.workers import Workers
from workkit import Client, Enqueuer, frames

__all__ = ["measure", "theory_ms"]

_LOADS: Final = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_QUANTILES: Final = (0.5, 0.95, 0.99)
_WORKERS: Final = 8
_RUN_S: Final = 0.05
#: How long each load lasts.
_SECONDS: Final = 60
#: Runs of an ideal queue, of which the band of theory is made.
_RUNS: Final = 2_000
#: All quantiles of all loads together are within their bands in 95 of 100 cases (Bonferroni).
_OUTSIDE: Final = 0.05 / len(_LOADS) / len(_QUANTILES)
#: The way through Redis, which theory does not have; history has whole milliseconds.
_WAY_MS: Final = 5.0
_SEED: Final = 5
_PAUSE_S: Final = 0.1


class _Step(NamedTuple):
    """One load: waits in milliseconds, quantile by quantile."""

    jobs: int
    measured: list[float]
    low: list[float]
    high: list[float]


def measure(bench: Bench) -> Result:
    """Let jobs come at random, at eight loads, and compare their waits with an ideal queue."""
    seconds = bench.seconds(_SECONDS)
    steps: dict[float, list[_Step]] = {load: [] for load in _LOADS}

    def side(load: float) -> float:
        steps[load].append(_step(bench, load, seconds))
        return steps[load][-1].measured[1]

    before = os.getloadavg()[0]
    bench.rounds("p95 ms at load", {f"{each}": lambda each=each: side(each) for each in _LOADS})  # type: ignore[misc] # a lambda with a default
    rows = [
        Row(
            f"load {load}, p{quantile * 100:g} (theory "
            f"{min(step.low[at] for step in found):.0f} to "
            f"{max(step.high[at] for step in found):.0f})",
            Sample.of([step.measured[at] for step in found]),
            "ms",
        )
        for load, found in steps.items()
        for at, quantile in enumerate(_QUANTILES)
    ]
    within = Sample.of(
        [
            _within([found[number] for found in steps.values()])
            for number in range(bench.effort.rounds)
        ]
    )
    rows.append(Row("quantiles within the band of theory", within, "%", at_least(100)))
    return Result(
        f"One pool with {_WORKERS} workers, whose handlers sleep for random times of "
        f"{_RUN_S * 1e3:.0f} ms on average (exponential); jobs come at random (Poisson) for "
        f"{seconds:.0f} s a load. Waits are those of history. The band of theory holds the "
        f"quantiles of {_RUNS:,} ideal queues with as many jobs, the same rate, and the measured "
        "run times, so that all quantiles of all loads are in their bands in 95 of 100 cases; up "
        f"to {_WAY_MS:.0f} ms more are allowed for the way through Redis. The machine's load was "
        f"{before:.1f} before, on {os.cpu_count()} cores: one that others use makes jobs wait.",
        rows,
    )


def _step(bench: Bench, load: float, seconds: float) -> _Step:
    bench.empty()
    dice = np.random.default_rng([_SEED, round(load * 100)])
    per_s = load * _WORKERS / _RUN_S
    enqueuer = Enqueuer("bench", bench.url)
    with Workers(bench.spec("takes", queues=1, concurrency=_WORKERS)) as workers:
        count = max(round(per_s * seconds), 20)
        due = time.monotonic()
        for gap_s, takes_s in zip(
            dice.exponential(1 / per_s, count), dice.exponential(_RUN_S, count), strict=True
        ):
            due += gap_s
            time.sleep(max(due - time.monotonic(), 0))
            enqueuer.enqueue("job0", {"takes_s": takes_s})
        workers.await_count(count)
        client = Client("bench", bench.url)
        bench.await_true(
            lambda: len(frames.history(client, outcome="done")) == count, pause_s=_PAUSE_S
        )
        ran = frames.history(client, outcome="done")
    waits_ms, runs_s = (ran[name].dt.total_seconds().to_numpy() for name in ("wait", "run"))
    ideal = theory_ms(dice, per_s, runs_s, count)
    low, high = np.quantile(ideal, [_OUTSIDE / 2, 1 - _OUTSIDE / 2], axis=0)
    measured = np.quantile(waits_ms * 1e3, _QUANTILES)
    return _Step(count, measured.tolist(), low.tolist(), high.tolist())


def theory_ms(dice: Any, per_s: float, runs_s: Any, count: int) -> Any:
    """Return the quantiles of waits of many ideal queues with one line and several workers.

    Args:
        dice: Random numbers.
        per_s: How many jobs come in a second, at random.
        runs_s: Run times to draw from.
        count: How many jobs each queue has.

    Returns:
        An array with a row for each queue, milliseconds.
    """
    # When each worker is free, counted from the newest arrival, the first one first; by queue.
    free_s = np.zeros((_RUNS, _WORKERS))
    waits_s = np.empty((count, _RUNS), np.float32)
    for number in range(count):
        waits_s[number] = free_s[:, 0]
        free_s[:, 0] += dice.choice(runs_s, _RUNS)
        free_s -= dice.exponential(1 / per_s, (_RUNS, 1))
        np.maximum(free_s, 0, out=free_s)
        free_s.sort(axis=1)
    return np.quantile(waits_s, _QUANTILES, axis=0).T * 1e3


def _within(steps: list[_Step]) -> float:
    """Return the share of quantiles that are within their bands, per cent."""
    inside = [
        low - 1 <= measured <= high + _WAY_MS
        for step in steps
        for measured, low, high in zip(step.measured, step.low, step.high, strict=True)
    ]
    return 100 * sum(inside) / len(inside)
