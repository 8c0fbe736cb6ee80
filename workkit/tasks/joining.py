"""Registers the tasks of a registry with a pool."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol
from weakref import WeakSet

from workkit.core.options import shown
from workkit.engine.handling.handlers import Registration
from workkit.engine.handling.values import Values, named, value_of
from workkit.engine.spec import PoolSpec
from workkit.errors import InvalidHandler, InvalidOption, PoolState
from workkit.tasks.definitions import is_again, is_interactive
from workkit.tasks.registry import CronEntry, Tasks
from workkit.tasks.resources import no_value, yields
from workkit.tasks.task import Task

__all__ = ["Joined", "TaskPool"]

_log = logging.getLogger("workkit")

#: All registries in pools. A cell that runs again loses the older pool from sight, not from here.
_JOINED: Final[WeakSet[Joined]] = WeakSet()


class TaskPool(Protocol):
    """A pool, as a registry uses it."""

    @property
    def pool_id(self) -> str:
        """The id of a pool that was started; "" before."""
        ...

    @property
    def running(self) -> bool:
        """Whether the pool runs."""
        ...

    def stop_soon(self) -> None:
        """Stop the pool in the background."""
        ...

    @property
    def spec(self) -> PoolSpec:
        """What is registered with the pool."""
        ...

    @property
    def server(self) -> str:
        """The server for display."""
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
            return value_of(kind)
        except PoolState:
            raise no_value(kind, task, parameter) from None


class Joined:
    """A registry in one pool. What is registered before the pool starts is added at once.

    Args:
        pool: The pool.
        tasks: The registry.

    Attributes:
        pool: The pool.
        known: Its tasks by name.
        replaced: The id under which a newer pool of the session has stopped it; "" before.

    Raises:
        InvalidOption: `tasks` is not a registry.
        InvalidHandler: A task wants an object that no lifespan yields.
        PoolState: The pool has another handler of a task's name.
    """

    def __init__(self, pool: TaskPool, tasks: object) -> None:
        if not isinstance(tasks, Tasks):
            raise InvalidOption(
                f"tasks must be a registry, Tasks(), not {shown(tasks)}; a pool takes one, "
                "which all modules of an application share"
            )
        self.pool = pool
        self._resources = _OfThePool()
        self.known: dict[str, Task[..., Any]] = {}
        self.replaced = ""
        self._entries: set[tuple[str, str]] = set()
        self._opened = 0
        self._check_resources(tasks)
        pool.spec.value_checks.append(self._check_values)
        pool.on_start(self._replace_older)
        self.update(tasks)
        tasks.watch(self)
        _JOINED.add(self)

    def update(self, tasks: Tasks) -> None:
        """Register what the pool does not have yet.

        Raises:
            PoolState: The pool has another handler of a task's name.
        """
        new = [task for task in tasks if self.known.get(task.name) is not task]
        if self.pool.pool_id:
            self._warn([task.name for task in new])
            return
        lifespans = tasks.lifespans
        for lifespan in lifespans[self._opened :]:
            self.pool.lifespan(lifespan)
            self._opened += 1
        for task in new:
            handler = task.handler(self._resources)
            again = task.name in self.known
            registration = Registration(task.name, handler, task.options, task.signature)
            self.pool.register_task(registration, again=again)
            self.known[task.name] = task
        for entry in tasks.cron_entries:
            self._plan(entry)

    def _warn(self, names: list[str]) -> None:
        """Say which tasks a pool that was started runs with older code, or not at all."""
        older = [name for name in names if name in self.known]
        if older:
            _log.warning(
                "task %s was defined again, but pool %s keeps the older code; to run the new one, "
                "stop the pool, and make and start another",
                ", ".join(older), self.pool.pool_id,
            )  # fmt: skip
        unknown = [name for name in names if name not in self.known]
        if unknown:
            _log.warning(
                "task %s was registered after the start of pool %s, which does not run it",
                ", ".join(unknown), self.pool.pool_id,
            )  # fmt: skip

    def _replace_older(self) -> None:
        """Stop pools that an earlier run of a cell has left, and that run its older code.

        Nobody else can: the variable of such a pool is the new one by now. Its running jobs end.
        """
        for other in list(_JOINED) if is_interactive() else ():
            older = other.older_than(self.pool, self.known)
            if older:
                other.replaced = other.pool.pool_id
                _log.warning(
                    "pool %s, which was started earlier in this session, has older code of task "
                    "%s; it claims no more jobs, and stops when those that run have ended",
                    other.pool.pool_id, ", ".join(older),
                )  # fmt: skip
                other.pool.stop_soon()

    def older_than(self, pool: TaskPool, known: Mapping[str, Task[..., Any]]) -> list[str]:
        """Return the tasks that this pool runs beside a newer one, as they were defined before."""
        mine, theirs = self.pool, pool
        if mine is theirs or not mine.running or mine.server != theirs.server:
            return []
        if mine.spec.namespace != theirs.spec.namespace or mine.pool_id == self.replaced:
            return []
        return [
            name
            for name, task in known.items()
            if (older := self.known.get(name, task)) is not task
            and is_again(older.function, task.function)
        ]

    def _check_values(self, values: Values) -> None:
        """Refuse to start without what a task wants: not each lifespan says what it yields."""
        for task in self.known.values():
            for parameter, kind in task.resources.items():
                try:
                    values.find(kind)
                except PoolState as error:
                    raise InvalidHandler(
                        f"task {task.name!r}: {parameter} wants {named(kind)}, and {error}"
                    ) from None

    @staticmethod
    def _check_resources(tasks: Tasks) -> None:
        lifespans = tasks.lifespans
        for task in tasks:
            for parameter, kind in task.resources.items():
                _check_resource(task.name, parameter, kind, lifespans)

    def _plan(self, entry: CronEntry) -> None:
        key = (entry.spec, entry.task.name)
        if key not in self._entries:
            self.pool.periodically_enqueue(*key, catch_up_s=entry.catch_up_s)
            self._entries.add(key)


def _check_resource(
    task: str, parameter: str, kind: Any, lifespans: list[Callable[[], Any]]
) -> None:
    known = [yields(lifespan) for lifespan in lifespans]
    if any(each is None or _fits(each, kind) for each in known):
        return
    raise InvalidHandler(
        f"task {task!r}: {parameter} has the type {named(kind)}, which has no JSON form, and no "
        "lifespan of the registry yields one; annotate it with a type of args, or register a "
        f"lifespan that "
        f"yields {named(kind)}"
    )


def _fits(known: Any, wanted: Any) -> bool:
    """Tell whether an object of one of the known classes may be one of the wanted ones."""
    some = getattr(known, "__args__", (known,))
    try:
        return any(issubclass(each, wanted) for each in some)
    except TypeError:  # a protocol with attributes; then the value decides
        return True
