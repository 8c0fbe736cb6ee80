"""How an execution ends: all outcomes with their rules.

The engine, history, the frames, the console and the command line take outcomes from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

__all__ = ["OUTCOMES", "TOTALS", "Level", "Outcome", "OutcomeRule", "with_fate", "with_flag"]

Outcome = Literal[
    "done", "retry", "postponed", "dead", "discarded", "returned", "fenced", "recovered"
]
#: How serious an outcome is. The console and the command line choose a colour by it.
Level = Literal["success", "warning", "error", ""]


class OutcomeRule(NamedTuple):
    """The rules of one outcome.

    Attributes:
        meaning: A sentence for help and documents.
        fate: The argument of exchange.lua: b"d" removes the job, b"r" moves it to the retry set,
            b"x" to the dead set, b"b" back to its queue. b"" if no exchange settles the job.
        failed: Whether the handler failed.
        decides: Whether it shows that the job succeeded or failed. If not, the job runs again.
        total: The heartbeat field that counts it; "" without one.
        slot_mark: The state of a cron job's slot after it.
        level: How serious it is.
        becomes: The log's words about the job if its handler raised; "" logs nothing.
        color: Its colour in pictures.
        ended: The words on a running job's page when it has ended this way; {ago} is the time
            since.
    """

    meaning: str
    fate: bytes
    failed: bool = False
    decides: bool = True
    total: str = ""
    slot_mark: str = "done"
    level: Level = ""
    becomes: str = ""
    color: str = "#999999"
    ended: str = "has ended {ago} ago"


#: A failed slot is not done: its job may be retried, even from the dead set.
OUTCOMES: Final[Mapping[Outcome, OutcomeRule]] = {
    "done": OutcomeRule(
        "the handler succeeded",
        b"d", total="done", level="success", color="#009E73",
        ended="has ended: done {ago} ago",
    ),
    "retry": OutcomeRule(
        "the handler failed; the job waits for a retry",
        b"r", failed=True, total="retried", slot_mark="failed", level="warning",
        becomes="will be retried", color="#E69F00",
        ended="failed {ago} ago; it will be tried again",
    ),
    "postponed": OutcomeRule(
        "the handler asked for a later run, which is not a failure; the job waits for it",
        b"r", decides=False, total="postponed", color="#56B4E9",
        ended="was postponed by its handler {ago} ago",
    ),
    "dead": OutcomeRule(
        "the job failed for good and is in the dead set",
        b"x", failed=True, total="died", slot_mark="failed", level="error",
        becomes="is dead", color="#D55E00",
        ended="failed {ago} ago for good; it is in the dead set",
    ),
    "discarded": OutcomeRule(
        "the job failed for good and was dropped, or it was a duplicate",
        b"d", failed=True, total="discarded", level="warning", becomes="was discarded",
        color="#CC79A7",
        ended="failed {ago} ago and was discarded",
    ),
    "returned": OutcomeRule(
        "the job went back to its queue unfinished",
        b"b", decides=False, total="returned", slot_mark="returned",
        ended="was returned to its queue unfinished, {ago} ago",
    ),
    "fenced": OutcomeRule(
        "another pool had taken the job, so the result did not count",
        b"", decides=False, total="fenced", becomes="belongs to another pool", color="#000000",
        ended="ended {ago} ago; another pool had taken the job, so the result did not count",
    ),
    "recovered": OutcomeRule(
        "the job's pool died; another pool put the job back into its queue", b"", decides=False,
        color="#0072B2",
        ended="its pool died {ago} ago; the job is back in its queue",
    ),
}  # fmt: skip

#: Heartbeat fields that count outcomes since the pool started.
TOTALS: Final[Mapping[str, Outcome]] = {
    rule.total: outcome for outcome, rule in OUTCOMES.items() if rule.total
}


def with_flag(flag: Literal["failed", "decides"]) -> frozenset[Outcome]:
    """Return the outcomes for which a rule's flag is set."""
    return frozenset(outcome for outcome, rule in OUTCOMES.items() if getattr(rule, flag))


def with_fate(*fates: bytes) -> frozenset[Outcome]:
    """Return the outcomes with one of these fates."""
    return frozenset(outcome for outcome, rule in OUTCOMES.items() if rule.fate in fates)
