"""The backend of Django's Tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import cache
from typing import Any, Final

from django.db import connections, transaction
from django.utils import timezone

from workkit.contrib.django.api import BaseTaskBackend, InvalidTask, task_enqueued
from workkit.contrib.django.naming import job_name, task_of
from workkit.contrib.django.options import read_backend_options
from workkit.contrib.django.results import as_time, new_result, read_result
from workkit.core.entropy import Entropy
from workkit.enqueuer import Enqueuer
from workkit.enqueuer.steps import EnqueueSteps
from workkit.errors import InvalidName
from workkit.store.keys import check_name

__all__ = ["WorkkitBackend"]

_RESERVED: Final[ContextVar[str]] = ContextVar("workkit_django_id")


class WorkkitBackend(BaseTaskBackend):
    """Enqueues tasks of Django as jobs of workkit.

    A task is a job named by its path; in another queue than "default", ``path@queue``. The job
    carries the arguments as ``{"args": [...], "kwargs": {...}}``. docs/frameworks.md has the rules.
    """

    supports_defer = True
    supports_async_task = True
    #: Of finished tasks as long as history has them, and without their return values.
    supports_get_result = True
    #: Weights of queues take the place of priorities of tasks.
    supports_priority = False

    def __init__(self, alias: str, params: Mapping[str, Any]) -> None:
        super().__init__(alias, params)
        self.settings = read_backend_options(alias, self.options, self.queues)

    def validate_task(self, task: Any) -> None:
        """Refuse a task that the backend cannot run.

        Raises:
            InvalidTask: It has a priority, an unknown queue, or a name that is reserved in Redis.
        """
        super().validate_task(task)
        try:
            check_name(job_name(task.module_path, task.queue_name))
        except InvalidName as error:
            raise InvalidTask(str(error)) from error
        if "@" in task.module_path:
            raise InvalidTask(f"{task.module_path!r} holds an @, which separates the queue")

    def enqueue(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Enqueue a task, when the transactions that are open have been committed.

        Returns:
            The result. Its `enqueued_at` is None until the commit.

        Raises:
            InvalidTask: The backend cannot run the task, or a worker could not find it.
            TransactionManagementError: A database is in manual transaction management, where
                nothing says when it commits.
            TypeError: An argument has no JSON form.
            InvalidArgs: An argument cannot be enqueued, or the job is too large.
            ServerError: As for `Enqueuer`; behind a transaction, the commit's caller gets it.
        """
        self.validate_task(task)
        result = new_result(task, Entropy().identifier(), args, kwargs)
        send = self._sender(result)
        if self.settings.ENQUEUE_ON_COMMIT:
            _after(_open_transactions(), send)
        else:
            send()
        return result

    def _sender(self, result: Any) -> Callable[[], None]:
        """Check a job, and return the function that sends it."""
        task = result.task
        name = job_name(task.module_path, task.queue_name)
        task_of(name, self.alias)  # what a worker could not find is refused here
        args = {"args": result.args, "kwargs": result.kwargs}
        run_after = task.run_after
        if run_after is not None and timezone.is_naive(run_after):
            run_after = timezone.make_aware(run_after)
        # The first part of a step raises the caller's errors here, not after a commit.
        steps = EnqueueSteps(self.settings.NAMESPACE, None, None)
        if run_after is None:
            next(steps.enqueue(name, args))
        else:
            next(steps.schedule(name, steps.at(run_after), args))

        def send() -> None:
            enqueuer = _enqueuer(self.settings.NAMESPACE, self.settings.URL)
            reserved = _RESERVED.set(result.id)
            try:
                if run_after is None:
                    job = enqueuer.enqueue(name, args)
                else:
                    job = enqueuer.enqueue_at(name, run_after, args).job
            finally:
                _RESERVED.reset(reserved)
            # The result is frozen for its users; Django's own backends set its fields so, too.
            object.__setattr__(result, "enqueued_at", as_time(job.enqueued_at))
            task_enqueued.send(type(self), task_result=result)

        return send

    def get_result(self, result_id: str) -> Any:
        """Return what the server knows of a task.

        Raises:
            TaskResultDoesNotExist: Neither a job nor history has the id.
            ServerError: As for `Client`.
        """
        return read_result(self.settings.NAMESPACE, self.settings.URL, self.alias, result_id)


class _ReservedIds(Entropy):
    """Gives a job the id that its result already has."""

    def identifier(self) -> str:
        return _RESERVED.get()


@cache
def _enqueuer(namespace: str, url: str) -> Enqueuer:
    """Return the enqueuer of this process: Django makes a backend for each thread."""
    return Enqueuer(namespace, url, entropy=_ReservedIds())


def _open_transactions() -> list[str]:
    """Return the databases on which the caller is in a transaction, also one without atomic()."""
    return [
        each.alias
        for each in connections.all(initialized_only=True)
        if each.in_atomic_block or (each.connection is not None and not each.autocommit)
    ]


def _after(databases: Sequence[str], send: Callable[[], None]) -> None:
    """Call a function after the commit of all databases; after a rollback of one, never."""
    if not databases:
        send()
        return
    first, *others = databases
    transaction.on_commit(lambda: _after(others, send), using=first)
