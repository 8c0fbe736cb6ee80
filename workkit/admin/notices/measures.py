"""The numbers of a namespace that a condition may compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from workkit.admin.attention import LATE_S, SLOW_S, Level
from workkit.core.text import age, counted

__all__ = ["MEASURES", "Measure", "Operator", "Unit"]

#: "jobs", "pools": counts. "s": seconds. "jobs/period": a count within the condition's period.
Unit: TypeAlias = Literal["jobs", "pools", "s", "jobs/period"]
Operator: TypeAlias = Literal[">", ">=", "<", "<="]

#: A cron slot may start this late before it counts as missed, seconds. The requeuer looks twice a
#: second; a pool that takes over after a crash needs up to 20 s.
_MISSED_S: Final = 60


@dataclass(frozen=True, slots=True)
class Measure:
    """One number, or one for each queue or cron entry.

    Attributes:
        name: Its name in a condition.
        unit: Its unit.
        of: What it is measured of: "" for the namespace, "queue" for each queue, "cron" for each
            job name with a cron entry.
        default: The operator and the threshold of a condition that has none, in the unit; None if a
            condition must have them.
        says: The finding, without a full stop; with `{name}`, `{value}`, `{period}`,
            and the value as `{jobs}` or `{pools}`.
        meaning: What it counts, for people.
        level: "bad" for a fault, "warn" for what may be intended.
    """

    name: str
    unit: Unit
    of: Literal["", "queue", "cron"]
    default: tuple[Operator, float] | None
    says: str
    meaning: str
    level: Level = "warn"

    def sentence(self, value: float, name: str = "", period_s: float = 0.0) -> str:
        """Return the finding in words, without a full stop.

        Args:
            value: The value, in the unit.
            name: The queue or cron job, made harmless.
            period_s: For a rate: the period, seconds.
        """
        shown = age(value) if self.unit == "s" else f"{value:,.10g}"
        number = int(value)
        return self.says.format(
            name=name, value=shown, period=age(period_s),
            jobs=counted(number, "job"), pools=counted(number, "pool"),
        )  # fmt: skip


#: All measures, by name.
MEASURES: Final = {
    measure.name: measure
    for measure in (
        Measure(
            "dead.count", "jobs", "", (">", 0), "{jobs} in the dead set", "jobs in the dead set"
        ),
        Measure(
            "dead.rate", "jobs/period", "", (">", 0), "{jobs} died in the last {period}",
            "jobs that died in the last minute (or second, hour, day) and are still dead",
        ),
        Measure(
            "queue.latency", "s", "queue", (">", SLOW_S),
            "queue {name}: its oldest job has waited for {value}",
            "how long the job that runs next has waited",
        ),
        Measure(
            "queue.count", "jobs", "queue", None, "queue {name}: {jobs} waiting",
            "jobs that wait in the queue",
        ),
        Measure(
            "queue.unserved", "jobs", "queue", (">", 0),
            "queue {name}: no live worker takes its {jobs}",
            "jobs that wait in a queue whose jobs no live pool takes",
            "bad",
        ),
        Measure(
            "queue.paused", "jobs", "queue", (">", 0), "queue {name}: paused, {jobs} waiting",
            "jobs that wait in a paused queue",
        ),
        Measure(
            "scheduled.late", "s", "", (">", LATE_S),
            "scheduled jobs are {value} overdue, and no pool moves them to their queues",
            "how long the first scheduled job has been due",
            "bad",
        ),
        Measure(
            "retry.late", "s", "", (">", LATE_S),
            "retries are {value} overdue, and no pool moves them to their queues",
            "how long the first retry has been due",
            "bad",
        ),
        Measure(
            "cron.missed", "s", "cron", (">", _MISSED_S),
            "cron job {name}: its slot has been due for {value}, and no pool has queued it",
            "how long a slot of the entry has been due without a pool that queues its job",
            "bad",
        ),
        Measure(
            "lock.drift", "jobs", "queue", (">", 0),
            "queue {name}: its lock differs by {value} from what pools hold; "
            "'workkit doctor --repair' recounts it",
            "by how much the counter of running jobs differs from the counts of the pools",
            "bad",
        ),
        Measure(
            "pools.silent", "pools", "", (">", 0), "{pools} without a heartbeat",
            "registered pools without a heartbeat in the last 12 s",
        ),
        Measure(
            "pools.alive", "pools", "", ("<", 1), "{pools} alive",
            "registered pools with a heartbeat in the last 12 s",
            "bad",
        ),
    )
}  # fmt: skip
