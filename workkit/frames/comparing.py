"""Compares failed jobs with done jobs: which values are more frequent among the failed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from workkit.frames.args import collected, to_series
from workkit.frames.checks import check_count, check_share
from workkit.frames.extra import np, pd
from workkit.frames.scanning import Scan
from workkit.frames.tallies import Executions, check_history

__all__ = ["compare"]

#: A number with more values than this is grouped by quarters of its range.
_MANY: Final = 20
_QUARTERS: Final = 4
#: Columns that belong to one try of a job. Columns of results, such as `run`, are not compared.
_OF_A_TRY: Final = ("host", "version")
#: The columns of history that are compared, or say which rows are.
_COMPARED: Final = (
    "job_id", "name", "outcome", "finished_at", "fails", *_OF_A_TRY, "args",
)  # fmt: skip
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
        done: A frame of jobs or executions that succeeded, or a `Scan` of them. The columns of a
            scan that are compared must fit in memory, since a job counts once.
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
    dead, done = _frame_of(dead), _frame_of(done)
    left_out: list[str] = []
    rows: list[tuple[str, str, int, int, int, int]] = []
    for kind, frame in (("failed", dead), ("done", done)):
        if not len(frame):
            left_out.append(f"everything: there are no {kind} jobs to compare")
    circumstances = [] if left_out else _circumstances(dead, done, least, left_out)
    for attribute, bad, good in circumstances:
        rows += _counts(attribute, bad, good, least)
    made = _measured(rows, rate)
    made.attrs["left_out"] = left_out
    return made


def _frame_of(executions: Executions) -> Any:
    """Return what is compared of a scan as a frame: each job must be known to count once."""
    check_history(executions, "compare")
    return executions.only(_COMPARED).pandas() if isinstance(executions, Scan) else executions


def _measured(rows: list[tuple[str, str, int, int, int, int]], rate: float) -> Any:
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


def _circumstances(
    dead: Any, done: Any, least: int, left_out: list[str]
) -> Iterator[tuple[str, Any, Any]]:
    """Yield each attribute that both frames have, with its values in both."""
    bad, good = _one_row_a_job(dead), _one_row_a_job(done)
    if _known(bad, "name") and _known(good, "name"):
        yield "name", bad["name"], good["name"]
    yield from _of_one_try(dead, done, left_out)
    if "args" in bad and "args" in good:
        bad_args, good_args = collected(bad["args"]), collected(good["args"])
        for key in sorted(bad_args.keys() & good_args.keys()):
            if len(bad_args[key]) + len(good_args[key]) >= least:
                yield (
                    f"args.{key}",
                    to_series(bad_args[key], len(bad)),
                    to_series(good_args[key], len(good)),
                )


def _of_one_try(dead: Any, done: Any, left_out: list[str]) -> Iterator[tuple[str, Any, Any]]:
    """Yield the attributes of tries, from tries of the same number."""
    wanted = [name for name in _OF_A_TRY if _known(dead, name) and _known(done, name)]
    bad_at, good_at = _time(dead), _time(done)
    bad_tries, good_tries = _tries(dead), _tries(done)
    if bad_tries is not None and good_tries is not None and len(dead) and len(done):
        counts = pd.DataFrame({"dead": bad_tries.value_counts(), "done": good_tries.value_counts()})
        both = counts.fillna(0).min(axis=1)
        if not both.max():
            names = [*wanted, *(["hour"] if bad_at and good_at else [])]
            if names:
                left_out.append(
                    f"{', '.join(names)}: no failed try has the number of a done one; compare "
                    "failed executions (retry and dead) of history with done ones"
                )
            return
        number = both.idxmax()
        dead, done = dead[bad_tries == number], done[good_tries == number]
    bad, good = _one_row_a_job(dead), _one_row_a_job(done)
    for name in wanted:
        yield name, bad[name], good[name]
    if bad_at and good_at:
        yield "hour", _hours(bad[bad_at]), _hours(good[good_at])


def _tries(frame: Any) -> Any:
    """Return which try each row is, 1 for the first; None where the frame does not tell."""
    if "fails" not in frame:
        return None
    fails = frame["fails"].astype("Int64").fillna(0)
    return fails + (frame["outcome"] == "done").astype("Int64") if "outcome" in frame else fails


def _one_row_a_job(frame: Any) -> Any:
    """Keep the last row of each job, and all rows of jobs without an id."""
    if "job_id" not in frame:
        return frame
    return frame[~frame["job_id"].duplicated(keep="last") | frame["job_id"].isna()]


def _known(frame: Any, name: str) -> bool:
    return name in frame and bool(frame[name].notna().any())


def _time(frame: Any) -> str:
    return next((name for name in ("finished_at", "died_at") if name in frame), "")


def _hours(times: Any) -> Any:
    return times.dt.hour.astype("Int64").astype("category")


def _counts(
    attribute: str, bad: Any, good: Any, least: int
) -> list[tuple[str, str, int, int, int, int]]:
    """Return a row for each value that at least `least` jobs share, but not all."""
    all_bad, all_good = len(bad), len(good)
    bad, good = _comparable(bad, good)
    counts = pd.DataFrame({"dead": bad.value_counts(), "done": good.value_counts()}).fillna(0)
    return [
        (attribute, str(value), int(dead), int(done), all_bad, all_good)
        for value, dead, done in counts.itertuples()
        if least <= dead + done < all_bad + all_good
    ]


def _comparable(bad: Any, good: Any) -> tuple[Any, Any]:
    """Group a number with many values by quarters. Turn other values into texts."""
    both = pd.concat([pd.Series(bad.to_numpy()), pd.Series(good.to_numpy())], ignore_index=True)
    numbers = pd.api.types.is_numeric_dtype(bad) and pd.api.types.is_numeric_dtype(good)
    boolean = pd.api.types.is_bool_dtype(bad) or pd.api.types.is_bool_dtype(good)
    if numbers and not boolean and both.nunique() > _MANY:
        values = pd.to_numeric(both).astype("float64")
        cut = pd.qcut(values, _QUARTERS, duplicates="drop").astype("str")
        cut = cut.where(values.notna())
    else:
        cut = both.astype("str").where(both.notna())
    return cut.iloc[: len(bad)].dropna(), cut.iloc[len(bad) :].dropna()


def _g(dead: Any, all_dead: Any, done: Any, all_done: Any) -> Any:
    """Return twice the log-likelihood ratio of a value's counts against independence."""
    share = (dead + done) / (all_dead + all_done)
    seen = np.array([dead, all_dead - dead, done, all_done - done])
    expected = np.array(
        [all_dead * share, all_dead * (1 - share), all_done * share, all_done * (1 - share)]
    )
    parts = seen * np.log(np.where(seen > 0, seen, 1) / np.where(seen > 0, expected, 1))
    return 2 * parts.sum(axis=0)
