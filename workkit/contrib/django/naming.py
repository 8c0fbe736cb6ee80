"""How a task of Django is named in workkit: ``shop.tasks.send_email``, or with ``@queue``."""

from __future__ import annotations

from typing import Any, Final

from django.utils.module_loading import import_string

from workkit.contrib.django.api import InvalidTask, Task

__all__ = ["DEFAULT_QUEUE", "job_name", "task_of"]

#: The queue that names leave out; Django's default.
DEFAULT_QUEUE: Final = "default"


def job_name(path: str, queue: str) -> str:
    """Return the name of the jobs of a task in a queue of Django."""
    return path if queue == DEFAULT_QUEUE else f"{path}@{queue}"


def task_of(name: str, alias: str) -> Any:
    """Return the task that jobs of a name belong to, in its queue.

    Args:
        name: The job's name.
        alias: The backend.

    Raises:
        InvalidTask: There is no such task, or the backend does not take it.
    """
    path, _, queue = name.partition("@")
    if path.startswith("__main__."):
        raise InvalidTask(f"{path!r} is in a script, which workers cannot import; use a module")
    try:
        task = import_string(path)
    except ImportError as error:
        raise InvalidTask(f"{path!r} is not a task: {error}") from error
    if not isinstance(task, Task):
        raise InvalidTask(
            f"{path!r} is not a task: it is a {type(task).__name__}; a task and its function need "
            "the same name"
        )
    # Another backend may have priorities; jobs of this one have none.
    return task.using(backend=alias, queue_name=queue or DEFAULT_QUEUE, priority=0)
