"""Measures and pictures of a frame of a million executions, and the view of many dead jobs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmarks.bench import Bench
from benchmarks.figures import Sample
from benchmarks.past import NAMESPACE
from benchmarks.result import Result, Row, at_most
from workkit import Client, frames, plots
from workkit.frames.schema import conform, schema
from workkit_notebook import DeadJobs

__all__ = ["measure"]

_RECORDS: Final = 1_000_000
_DAY_S: Final = 86_400.0
_NAMES, _WORKERS, _FAILING = 40, 64, 0.05
_MOST_S: Final = 20
_DEAD, _PIPELINE = 100_000, 2_000
_ERRORS: Final = ("ValueError: no {n}", "TimeoutError: db-{n} did not answer", "KeyError: 'price'")


def measure(bench: Bench) -> Result:
    """Measure each function on the same frame: a day of forty names and two versions."""
    count = bench.jobs(_RECORDS)
    history = _history(count)
    noon = _DAY_S / 2
    sides: dict[str, Callable[[], Any]] = {
        "attempts": lambda: frames.attempts(history),
        "journeys": lambda: frames.journeys(history),
        "errors": lambda: frames.errors(history),
        "compare_periods": lambda: frames.compare_periods(history, (0, noon), (noon, _DAY_S)),
        "regressions": lambda: frames.regressions(history),
        "slo": lambda: frames.slo(history),
        "plots.throughput": lambda: plots.throughput(history)._repr_png_(),
        "plots.latency": lambda: plots.latency(history)._repr_png_(),
        "plots.workers": lambda: plots.workers(history)._repr_png_(),
        "plots.utilisation": lambda: plots.utilisation(history)._repr_png_(),
        "plots.concurrency": lambda: plots.concurrency(history)._repr_png_(),
        "plots.retry_ladder": lambda: plots.retry_ladder(history)._repr_png_(),
    }
    took = bench.rounds("analysed", {name: _timed(work) for name, work in sides.items()})
    took |= _view(bench)
    return Result(
        f"A frame of {count:,} executions of {_NAMES} names on {_WORKERS} workers; a picture "
        f"includes its PNG. `DeadJobs` of {bench.jobs(_DEAD):,} dead jobs with tracebacks: until "
        "the cell ends, until all are read, and until a filter has been applied.",
        [Row(name, sample, "s", at_most(_MOST_S)) for name, sample in took.items()],
    )


def _view(bench: Bench) -> dict[str, Sample]:
    """Measure the view of dead jobs."""
    bench.empty()
    pipe = bench.client.pipeline(transaction=False)
    for n in range(bench.jobs(_DEAD)):
        error = _ERRORS[n % len(_ERRORS)].format(n=n)
        job = {
            "name": f"job{n % 3}", "id": f"{n:024x}", "t": 1_800_000_000,
            "args": {"tenant": f"t{n % 11}", "n": n, "to": {"mail": f"{n}@example"}}, "fails": 4,
            "err": f'{error}\n\nTraceback (innermost last):\n  File "app.py", line 2, in run',
        }  # fmt: skip
        pipe.zadd(f"{NAMESPACE}:dead", {json.dumps(job): 1_800_000_000 + n // 10})
        if n % _PIPELINE == 0:
            pipe.execute()
    pipe.execute()
    client = Client(NAMESPACE, bench.url)
    shown, read, filtered = [], [], []
    for _ in range(bench.effort.rounds):
        began_s = time.monotonic()
        view = DeadJobs(client)
        shown.append(time.monotonic() - began_s)
        view.wait()
        read.append(time.monotonic() - began_s)
        began_s = time.monotonic()
        view.query = "args.tenant:t3 error:timeout"
        view.wait()
        filtered.append(time.monotonic() - began_s)
        view.close()
    return {
        "DeadJobs, shown": Sample.of(shown),
        "DeadJobs, read": Sample.of(read),
        "DeadJobs, filtered": Sample.of(filtered),
    }


def _timed(work: Callable[[], Any]) -> Callable[[], float]:
    def run() -> float:
        began_s = time.monotonic()
        work()
        return time.monotonic() - began_s

    return run


def _history(count: int) -> Any:
    """Make history: every twentieth execution fails, and its job runs again next."""
    draw = np.random.default_rng(1)
    at = np.sort(draw.uniform(0, _DAY_S, count))
    waits, runs = draw.exponential(0.05, count), draw.exponential(0.2, count)
    failed = np.arange(count) % round(1 / _FAILING) == 0
    jobs = np.arange(count)
    jobs[1:][failed[:-1]] = jobs[:-1][failed[:-1]]
    errors = pd.Series(draw.choice(["ValueError: no", "TimeoutError: db"], count)).where(failed)
    columns: dict[str, Any] = {
        "job_id": [f"{job:024x}" for job in jobs],
        "name": draw.choice([f"job{n}" for n in range(_NAMES)], count)[jobs],
        "outcome": np.where(failed, "retry", "done"),
        "fails": (failed | (jobs != np.arange(count))).astype(int),
        "error": errors,
        "fingerprint": errors.str[:4],
        "worker_id": draw.choice([f"w{n}" for n in range(_WORKERS)], count),
        "pool_id": draw.choice(["p1", "p2"], count),
        "host": draw.choice(["h1", "h2", "h3"], count),
        "version": np.where(at < _DAY_S / 2, "1", "2"),
        "enqueued_at": _times(at),
        "started_at": _times(at + waits),
        "finished_at": _times(at + waits + runs),
    }
    made = pd.DataFrame(dict.fromkeys(schema("history").names), index=range(count)).assign(
        **columns
    )
    made["wait"] = made["started_at"] - made["enqueued_at"]
    made["run"] = made["finished_at"] - made["started_at"]
    return conform(made, "history")


def _times(seconds: Any) -> Any:
    return pd.to_datetime(np.round(seconds * 1_000).astype("int64"), unit="ms", utc=True)
