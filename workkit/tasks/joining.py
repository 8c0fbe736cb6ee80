"""Registers the tasks of a registry with a pool."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

from workkit.core.options import shown
from workkit.engine.handling.handlers import Registration
from workkit.engine.handling.values import value_of
from workkit.errors import InvalidHandler, InvalidOption, PoolState
from workkit.tasks.registry import CronEntry, Tasks
from workkit.tasks.resources import no_value, yields
from workkit.tasks.task import Task

__all__ = ["Joined", "TaskPool"]

_log = logging.getLogger("workkit")


class TaskPool(Protocol):
    """A pool, as a registry uses it."""

    @property
    def pool_id(self) -> str:
        """The id of a pool that was started; "" before."""
        ...

    def register_task(self, registration: Registration, *, again: bool = False) -> None:
        """Register the handler of a task."""
        ...

    def periodically_enqueue(self, spec: str, name: str, *, catch_up_s: int = 0) -> None:
        """Register a cron entry."""
        ...

    def on_start(self, hook: Callable[[], Any]) -> Any:
        """Register a start hook."""
        ...

    def lifespan(self, function: Any) -> Any:
        """Register a lifespan."""
        ...


class _OfThePool:
    """The objects that the lifespans of the pool have yielded; it finds them inside handlers."""

    def find(self, kind: Any, task: str, parameter: str) -> Any:
        """Return the value for a parameter; see `Resources.find`."""
        try:
            return value_of(object if kind is Any else kind)
        except PoolState:
            raise no_value(kind, task, parameter) from None


class Joined:
    """A registry in one pool. What is registered before the pool starts is added at once.

    Args:
        pool: The pool.
        tasks: The registry.

    Raises:
        InvalidOption: `tasks` is not a registry.
        InvalidHandler: A task wants an object that no lifespan yields.
        PoolState: The pool has another handler of a task's name.
    """

    def __init__(self, pool: TaskPool, tasks: object) -> None:
        if not isinstance(tasks, Tasks):
            raise InvalidOption(f"tasks must be a registry, Tasks(), not {shown(tasks)}")
        self._pool = pool
        self._resources = _OfThePool()
        self._known: dict[str, Task[..., Any]] = {}
        self._entries: set[tuple[str, str]] = set()
        self._opened = 0
        self._check_resources(tasks)
        pool.on_start(lambda: self._check_resources(tasks))
        self.update(tasks)
        tasks.watch(self)

    def update(self, tasks: Tasks) -> None:
        """Register what the pool does not have yet.

        Raises:
            PoolState: The pool has another handler of a task's name.
        """
        new = [task for task in tasks if self._known.get(task.name) is not task]
        if self._pool.pool_id:
            if new:
                _log.warning(
                    "task %s was registered after the start of pool %s, which does not run it",
                    ", ".join(task.name for task in new), self._pool.pool_id,
                )  # fmt: skip
            return
        lifespans = tasks.lifespans
        for lifespan in lifespans[self._opened :]:
            self._pool.lifespan(lifespan)
            self._opened += 1
        for task in new:
            handler = task.handler(self._resources)
            again = task.name in self._known
            self._pool.register_task(Registration(task.name, handler, task.options), again=again)
            self._known[task.name] = task
        for entry in tasks.cron_entries:
            self._plan(entry)

    @staticmethod
    def _check_resources(tasks: Tasks) -> None:
        lifespans = tasks.lifespans
        for task in tasks:
            for parameter, kind in task.resources.items():
                _check_resource(task.name, parameter, kind, lifespans)

    def _plan(self, entry: CronEntry) -> None:
        key = (entry.spec, entry.task.name)
        if key not in self._entries:
            self._pool.periodically_enqueue(*key, catch_up_s=entry.catch_up_s)
            self._entries.add(key)


def _check_resource(
    task: str, parameter: str, kind: Any, lifespans: list[Callable[[], Any]]
) -> None:
    known = [yields(lifespan) for lifespan in lifespans]
    if any(each is None or not isinstance(kind, type) or issubclass(each, kind) for each in known):
        return
    named = getattr(kind, "__name__", kind)
    raise InvalidHandler(
        f"task {task!r}: {parameter} has the type {named}, which has no JSON form, and no lifespan "
        f"of the registry yields one; annotate it with a type of args, or register a lifespan that "
        f"yields {named}"
    )
