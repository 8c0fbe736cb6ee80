"""A checker: what is enqueued is what the caller has asked for."""

from __future__ import annotations

import json
from typing import Final, NamedTuple

from workkit.core.job import Job
from workkit.simulation.checkers.base import Checker

__all__ = ["Asked", "AskedIsEnqueued"]

#: A job is due at the next whole second, and a clock reads whole milliseconds, seconds.
_LATEST_S: Final = 1.001


class Asked(NamedTuple):
    """A job with a delay or a unique key that a caller has enqueued.

    Attributes:
        job: The job that the caller has got.
        until: Until when it was to keep its unique key, "start" or "done".
        after_s: It was to run at this time, epoch seconds.
        run_at_s: The caller was told that it runs then, epoch seconds; None for now.
    """

    job: Job
    until: str
    after_s: float
    run_at_s: int | None


class AskedIsEnqueued(Checker):
    """A job is due at the second after the delay that was asked for, and keeps its key as long.

    `SentIsWritten` describes what then stands in Redis.
    """

    rule = "what is asked for is enqueued"

    def asked(self, asked: Asked) -> None:
        """Compare a job with what was asked for."""
        late_s = 0.0 if asked.run_at_s is None else asked.run_at_s - asked.after_s
        if not 0 <= late_s < _LATEST_S:
            self.violated(f"it is due {late_s:+.3f} s from when it was asked for", asked.job.id)
        until = json.loads(asked.job.raw).get("unique_until", "start")
        if until != asked.until:
            self.violated(f"it keeps its key until {until!r}, not {asked.until!r}", asked.job.id)
