"""The part of every job in a replay: how long its handler runs, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workkit.core import job as wire
from workkit.core.backoff import Backoff, delay_s
from workkit.core.entropy import Entropy
from workkit.core.job import Job
from workkit.engine.handling.execution import Execution
from workkit.simulation.replay.past import NEVER_S, Arrival, Past, Try
from workkit.simulation.replay.what_if import WhatIf

__all__ = ["Script"]


class Script:
    """Lets the jobs of a past run again.

    A job that a test adds runs as long as one of its name did, drawn from the seed, and succeeds.

    Args:
        past: The jobs.
        what_if: What is changed.
        entropy: Draws the run times of further jobs, and the delays of the default backoff.
        pause_s: How long a worker pauses after each run, seconds.

    Attributes:
        left: How many runs of the past have not ended.
    """

    def __init__(
        self, past: Past, what_if: WhatIf, entropy: Entropy, *, pause_s: float = 0.0
    ) -> None:
        self._pause_s = pause_s
        self._tries = {each.job_id: each.tries for each in past.arrivals}
        self._ended: dict[str, int] = {}
        self._run_times_s = past.run_times_s
        self._what_if = what_if
        self._entropy = entropy
        self._next_s = 0.0
        self.left = past.runs

    def handler(self) -> Callable[[Job], None]:
        """Return the handler of all jobs. It returns or raises at once, and `takes` goes on."""

        def play(job: Job) -> None:
            attempt = self._attempt(job.id)
            if attempt is None:
                known = self._run_times_s[job.name]
                self._next_s = known[self._entropy.below(len(known))]
                return
            self._next_s = attempt.run_s
            error = attempt.exception()
            if error is not None:
                raise error

        play.needs_no_thread = True  # type: ignore[attr-defined] # it neither sleeps nor waits
        return play

    def takes(self, _entropy: Entropy) -> float:
        """Return how long the handler that has just been called keeps its worker, seconds."""
        return self._next_s + self._pause_s

    def without_pauses(self, frame: Any) -> Any:
        """Take the pauses of the workers out of the run times of a frame."""
        import pandas as pd

        pause = frame["run"].clip(upper=pd.Timedelta(round(1_000 * self._pause_s), unit="ms"))
        pause = pause.astype("timedelta64[ms]")
        frame["run"] -= pause
        frame["finished_at"] -= pause.fillna(pd.Timedelta(0))
        return frame

    def ended(self, execution: Execution, error: BaseException | None) -> None:
        """Record that a handler has ended: the next run of its job is the next of the past."""
        job_id = execution.payload.id
        attempt = self._attempt(job_id)
        # A handler that its pool has interrupted runs again from the beginning.
        if attempt is not None and (attempt.outcome == "done") == (error is None):
            self._ended[job_id] = self._ended.get(job_id, 0) + 1
            self.left -= 1

    def backoff(self) -> Backoff:
        """Return the backoff of all jobs: the delays of the past, or those of the change."""
        changed: Any = self._what_if.backoff

        def recorded(job: Job, error: BaseException) -> float:
            attempt = self._attempt(job.id)
            if attempt is None or attempt.next_in_s == NEVER_S:
                return NEVER_S  # history ends before the next run, and so does the replay
            if changed is None:
                return attempt.next_in_s
            if isinstance(changed, (int, float)):
                return changed
            asked = None if changed == "default" else changed
            return delay_s(asked, job, error, job.fails, self._entropy, job.name)

        return recorded

    def _attempt(self, job_id: str) -> Try | None:
        """Return the run of the past that a job is at; None beyond the past."""
        tries, at = self._tries.get(job_id), self._ended.get(job_id, 0)
        return tries[at] if tries is not None and at < len(tries) else None

    @staticmethod
    def payload(arrival: Arrival) -> bytes:
        """Return the bytes of a job as they were when it entered its queue."""
        args = b"null" if arrival.args is None else arrival.args.encode()
        raw = wire.encode(
            arrival.name, arrival.job_id, arrival.at_ms // 1_000, args, enqueued_ms=arrival.at_ms
        )
        if not arrival.fails:
            return raw
        return wire.splice(raw, fails=arrival.fails, err="failed before history began")
