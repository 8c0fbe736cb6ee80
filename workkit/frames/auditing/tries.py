"""Rules about the runs of one job: none is lost, none comes twice, retries follow failures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from workkit.core.outcomes import with_fate, with_flag
from workkit.core.text import age
from workkit.frames.auditing.records import Evidence, Hits, Records
from workkit.frames.extra import np

__all__ = ["check_duplicates", "check_losses", "check_retries", "unfinished"]

#: A job that is back in its queue may wait this much longer than any has waited.
_PATIENCE_MS: Final = 60_000
#: A job that was postponed may come back this late if history does not show how late they come.
_POSTPONED_MS: Final = 3_600_000
_MS: Final = 1_000


def check_duplicates(records: Records, evidence: Evidence) -> Iterator[Hits]:
    """No record comes twice, a job that has ended does not run again, nor twice at once."""
    same = records.is_next.copy()
    for values in (
        records.finished, records.started, records.outcome, records.fails, records.worker,
    ):  # fmt: skip
        same &= values == records.before(values)
    yield Hits("duplicate", np.flatnonzero(same), lambda _: "this record is there twice")
    ended = records.is_outcome(*with_fate(b"d")) & (records.started > 0) & ~same
    again = records.ran & ~same & (records.counted_before(ended) > 0)

    def ran_again(row: int) -> str:
        return f"ran again, {_span(records, row)} after it had ended"

    yield Hits("duplicate", np.flatnonzero(again), ran_again)
    # The result of a handler that timed out or was given back may have been abandoned.
    held = records.ran & ~records.timed_out & ~records.is_outcome("returned")
    both = records.is_next & held & records.before(held) & ~same & ~again
    other_host = records.host != records.before(records.host)
    slack_ms = np.where(other_host, evidence.slack_ms, 0)
    overlap_ms = records.before(records.finished) - records.started
    at_once = both & (overlap_ms > slack_ms)
    yield Hits(
        "duplicate",
        np.flatnonzero(at_once),
        lambda row: f"ran twice at once for {overlap_ms[row]:,} ms",
    )


def check_retries(records: Records, evidence: Evidence) -> Iterator[Hits]:
    """Failures only grow, and a retry is not queued before its delay has passed."""
    retried = records.is_next & records.before(records.is_outcome("retry"))
    counted = retried & (records.started > 0) & ~records.is_outcome("fenced")
    fewer = counted & (_fails_before(records) < records.before(records.fails))
    yield Hits(
        "retry",
        np.flatnonzero(fewer),
        lambda row: (
            f"had failed {records.fails[row - 1]} times, and ran as if it had failed "
            f"{_fails_before(records)[row]} times"
        ),
    )
    # Both ends of a delay are whole seconds.
    delay_s = records.enqueued // _MS - records.before(records.finished) // _MS
    expected_s = np.zeros(len(records))
    if evidence.backoff is not None:
        fails = records.before(records.fails)
        known = {count: evidence.backoff(count) for count in np.unique(fails[retried]).tolist()}
        expected_s = np.array([known.get(count, 0.0) for count in fails.tolist()])
    early = retried & (delay_s + evidence.slack_ms / _MS < expected_s)
    early |= retried & (delay_s < -evidence.slack_ms / _MS)
    yield Hits(
        "retry",
        np.flatnonzero(early),
        lambda row: (
            f"was queued {delay_s[row]:,} s after failure {records.fails[row - 1]}, "
            f"and not before {expected_s[row]:g} s"
        ),
    )


def check_losses(records: Records, evidence: Evidence) -> Iterator[Hits]:
    """Between two failures of a job none is missing."""
    if evidence.go:
        return  # the failures in Go pools are not in history
    before = _fails_before(records)
    counted = (records.started > 0) & ~records.is_outcome("fenced")
    # A dead job that is retried has no failures any more.
    known = records.before(records.fails)
    missing = records.is_next & counted & (before > known) & records.before(counted)
    missing &= ~records.before(records.is_outcome("dead"))
    missing &= ~evidence.in_gap(records.before(records.finished), records.finished)
    yield Hits(
        "lost",
        np.flatnonzero(missing),
        lambda row: (
            f"had failed {before[row]} times when it ran, and history has only "
            f"{known[row]} of these failures"
        ),
    )
    # The first record of a job: the failures before it may be older than history.
    began = records.enqueued - _longest_ms(records, before)
    first = ~records.is_next & counted & (before > 0) & (began > records.start_ms)
    first &= ~evidence.in_gap(began, records.finished)
    yield Hits(
        "lost",
        np.flatnonzero(first),
        lambda row: f"had failed {before[row]} times when it ran, and history has no failure",
    )


def unfinished(records: Records, evidence: Evidence, *, known_places: bool) -> Hits:
    """Return the jobs that should have run again and did not.

    Args:
        records: The records.
        evidence: What else is known.
        known_places: Whether it is known where the jobs are now, so that no time must have passed.
    """
    last = np.ones(len(records), bool)
    last[:-1] = ~records.is_next[1:]
    open_ended = last & records.is_outcome(*with_fate(b"r", b"b"), "recovered")
    if not known_places:
        waits = np.where(records.exact, records.started - records.enqueued, 0)
        patience = records.most_by_name(np.maximum(waits, 0), np.flatnonzero(records.started > 0))
        due_ms = records.finished + patience + _PATIENCE_MS
        delayed = records.is_outcome(*with_fate(b"r"))
        due_ms += np.where(delayed, _longest_ms(records, records.fails), 0)
        due_ms += np.where(records.is_outcome("postponed"), _POSTPONED_MS, 0)
        open_ended &= due_ms < records.end_ms
        end_ms = np.full(len(records), records.end_ms)
        open_ended &= ~evidence.in_gap(records.finished, end_ms)
        if evidence.go:
            open_ended[:] = False  # it may have run in a Go pool
    left_s = (records.end_ms - records.finished) // _MS

    def vanished(row: int) -> str:
        how = f"failed (failure {records.fails[row]})"
        if not records.is_outcome("retry")[row]:
            how = "went back to its queue or was postponed"
        where = ", and it is in no queue and no set" if known_places else ""
        return (
            f"{how} and did not run again in the {age(int(left_s[row]))} until history ends{where}"
        )

    return Hits("lost", np.flatnonzero(open_ended), vanished)


def _fails_before(records: Records) -> Any:
    """Return how often each job had failed before its record."""
    failed = records.is_outcome(*with_flag("failed")) & (records.started > 0)
    return records.fails - failed


def _longest_ms(records: Records, fails: Any) -> Any:
    """Return the longest delay before a retry: one that was seen, or the default backoff's."""
    after = records.is_next & records.before(records.is_outcome(*with_fate(b"r")))
    delays = np.maximum(records.enqueued - records.before(records.finished), 0)
    seen = records.most_by_name(delays, np.flatnonzero(after))
    count = np.minimum(np.asarray(fails), 1_000)
    return np.maximum(seen, _MS * (count**4 + 15 + 30 * (count + 1)))


def _span(records: Records, row: int) -> str:
    return age(max(int(records.started[row] - records.finished[row - 1]), 0) // _MS)
