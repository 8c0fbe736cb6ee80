"""Bulk actions: plan, apply, undo.

A plan pins the jobs that were there when it was made, and says what acting on them will do. It is
applied to exactly those, in bounded batches. What it took away goes to a trash in Redis, from which
`undo` brings it back, in any process, until it expires.
"""

from __future__ import annotations

from workkit.admin.actions.actions import Actions
from workkit.admin.actions.outcomes import BulkOutcome, BulkProgress, Operation, Undone
from workkit.admin.actions.plan import Plan, Verb
from workkit.admin.actions.throttle import Throttle

__all__ = [
    "Actions",
    "BulkOutcome",
    "BulkProgress",
    "Operation",
    "Plan",
    "Throttle",
    "Undone",
    "Verb",
]
