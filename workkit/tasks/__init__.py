"""Tasks: functions with real signatures, whose parameters are the args of a job."""

from __future__ import annotations

from workkit.tasks.registry import Tasks
from workkit.tasks.task import Task

__all__ = ["Task", "Tasks"]
