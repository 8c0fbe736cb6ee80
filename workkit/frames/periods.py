"""Compares two periods of history, or the versions of a program: what has changed, beyond chance.

Executions that are near each other are alike: jobs that wait in one queue wait alike, and an outage
fails many at once. A test that takes each as independent finds a change everywhere. So each period
is cut into blocks of time, and the spread between the blocks says how much is chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeAlias

from workkit.core.outcomes import with_flag
from workkit.errors import InvalidOption
from workkit.frames.extra import np, pd
from workkit.frames.journeys import before_the_first, is_attempt
from workkit.frames.schema import conform
from workkit.frames.times import Time, moment

__all__ = ["Period", "compare_periods", "regressions"]

#: A time (since, until), each None for an open end; or a version of your program.
Period: TypeAlias = tuple[Time | None, Time | None] | str

_FAILED: Final = with_flag("failed")
_DECIDES: Final = with_flag("decides")
_BLOCKS: Final = 20
#: The share of runs and waits that counts as fast.
_FAST: Final = 0.9
#: Failures of one kind that both periods must have together.
_LEAST_ERRORS: Final = 5
_COLUMNS: Final = {
    "name": "str", "measure": "str", "value": "str", "before_n": "int64", "after_n": "int64",
    "before": "float64", "after": "float64", "ratio": "float64", "p": "float64", "q": "float64",
    "significant": "bool", "worse": "bool", "example": "str",
}  # fmt: skip
#: More of it is not worse.
_NEUTRAL: Final = "jobs_per_s"
_OF_TIME: Final = ("wait", "run")
#: What a version decides. How many jobs come and how long they wait, the fleet decides.
_OF_A_VERSION: Final = ("run", "failed", "error")


class _Side(NamedTuple):
    """The first tries of a job's name in one period, with the block of each."""

    rows: Any
    blocks: Any
    seconds: float


class _Change(NamedTuple):
    """One measure of both periods; see the columns of `compare_periods`."""

    measure: str
    value: str
    before_n: int
    after_n: int
    before: float
    after: float
    p: float
    example: str = ""


def compare_periods(
    history: Any, before: Period, after: Period, *, least: int = 20, rate: float = 0.05
) -> Any:
    """Find what is different in a period of history: rates, waits, run times, and errors.

    This compares first tries, by the names of their jobs: later tries depend on how the first ones
    ended.

    Args:
        history: A frame of history.
        before: The period to compare with: (since, until), None for an open end; or a version.
        after: The period that may differ.
        least: Leave out names with fewer first tries in one of the periods.
        rate: The highest expected share of chance among the rows that are significant, above 0 and
            below 1.

    Returns:
        A DataFrame, the most certain change first. Columns: "name"; "measure"; "value", the kind of
        error; how many first tries were compared ("before_n", "after_n"); the measure in both
        periods ("before", "after") and their "ratio"; "p", how probable such a difference is by
        chance; "q", the false discovery rate of all rows up to this p (Benjamini and Hochberg);
        "significant", whether q is at most `rate`; "worse", whether it is also an increase of
        anything but "jobs_per_s"; "example", the headline of the newest such error.
        `attrs["left_out"]` names what could not be compared, and why.

        The measures: "jobs_per_s"; "wait" and "run", medians in seconds; "slow_wait" and
        "slow_run", the share beyond the 90 % quantile of both periods together; "failed", the share
        of first tries that failed; "error", the share that failed with one kind of error.

    Raises:
        InvalidOption: A period is not valid or has no executions, the periods overlap, or `least`
            or `rate` is out of range.
    """
    _check(least, rate)
    tries = _first_tries(history)
    periods = {"before": before, "after": after}
    spans = [_span(tries, history, period, name) for name, period in periods.items()]
    _check_overlap(before, after, spans)
    picked = [
        _pick(tries, period, span) for period, span in zip(periods.values(), spans, strict=True)
    ]
    by_name = [dict(tuple(rows.groupby("name", observed=True))) for rows in picked]
    found: list[tuple[str, _Change]] = []
    left_out: list[str] = []
    for name in sorted(by_name[0].keys() | by_name[1].keys()):
        sides = [
            _side(found_rows.get(name, rows.iloc[:0]), *span)
            for found_rows, rows, span in zip(by_name, picked, spans, strict=True)
        ]
        counts = [len(side.rows) for side in sides]
        if sum(counts) >= least:
            found.append((name, _rates(*sides)))
        if min(counts) >= least:
            found += [
                (name, change) for change in _changes(*sides, measures=("wait", *_OF_A_VERSION))
            ]
        else:
            few = f"{min(counts)} first tries in one of the periods, fewer than {least}"
            left_out.append(f"{name}: {few}")
    made = _judged([{"name": name} | change._asdict() for name, change in found], _COLUMNS, rate)
    made.attrs["left_out"] = left_out
    return made


def regressions(history: Any, *, least: int = 20, rate: float = 0.05) -> Any:
    """Find versions whose jobs run longer or fail more often than those of the version before.

    The versions of each name are compared in the order in which they first ran, by their first
    tries.

    Args:
        history: A frame of history from pools that tell their version, see `HistoryOptions`.
        least: Leave out versions with fewer first tries of a name.
        rate: The highest expected share of chance among the rows that are significant.

    Returns:
        A DataFrame as from `compare_periods`, without rates and waits, since these depend on the
        fleet. It has two more columns: "version", and "version_before". Regressions are the rows
        that are "worse". Without two versions it has no rows.

    Raises:
        InvalidOption: `least` or `rate` is out of range.
    """
    _check(least, rate)
    tries = _first_tries(history)
    tries = tries[tries["version"].notna()]
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    for name, mine in tries.groupby("name", observed=True):
        versions = mine.groupby("version", observed=True)["started_at"].agg(["min", "size"])
        few = versions.index[versions["size"] < least]
        left_out += [
            f"{name}: version {version} has fewer than {least} first tries" for version in few
        ]
        order = versions.drop(few).sort_values("min", kind="stable").index
        for old, new in pairwise(order):
            sides = []
            for version in (old, new):
                its = mine[mine["version"] == version]
                sides.append(_side(its, its["finished_at"].min(), its["finished_at"].max()))
            about = {"name": str(name), "version_before": str(old), "version": str(new)}
            rows += [
                about | change._asdict() for change in _changes(*sides, measures=_OF_A_VERSION)
            ]
    first, *others = _COLUMNS.items()
    columns = dict([first, ("version_before", "str"), ("version", "str"), *others])
    made = _judged(rows, columns, rate)
    made.attrs["left_out"] = left_out
    return made


def _check(least: int, rate: float) -> None:
    if not 0 < rate < 1:
        raise InvalidOption(f"rate must be above 0 and below 1, not {rate!r}")
    if least < 2:  # noqa: PLR2004 - one execution has no spread
        raise InvalidOption(f"least must be 2 or more, not {least!r}")


def _first_tries(history: Any) -> Any:
    """Return the attempts before which their job had not failed."""
    rows = conform(history, "history")
    mine = is_attempt(rows) & rows["started_at"].notna() & (before_the_first(rows) == 0)
    return rows[mine.to_numpy()].reset_index(drop=True)


def _span(tries: Any, history: Any, period: Period, name: str) -> tuple[Any, Any]:
    """Return when a period begins and ends."""
    if isinstance(period, str):
        ends = tries.loc[tries["version"] == period, "finished_at"]
        if not len(ends):
            known = ", ".join(sorted(tries["version"].dropna().unique())) or "none"
            raise InvalidOption(
                f"{name}: no execution has the version {period!r}; there are {known}. A time is "
                "written as a pair: (since, until)"
            )
        return ends.min(), ends.max() + pd.Timedelta("1ms")
    if not isinstance(period, (tuple, list)) or len(period) != 2:  # noqa: PLR2004 - since, until
        raise InvalidOption(f"{name} must be a pair (since, until) or a version, not {period!r}")
    known_first, known_end = _extent(tries, history)
    first = moment(period[0]) if period[0] is not None else known_first
    end = moment(period[1]) if period[1] is not None else known_end
    if history.attrs.get("trimmed") and first < tries["finished_at"].min():
        first = tries["finished_at"].min()  # what came before was trimmed
    if not pd.isna(known_first) and not first < end:
        raise InvalidOption(f"{name}: {first} is not before {end}")
    if pd.isna(known_first) or first >= known_end or end <= known_first:
        raise InvalidOption(f"{name}={period!r} has no executions")
    return first, end


def _extent(tries: Any, history: Any) -> tuple[Any, Any]:
    """Return the time of which a frame tells: what was read, and what it has."""
    ends = tries["finished_at"]
    first, end = ends.min(), ends.max() + pd.Timedelta("1ms")
    read = history.attrs.get("read") or (None, None)
    if read[0] is not None and not history.attrs.get("trimmed"):
        first = min(first, moment(read[0]))
    if read[1] is not None:
        end = max(end, moment(read[1]))
    return first, end


def _check_overlap(before: Period, after: Period, spans: list[tuple[Any, Any]]) -> None:
    if isinstance(before, str) or isinstance(after, str):
        if before == after:
            raise InvalidOption(f"before and after are both the version {before!r}")
        return
    (first, end), (other_first, other_end) = spans
    if first < other_end and other_first < end:
        raise InvalidOption(
            f"the periods overlap: {first} to {end}, and {other_first} to {other_end}"
        )


def _pick(tries: Any, period: Period, span: tuple[Any, Any]) -> Any:
    if isinstance(period, str):
        return tries[tries["version"] == period]
    return tries[(tries["finished_at"] >= span[0]) & (tries["finished_at"] < span[1])]


def _side(rows: Any, first: Any, end: Any) -> _Side:
    seconds = max((end - first).total_seconds(), 1e-3)
    since = (rows["finished_at"] - first).dt.total_seconds().to_numpy()
    blocks = np.clip((since / seconds * _BLOCKS).astype("int64"), 0, _BLOCKS - 1)
    return _Side(rows, blocks, seconds)


def _changes(before: _Side, after: _Side, *, measures: tuple[str, ...]) -> Iterator[_Change]:
    """Yield the measures of both periods."""
    for measure in _OF_TIME:
        if measure in measures:
            yield from _times(before, after, measure)
    if "failed" not in measures:
        return
    sides = [_where(side, side.rows["outcome"].isin(_DECIDES)) for side in (before, after)]
    if not all(len(side.rows) for side in sides):
        return
    yield _share("failed", "", *sides, *(side.rows["outcome"].isin(_FAILED) for side in sides))
    failed = [side.rows["fingerprint"].where(side.rows["outcome"].isin(_FAILED)) for side in sides]
    kinds = pd.concat([pd.Series(kinds.astype("object")) for kinds in failed]).value_counts()
    heads = pd.concat(
        [side.rows["error"][kinds.notna()] for side, kinds in zip(sides, failed, strict=True)]
    )
    by_kind = heads.groupby(
        pd.concat([k.dropna().astype("object") for k in failed]).to_numpy()
    ).last()
    for kind in kinds.index[kinds >= _LEAST_ERRORS]:
        change = _share("error", str(kind), *sides, *(kinds == kind for kinds in failed))
        yield change._replace(example=str(by_kind.get(kind, "")))


def _where(side: _Side, mask: Any) -> _Side:
    keep = mask.to_numpy(dtype=bool)
    return _Side(side.rows[keep], side.blocks[keep], side.seconds)


def _rates(before: _Side, after: _Side) -> _Change:
    """Compare how many jobs came in a second."""
    from scipy import stats

    counts, means = [], []
    for side in (before, after):
        first = ~side.rows["job_id"].duplicated().to_numpy()
        counts.append(int(first.sum()))
        a_block = np.bincount(side.blocks[first], minlength=_BLOCKS) * _BLOCKS / side.seconds
        means.append((a_block.mean(), a_block.var(ddof=1) / _BLOCKS, _BLOCKS - 1))
    share = after.seconds / (before.seconds + after.seconds)
    exact = stats.binomtest(counts[1], sum(counts), share).pvalue if sum(counts) else 1.0
    p = max(_welch(*means), exact)
    return _Change(_NEUTRAL, "", counts[0], counts[1], means[0][0], means[1][0], p)


def _times(before: _Side, after: _Side, measure: str) -> Iterator[_Change]:
    """Compare waits or run times: all by their ranks, and how many are slow."""
    from scipy import stats

    sides = [_where(side, side.rows[measure].notna()) for side in (before, after)]
    values = [side.rows[measure].dt.total_seconds().to_numpy() for side in sides]
    counts = [len(found) for found in values]
    if not all(counts):
        return
    both = np.concatenate(values)
    ranks = stats.rankdata(both)
    parts = ranks[: counts[0]], ranks[counts[0] :]
    found = [_clustered(part, side.blocks) for part, side in zip(parts, sides, strict=True)]
    spread = ranks.std(ddof=1) * np.sqrt(1 / counts[0] + 1 / counts[1])
    z = (found[1][0] - found[0][0]) / spread if spread else 0.0
    p = max(_welch(*found), 2 * stats.norm.sf(abs(z)))
    medians = [float(np.median(part)) for part in values]
    yield _Change(measure, "", counts[0], counts[1], medians[0], medians[1], float(p))
    slow = np.quantile(both, _FAST)
    yield _share(f"slow_{measure}", "", *sides, *(pd.Series(part > slow) for part in values))


def _share(measure: str, value: str, before: _Side, after: _Side, one: Any, two: Any) -> _Change:
    """Compare the share of executions for which something is true."""
    from scipy import stats

    flags = [flag.to_numpy(dtype=float) for flag in (one, two)]
    found = [
        _clustered(flag, side.blocks) for flag, side in zip(flags, (before, after), strict=True)
    ]
    true, counts = [int(flag.sum()) for flag in flags], [len(flag) for flag in flags]
    chance = stats.hypergeom(sum(counts), sum(true), counts[1])
    exact = min(2 * min(chance.cdf(true[1]), chance.sf(true[1] - 1)), 1.0)
    p = max(_welch(*found), exact)
    return _Change(measure, value, counts[0], counts[1], found[0][0], found[1][0], float(p))


def _clustered(values: Any, blocks: Any) -> tuple[float, float, int]:
    """Return a mean, its variance by the spread between blocks, and the degrees of freedom."""
    sizes = np.bincount(blocks, minlength=_BLOCKS)
    sums = np.bincount(blocks, weights=values, minlength=_BLOCKS)
    mean, used = sums.sum() / sizes.sum(), int((sizes > 0).sum())
    if used == 1:
        return mean, np.inf, 1
    spread = ((sums - mean * sizes) ** 2).sum() / sizes.sum() ** 2
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


def _judged(rows: list[dict[str, Any]], columns: dict[str, str], rate: float) -> Any:
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
    made["worse"] = made["significant"] & (after > before) & (made["measure"] != _NEUTRAL)
    made = made[list(columns)].astype(columns)
    return made.sort_values(["p", "name"], kind="stable", ignore_index=True)
