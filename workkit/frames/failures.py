"""The frame of errors: one row for each group of equal failures."""

from __future__ import annotations

from typing import Any, Final

from workkit.core.fingerprint import parts
from workkit.core.outcomes import with_flag
from workkit.frames.any_history import any_history
from workkit.frames.delays import LastDone
from workkit.frames.extra import pd
from workkit.frames.jobs import dead_jobs, retry_jobs
from workkit.frames.scanning import Scan, frame_of_tables, scan
from workkit.frames.schema import conform, empty, schema
from workkit.frames.sources import Source, is_archive, reader_of
from workkit.frames.tallies import Executions
from workkit.frames.times import Time, epoch_s, moment

__all__ = ["errors"]

_FAILED: Final = tuple(with_flag("failed"))
#: The columns of history that groups are made of.
_OF_HISTORY: Final = ("job_id", "name", "outcome", "finished_at", "error", "fingerprint")


def errors(source: Source | Executions, *, since: Time | None = None) -> Any:
    """Return the failures of dead jobs, of jobs to retry, and of history, in groups.

    Two failures are equal if three parts are equal: the exception's type, its message without
    numbers, ids, quoted texts and paths, and the innermost frame in your code. The console uses the
    same groups. `cured` counts the failures that a retry made good: their jobs were done later.

    Args:
        source: A `Client`, a snapshot or its path. A frame of history and its file have only
            history; so have an archive and a `Scan`, which are read piece by piece.
        since: Only failures then or later.

    Returns:
        A DataFrame with the columns of `schema("errors")`, the most frequent first.

    Raises:
        InvalidOption: The source cannot be read.
        ServerError: Redis did not answer or refused.
    """
    reader, of_jobs = reader_of(source), []
    if reader is not None:
        # Before history: from a job, a reader that redacts learns what its records must not show.
        of_jobs = [
            _of_jobs(dead_jobs(reader), "dead", since),
            _of_jobs(retry_jobs(reader), "retry", since),
        ]
    if isinstance(source, Scan) or is_archive(source):
        whole = source if isinstance(source, Scan) else scan(source)
        of_history = _of_scan(whole.narrowed(since=epoch_s(since)))
    else:
        of_history = _of_history(any_history(source, since=since))
    found = [of_history, *of_jobs]
    rows = pd.concat([part for part in found if len(part)]) if any(map(len, found)) else None
    return empty("errors") if rows is None else _grouped(rows)


def _of_scan(executions: Scan) -> Any:
    """Return rows of failures that make the same groups as all failures of an archive."""
    known = _of_history(empty("history"))
    with executions.fixed() as fixed:
        failed = fixed.narrowed(outcome=_FAILED)
        done_at = LastDone(failed, fixed)
        for table in failed.tables(_OF_HISTORY):
            piece = frame_of_tables([table], _OF_HISTORY)
            found = _of_history(piece, done_at.of(table["job_id"]))
            if len(found):
                known = _summarized(pd.concat([known, found]) if len(known) else found)
    return known


def _summarized(rows: Any) -> Any:
    """Return the rows that decide what is known of each group; one has the number of all."""
    rows = rows.sort_values("at", kind="stable").reset_index(drop=True)
    first = ~rows.duplicated("fingerprint")
    last = ~rows.duplicated("fingerprint", keep="last")
    of_name = ~rows.duplicated(["fingerprint", "name"])
    told = rows[rows["error"].notna()]
    last_told = rows.index.isin(told.index[~told.duplicated("fingerprint", keep="last")])
    for count in ("failures", "cured"):
        number = rows.groupby("fingerprint", sort=False)[count].transform("sum")
        rows[count] = number.where(first, 0)
    return rows[first | last | of_name | last_told]


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


def _of_history(frame: Any, done_at: Any = None) -> Any:
    """Return a row for each failure.

    Args:
        frame: The executions.
        done_at: When the job of each was done last, epoch milliseconds; by default, they show it.
    """
    if done_at is None:
        done = frame[frame["outcome"] == "done"].groupby("job_id")["finished_at"].max()
        done_at = done.reindex(frame["job_id"]).set_axis(frame.index)
    else:
        done_at = pd.Series(done_at, frame.index, dtype="datetime64[ms, UTC]")
    failed = frame[frame["outcome"].isin(_FAILED) & frame["fingerprint"].notna()]
    cured = done_at[failed.index] >= failed["finished_at"]
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
