"""Compares failed jobs with done jobs: which values are more frequent among the failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from workkit.frames.arg_counts import ArgCounts, Side, Sieve
from workkit.frames.checks import check_count, check_share
from workkit.frames.extra import np, pd
from workkit.frames.once import LABELS, TIMES, Once, args_of
from workkit.frames.scanning import Scan
from workkit.frames.tallies import Executions, check_history

__all__ = ["compare"]

#: An attribute and a value, how many jobs of each side have it, and how many jobs there are.
_Row: TypeAlias = tuple[str, str, int, int, int, int]
#: An attribute, its values with the jobs of each side, and whether it is one of tries.
_Table: TypeAlias = tuple[str, list[tuple[str, int, int]], bool]

#: What belongs to one try of a job. Columns of results, such as `run`, are not compared.
_OF_A_TRY: Final = ("host", "version", "hour")
#: Of more executions, args that few jobs share are not remembered.
_LONG: Final = 1_000_000
_COLUMNS: Final = {
    "attribute": "str", "value": "str", "dead": "int64", "done": "int64",
    "dead_share": "float64", "done_share": "float64",
    "lift": "float64", "lift_low": "float64", "lift_high": "float64",
    "score": "float64", "p": "float64", "q": "float64", "significant": "bool",
}  # fmt: skip
#: Of the normal distribution, for an interval of 95 %.
_Z: Final = 1.96


def compare(dead: Executions, done: Executions, *, least: int = 5, rate: float = 0.05) -> Any:
    """Find values that are more frequent among failed jobs than among done jobs.

    This compares each arg, the job's name, the host, the version and the hour of the day, if both
    frames have them. Two frames of history have the most columns to compare. A number with many
    values is grouped by quarters of its range.

    All counts are jobs: a job with several rows counts once. Host, version and hour belong to one
    try, and later tries run later than first ones. So they are compared between tries of the same
    number, the one that both frames have most of.

    Args:
        dead: A frame of jobs or executions that failed, or a `Scan` of them.
        done: A frame of jobs or executions that succeeded, or a `Scan` of them. A scan is read
            piece by piece; see docs/analysis.md for how much memory that takes.
        least: Ignore values that fewer jobs share.
        rate: The highest expected share of chance among the rows that are significant, above 0 and
            below 1.

    Returns:
        A DataFrame, sorted by "score". Columns: "attribute"; "value"; how many jobs of each frame
        have the value ("dead", "done"); their shares; "lift", how many times as frequent the value
        is among the dead, with an interval that holds it with 95 % ("lift_low", "lift_high");
        "score", twice the log-likelihood ratio, which makes rare and common values comparable; "p",
        how probable such a difference is by chance, from the exact hypergeometric test; "q", the
        false discovery rate of all rows up to this p (Benjamini and Hochberg); "significant",
        whether q is at most `rate`. `attrs["left_out"]` names what could not be compared, and why.

    Raises:
        InvalidOption: `least` or `rate` is out of range.
    """
    check_share("rate", rate)
    check_count("least", least, 1)
    left_out: list[str] = []
    rows: list[_Row] = []
    with _each_once(dead) as bad, _each_once(done) as good:
        for kind, once in (("failed", bad), ("done", good)):
            if not once.rows:
                left_out.append(f"everything: there are no {kind} jobs to compare")
        if not left_out:
            rows += _counted(bad, good, least, left_out)
    made = _measured(rows, rate)
    made.attrs["left_out"] = left_out
    return made


@contextmanager
def _each_once(executions: Executions) -> Iterator[Once]:
    check_history(executions, "compare")
    if not isinstance(executions, Scan):
        yield Once(executions)
        return
    with executions.fixed() as fixed:
        yield Once(fixed)


def _measured(rows: list[_Row], rate: float) -> Any:
    """Add lift, its interval, the score and the chances to the counts."""
    from scipy import stats

    made = pd.DataFrame(rows, columns=["attribute", "value", "dead", "done", "_dead", "_done"])
    dead, done = made["dead"].to_numpy(float), made["done"].to_numpy(float)
    all_dead, all_done = made["_dead"].to_numpy(float), made["_done"].to_numpy(float)
    made["dead_share"], made["done_share"] = dead / all_dead, done / all_done
    # Half a job more in each frame, or a value that only one frame has would divide by zero.
    lift = ((dead + 0.5) / (all_dead + 1)) / ((done + 0.5) / (all_done + 1))
    spread = np.exp(
        _Z * np.sqrt(1 / (dead + 0.5) - 1 / (all_dead + 1) + 1 / (done + 0.5) - 1 / (all_done + 1))
    )
    made["lift"], made["lift_low"], made["lift_high"] = lift, lift / spread, lift * spread
    made["score"] = _g(dead, all_dead, done, all_done)
    chance = stats.hypergeom(all_dead + all_done, dead + done, all_dead)
    p = np.minimum(2 * np.minimum(chance.cdf(dead), chance.sf(dead - 1)), 1.0)
    made["p"] = p
    made["q"] = stats.false_discovery_control(p) if len(p) else p
    made["significant"] = made["q"] <= rate
    made = made.astype(_COLUMNS)[list(_COLUMNS)]
    return made.sort_values("score", ascending=False, kind="stable").reset_index(drop=True)


def _counted(dead: Once, done: Once, least: int, left_out: list[str]) -> Iterator[_Row]:
    """Yield a row for each attribute and value that at least `least` jobs share, but not all."""
    sides: tuple[tuple[Side, Once], ...] = ((0, dead), (1, done))
    comparable, number = _number_of_tries(dead, done, left_out)
    sieve = Sieve(least) if dead.rows + done.rows > _LONG else None
    args = ArgCounts(least, sieve)
    for _, once in sides:
        once.find_last(number, None if sieve is None else sieve.look)
    for side, once in sides:
        for rows, is_job, _ in once.pieces("args"):
            args.look(side, args_of(rows, is_job))
    columns = [*LABELS, TIMES[0], *(["args"] if args.settle() else [])]
    found = (_Labels(), _Labels())
    for side, once in sides:
        for rows, is_job, is_try in once.pieces(*columns):
            found[side].add(rows, is_job, is_try)
            args.count(side, args_of(rows, is_job))
    tables = _of_labels(*found, ("name", *(_OF_A_TRY if comparable else ())))
    tables += [(f"args.{key}", table, False) for key, table in args.tables()]
    for attribute, table, of_tries in tables:
        all_dead, all_done = (each.tries if of_tries else each.jobs for each in found)
        for value, bad, good in table:
            if least <= bad + good < all_dead + all_done:
                yield attribute, value, bad, good, all_dead, all_done


def _number_of_tries(dead: Once, done: Once, left_out: list[str]) -> tuple[bool, int | None]:
    """Return whether tries can be compared, and of which number; None for those of all."""
    if dead.tries is None or done.tries is None:
        return True, None
    if both := dead.tries.keys() & done.tries.keys():
        tries = (dead.tries, done.tries)
        return True, max(sorted(both), key=lambda number: min(side[number] for side in tries))
    if names := [name for name in _OF_A_TRY if name in dead.known & done.known]:
        left_out.append(
            f"{', '.join(names)}: no failed try has the number of a done one; compare "
            "failed executions (retry and dead) of history with done ones"
        )
    return False, None


class _Labels:
    """How many jobs of one side have each label, and how many tries."""

    def __init__(self) -> None:
        self.jobs = self.tries = 0
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in ("name", *_OF_A_TRY)}

    def add(self, rows: Any, is_job: Any, is_try: Any) -> None:
        self.jobs += int(is_job.sum())
        self.tries += int(is_try.sum())
        for name in LABELS:
            if name in rows:
                self._add(name, rows.loc[is_job if name == "name" else is_try, name])
        time = next((name for name in TIMES if name in rows), None)
        if time is not None:
            self._add("hour", rows.loc[is_try, time].dt.hour.dropna().astype("int64"))

    def _add(self, name: str, labels: Any) -> None:
        for label, number in labels.value_counts().items():
            if number:
                self.counts[name][str(label)] += int(number)


def _of_labels(dead: _Labels, done: _Labels, names: Sequence[str]) -> list[_Table]:
    """Return the counts of those labels that both sides have."""
    tables: list[_Table] = []
    for name in names:
        bad, good = dead.counts[name], done.counts[name]
        if bad and good:
            table = [(value, bad[value], good[value]) for value in sorted(bad.keys() | good.keys())]
            tables.append((name, table, name != "name"))
    return tables


def _g(dead: Any, all_dead: Any, done: Any, all_done: Any) -> Any:
    """Return twice the log-likelihood ratio of a value's counts against independence."""
    share = (dead + done) / (all_dead + all_done)
    seen = np.array([dead, all_dead - dead, done, all_done - done])
    expected = np.array(
        [all_dead * share, all_dead * (1 - share), all_done * share, all_done * (1 - share)]
    )
    parts = seen * np.log(np.where(seen > 0, seen, 1) / np.where(seen > 0, expected, 1))
    return 2 * parts.sum(axis=0)
