"""Records a namespace, reading by reading."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Final

from workkit.admin.explain import is_silent
from workkit.admin.reader import Reader
from workkit.admin.steps.history import HistoryRecord
from workkit.admin.trends import FAILED_TOTALS, Digest, Trends
from workkit.core.masks import Masks
from workkit.core.records import Overview
from workkit.errors import ServerRefused
from workkit.recording.details import (
    Executed,
    details_state,
    executions_event,
    read_details,
)
from workkit.recording.file import POINT_S, longest_pause_s
from workkit.recording.marks import Mark, MarkFinder
from workkit.recording.reading import Recording
from workkit.recording.states import digest_event, overview_state
from workkit.recording.writer import RecordingWriter

__all__ = ["Observer", "Recorder"]

#: Details are read this often, seconds; less often where no overview shows a change.
_DETAILS_S: Final = 10.0
_SAME_DETAILS_S: Final = 60.0
#: How long the end waits for a thread that records, seconds.
_CLOSE_S: Final = 1.0
#: The part of the time between two readings within which another one adds nothing.
_SOON: Final = 0.25


class Recorder:
    """Records what a reader returns. Secrets are hidden before anything is written.

    Args:
        reader: Reads the namespace.
        writer: Writes the recording.
        masks: Hides secrets.

    Attributes:
        recording: Reads what was recorded.
    """

    def __init__(self, reader: Reader, writer: RecordingWriter, masks: Masks) -> None:
        self.recording = Recording(writer)
        self._reader = reader
        self._writer = writer
        self._masks = masks
        self._marks = MarkFinder(masks)
        self._busy = threading.Lock()
        self._before: Overview | None = None
        self._executed = Executed()
        self._detailed: tuple[object, ...] = ()
        self._detailed_ms = 0
        self._lost = False
        self._reason = ""

    def record(self, seen: Overview, digest: Digest) -> None:
        """Record a reading; does nothing while another thread records one.

        Args:
            seen: The overview.
            digest: The executions since the reading before.

        Raises:
            ServerUnavailable: The details could not be read; the overview was recorded.
            InvalidOption: The recording cannot be written.
        """
        if not self._busy.acquire(blocking=False):
            return
        try:
            self._record(seen, digest)
        finally:
            self._busy.release()

    def _record(self, seen: Overview, digest: Digest) -> None:
        self._executed.add(digest.fresh)
        if self._is_repeated(seen, digest):
            return
        marks = self._marks.find(seen, _versions(seen, digest))
        if self._before is None:
            marks.append(Mark(seen.taken_at, "begins", "recording begins"))
        point = _point(self._before, seen, self._writer.about.every_s)
        self._before, self._lost = seen, False
        event = digest_event(digest, self._masks)
        at_ms = round(seen.taken_at * 1_000)
        points = _spread(at_ms, *point)
        at_ms = self._writer.write(at_ms, overview_state(seen), event, points, marks)
        passed_s, substance = (at_ms - self._detailed_ms) / 1_000, _substance(seen)
        due_s = _DETAILS_S if substance != self._detailed else _SAME_DETAILS_S
        if passed_s < due_s or not self._writer.can_pay(at_ms):
            return
        try:
            details = read_details(self._reader, seen)
        except ServerRefused as error:  # such as a user who may read counts, but not jobs
            self._refused(seen.taken_at, str(error))
            self._detailed, self._detailed_ms = substance, at_ms
            return
        spreads, executions = self._executed.take()
        details = replace(details, spreads=spreads, executions=executions)
        acts = self._marks.acts(details.operations)
        state, event = details_state(details, self._masks), executions_event(details, self._masks)
        self._writer.write_details(at_ms, state, event, acts)
        self._detailed, self._detailed_ms = substance, at_ms

    def _refused(self, at_s: float, reason: str) -> None:
        """Mark once that jobs and workers cannot be recorded."""
        if reason != self._reason:
            self._reason = reason
            self._writer.mark(Mark(at_s, "lost", f"jobs and workers are not recorded: {reason}"))

    def _is_repeated(self, seen: Overview, digest: Digest) -> bool:
        """Tell whether a reading comes so soon after the one before that it adds nothing.

        A console also reads whenever its user goes to another screen.
        """
        if self._before is None or digest.ran or digest.failures:
            return False
        passed_s = seen.taken_at - self._before.taken_at
        return 0 <= passed_s < self._writer.about.every_s * _SOON

    @property
    def is_short_of_bytes(self) -> bool:
        """Whether readings younger than the kept time were removed, to stay within the bytes."""
        return self._writer.is_short_of_bytes

    def lost(self, at_s: float, reason: str) -> None:
        """Note that the server did not answer; only the first time of an outage is marked.

        Args:
            at_s: The time, epoch seconds.
            reason: Why.

        Raises:
            InvalidOption: The recording cannot be written.
        """
        if not self._lost:
            self._lost = True
            self._writer.mark(Mark(at_s, "lost", reason))

    def close(self) -> None:
        """Close the recording. A thread that waits for the server is not waited for."""
        if self._busy.acquire(timeout=_CLOSE_S):
            try:
                self._writer.close()
            finally:
                self._busy.release()


class Observer:
    """Reads a namespace for a recorder, and remembers what rates need."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._watch = reader.watch()
        self._trends = Trends()
        self._executions = -1

    def read(self) -> tuple[Overview, Digest]:
        """Return an overview, and the executions since the one before.

        Raises:
            ServerError: The server does not answer, or refuses.
        """
        seen = self._watch.overview()
        recent: list[HistoryRecord] = []
        if seen.executions != self._executions:
            recent = self._reader.recent_history()
            self._executions = seen.executions
        return seen, self._trends.add(seen, recent)

    def close(self) -> None:
        """Close the connection."""
        self._watch.close()


def _versions(seen: Overview, digest: Digest) -> set[str]:
    """Return the versions that run jobs, in words."""
    ours = {
        f"workkit {pool.version}"
        for pool in seen.pools
        if pool.version and not is_silent(pool, seen.taken_at)
    }
    return ours | {f"version {version}" for version in digest.versions}


def _point(before: Overview | None, seen: Overview, every_s: float) -> tuple[int, int, int, int]:
    """Return the milliseconds since the reading before, and jobs done, failed and died in them."""
    if before is None:
        return round(every_s * 1_000), 0, 0, 0
    passed_s = max(seen.taken_at - before.taken_at, 0.0)
    if passed_s > longest_pause_s(every_s):
        passed_s = every_s  # the time before was not recorded
    done = _grown(before, seen, ("done",))
    failed = _grown(before, seen, FAILED_TOTALS)
    # Go pools do not count; then the dead set tells.
    died = max(_grown(before, seen, ("died",)), seen.dead - before.dead, 0)
    return round(passed_s * 1_000), done, max(failed, died), died


def _spread(at_ms: int, ms: int, done: int, failed: int, died: int) -> list[tuple[int, ...]]:
    """Return the rows of `points` that the time before a reading touches, the newest first."""
    width_ms = POINT_S * 1_000
    if ms <= width_ms:
        return [(at_ms // width_ms * POINT_S, ms, done, failed, died)]
    rows: list[tuple[int, ...]] = []
    end_ms, numbers = at_ms, (done, failed, died)
    while True:
        start_ms = end_ms // width_ms * width_ms
        here_ms = min(ms, end_ms - start_ms)
        rows.append((start_ms // 1_000, here_ms, *numbers))
        ms, end_ms, numbers = ms - here_ms, start_ms - 1, (0, 0, 0)
        if ms <= 0:
            return rows


def _grown(before: Overview, seen: Overview, totals: tuple[str, ...]) -> int:
    known = {pool.worker_pool_id: pool.totals for pool in before.pools}
    return sum(
        max(pool.totals.get(name, 0) - known.get(pool.worker_pool_id, {}).get(name, 0), 0)
        for pool in seen.pools
        for name in totals
    )


def _substance(seen: Overview) -> tuple[object, ...]:
    """Return what has to change before details are read again."""
    return (
        [(q.job_name, q.count, q.running, q.paused) for q in seen.queues],
        [(pool.worker_pool_id, pool.totals.get("busy")) for pool in seen.pools],
        seen.scheduled, seen.retry, seen.dead, seen.next_scheduled_at, seen.next_retry_at,
        seen.executions,
    )  # fmt: skip
