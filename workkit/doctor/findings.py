"""What an examination finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from workkit.store.round_trip import Step

__all__ = ["Case", "Finding", "Severity"]

Severity: TypeAlias = Literal["broken", "risk", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        check: What kind of thing, such as "dead-pool"; stays the same from version to version.
        severity: "broken" (jobs are stuck or limits wrong), "risk" (jobs can be lost), or "note".
        subject: The pool, queue, key or setting.
        says: What was found, as a sentence.
        remedy: What a repair does or, without one, what to do.
        repairable: Whether there is a repair.
    """

    check: str
    severity: Severity
    subject: str
    says: str
    remedy: str
    repairable: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """A finding and its repair.

    Attributes:
        finding: The finding.
        repair: A step that mends it if it is still so and says what it did; None if there is none.
        fingerprint: What has to be the same in a second look for the finding to stand.
    """

    finding: Finding
    repair: Callable[[], Step[str]] | None = None
    fingerprint: object = None
