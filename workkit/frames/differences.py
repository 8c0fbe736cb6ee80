"""Says which differences of two sides chance explains, from what was counted in blocks of time.

Executions that are near each other are alike: jobs that wait in one queue wait alike, and an outage
fails many at once. A test that takes each as independent finds a change everywhere. So each side is
cut into blocks of time, and the spread between the blocks says how much is chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from workkit.frames.extra import np, pd

__all__ = [
    "BLOCKS",
    "NEUTRAL",
    "Change",
    "Counted",
    "Timed",
    "errors",
    "judged",
    "rates",
    "share",
    "times",
]

#: How many blocks of time a side has.
BLOCKS: Final = 20
#: More of it is not worse.
NEUTRAL: Final = "jobs_per_s"
#: Failures of one kind that both sides must have together.
_LEAST_ERRORS: Final = 5


class Change(NamedTuple):
    """One measure of both sides; see the columns of `compare_periods`."""

    measure: str
    value: str
    before_n: int
    after_n: int
    before: float
    after: float
    p: float
    example: str = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """What one side has in each of its blocks: arrays of `BLOCKS` numbers.

    Attributes:
        seconds: How long the side is.
        jobs: Jobs.
        decided: First tries that ended as done or failed.
        failed: Those that failed.
        kinds: Those that failed with each kind of error.
        examples: The headline of the newest error of a kind.
    """

    seconds: float
    jobs: Any
    decided: Any
    failed: Any
    kinds: Mapping[str, Any]
    examples: Mapping[str, str]


class Timed(NamedTuple):
    """The waits or runs of one side, in ranks among those of both.

    Attributes:
        counts: How many each block has.
        ranks: The sum of their ranks in each block.
        slow: How many of them are slow, in each block.
        median: Their median, seconds.
    """

    counts: Any
    ranks: Any
    slow: Any
    median: float


def rates(before: Counted, after: Counted) -> Change:
    """Compare how many jobs came in a second."""
    from scipy import stats

    counts, means = [], []
    for side in (before, after):
        counts.append(int(side.jobs.sum()))
        a_block = side.jobs * BLOCKS / side.seconds
        means.append((a_block.mean(), a_block.var(ddof=1) / BLOCKS, BLOCKS - 1))
    length = after.seconds / (before.seconds + after.seconds)
    exact = stats.binomtest(counts[1], sum(counts), length).pvalue if sum(counts) else 1.0
    p = max(_welch(*means), exact)
    return Change(NEUTRAL, "", counts[0], counts[1], means[0][0], means[1][0], p)


def times(measure: str, before: Timed, after: Timed, spread: float) -> Iterator[Change]:
    """Compare waits or run times: all by their ranks, and how many are slow.

    Args:
        measure: The measure.
        before: Those of one side.
        after: Those of the other.
        spread: The standard deviation of all ranks.
    """
    from scipy import stats

    counts = [int(side.counts.sum()) for side in (before, after)]
    found = [_clustered(side.ranks, side.counts) for side in (before, after)]
    error = spread * np.sqrt(1 / counts[0] + 1 / counts[1])
    z = (found[1][0] - found[0][0]) / error if error else 0.0
    p = max(_welch(*found), 2 * stats.norm.sf(abs(z)))
    yield Change(measure, "", counts[0], counts[1], before.median, after.median, float(p))
    yield share(f"slow_{measure}", "", (before.slow, after.slow), (before.counts, after.counts))


def share(measure: str, value: str, true: Sequence[Any], sizes: Sequence[Any]) -> Change:
    """Compare the share of executions for which something is true.

    Args:
        measure: The measure.
        value: What the share is of, such as the kind of error.
        true: For how many it is true, in the blocks of each side.
        sizes: How many there are.
    """
    from scipy import stats

    found = [_clustered(*side) for side in zip(true, sizes, strict=True)]
    yes, counts = [int(flags.sum()) for flags in true], [int(each.sum()) for each in sizes]
    chance = stats.hypergeom(sum(counts), sum(yes), counts[1])
    exact = min(2 * min(chance.cdf(yes[1]), chance.sf(yes[1] - 1)), 1.0)
    p = max(_welch(*found), exact)
    return Change(measure, value, counts[0], counts[1], found[0][0], found[1][0], float(p))


def errors(before: Counted, after: Counted) -> Iterator[Change]:
    """Compare the share that failed, and the shares of the kinds of errors."""
    sizes = (before.decided, after.decided)
    if not all(size.sum() for size in sizes):
        return
    yield share("failed", "", (before.failed, after.failed), sizes)
    none = np.zeros(BLOCKS, np.int64)
    sides = {
        kind: (before.kinds.get(kind, none), after.kinds.get(kind, none))
        for kind in before.kinds.keys() | after.kinds.keys()
    }
    totals = {kind: int(sum(side.sum() for side in found)) for kind, found in sides.items()}
    for kind in sorted(totals, key=lambda kind: (-totals[kind], kind)):
        if totals[kind] >= _LEAST_ERRORS:
            example = after.examples.get(kind) or before.examples.get(kind, "")
            yield share("error", kind, sides[kind], sizes)._replace(example=example)


def _clustered(sums: Any, sizes: Any) -> tuple[float, float, int]:
    """Return a mean, its variance by the spread between blocks, and the degrees of freedom."""
    mean, used = sums.sum() / sizes.sum(), int((sizes > 0).sum())
    if used == 1:
        return mean, np.inf, 1
    spread = ((sums - mean * sizes) ** 2).sum() / float(sizes.sum()) ** 2
    return mean, spread * used / (used - 1), used - 1


def _welch(one: tuple[float, float, int], two: tuple[float, float, int]) -> float:
    """Return how probable a difference of two means is by chance."""
    from scipy import stats

    (mean, var, free), (other, other_var, other_free) = one, two
    both = var + other_var
    if not np.isfinite(both):
        return 1.0
    if both == 0:
        return 1.0 if mean == other else 0.0  # the exact test decides
    degrees = both**2 / (var**2 / free + other_var**2 / other_free)
    return float(2 * stats.t.sf(abs(other - mean) / np.sqrt(both), degrees))


def judged(rows: list[dict[str, Any]], columns: dict[str, str], rate: float) -> Any:
    """Make the table: ratios, false discovery rates, and what is worse."""
    from scipy import stats

    made = pd.DataFrame(
        rows, columns=[name for name in columns if name in (rows[0] if rows else columns)]
    )
    before, after = made["before"].to_numpy(float), made["after"].to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        made["ratio"] = after / before
    p = made["p"].to_numpy(float)
    made["q"] = stats.false_discovery_control(p) if len(p) else p
    made["significant"] = made["q"] <= rate
    made["worse"] = made["significant"] & (after > before) & (made["measure"] != NEUTRAL)
    made = made[list(columns)].astype(columns)
    return made.sort_values(["p", "name"], kind="stable", ignore_index=True)
