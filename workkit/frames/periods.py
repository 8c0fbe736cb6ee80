"""Compares periods of history, or versions of a program: what has changed, beyond chance."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final, TypeAlias

from workkit.errors import InvalidOption
from workkit.frames.checks import check_count, check_share
from workkit.frames.differences import Change, errors, judged, rates, times
from workkit.frames.extra import np, pd
from workkit.frames.scanning import Scan
from workkit.frames.sides import Found, Layer, Plan, count, known_tries, numbered
from workkit.frames.tallies import Executions, check_history, read_of, repeatable
from workkit.frames.times import Time, moment

__all__ = ["Period", "compare_periods", "regressions"]

#: A time (since, until), each None for an open end; or a version of your program.
Period: TypeAlias = tuple[Time | None, Time | None] | str

_COLUMNS: Final = {
    "name": "str", "measure": "str", "value": "str", "before_n": "int64", "after_n": "int64",
    "before": "float64", "after": "float64", "ratio": "float64", "p": "float64", "q": "float64",
    "significant": "bool", "worse": "bool", "example": "str",
}  # fmt: skip
_OF_TIME: Final = ("wait", "run")
#: What a version decides. How many jobs come and how long they wait, the fleet decides.
_OF_A_VERSION: Final = ("run",)


def compare_periods(
    history: Executions, before: Period, after: Period, *, least: int = 20, rate: float = 0.05
) -> Any:
    """Find what is different in a period of history: rates, waits, run times, and errors.

    This compares first tries, by the names of their jobs: later tries depend on how the first ones
    ended.

    Args:
        history: A frame of history, or a `Scan`.
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
    check_history(history, "compare_periods")
    periods = {"before": before, "after": after}
    with repeatable(history) as executions:
        tries = known_tries(executions)
        spans = [_span(tries, executions, period, name) for name, period in periods.items()]
        _check_overlap(before, after, spans)
        names = sorted(tries["name"].dropna().unique())
        numbers = {name: 2 * number for number, name in enumerate(names)}
        layers = [
            _layer(period, span, numbers, which)
            for which, (period, span) in enumerate(zip(periods.values(), spans, strict=True))
        ]
        found = count(
            executions, Plan(layers, spans * len(names), _OF_TIME, int(tries["size"].sum()))
        )
        pairs = {name: (side, side + 1) for name, side in numbers.items()}
        compared = {
            name: pair
            for name, pair in pairs.items()
            if min(found.tries[side] for side in pair) >= least
        }
        found.rank(executions, list(compared.values()))
    changes: list[tuple[str, Change]] = []
    left_out: list[str] = []
    for name, pair in pairs.items():
        tried = [found.tries[side] for side in pair]
        if sum(tried) >= least:
            changes.append((name, rates(*(found.sides[side] for side in pair))))
        if name in compared:
            changes += [(name, change) for change in _changes(found, pair, _OF_TIME)]
        elif sum(tried):
            few = f"{min(tried)} first tries in one of the periods, fewer than {least}"
            left_out.append(f"{name}: {few}")
    made = judged([{"name": name} | change._asdict() for name, change in changes], _COLUMNS, rate)
    made.attrs["left_out"] = left_out
    return made


def regressions(history: Executions, *, least: int = 20, rate: float = 0.05) -> Any:
    """Find versions whose jobs run longer or fail more often than those of the version before.

    The versions of each name are compared in the order in which they first ran, by their first
    tries.

    Args:
        history: A frame of history, or a `Scan`, from pools that tell their version, see
            `HistoryOptions`.
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
    check_history(history, "regressions")
    with repeatable(history) as executions:
        known = known_tries(executions).dropna(subset=["name", "version"])
        few = known[known["size"] < least]
        known = known[known["size"] >= least].reset_index(drop=True)
        in_turn = known.sort_values(["name", "started"], kind="stable")
        pairs = [
            (int(old), int(new))
            for _, mine in in_turn.groupby("name", sort=False)
            for old, new in pairwise(mine.index)
        ]
        spans = list(zip(known["first"], known["last"], strict=True))
        found = count(executions, Plan([_versions(known)], spans, _OF_A_VERSION))
        found.rank(executions, pairs)
    rows: list[dict[str, Any]] = []
    for old, new in pairs:
        about = {
            "name": known["name"][old], "version_before": known["version"][old],
            "version": known["version"][new],
        }  # fmt: skip
        rows += [about | change._asdict() for change in _changes(found, (old, new), _OF_A_VERSION)]
    first, *others = _COLUMNS.items()
    columns = dict([first, ("version_before", "str"), ("version", "str"), *others])
    made = judged(rows, columns, rate)
    made.attrs["left_out"] = [
        f"{name}: version {version} has fewer than {least} first tries"
        for name, version in zip(few["name"], few["version"], strict=True)
    ]
    return made


def _check(least: int, rate: float) -> None:
    check_share("rate", rate)
    check_count("least", least, 2)  # one execution has no spread


def _layer(period: Period, span: tuple[Any, Any], numbers: dict[str, int], which: int) -> Layer:
    """Return which tries are in a period; their sides have these numbers and some more."""

    def sides(rows: Any) -> Any:
        if isinstance(period, str):
            inside = rows["version"] == period
        else:
            inside = (rows["finished_at"] >= span[0]) & (rows["finished_at"] < span[1])
        name = numbered(rows["name"], numbers)
        return np.where(inside.to_numpy(dtype=bool) & (name >= 0), name + which, -1)

    return sides


def _versions(known: Any) -> Layer:
    """Return which tries are of which version of a name, by the rows of a table."""
    names = {name: number for number, name in enumerate(known["name"].unique())}
    versions = {version: number for number, version in enumerate(known["version"].unique())}
    pairs = known["name"].map(names) * len(versions) + known["version"].map(versions)
    order = np.argsort(pairs.to_numpy())
    ordered = pairs.to_numpy()[order]

    def sides(rows: Any) -> Any:
        name, version = numbered(rows["name"], names), numbered(rows["version"], versions)
        pair = np.where((name >= 0) & (version >= 0), name * len(versions) + version, -1)
        at = np.minimum(np.searchsorted(ordered, pair), len(ordered) - 1)
        return np.where(ordered[at] == pair, order[at], -1) if len(ordered) else pair

    return sides


def _changes(found: Found, pair: tuple[int, int], measures: tuple[str, ...]) -> list[Change]:
    """Return the measures of both sides, but for their rates."""
    changes: list[Change] = []
    for measure in measures:
        ranked = found.ranked(pair, measure)
        if ranked is not None:
            changes += times(measure, *ranked)
    return [*changes, *errors(*(found.sides[side] for side in pair))]


def _span(tries: Any, history: Executions, period: Period, name: str) -> tuple[Any, Any]:
    """Return when a period begins and ends."""
    if isinstance(period, str):
        its = tries[tries["version"] == period]
        if not len(its):
            known = ", ".join(sorted(tries["version"].dropna().unique())) or "none"
            raise InvalidOption(
                f"{name}: no execution has the version {period!r}; there are {known}. A time is "
                "written as a pair: (since, until)"
            )
        return its["first"].min(), its["last"].max() + pd.Timedelta("1ms")
    if not isinstance(period, (tuple, list)) or len(period) != 2:  # noqa: PLR2004 - since, until
        raise InvalidOption(f"{name} must be a pair (since, until) or a version, not {period!r}")
    known_first, known_end = _extent(tries, history)
    first = moment(period[0]) if period[0] is not None else known_first
    end = moment(period[1]) if period[1] is not None else known_end
    if _trimmed(history) and first < tries["first"].min():
        first = tries["first"].min()  # what came before was trimmed
    if not pd.isna(known_first) and not first < end:
        raise InvalidOption(f"{name}: {first} is not before {end}")
    if pd.isna(known_first) or first >= known_end or end <= known_first:
        raise InvalidOption(f"{name}={period!r} has no executions")
    since = read_of(history)[0]  # what ran before and after what was read is not known
    return first if since is None else max(first, moment(since)), min(end, known_end)


def _extent(tries: Any, history: Executions) -> tuple[Any, Any]:
    """Return the time of which a history tells: what was read, and what it has."""
    first, end = tries["first"].min(), tries["last"].max() + pd.Timedelta("1ms")
    read = read_of(history)
    if read[0] is not None and not _trimmed(history):
        first = min(first, moment(read[0]))
    if read[1] is not None:
        end = max(end, moment(read[1]))
    return first, end


def _trimmed(history: Executions) -> bool:
    """Tell whether older executions than those of a history were trimmed."""
    return not isinstance(history, Scan) and bool(history.attrs.get("trimmed"))


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
