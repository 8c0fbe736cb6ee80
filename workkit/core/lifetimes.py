"""How long things live in Redis, in seconds."""

from __future__ import annotations

from typing import Final

__all__ = ["DAY_S", "MARKS_KEPT_S", "OBSERVATION_S", "TRASH_KEPT_S", "UNIQUE_LIVES_S"]

DAY_S: Final = 86_400
#: A unique key outlives the time at which its job is due by this much. The original's rule.
UNIQUE_LIVES_S: Final = DAY_S
#: Marks of begun unique jobs, of cron slots, and counts of recoveries.
MARKS_KEPT_S: Final = 3 * DAY_S
#: What a worker runs, as the console shows it. The original's rule.
OBSERVATION_S: Final = DAY_S
#: How long a bulk action can be undone, by its verb. A retried job may begin at any moment.
TRASH_KEPT_S: Final = {"delete": DAY_S, "retry": 3_600}
