"""The frames of attempts and of journeys: history, told by job."""

from __future__ import annotations

from typing import Any, Final

from workkit.core.outcomes import OUTCOMES, with_flag
from workkit.errors import InvalidOption
from workkit.frames.any_history import any_history
from workkit.frames.args import collected
from workkit.frames.extra import np, pd
from workkit.frames.schema import conform, schema
from workkit.frames.sources import Source
from workkit.frames.times import Time

__all__ = ["attempts", "before_the_first", "is_attempt", "journeys"]

_FAILED: Final = with_flag("failed")
#: The job leaves with these: an exchange removes it, or moves it to the dead set.
_ENDS: Final = frozenset(outcome for outcome, rule in OUTCOMES.items() if rule.fate in {b"d", b"x"})
#: The reason of what a pool held when it died. Its handler had begun, or was about to.
_POOL_DIED: Final = "pool died"
#: A second copy of a job. It says nothing about the first.
_COPY: Final = "duplicate slot"


def attempts(source: Source | Any, *, since: Time | None = None, until: Time | None = None) -> Any:
    """Return the attempts of jobs, one row each, by the time at which they began.

    An attempt is an execution whose handler has started, or that a pool held when it died.

    Args:
        source: A `Client`, a snapshot, an archive, or a frame of history or its file.
        since: Only executions that finished then or later.
        until: Only executions that finished before.

    Returns:
        A DataFrame with the columns of `schema("attempts")`. `attempt` counts from 1 for the first
        that the history has. `delay` is the time from the end of the job's attempt before to the
        start of this one. `attrs` are those of `frames.history`.

    Raises:
        InvalidOption: The source has no history.
        ServerError: Redis did not answer or refused.
    """
    history = any_history(source, since=since, until=until)
    rows = _in_order(history[is_attempt(history)])
    jobs = rows.groupby("job_id", sort=False)
    rows["attempt"] = (jobs.cumcount() + 1).astype("Int64")
    delay = rows["started_at"] - jobs["finished_at"].shift()
    rows["delay"] = delay.clip(lower=pd.Timedelta(0)).astype("timedelta64[ms]")
    return _conformed(rows, "attempts", history)


def journeys(
    source: Source | Any,
    *,
    since: Time | None = None,
    until: Time | None = None,
    parent: str | None = None,
) -> Any:
    """Return the way of each job from its queue to its end, one row a job.

    Args:
        source: A `Client`, a snapshot, an archive, or a frame of history or its file.
        since: Only executions that finished then or later.
        until: Only executions that finished before.
        parent: The arg in which your jobs carry the id of the job that enqueued them, such as
            "order.parent". History must keep args. History does not keep the context of traces.

    Returns:
        A DataFrame with the columns of `schema("journeys")`, by the time of enqueuing. `total` is
        missing for jobs that have not ended, whose beginning is not in the history (`whole` is
        False), or that a Go program enqueued, since then only the second is known. A job that was
        retried from the dead set has one row, which ends with its last execution. `attrs` are those
        of `frames.history`.

    Raises:
        InvalidOption: The source has no history, or no job has the arg `parent`.
        ServerError: Redis did not answer or refused.
    """
    history = any_history(source, since=since, until=until)
    rows = _in_order(history[history["reason"].ne(_COPY).fillna(value=True).astype(bool)])
    rows["_began"] = rows["started_at"].fillna(rows["finished_at"]).where(is_attempt(rows))
    rows["_failed"] = rows["outcome"].isin(_FAILED)
    # Where only the second is known, the milliseconds are zero and the wait is missing.
    exact = rows["wait"].notna() | (rows["enqueued_at"].dt.microsecond != 0)
    whole = before_the_first(rows) == 0
    firsts = rows.assign(_exact=exact, _whole=whole).drop_duplicates("job_id")
    # Another pool had taken the job of a fenced execution, and has written how it ended.
    fenced_first = rows.assign(_fenced=rows["outcome"] == "fenced").sort_values(
        "_fenced", ascending=False, kind="stable"
    )
    lasts = fenced_first.drop_duplicates("job_id", keep="last").set_index("job_id")
    failures = rows[rows["_failed"]].drop_duplicates("job_id", keep="last").set_index("job_id")
    jobs = rows.groupby("job_id", sort=False)
    made = firsts.set_index("job_id")[["name", "enqueued_at", "args", "_exact", "_whole"]]
    made["started_at"] = jobs["started_at"].min()
    made["outcome"] = lasts["outcome"]
    made["ended_at"] = lasts["finished_at"].where(lasts["outcome"].isin(_ENDS))
    made["tries"], made["failures"] = jobs["_began"].count(), jobs["_failed"].sum()
    total = (made["ended_at"] - made["enqueued_at"]).clip(lower=pd.Timedelta(0))
    made["total"] = total.where(made["_whole"] & made["_exact"])
    made["ran"] = jobs["run"].sum()
    made["lost"] = (jobs["_began"].max() - jobs["_began"].min()).fillna(pd.Timedelta(0))
    made["error"] = failures["error"]
    made["fingerprint"] = failures["fingerprint"]
    made["host"], made["version"] = lasts["host"], lasts["version"]
    made["whole"] = made["_whole"]
    made = made.reset_index().sort_values("enqueued_at", kind="stable", ignore_index=True)
    made["parent_id"] = _parents(made["args"], parent)
    return _conformed(made, "journeys", history)


def is_attempt(history: Any) -> Any:
    """Tell for each execution whether it is an attempt."""
    return history["started_at"].notna() | history["reason"].eq(_POOL_DIED).fillna(value=False)


def before_the_first(history: Any) -> Any:
    """Return for each execution how often its job had failed before it."""
    return history["fails"].fillna(0).astype("int64") - history["outcome"].isin(_FAILED)


def _in_order(history: Any) -> Any:
    """Return a copy of the rows, by the time at which they began."""
    began = history["started_at"].fillna(history["finished_at"])
    order = np.argsort(began.to_numpy(), kind="stable")
    return history.iloc[order].reset_index(drop=True)


def _parents(args: Any, parent: str | None) -> Any:
    if parent is None:
        return pd.Series(pd.NA, index=args.index, dtype="object")
    found = collected(args)
    if parent not in found and len(args):
        known = ", ".join(sorted(found)[:10]) or "none, since this history keeps no args"
        raise InvalidOption(f"no job has the arg {parent!r}; there are {known}")
    ids = {row: str(value) for row, value in found.get(parent, {}).items()}
    return pd.Series([ids.get(row) for row in range(len(args))], index=args.index, dtype="object")


def _conformed(rows: Any, name: str, history: Any) -> Any:
    made = conform(rows[schema(name).names], name)
    kept = {key: value for key, value in history.attrs.items() if key != "workkit"}
    made.attrs = kept | made.attrs
    return made
