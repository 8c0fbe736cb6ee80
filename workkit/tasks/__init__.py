"""Tasks: functions with real signatures, whose parameters are the args of a job."""

from __future__ import annotations

from workkit.tasks.registry import Tasks
from workkit.tasks.task import Task
from workkit.tasks.testing import RecordedCall

__all__ = ["RecordedCall", "Task", "Tasks"]
