"""The frames of attempts and of journeys: history, told by job."""

from __future__ import annotations

from typing import Any, Final

from workkit.core.options import shown
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
    jobs = rows.groupby(_numbered(rows["job_id"]), sort=False)
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
            "order.parent". History must keep args. It comes before what traces say.

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
    job = _numbered(rows["job_id"])
    began = rows["started_at"].fillna(rows["finished_at"]).where(is_attempt(rows))
    failed = rows["outcome"].isin(_FAILED)
    # Another pool had taken the job of a fenced execution, and has written how it ended.
    fenced = (rows["outcome"] == "fenced").to_numpy()
    order = np.concatenate([np.flatnonzero(fenced), np.flatnonzero(~fenced)])
    first = rows[~pd.Series(job).duplicated().to_numpy()]
    last = rows.iloc[_last_of(job, order)]
    made = first[["job_id", "name", "enqueued_at", "args"]].reset_index(drop=True)
    made["outcome"] = last["outcome"].to_numpy()
    made["outcome"] = made["outcome"].astype(rows["outcome"].dtype)
    for name in ("host", "version"):
        made[name] = last[name].reset_index(drop=True)
    made["ended_at"] = last["finished_at"].where(last["outcome"].isin(_ENDS)).reset_index(drop=True)
    by_job = pd.DataFrame(
        {"began": began, "started_at": rows["started_at"], "run": rows["run"], "failed": failed}
    ).groupby(job)
    made["started_at"] = by_job["started_at"].min()
    made["tries"], made["failures"] = by_job["began"].count(), by_job["failed"].sum()
    made["ran"] = by_job["run"].sum()
    made["lost"] = (by_job["began"].max() - by_job["began"].min()).fillna(pd.Timedelta(0))
    made["whole"] = (before_the_first(first) == 0).to_numpy()
    # Where only the second is known, the milliseconds are zero and the wait is missing.
    exact = (first["wait"].notna() | (first["enqueued_at"].dt.microsecond != 0)).to_numpy()
    total = (made["ended_at"] - made["enqueued_at"]).clip(lower=pd.Timedelta(0))
    made["total"] = total.where(made["whole"] & exact)
    failures = np.flatnonzero(failed.to_numpy())
    newest = _last_of(job, failures)
    for name in ("error", "fingerprint"):
        made[name] = rows[name].iloc[newest].set_axis(job[newest])
    traced = np.flatnonzero(rows["parent_id"].notna().to_numpy())
    newest = _last_of(job, traced)
    made["parent_id"] = rows["parent_id"].iloc[newest].set_axis(job[newest])
    made = made.sort_values("enqueued_at", kind="stable", ignore_index=True)
    if parent is not None:
        made["parent_id"] = _parents(made["args"], parent).fillna(made["parent_id"])
    return _conformed(made, "journeys", history)


def _numbered(job_ids: Any) -> Any:
    """Return a number for each job, in the order in which they come first."""
    numbers, _ = pd.factorize(job_ids)
    return numbers


def _last_of(job: Any, order: Any) -> Any:
    """Return the last position of each job in an order of positions, by the jobs' numbers."""
    numbers = job[order]
    there = ~pd.Series(numbers).duplicated(keep="last").to_numpy()
    kept = order[there]
    return kept[np.argsort(job[kept], kind="stable")]


def is_attempt(history: Any) -> Any:
    """Tell for each execution whether it is an attempt."""
    return history["started_at"].notna() | history["reason"].eq(_POOL_DIED).fillna(value=False)


def before_the_first(history: Any) -> Any:
    """Return for each execution how often its job had failed before it."""
    return history["fails"].fillna(0).astype("int64") - history["outcome"].isin(_FAILED)


def _in_order(history: Any) -> Any:
    """Return a copy of the rows, by the time at which they began."""
    began = history["started_at"].fillna(history["finished_at"])
    order = np.argsort(began.dt.tz_localize(None).to_numpy(), kind="stable")
    return history.iloc[order].reset_index(drop=True)


def _parents(args: Any, parent: str) -> Any:
    if not isinstance(parent, str):
        raise InvalidOption(f"parent must be the name of an arg, not {shown(parent)}")
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
