"""How an execution ends: each outcome with its rules.

This is the one home of outcomes. The engine settles by them, history stores them, and the frames,
the console and the command line show them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

__all__ = ["OUTCOMES", "TOTALS", "Level", "Outcome", "OutcomeRule", "with_flag"]

Outcome = Literal["done", "retry", "dead", "discarded", "returned", "fenced", "recovered"]
#: How serious an outcome is; each instrument has its own colour for it.
Level = Literal["success", "warning", "error", ""]


class OutcomeRule(NamedTuple):
    """What an outcome means.

    Attributes:
        meaning: What happened, for help and documents.
        fate: What exchange.lua is told: b"d" the job leaves, b"r" it goes to the retry set, b"x" to
            the dead set, b"b" back to its queue; b"" where no exchange settles the job.
        failed: Whether the handler failed.
        decides: Whether it tells if the job succeeded; otherwise the job will run again.
        total: The field of the heartbeat that counts it; "" where none does.
        slot_mark: How far the slot of a cron job has come then.
        level: How serious it is.
    """

    meaning: str
    fate: bytes
    failed: bool = False
    decides: bool = True
    total: str = ""
    slot_mark: str = "done"
    level: Level = ""


#: A slot that failed is not done: it may be retried, or revived when it is dead.
OUTCOMES: Final[Mapping[Outcome, OutcomeRule]] = {
    "done": OutcomeRule("the handler succeeded", b"d", total="done", level="success"),
    "retry": OutcomeRule(
        "the handler failed; the job waits for another try",
        b"r", failed=True, total="retried", slot_mark="failed", level="warning",
    ),
    "dead": OutcomeRule(
        "the job failed for good and is in the dead set",
        b"x", failed=True, total="died", slot_mark="failed", level="error",
    ),
    "discarded": OutcomeRule(
        "the job failed for good and was dropped, or it was a duplicate",
        b"d", failed=True, total="discarded", level="warning",
    ),
    "returned": OutcomeRule(
        "the job went back to its queue unfinished",
        b"b", decides=False, total="returned", slot_mark="queued",
    ),
    "fenced": OutcomeRule(
        "another pool had taken the job over, so the result did not count",
        b"", decides=False, total="fenced",
    ),
    "recovered": OutcomeRule(
        "its pool died; another pool put the job back into its queue", b"", decides=False
    ),
}  # fmt: skip

#: The fields of a heartbeat that count outcomes since the pool started, and their outcomes.
TOTALS: Final[Mapping[str, Outcome]] = {
    rule.total: outcome for outcome, rule in OUTCOMES.items() if rule.total
}


def with_flag(flag: Literal["failed", "decides"]) -> frozenset[Outcome]:
    """Return the outcomes for which a rule's flag is set."""
    return frozenset(outcome for outcome, rule in OUTCOMES.items() if getattr(rule, flag))
