"""The pool that runs tasks of Django."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from importlib import import_module
from inspect import iscoroutinefunction, signature
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.db import close_old_connections
from django.utils import timezone
from django.utils.module_loading import autodiscover_modules

from workkit.contrib.django.api import (
    InvalidTask,
    InvalidTaskBackend,
    Task,
    TaskContext,
    TaskError,
    TaskResult,
    TaskResultStatus,
    normalize_json,
    task_backends,
    task_finished,
    task_started,
)
from workkit.contrib.django.backend import WorkkitBackend
from workkit.contrib.django.naming import job_name, task_of
from workkit.contrib.django.results import arguments, as_time, as_traceback, new_result
from workkit.core.job import Job
from workkit.core.options import HistoryOptions
from workkit.core.verdicts import Fail
from workkit.pool import WorkerPool

__all__ = ["make_pool"]

#: Stands for the workers of attempts before this one, whose ids a running task does not know.
_EARLIER: Final = "unknown"
#: The args of a job of Django, which other programs may write, too.
_FORM: Final[dict[str, type]] = {"args": list, "kwargs": dict}


def make_pool(
    alias: str = "default",
    *,
    queues: Iterable[str] = (),
    imports: Iterable[str] = (),
    concurrency: int = 10,
) -> WorkerPool:
    """Return a pool that runs the tasks of a backend; ``workkit worker MODULE:NAME`` takes it.

    It knows the tasks in the modules ``tasks`` of all apps, and in every module that is imported.

    Args:
        alias: The backend, a key of TASKS.
        queues: Queues of Django; by default those in QUEUES.
        imports: Further modules with tasks.
        concurrency: How many tasks run at once.

    Raises:
        InvalidTaskBackend: The alias has another backend, or no queue is known.
        InvalidOption: An option is out of its range.
        ImportError: A module cannot be imported.
    """
    backend = task_backends[alias]
    if not isinstance(backend, WorkkitBackend):
        raise InvalidTaskBackend(
            f"TASKS[{alias!r}] has the backend {type(backend).__name__}; set BACKEND to "
            "'workkit.contrib.django.WorkkitBackend'"
        )
    wanted = sorted(set(queues) or backend.queues)
    if not wanted:
        raise InvalidTaskBackend(
            f"TASKS[{alias!r}] allows any queue; name those that this worker runs: --queue NAME"
        )
    if backend.queues and (unknown := sorted(set(wanted) - backend.queues)):
        raise InvalidTaskBackend(f"TASKS[{alias!r}]['QUEUES'] does not have {', '.join(unknown)}")
    autodiscover_modules("tasks")
    for module in imports:
        import_module(module)
    chosen = backend.settings
    pool = WorkerPool(
        chosen.NAMESPACE, chosen.URL, concurrency=concurrency, history=HistoryOptions(args=True)
    )
    tasks: dict[str, Any] = {}
    for path in _known_paths():
        for queue in wanted:
            name = job_name(path, queue)
            try:
                task = task_of(name, alias)
            except InvalidTask:
                continue  # for the same reason it cannot be enqueued
            tasks[name] = task
            pool.job(name, _handler(task), **chosen.JOB_OPTIONS.get(queue, {}))
    pool.on("dead", _finisher(tasks))
    return pool


def _known_paths() -> list[str]:
    """Return the paths of the tasks of all modules that are imported."""
    return sorted(
        {
            value.module_path
            for module in list(sys.modules.values())
            for value in list(getattr(module, "__dict__", {}).values())
            if issubclass(type(value), Task)  # not isinstance, which evaluates lazy objects
        }
    )


def _handler(task: Any) -> Callable[[Job], object]:
    """Return the handler of a task's jobs."""
    sender = type(task.get_backend())

    def run(job: Job) -> None:
        close_old_connections()
        try:
            result = _started(task, job)
            task_started.send(sender, task_result=result)
            _succeed(result, task.func(*_given(task, result), **result.kwargs))
            task_finished.send(sender, task_result=result)
        finally:
            close_old_connections()

    async def run_async(job: Job) -> None:
        # The connections of async code belong to the thread on which its queries run.
        close: Callable[[], Awaitable[None]] = sync_to_async(close_old_connections)
        await close()
        try:
            result = _started(task, job)
            await task_started.asend(sender, task_result=result)
            _succeed(result, await task.func(*_given(task, result), **result.kwargs))
            await task_finished.asend(sender, task_result=result)
        finally:
            await close()

    return run_async if iscoroutinefunction(task.func) else run


def _started(task: Any, job: Job) -> Any:
    """Return the result of a task that begins now.

    Raises:
        Fail: The job does not have the arguments of the task, so no retry would help.
    """
    args, kwargs = arguments(job.args)
    given = job.args or {}
    if not (given.keys() <= _FORM.keys() and all(type(given[key]) is _FORM[key] for key in given)):
        raise Fail('the args of a task are {"args": [...], "kwargs": {...}}')
    context = [None] if task.takes_context else []
    try:
        signature(task.func).bind(*context, *args, **kwargs)
    except TypeError as error:
        raise Fail(f"the arguments do not fit {task.module_path}: {error}") from error
    now = timezone.now()
    return new_result(
        task,
        job.id,
        args,
        kwargs,
        kind=TaskResult,
        status=TaskResultStatus.RUNNING,
        enqueued_at=as_time(job.enqueued_at),
        started_at=now,
        last_attempted_at=now,
        worker_ids=[_EARLIER] * job.fails + [_me()],
    )


def _me() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _given(task: Any, result: Any) -> Sequence[Any]:
    args: list[Any] = result.args
    return [TaskContext(task_result=result), *args] if task.takes_context else args


def _succeed(result: Any, value: object) -> None:
    """Note the end and the return value, for the receivers of `task_finished`.

    Raises:
        Fail: The value has no JSON form. The task has done its work, and no retry would help.
    """
    try:
        value = normalize_json(value)
    except TypeError as error:
        raise Fail(f"the return value has no JSON form: {error}") from error
    for field, is_now in (
        ("finished_at", timezone.now()),
        ("status", TaskResultStatus.SUCCESSFUL),
        ("_return_value", value),
    ):
        object.__setattr__(result, field, is_now)


def _finisher(tasks: dict[str, Any]) -> Callable[[Job, BaseException], None]:
    """Return the hook that tells Django's receivers about a task that has failed for good."""

    def finish(job: Job, error: BaseException) -> None:
        task = tasks.get(job.name)
        if task is None:
            return
        kind = type(error)
        result = new_result(
            task,
            job.id,
            *arguments(job.args),
            kind=TaskResult,
            status=TaskResultStatus.FAILED,
            enqueued_at=as_time(job.enqueued_at),
            finished_at=timezone.now(),
            errors=[
                TaskError(
                    exception_class_path=f"{kind.__module__}.{kind.__qualname__}",
                    traceback=as_traceback(job.last_err),
                )
            ],
            worker_ids=[_EARLIER] * (job.fails - 1) + [_me()],
        )
        close_old_connections()
        try:
            # Django's own receiver logs the exception that is being handled.
            raise error  # noqa: TRY301
        except BaseException:  # noqa: BLE001 - whatever the task has raised
            task_finished.send(type(task.get_backend()), task_result=result)
        finally:
            close_old_connections()

    return finish
