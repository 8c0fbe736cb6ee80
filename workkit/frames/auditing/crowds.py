"""Rules about the runs of many jobs: limits, workers, order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from workkit.core.text import age
from workkit.frames.auditing.records import Evidence, Hits, Records
from workkit.frames.extra import np

__all__ = ["check_limits", "check_order"]

#: A pool may hold a job this long before it starts it or gives it back, milliseconds; with a pause
#: of its process it takes longer.
_HELD_MS: Final = 5_000
_MS: Final = 1_000


def check_limits(records: Records, evidence: Evidence) -> Iterator[Hits]:
    """No more jobs of a name run at once than their limit allows, and a worker runs one at a time.

    A handler that was abandoned after its timeout runs on, so runs that timed out do not count.
    """
    held = records.ran & ~records.timed_out
    for name, limit in sorted(evidence.limits.items()):
        if limit and name in records.names:
            rows = np.flatnonzero(held & (records.name == records.names.index(name)))
            yield _over(records, rows, name, limit, evidence.slack_ms)
    rows = np.flatnonzero(held & (records.worker >= 0) & ~records.is_outcome("returned"))
    # Of runs that started in the same millisecond, the one that ended in it came first.
    rows = rows[np.lexsort((records.finished[rows], records.started[rows], records.worker[rows]))]
    same = records.worker[rows][1:] == records.worker[rows][:-1]
    overlap_ms = records.finished[rows][:-1] - records.started[rows][1:]
    other = records.job[rows][1:] != records.job[rows][:-1]  # else it is a duplicate
    found = np.flatnonzero(same & other & (overlap_ms > 1)) + 1
    told = {int(rows[at]): (int(rows[at - 1]), int(overlap_ms[at - 1])) for at in found}

    def two_at_once(row: int) -> str:
        before, shared_ms = told[row]
        job_id = records.job_id(before)
        return f"its worker still ran job {job_id} when it started, for {shared_ms:,} ms"

    yield Hits("limit", rows[found], two_at_once)


def _over(records: Records, rows: Any, name: str, limit: int, slack_ms: int) -> Hits:
    """Find the starts of a name that exceed its limit."""
    started, finished = records.started[rows], records.finished[rows]
    if len(np.unique(records.host[rows])) > 1:
        finished = np.maximum(finished - slack_ms, started)
    order = np.argsort(started, kind="stable")
    running = np.arange(1, len(rows) + 1) - np.searchsorted(
        np.sort(finished), started[order], "right"
    )
    over = running > limit
    counts = dict(zip(rows[order][over].tolist(), running[over].tolist(), strict=True))
    return Hits(
        "limit",
        rows[order][over],
        lambda row: f"was job {counts[row]} of {name!r} at once, and the limit is {limit}",
    )


def check_order(records: Records, evidence: Evidence) -> Iterator[Hits]:
    """A job is queued, then starts, then ends; and a queue is served in its order.

    Jobs that a pool has given back, or another pool has recovered, go to the front, and where only
    the second of their time is known, the order within it is not.
    """
    ran = records.ran
    slack_ms = evidence.slack_ms
    ahead_ms = records.enqueued - records.started
    yield Hits(
        "order",
        np.flatnonzero(ran & records.exact & (ahead_ms > slack_ms)),
        lambda row: f"started {ahead_ms[row]:,} ms before it was queued",
    )
    back_ms = records.started - records.finished
    yield Hits(
        "order",
        np.flatnonzero(ran & (back_ms > slack_ms)),
        lambda row: f"ended {back_ms[row]:,} ms before it started",
    )
    moved = records.is_outcome("returned", "recovered", "fenced")
    unusual = np.bincount(records.job, weights=moved, minlength=1)[records.job] > 0
    for name in range(len(records.names)):
        rows = np.flatnonzero(ran & records.exact & ~unusual & (records.name == name))
        if len(rows):
            yield _overtaken(records, rows, slack_ms + _HELD_MS)


def _overtaken(records: Records, rows: Any, slack_ms: int) -> Hits:
    """Find jobs that started after a job of their queue that came later."""
    rows = rows[np.argsort(records.enqueued[rows], kind="stable")]
    queued, started = records.enqueued[rows], records.started[rows]
    # The earliest start among the jobs that came clearly later.
    earliest = np.minimum.accumulate(started[::-1])[::-1]
    later = np.searchsorted(queued, queued + slack_ms, "right")
    earliest = np.append(earliest, np.iinfo("int64").max)[later]
    overtaken = started > np.minimum(earliest, np.iinfo("int64").max - slack_ms) + slack_ms
    by_s = dict(
        zip(
            rows[overtaken].tolist(), ((started - earliest) // _MS)[overtaken].tolist(), strict=True
        )
    )
    return Hits(
        "order",
        rows[overtaken],
        lambda row: f"started {age(by_s[row])} after a job of its queue that came later",
    )
