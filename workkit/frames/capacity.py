"""Estimates from history how many jobs a fleet can take, and how long they wait.

The model is M/G/c of queueing theory: jobs arrive at random, the first free worker takes the
oldest, and run times have any distribution. Waits follow from Erlang's formula for exponential run
times, scaled by the measured variance (Allen and Cunneen).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from workkit.core.options import shown
from workkit.core.text import counted
from workkit.errors import InvalidOption, NoEstimate
from workkit.frames.checks import check_count, check_share, is_number
from workkit.frames.extra import np, pd
from workkit.frames.neighbours import Blocks, Known, known_attempts, sums_of_blocks
from workkit.frames.tallies import Executions, check_history, repeatable
from workkit.frames.times import Span, span_s

__all__ = ["Capacity", "Estimate", "capacity"]

#: Executions with a known wait that an estimate takes at least.
_LEAST: Final = 200
_BLOCKS: Final = 50
_DRAWS: Final = 1_000
#: The same draws each time, so that the same history has the same interval.
_SEED: Final = 17
#: Wider than its 95 %, since draws of few blocks make the intervals of skewed numbers too narrow.
_INTERVAL: Final = (0.015, 0.985)
#: Above this load waits depend on how long it lasts, not on the model.
_FULL: Final = 0.95
#: The share of their time that workers are busy while jobs wait all the time.
_BUSY: Final = 0.7
#: How many times as long, or as short, jobs may wait as the model says.
_TOLERANCE: Final = 2.0
#: What the way through Redis may take, and what it may take as a share of a run.
_WAY_S: Final = 0.005
_WAY: Final = 0.1
_MOST_WORKERS: Final = 100_000
_STEPS: Final = 40


class Estimate(NamedTuple):
    """A number with the interval that holds it in 95 of 100 cases."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Capacity:
    """What a fleet can do, by the model M/G/c.

    Attributes:
        workers: How many workers there are.
        executions: How many executions were measured.
        arrivals_per_s: How many came in a second.
        run_s: The mean run time, seconds.
        variation: The squared coefficient of variation of run times: 0 for equal ones, 1 for
            exponential ones.
        load: The share of their time that the workers were busy.
        most_per_s: How many executions in a second keep all workers busy. More cannot be done.
        waited_s: The measured mean wait, seconds.
        model_s: The mean wait by the model, seconds; infinite for a full load.
    """

    workers: int
    executions: int
    arrivals_per_s: Estimate
    run_s: Estimate
    variation: Estimate
    load: Estimate
    most_per_s: Estimate
    waited_s: Estimate
    model_s: Estimate
    _runs_s: Any
    _variations: Any

    def wait_s(
        self, per_s: float, quantile: float = 0.95, *, workers: int | None = None
    ) -> Estimate:
        """Return how long jobs wait, seconds.

        Args:
            per_s: How many come in a second.
            quantile: The share of jobs that wait at most that long.
            workers: How many workers there are, if not as many as were measured.

        Returns:
            The wait; infinite if that many workers cannot take the jobs.

        Raises:
            InvalidOption: An argument is out of its range.
        """
        _check_quantile(quantile)
        _check_rate(per_s)
        waits = _wait_s(per_s, self._runs_s, self._variations, self._workers(workers), quantile)
        return _estimate(waits)

    def most_within(
        self, wait: Span, quantile: float = 0.95, *, workers: int | None = None
    ) -> Estimate:
        """Return how many jobs may come in a second so that their waits keep a bound.

        Args:
            wait: The bound, such as "50ms", or seconds.
            quantile: The share of jobs that keep it.
            workers: How many workers there are, if not as many as were measured.

        Raises:
            InvalidOption: An argument is out of its range.
        """
        _check_quantile(quantile)
        bound_s, count = span_s(wait, "wait"), self._workers(workers)
        low, high = np.zeros_like(self._runs_s), count / self._runs_s
        for _ in range(_STEPS):
            middle = (low + high) / 2
            kept = _wait_s(middle, self._runs_s, self._variations, count, quantile) <= bound_s
            low, high = np.where(kept, middle, low), np.where(kept, high, middle)
        return _estimate(low)

    def workers_for(self, per_s: float, wait: Span, quantile: float = 0.95) -> int:
        """Return how many workers keep waits within a bound, at the upper end of the interval.

        Args:
            per_s: How many jobs come in a second.
            wait: The bound, such as "50ms", or seconds.
            quantile: The share of jobs that keep it.

        Raises:
            InvalidOption: An argument is out of its range, or more than 100,000 are needed.
        """
        _check_quantile(quantile)
        _check_rate(per_s)
        bound_s = span_s(wait, "wait")
        need = max(int(per_s * self.run_s.value), 1)
        if need > _MOST_WORKERS:
            raise InvalidOption(f"{per_s:,g} jobs in a second need more than 100,000 workers")
        low, high = need - 1, need
        while self.wait_s(per_s, quantile, workers=high).high > bound_s:
            low, high = high, high * 2
            if low > _MOST_WORKERS:
                raise InvalidOption(f"no 100,000 workers keep waits within {wait}")
        while high - low > 1:
            middle = (low + high) // 2
            kept = self.wait_s(per_s, quantile, workers=middle).high <= bound_s
            low, high = (low, middle) if kept else (middle, high)
        return high

    def _workers(self, workers: int | None) -> int:
        return self.workers if workers is None else _checked_workers(workers)


def capacity(history: Executions, *, workers: int | None = None) -> Capacity:
    """Estimate the capacity of the fleet that has made a history.

    Args:
        history: A frame of history, or a `Scan`, of a time in which the load and the fleet were
            about the same.
        workers: How many workers there were: the concurrency of all pools together. By default, the
            highest number of workers that history shows at once. A worker that has run nothing is
            not in history.

    Returns:
        The capacity. Each number has an interval that holds it in 95 of 100 cases, from a bootstrap
        of blocks of neighbours. Run times are those of handlers; what a pool needs between two jobs
        comes on top.

    Raises:
        NoEstimate: There are too few executions, or the measured waits contradict the model. Then
            jobs came in bursts, workers were idle although jobs waited, or there were more or
            fewer workers, and the numbers of the model would be wrong.
        InvalidOption: `workers` is not a positive number, or the frame is no history.
    """
    check_history(history, "capacity")
    with repeatable(history) as executions:
        known = known_attempts(executions)
        if known.executions < _LEAST:
            raise NoEstimate(
                f"{counted(known.executions, 'execution')} with a known wait are too few for an "
                f"estimate; it takes {_LEAST}"
            )
        count = _at_once(known.lives) if workers is None else _checked_workers(workers)
        found = _resampled(sums_of_blocks(executions, known, _BLOCKS))
    if not found.runs_s.min() > 0:
        raise NoEstimate("the handlers ran for less than a millisecond, which history cannot show")
    load = found.arrivals_per_s * found.runs_s / count
    made = Capacity(
        count, known.executions, _estimate(found.arrivals_per_s), _estimate(found.runs_s),
        _estimate(found.variations), _estimate(load), _estimate(count / found.runs_s),
        _estimate(found.waits_s),
        _estimate(_mean_wait_s(found.arrivals_per_s, found.runs_s, found.variations, count)),
        found.runs_s, found.variations,
    )  # fmt: skip
    _check_model(made, known)
    return made


class _Resampled(NamedTuple):
    """What was measured, and the same in draws of the bootstrap: arrays, the measure first."""

    arrivals_per_s: Any
    runs_s: Any
    variations: Any
    waits_s: Any


def _resampled(blocks: Blocks) -> _Resampled:
    """Draw blocks of neighbours with replacement, and measure each draw."""
    draws = np.random.default_rng(_SEED).multinomial(_BLOCKS, [1 / _BLOCKS] * _BLOCKS, _DRAWS)
    number, seconds, run, squares, wait = np.array(blocks) @ np.vstack([np.ones(_BLOCKS), draws]).T
    mean = run / number
    with np.errstate(divide="ignore", invalid="ignore"):
        variation = np.maximum(squares / number / mean**2 - 1, 0)
    return _Resampled(number / np.maximum(seconds, 1e-3), mean, variation, wait / number)


def _estimate(values: Any) -> Estimate:
    low, high = np.quantile(values[1:], _INTERVAL, method="closest_observation")
    return Estimate(float(values[0]), float(low), float(high))


def _check_model(made: Capacity, known: Known) -> None:
    """Refuse a history whose waits contradict the model."""
    if made.load.value > _FULL:
        busy = known.busy_s / made.workers / (known.spread_s + made.run_s.value)
        if busy < _BUSY:
            raise NoEstimate(
                f"jobs came faster than {counted(made.workers, 'worker')} can run them, but the "
                f"workers were busy for only {busy:.0%} of the time: look for limits, pauses and "
                "other work of their machines"
            )
        return
    way_s = max(_WAY_S, _WAY * made.run_s.value)
    says = (
        f"jobs waited {_ms(made.waited_s)}, but by the model they would wait {_ms(made.model_s)} "
        f"at a load of {made.load.value:.0%} on {counted(made.workers, 'worker')}"
    )
    if made.waited_s.low > _TOLERANCE * made.model_s.high + way_s:
        raise NoEstimate(
            f"{says}: they came in bursts, limits or pauses held them back, or there were fewer "
            "workers at times; replay the history instead (Simulation.from_history)"
        )
    if made.waited_s.high < made.model_s.low / _TOLERANCE - way_s:
        raise NoEstimate(
            f"{says}: there are more workers, so give workers=; or the jobs came evenly, not at "
            "random"
        )


def _ms(found: Estimate) -> str:
    return f"{found.value * 1_000:,.0f} ms ({found.low * 1_000:,.0f} to {found.high * 1_000:,.0f})"


def _at_once(lives: Any) -> int:
    """Return the highest number of workers that were there at once."""
    if not len(lives):
        raise InvalidOption("history does not name the workers; give workers=")
    times = pd.concat(
        [pd.Series(1, index=lives["first"]), pd.Series(-1, index=lives["last"])]
    ).sort_index(kind="stable")
    return max(int(times.cumsum().max()), 1)


def _checked_workers(workers: int) -> int:
    check_count("workers", workers, 1, _MOST_WORKERS)
    return workers


def _check_rate(per_s: object) -> None:
    if not is_number(per_s) or not 0 < per_s < np.inf:  # type: ignore[operator]
        raise InvalidOption(f"per_s must be a number above 0, not {shown(per_s)}")


def _check_quantile(quantile: float) -> None:
    check_share("quantile", quantile)


def _all_busy(per_s: Any, run_s: Any, workers: int) -> Any:
    """Return the chance that a job finds all workers busy (Erlang C); 1 for a full load."""
    offered = per_s * run_s
    blocked = np.ones_like(offered)
    for server in range(1, workers + 1):
        blocked = offered * blocked / (server + offered * blocked)
    load = offered / workers
    return np.where(load < 1, blocked / (1 - load * (1 - blocked)), 1.0)


def _mean_wait_s(per_s: Any, run_s: Any, variation: Any, workers: int) -> Any:
    """Return the mean wait of all jobs; infinite for a full load."""
    return _all_busy(per_s, run_s, workers) * _held_up_s(per_s, run_s, variation, workers)


def _held_up_s(per_s: Any, run_s: Any, variation: Any, workers: int) -> Any:
    """Return the mean wait of the jobs that wait; infinite for a full load."""
    spare = workers / run_s - per_s
    with np.errstate(divide="ignore"):
        return np.where(spare > 0, (1 + variation) / 2 / np.maximum(spare, 1e-300), np.inf)


def _wait_s(per_s: Any, run_s: Any, variation: Any, workers: int, quantile: float) -> Any:
    """Return a quantile of the wait, whose tail is taken as exponential."""
    busy = _all_busy(per_s, run_s, workers)
    times = np.log(np.maximum(busy / (1 - quantile), 1))
    with np.errstate(invalid="ignore"):
        waits = times * _held_up_s(per_s, run_s, variation, workers)
    return np.where(times == 0, 0.0, waits)
