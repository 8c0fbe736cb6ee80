"""The results of an examination."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from workkit.store.round_trip import Step

__all__ = ["Case", "Finding", "Severity"]

Severity: TypeAlias = Literal["broken", "risk", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault.

    Attributes:
        check: The kind of fault, such as "dead-pool". Stable between versions.
        severity: "broken" (jobs are stuck or limits wrong), "risk" (jobs can be lost), or "note".
        subject: The pool, queue, key or setting.
        says: A sentence about the fault.
        remedy: The effect of the repair. Without a repair: your remedy.
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
        repair: A step that repairs the fault if it is still there, and returns what it did; None
            without a repair.
        fingerprint: The finding counts only if this is equal in both examinations.
    """

    finding: Finding
    repair: Callable[[], Step[str]] | None = None
    fingerprint: object = None
