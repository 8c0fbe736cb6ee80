"""Counts the first tries of several sides, such as two periods, in a history of any size.

A history is read three times: which names and versions there are; what each side has in its blocks
of time; and the ranks of its waits and runs among those of another side. Kept are numbers for each
side and block, and how often each wait and run occurs in a side. Above eight seconds, these are
rounded to 13 binary digits: a backlog of hours may have as many different waits as executions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeAlias

from workkit.core.outcomes import with_flag
from workkit.frames.delays import Repeated, hashes
from workkit.frames.differences import BLOCKS, Counted, Timed
from workkit.frames.extra import np, pa, pd
from workkit.frames.journeys import before_the_first, is_attempt
from workkit.frames.tallies import Executions, Tally, pieces_of

__all__ = [
    "Found",
    "Layer",
    "Plan",
    "Ranked",
    "count",
    "known_tries",
    "numbered",
    "quantile",
    "rounded",
]

#: Gives each first try of a frame the number of its side, -1 for none. A try may be in several
#: layers, once in each.
Layer: TypeAlias = Callable[[Any], Any]

_FAILED: Final = with_flag("failed")
_DECIDES: Final = with_flag("decides")
_OF_A_TRY: Final = ("outcome", "reason", "started_at", "fails")
_GROUPS: Final = ("name", "version")
#: So many binary digits of a wait or run count, which makes it exact to 1 in 8,192 or better.
_DIGITS: Final = 13
#: The share of runs and waits that counts as fast.
_FAST: Final = 0.9


@dataclass(frozen=True, slots=True)
class Plan:
    """What is counted.

    Attributes:
        layers: Which tries are of which side.
        spans: When each side begins and ends, two `pandas.Timestamp`.
        measures: Which of "wait" and "run" are looked at.
        jobs: If jobs are counted: how many first tries there are, at most. 0 if the number of jobs
            does not matter.
    """

    layers: Sequence[Layer]
    spans: Sequence[tuple[Any, Any]]
    measures: Sequence[str]
    jobs: int = 0

    @property
    def seconds(self) -> Any:
        """How long each side is."""
        return np.array([max((end - first).total_seconds(), 1e-3) for first, end in self.spans])

    def pieces(self, history: Executions, *further: str) -> Iterator[tuple[Any, Any, Any, Any]]:
        """Yield tries of a layer, the side of each, its place among all blocks, and its job.

        Args:
            history: The executions.
            *further: Columns that the tries have beside those of names, times and measures.
        """
        first = min((span[0] for span in self.spans), default=None)
        end = max((span[1] for span in self.spans), default=None)
        beyond = None if end is None else end + pd.Timedelta("1ms")
        begins_ms = np.array([_ms(span[0]) for span in self.spans], np.int64)
        seconds = self.seconds
        columns = [*_GROUPS, "finished_at", *self.measures, *further]
        for rows in _first_tries(
            history, [*columns, *(["job_id"] if self.jobs else [])], first, beyond
        ):
            job = hashes(pa.array(rows["job_id"], pa.string())) if self.jobs else None
            for layer in self.layers:
                side = layer(rows)
                inside = side >= 0
                its, side = rows[inside], side[inside]
                since_s = (_times_ms(its["finished_at"]) - begins_ms[side]) / 1_000
                block = (since_s / seconds[side] * BLOCKS).astype("int64")
                place = side * BLOCKS + np.clip(block, 0, BLOCKS - 1)
                yield its, side, place, None if job is None else job[inside]


@dataclass
class _Sums:
    """What one reading adds up, in the blocks of all sides; see `Counted`."""

    size: int
    tries: Any = field(init=False)
    decided: Any = field(init=False)
    failed: Any = field(init=False)
    kinds: Tally = field(default_factory=Tally)
    examples: dict[int, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))

    def __post_init__(self) -> None:
        self.tries, self.decided, self.failed = (np.zeros(self.size, np.int64) for _ in range(3))

    def add(self, rows: Any, place: Any) -> None:
        decided = rows["outcome"].isin(_DECIDES).to_numpy()
        failed = decided & rows["outcome"].isin(_FAILED).to_numpy()
        self.tries += np.bincount(place, minlength=self.size)
        self.decided += np.bincount(place[decided], minlength=self.size)
        self.failed += np.bincount(place[failed], minlength=self.size)
        kind = rows["fingerprint"].astype("object")
        kind_known = failed & kind.notna().to_numpy()
        places = pd.Series(place[kind_known])
        kind = kind[kind_known].reset_index(drop=True)
        self.kinds.add(places, kind)
        told = rows.loc[kind_known, "error"].reset_index(drop=True)
        newest = told.groupby([places // BLOCKS, kind]).last()
        for (side, of_kind), text in newest[newest.notna()].items():
            self.examples[int(side)][str(of_kind)] = str(text)

    def by_side(self, seconds: Any) -> list[Counted]:
        kinds: dict[int, dict[str, Any]] = defaultdict(dict)
        for place, kind, number in self.kinds.counts().itertuples(index=False):
            side, block = divmod(int(place), BLOCKS)
            blocks = kinds[side].setdefault(str(kind), np.zeros(BLOCKS, np.int64))
            blocks[block] = number
        tries, decided, failed = (
            each.reshape(-1, BLOCKS) for each in (self.tries, self.decided, self.failed)
        )
        return [
            Counted(
                float(seconds[side]), tries[side], decided[side], failed[side], kinds[side],
                self.examples[side],
            )
            for side in range(len(seconds))
        ]  # fmt: skip


class Ranked(NamedTuple):
    """The waits or runs of two sides among each other; `spread` is the deviation of all ranks."""

    before: Timed
    after: Timed
    spread: float


class _Values(NamedTuple):
    """Which whole milliseconds one side has, in order, and how often."""

    ms: Any
    counts: Any


def known_tries(history: Executions) -> Any:
    """Return which names and versions the first tries have.

    Returns:
        A DataFrame with the columns "name" and "version"; when the first and the last of these
        tries ended ("first", "last"); when the first started ("started"); and "size".
    """
    rules = {"first": "min", "last": "max", "started": "min", "size": "sum"}
    parts = []
    for rows in _first_tries(history, [*_GROUPS, "finished_at"]):
        times = {"first": rows["finished_at"], "last": rows["finished_at"]}
        measured = rows[list(_GROUPS)].assign(**times, started=rows["started_at"], size=1)
        part = measured.groupby(list(_GROUPS), observed=True, dropna=False).agg(rules).reset_index()
        parts.append(part.astype(dict.fromkeys(_GROUPS, "str")))
    found = pd.concat(parts, ignore_index=True).groupby(list(_GROUPS), dropna=False)
    return found.agg(rules).reset_index()


def numbered(labels: Any, numbers: dict[str, int]) -> Any:
    """Return the number of each label, of a Series of categories; -1 for labels without one."""
    known = [numbers.get(label, -1) for label in labels.cat.categories]
    return np.array([*known, -1], np.int64)[labels.cat.codes.to_numpy()]


def count(history: Executions, plan: Plan) -> Found:
    """Count what each side has."""
    sums = _Sums(len(plan.spans) * BLOCKS)
    times = {measure: Tally() for measure in plan.measures}
    repeated = Repeated(plan.jobs) if plan.jobs else None
    for rows, side, place, job in plan.pieces(history, "fingerprint", "error"):
        sums.add(rows, place)
        for measure, tally in times.items():
            known = rows[measure].notna().to_numpy()
            tally.add(pd.Series(side[known]), pd.Series(_spans_ms(rows.loc[known, measure])))
        if repeated is not None:
            repeated.add(job)
    values = {measure: _by_side(tally, len(plan.spans)) for measure, tally in times.items()}
    return Found(plan, sums.by_side(plan.seconds), values, repeated)


def _by_side(tally: Tally, sides: int) -> list[_Values]:
    counts = tally.counts().sort_values(["label", "value"])
    label, value, number = (
        counts[name].to_numpy().astype("int64") for name in ("label", "value", "count")
    )
    ends = np.searchsorted(label, np.arange(sides + 1))
    return [_Values(value[first:end], number[first:end]) for first, end in pairwise(ends)]


class Found:
    """What sides have.

    Attributes:
        sides: The counts of each. The numbers of jobs are exact after `rank`.
        tries: How many first tries each has.
    """

    def __init__(
        self,
        plan: Plan,
        sides: list[Counted],
        values: dict[str, list[_Values]],
        repeated: Repeated | None,
    ) -> None:
        self.sides = sides
        self.tries = [int(side.jobs.sum()) for side in sides]
        self._plan = plan
        self._values = values
        self._repeated = repeated
        self._tables: dict[tuple[int, int, str], _Table] = {}
        #: The tables that a side is in, each with its place there.
        self._of_side: dict[tuple[int, str], list[tuple[_Table, int]]] = defaultdict(list)

    def rank(self, history: Executions, pairs: Sequence[tuple[int, int]]) -> None:
        """Rank the waits and runs of pairs of sides, and count each job once.

        Args:
            history: The executions, as they were counted.
            pairs: The sides that are compared.
        """
        for pair in pairs:
            for measure in self._plan.measures:
                self._compare(pair, measure)
        if self._repeated is None and not self._tables:
            return
        for rows, side, place, job in self._plan.pieces(history):
            if self._repeated is not None:
                self._repeated.look(job, side, place)
            for measure in self._plan.measures:
                known = rows[measure].notna().to_numpy()
                values_ms = _spans_ms(rows.loc[known, measure])
                self._add(measure, values_ms, side[known], place[known] % BLOCKS)
        if self._repeated is not None:
            for at, again in self._repeated.again().items():
                self.sides[at // BLOCKS].jobs[at % BLOCKS] -= again

    def _compare(self, pair: tuple[int, int], measure: str) -> None:
        values = [self._values[measure][side] for side in pair]
        if all(len(each.ms) for each in values):
            table = self._tables[(*pair, measure)] = _Table(*values)
            for which, side in enumerate(pair):
                self._of_side[side, measure].append((table, which))

    def _add(self, measure: str, values_ms: Any, side: Any, block: Any) -> None:
        for number in np.unique(side):
            mine = side == number
            for table, which in self._of_side.get((int(number), measure), ()):
                table.add(which, values_ms[mine], block[mine])

    def ranked(self, pair: tuple[int, int], measure: str) -> Ranked | None:
        """Return the waits or runs of a pair, in ranks; None if one of them has none."""
        table = self._tables.get((*pair, measure))
        return None if table is None else table.ranked()


class _Table:
    """The ranks of values of two sides among each other."""

    def __init__(self, before: _Values, after: _Values) -> None:
        self._ms = np.union1d(before.ms, after.ms)
        sides = np.zeros((2, len(self._ms)), np.int64)
        for which, side in enumerate((before, after)):
            sides[which, np.searchsorted(self._ms, side.ms)] = side.counts
        both = sides.sum(axis=0)
        number = int(both.sum())
        self._ranks = np.cumsum(both) - (both - 1) / 2
        self._spread = np.sqrt((both * (self._ranks - (number + 1) / 2) ** 2).sum() / (number - 1))
        self._slow = self._ms > quantile(self._ms, both, _FAST)
        self._medians = [quantile(self._ms, side, 0.5) / 1_000 for side in sides]
        self._sums = np.zeros((2, 3, BLOCKS))

    def add(self, which: int, values: Any, block: Any) -> None:
        """Add values of one side, which are in these blocks."""
        at = np.searchsorted(self._ms, values)
        for row, weights in enumerate((None, self._ranks[at], self._slow[at])):
            self._sums[which, row] += np.bincount(block, weights, BLOCKS)

    def ranked(self) -> Ranked:
        """Return what has been added."""
        before, after = (
            Timed(counts, ranks, slow, median)
            for (counts, ranks, slow), median in zip(self._sums, self._medians, strict=True)
        )
        return Ranked(before, after, float(self._spread))


def quantile(values: Any, counts: Any, share: float) -> float:
    """Return a quantile of values that occur several times, between two of them if need be."""
    ends = np.cumsum(counts)
    place = share * (ends[-1] - 1)
    low, high = (
        values[np.searchsorted(ends, rank, side="right")]
        for rank in (int(place), min(int(place) + 1, ends[-1] - 1))
    )
    return float(low + (high - low) * (place % 1))


def _first_tries(
    history: Executions, columns: Sequence[str], first: Any = None, end: Any = None
) -> Iterator[Any]:
    """Yield the attempts before which their job had not failed, in frames."""
    for rows in pieces_of(history, list(dict.fromkeys([*_OF_A_TRY, *columns])), first, end):
        mine = is_attempt(rows) & rows["started_at"].notna() & (before_the_first(rows) == 0)
        yield rows[mine.to_numpy()].reset_index(drop=True)


def _ms(time: Any) -> int:
    return int(time.value // 1_000_000)


def _times_ms(times: Any) -> Any:
    return times.dt.tz_localize(None).to_numpy().astype("datetime64[ms]").astype("int64")


def _spans_ms(spans: Any) -> Any:
    return rounded(spans.to_numpy().astype("timedelta64[ms]").astype("int64"))


def rounded(ms: Any) -> Any:
    """Return whole milliseconds, of long spans the middle of the range that counts as one value."""
    beyond = np.maximum(np.frexp(ms.astype("float64"))[1].astype(np.int64) - _DIGITS, 0)
    return (ms >> beyond << beyond) + (1 << beyond >> 1)
