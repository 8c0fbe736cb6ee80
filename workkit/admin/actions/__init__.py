"""Actions on jobs, one or many: plan, apply, undo.

A plan pins the jobs that match when it is made, and describes the effects of acting on them.
Applying it acts on exactly these jobs, in bounded batches. The removed jobs go to a trash in Redis.
Until the trash expires, any process can bring them back with `undo`.
"""

from __future__ import annotations

from workkit.admin.actions.actions import Actions
from workkit.admin.actions.actions_async import AsyncActions
from workkit.admin.actions.editing import Edit, NewJob
from workkit.admin.actions.logic import ActionLogic
from workkit.admin.actions.outcomes import BulkOutcome, BulkProgress, Fate, Operation, Undone
from workkit.admin.actions.plan import Plan, Verb
from workkit.admin.actions.throttle import Throttle

__all__ = [
    "ActionLogic",
    "Actions",
    "AsyncActions",
    "BulkOutcome",
    "BulkProgress",
    "Edit",
    "Fate",
    "NewJob",
    "Operation",
    "Plan",
    "Throttle",
    "Undone",
    "Verb",
]
