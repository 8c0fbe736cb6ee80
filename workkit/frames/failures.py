"""The frame of errors: one row for each group of equal failures."""

from __future__ import annotations

from typing import Any, Final

from workkit.core.fingerprint import parts
from workkit.core.outcomes import with_flag
from workkit.frames.any_history import any_history
from workkit.frames.extra import pd
from workkit.frames.jobs import dead_jobs, retry_jobs
from workkit.frames.schema import conform, empty, schema
from workkit.frames.sources import Source, reader_of
from workkit.frames.times import Time, moment

__all__ = ["errors"]

_FAILED: Final = with_flag("failed")


def errors(source: Source | Any, *, since: Time | None = None) -> Any:
    """Return the failures of dead jobs, of jobs to retry, and of history, in groups.

    Two failures are equal if three parts are equal: the exception's type, its message without
    numbers, ids, quoted texts and paths, and the innermost frame in your code. The console uses the
    same groups. `cured` counts the failures that a retry made good: their jobs were done later.

    Args:
        source: A `Client`, a snapshot or its path. An archive, a frame of history and its file have
            only history.
        since: Only failures then or later.

    Returns:
        A DataFrame with the columns of `schema("errors")`, the most frequent first.

    Raises:
        InvalidOption: The source cannot be read.
        ServerError: Redis did not answer or refused.
    """
    found = [_of_history(any_history(source, since=since))]
    reader = reader_of(source)
    if reader is not None:
        for frame, count in ((dead_jobs(reader), "dead"), (retry_jobs(reader), "retry")):
            found.append(_of_jobs(frame, count, since))
    rows = pd.concat([part for part in found if len(part)]) if any(map(len, found)) else None
    return empty("errors") if rows is None else _grouped(rows)


def _of_jobs(frame: Any, count: str, since: Time | None) -> Any:
    failed = frame[frame["fingerprint"].notna()]
    at = failed["failed_at"].fillna(failed.iloc[:, 0])
    rows = pd.DataFrame(
        {
            "fingerprint": failed["fingerprint"].astype("str"),
            "error_type": failed["error_type"].astype("str"),
            "error_message": failed["error_message"].astype("str"),
            "error_frame": failed["error_frame"].astype("str"),
            "name": failed["name"].astype("str"),
            "error": failed["error"],
            "at": at,
            count: 1,
        }
    )
    if since is None:
        return rows
    return rows[rows["at"] >= moment(since)]


def _of_history(frame: Any) -> Any:
    done = frame[frame["outcome"] == "done"].sort_values("finished_at")
    done_at = done.drop_duplicates("job_id", keep="last").set_index("job_id")["finished_at"]
    failed = frame[frame["outcome"].isin(_FAILED) & frame["fingerprint"].notna()]
    cured = done_at.reindex(failed["job_id"]).set_axis(failed.index) >= failed["finished_at"]
    heads = {text: parts(text) for text in failed["error"].dropna().unique()}
    known = failed["error"].map(heads)
    return pd.DataFrame(
        {
            "fingerprint": failed["fingerprint"].astype("str"),
            "error_type": known.map(lambda found: found.type, na_action="ignore").astype("str"),
            "error_message": known.map(lambda it: it.message, na_action="ignore").astype("str"),
            "name": failed["name"].astype("str"),
            "error": failed["error"],
            "at": failed["finished_at"],
            "failures": 1,
            "cured": cured.astype("int64"),
        }
    )


def _grouped(rows: Any) -> Any:
    for column in ("dead", "retry", "failures", "cured", "error_frame"):
        if column not in rows:
            rows[column] = pd.NA if column == "error_frame" else 0
    rows = rows.sort_values("at", kind="stable")
    made = (
        rows.groupby("fingerprint", sort=False)
        .agg(
            error_type=("error_type", "last"),
            error_message=("error_message", "last"),
            error_frame=("error_frame", "last"),
            names=("name", lambda names: ",".join(sorted(set(names.dropna())))),
            dead=("dead", "sum"),
            retry=("retry", "sum"),
            failures=("failures", "sum"),
            cured=("cured", "sum"),
            first_at=("at", "min"),
            last_at=("at", "max"),
            example=("error", "last"),
        )
        .reset_index()
    )
    weight = made["dead"] + made["retry"] + made["failures"]
    order = weight.sort_values(ascending=False, kind="stable").index
    made = made.loc[order].reset_index(drop=True)[schema("errors").names]
    return conform(made, "errors")
