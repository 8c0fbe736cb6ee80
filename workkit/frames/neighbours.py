"""Sums over blocks of neighbours: executions by the time at which they entered their queues.

Blocks have the same number of executions. Where they begin is found by counting, not by sorting, so
a history may be larger than memory: each reading counts in which part of the range the bounds are,
until few executions are near them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from workkit.frames.extra import np, pd
from workkit.frames.journeys import is_attempt
from workkit.frames.tallies import Executions, pieces_of

__all__ = ["Blocks", "Known", "known_attempts", "sums_of_blocks"]

_COLUMNS: Final = ("enqueued_at", "started_at", "finished_at", "reason", "wait", "run", "worker_id")
#: Executions that entered a queue in one millisecond are in the order of their waits. Both make one
#: number: the time, and how many times 64 ms the job waited.
_WAIT_BITS: Final = 21
_WAIT_UNIT: Final = 6
_TIME_BITS: Final = 42
#: Up to so many executions are looked at one by one.
_FEW: Final = 1_000_000
#: A reading counts in 2 to the power of this many parts of what is known.
_BITS: Final = 16


class Known(NamedTuple):
    """What a history shows of attempts with a known wait.

    Attributes:
        executions: How many there are.
        lives: When the first execution of each worker started and the last one ended: a DataFrame
            with the columns "first" and "last".
        spread_s: From the first start to the last one, seconds.
        busy_s: How long all handlers ran, seconds.
        low: The lowest place in the order of all.
        high: The highest.
    """

    executions: int
    lives: Any
    spread_s: float
    busy_s: float
    low: int
    high: int


class Blocks(NamedTuple):
    """Sums over each block: arrays.

    Attributes:
        counts: Executions.
        gaps_s: From the last entry of the block before to the last one of this block, seconds.
        runs_s: Run times, seconds.
        squares_s2: Their squares.
        waits_s: Waits, seconds.
    """

    counts: Any
    gaps_s: Any
    runs_s: Any
    squares_s2: Any
    waits_s: Any


def known_attempts(history: Executions) -> Known:
    """Read what a history shows, but for sums over blocks."""
    lives, starts, extremes = [], [], []
    count = busy_ms = 0
    for rows in _attempts(history):
        count += len(rows)
        busy_ms += int(_ms(rows["run"]).sum())
        times = pd.DataFrame({"first": rows["started_at"], "last": rows["finished_at"]})
        lives.append(_lives(times, rows["worker_id"]))
        if len(rows):
            places = _places(rows)
            extremes += [int(places.min()), int(places.max())]
            starts += [rows["started_at"].min(), rows["started_at"].max()]
    spread_s = (max(starts) - min(starts)).total_seconds() if starts else 0.0
    joined = pd.concat(lives)
    return Known(
        count, _lives(joined, joined.index.to_series()), spread_s, busy_ms / 1_000,
        min(extremes, default=0), max(extremes, default=0),
    )  # fmt: skip


def sums_of_blocks(history: Executions, known: Known, number: int) -> Blocks:
    """Divide attempts into blocks, and add them up.

    Executions that cannot be told apart by their order are divided evenly where a block ends among
    them.

    Args:
        history: The executions.
        known: What it shows, by `known_attempts`.
        number: How many blocks there are; not more than there are executions.
    """
    ends = -(-np.arange(1, number + 1) * known.executions // number)
    last = _at_ranks(history, known, ends - 1)
    bounds = np.unique(last)
    # The executions between two bounds, and those at a bound, in turn.
    parts = np.zeros((4, 2 * len(bounds) + 1))
    for rows in _attempts(history):
        places = _places(rows)
        at = np.searchsorted(bounds, places)
        part = 2 * at + (bounds[np.minimum(at, len(bounds) - 1)] == places)
        run_ms, wait_ms = _ms(rows["run"]), _ms(rows["wait"])
        squares = run_ms.astype("float64") ** 2
        for row, weights in enumerate((None, run_ms, squares, wait_ms)):
            parts[row] += np.bincount(part, weights, parts.shape[1])
    counts, *sums = parts
    part_ends = np.cumsum(counts)
    part_begins, begins = part_ends - counts, np.concatenate([[0], ends[:-1]])
    overlap = np.minimum(ends[:, None], part_ends) - np.maximum(begins[:, None], part_begins)
    share = np.maximum(overlap, 0) / np.maximum(counts, 1)
    run_ms, squares, wait_ms = (share @ each for each in sums)
    at_ms = last >> _WAIT_BITS
    gaps_ms = np.diff(at_ms, prepend=known.low >> _WAIT_BITS)
    return Blocks(ends - begins, gaps_ms / 1e3, run_ms / 1e3, squares / 1e6, wait_ms / 1e3)


def _at_ranks(history: Executions, known: Known, ranks: Any) -> Any:
    """Return the places of the executions with these ranks, from 0."""
    above, near = (known.high - known.low).bit_length(), known.executions
    # Ranks whose places begin with the same bits are looked for together.
    begins, which, rest = np.zeros(1, np.int64), np.zeros(len(ranks), np.int64), np.array(ranks)
    while near > _FEW and above:
        shift = max(above - _BITS, 0)
        counts = _counts(history, known.low, begins, above, shift)
        ends = np.cumsum(counts, axis=1)
        parts = np.array(
            [
                np.searchsorted(ends[row], rank, "right")
                for row, rank in zip(which, rest, strict=True)
            ]
        )
        rest = rest - ends[which, parts] + counts[which, parts]
        found = (begins[which] << (above - shift)) | parts
        near = int(counts[tuple(np.unique([which, parts], axis=1))].sum())
        begins, which = np.unique(found, return_inverse=True)
        above = shift
    if above:
        return _picked(history, known.low, begins, above)(which, rest) + known.low
    return begins[which] + known.low


def _counts(history: Executions, low: int, begins: Any, above: int, shift: int) -> Any:
    """Count the executions in each part of what begins with some bits.

    Returns:
        An array with a row for each of `begins`, and a column for each part.
    """
    counts = np.zeros((len(begins), 1 << (above - shift)), np.int64)
    for at, places in _beginning(history, low, begins, above):
        part = (places >> shift) & (counts.shape[1] - 1)
        counts += np.bincount(at * counts.shape[1] + part, minlength=counts.size).reshape(
            counts.shape
        )
    return counts


def _picked(history: Executions, low: int, begins: Any, above: int) -> Callable[[Any, Any], Any]:
    """Return a function that gives the places at ranks among those that begin with some bits."""
    found = list(_beginning(history, low, begins, above))
    at, places = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((places, at))
    first = np.searchsorted(at[order], np.arange(len(begins)))
    return lambda which, rest: places[order][first[which] + rest]


def _beginning(history: Executions, low: int, begins: Any, above: int) -> Iterator[tuple[Any, Any]]:
    """Yield places, counted from the lowest, and for each which bits it begins with."""
    for rows in _attempts(history):
        places = _places(rows) - low
        at = np.minimum(np.searchsorted(begins, places >> above), len(begins) - 1)
        mine = begins[at] == places >> above
        yield at[mine], places[mine]


def _attempts(history: Executions) -> Iterator[Any]:
    for rows in pieces_of(history, _COLUMNS):
        known = is_attempt(rows) & rows["wait"].notna() & rows["run"].notna()
        yield rows[known.to_numpy()]


def _places(rows: Any) -> Any:
    """Return the place of each execution in the order of all."""
    times = rows["enqueued_at"].dt.tz_localize(None).to_numpy().astype("datetime64[ms]")
    at_ms = np.clip(times.astype("int64"), 0, (1 << _TIME_BITS) - 1)
    waits = np.clip(_ms(rows["wait"]) >> _WAIT_UNIT, 0, (1 << _WAIT_BITS) - 1)
    return (at_ms << _WAIT_BITS) | waits


def _ms(spans: Any) -> Any:
    return spans.to_numpy().astype("timedelta64[ms]").astype("int64")


def _lives(times: Any, workers: Any) -> Any:
    by_worker = times.groupby(workers.astype("object").to_numpy())
    return by_worker.agg({"first": "min", "last": "max"})
