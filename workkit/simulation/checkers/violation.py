"""The error that reports a broken rule."""

from __future__ import annotations

__all__ = ["Violation"]


class Violation(AssertionError):
    """A rule is broken.

    Attributes:
        rule: The rule, in a few words.
        what: The event that breaks it.
        job_id: The job concerned, or "".
        timeline: The events around it.
    """

    def __init__(self, rule: str, what: str, job_id: str = "", timeline: str = "") -> None:
        super().__init__(rule, what, job_id, timeline)
        self.rule = rule
        self.what = what
        self.job_id = job_id
        self.timeline = timeline

    def __str__(self) -> str:
        subject = f"job {self.job_id}: " if self.job_id else ""
        rest = f"\n\n{self.timeline}" if self.timeline else ""
        return f'"{self.rule}" does not hold: {subject}{self.what}{rest}'
