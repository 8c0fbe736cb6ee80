"""Results of tasks: made when a task is enqueued, and read from jobs and history."""

from __future__ import annotations

import builtins
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.conf import settings
from django.utils import timezone

import workkit
from workkit.admin.steps.history import HistoryRecord
from workkit.client import Client
from workkit.contrib.django.api import (
    InvalidTask,
    TaskError,
    TaskResult,
    TaskResultDoesNotExist,
    TaskResultStatus,
)
from workkit.contrib.django.naming import task_of
from workkit.core.job import Job
from workkit.core.outcomes import OUTCOMES

__all__ = ["WorkkitResult", "arguments", "as_time", "as_traceback", "new_result", "read_result"]

#: Between the message and the frames in the error of a job.
_FRAMES_FOLLOW: Final = "\n\nTraceback (innermost last):\n"
_STATUS: Final = {
    "queued": TaskResultStatus.READY,
    "scheduled": TaskResultStatus.READY,
    "retry": TaskResultStatus.READY,
    "running": TaskResultStatus.RUNNING,
    "dead": TaskResultStatus.FAILED,
}
#: Executions that were not returned or recovered.
_DECIDED: Final = frozenset[str](name for name, rule in OUTCOMES.items() if rule.decides)
_ENDED: Final = {
    "done": TaskResultStatus.SUCCESSFUL,
    "dead": TaskResultStatus.FAILED,
    "discarded": TaskResultStatus.FAILED,
}


class WorkkitResult(TaskResult):
    """A result as history knows it: without the return value, which workkit does not keep."""

    __slots__ = ()

    @property
    def return_value(self) -> Any:
        """The return value is not kept.

        Raises:
            NotImplementedError: The task has succeeded.
            ValueError: It has failed, or has not finished.
        """
        if self.status == TaskResultStatus.SUCCESSFUL:
            raise NotImplementedError(
                "workkit does not keep return values; let the task write its result to the database"
            )
        return super().return_value


def as_time(epoch_s: float) -> datetime | None:
    """Return a time as Django's settings want it; None for 0."""
    if not epoch_s:
        return None
    when = datetime.fromtimestamp(epoch_s, UTC)
    return when if settings.USE_TZ else timezone.make_naive(when)


def new_result(
    task: Any,
    result_id: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    kind: type[Any] = WorkkitResult,
    **known: Any,
) -> Any:
    """Return a result, by default of a task that nobody has started.

    Args:
        task: The task.
        result_id: The job's id.
        args: Positional arguments.
        kwargs: Keyword arguments.
        kind: The class.
        **known: Further fields of `TaskResult`.

    Raises:
        TypeError: An argument has no JSON form.
    """
    fields: dict[str, Any] = {
        "status": TaskResultStatus.READY,
        "enqueued_at": None,
        "started_at": None,
        "finished_at": None,
        "last_attempted_at": None,
        "errors": [],
        "worker_ids": [],
        **known,
    }
    return kind(
        task=task,
        id=result_id,
        args=list(args),
        kwargs=dict(kwargs),
        backend=task.backend,
        **fields,
    )


def read_result(namespace: str, url: str, alias: str, result_id: str) -> Any:
    """Return what the server knows of a task: where its job is, and its executions in history.

    Raises:
        TaskResultDoesNotExist: Neither a job nor history has the id, or it is no task of Django.
        ServerError: As for `Client`.
    """
    with Client(namespace, url) as client:
        found = client.find(result_id)
        # Read after the place: what has left its place meanwhile is in history.
        records = [each for each in client.job_history(result_id) if each.outcome in _DECIDED]
    if found is None and not records:
        raise TaskResultDoesNotExist(result_id)
    name = found.job.name if found is not None else records[-1].name
    try:
        task = task_of(name, alias)
    except InvalidTask as error:
        raise TaskResultDoesNotExist(f"{result_id}: {error}") from error
    if found is not None:
        status, worker_ids = _STATUS[found.place], [found.pool_id] * (found.place == "running")
    else:
        status, worker_ids = _ENDED.get(records[-1].outcome, TaskResultStatus.READY), []
    ran = [each for each in records if each.started_ms]
    payload = found.job.args if found is not None else json.loads(records[-1].args or "{}")
    enqueued_at = found.job.enqueued_at if found is not None else records[0].enqueued_at
    is_over = status in _ENDED.values() and bool(records)
    return new_result(
        task,
        result_id,
        *arguments(payload),
        status=status,
        enqueued_at=as_time(enqueued_at),
        started_at=as_time(ran[0].started_ms / 1_000) if ran else None,
        last_attempted_at=as_time(ran[-1].started_ms / 1_000) if ran else None,
        finished_at=as_time(records[-1].finished_ms / 1_000) if is_over else None,
        errors=_errors(records, found.job if found is not None else None),
        worker_ids=[each.worker_id for each in ran] + worker_ids,
    )


def arguments(payload: Mapping[str, Any] | None) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and the keyword arguments that a job carries; none of another form."""
    payload = payload or {}
    args, kwargs = payload.get("args"), payload.get("kwargs")
    return args if isinstance(args, list) else [], kwargs if isinstance(kwargs, dict) else {}


def _errors(records: Sequence[HistoryRecord], job: Job | None) -> list[Any]:
    """Return the errors: history has headlines, the job itself the last traceback."""
    texts = [each.error for each in records if each.error]
    if job is not None and job.last_err:
        texts[-1:] = [job.last_err]
    return [
        TaskError(exception_class_path=_class_path(text), traceback=as_traceback(text))
        for text in texts
    ]


def as_traceback(text: str) -> str:
    """Return the text of an error in Python's order: the frames first, then the message."""
    headline, _, frames = text.partition(_FRAMES_FOLLOW)
    return f"Traceback (most recent call last):\n{frames}\n{headline}\n" if frames else f"{text}\n"


def _class_path(text: str) -> str:
    """Return the class that an error text begins with; those of other modules stay without one."""
    name = text.partition("\n")[0].partition(":")[0]
    for home in (builtins, workkit):
        if hasattr(home, name):
            return f"{home.__name__}.{name}"
    return name
