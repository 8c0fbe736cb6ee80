"""How long keys live in Redis, seconds."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ACTS_KEPT",
    "DAY_S",
    "MARKS_KEPT_S",
    "OBSERVATION_S",
    "SIGNATURES_KEPT_S",
    "STACK_KEPT_S",
    "TRASH_KEPT_S",
    "UNIQUE_LIVES_S",
]

DAY_S: Final = 86_400
#: A unique key expires this long after its job is due, as in the original.
UNIQUE_LIVES_S: Final = DAY_S
#: Marks of begun unique jobs, of cron slots, and counts of recoveries.
MARKS_KEPT_S: Final = 3 * DAY_S
#: The record of what a worker runs, as in the original.
OBSERVATION_S: Final = DAY_S
#: The signatures of typed tasks; each heartbeat of a pool that publishes them prolongs that.
SIGNATURES_KEPT_S: Final = 60
#: The stack of a running handler, after somebody has asked for it.
STACK_KEPT_S: Final = 60
#: How long a bulk action can be undone, by its verb. Shorter for "retry": the jobs soon begin.
TRASH_KEPT_S: Final = {"delete": DAY_S, "retry": 3_600, "edit": DAY_S}
#: How many entries the record of acts keeps. Most acts have two: one before and one after.
ACTS_KEPT: Final = 10_000
