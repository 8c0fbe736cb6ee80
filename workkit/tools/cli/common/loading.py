"""Loads the pool or the registry of tasks that `workkit worker` runs."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from workkit.tools.cli.common.importing import (
    LoadError,
    dotted_name,
    failure_text,
    import_all,
    import_module,
)

if TYPE_CHECKING:
    from workkit.pool import WorkerPool
    from workkit.store.connections.target import RedisLike
    from workkit.tasks import Tasks

__all__ = ["Settings", "Target", "load_target", "pool_for"]

_log = logging.getLogger("workkit")

#: What a worker can run.
Target: TypeAlias = "WorkerPool | Tasks"

#: Where a registry is processed if nobody says so.
DEFAULT_REDIS: Final = "redis://localhost:6379/0"
DEFAULT_NAMESPACE: Final = "work"


class Settings(NamedTuple):
    """The settings of a pool that runs a registry; None for one that is not given.

    Attributes:
        namespace: Prefix of all keys.
        redis: The server's URL.
        concurrency: How many handlers run at once.
        options: The options of the command line that gave some of them, for a message.
    """

    namespace: str | None = None
    redis: str | None = None
    concurrency: int | None = None
    options: tuple[str, ...] = ()


def load_target(target: str, imports: Sequence[str] = ()) -> Target:
    """Import modules and return the pool or the registry in the first one.

    Args:
        target: "package.module:name", where "name" is a `WorkerPool`, a `Tasks` registry, or a
            function without arguments that makes one; dots select attributes of attributes.
        imports: Further modules, which register tasks; of a package, all modules.

    Raises:
        LoadError: A module or the object does not exist, or its code fails.
    """
    from workkit.engine.running import IMPORTING

    module_name, _, path = target.partition(":")
    path = path.removesuffix("()")
    _check_module_name(module_name, path)
    token = IMPORTING.set(module_name)
    try:
        module = import_module(module_name)
        import_all(imports)
        return _find(target, module, path)
    finally:
        IMPORTING.reset(token)


def pool_for(loaded: Target, target: str, settings: Settings) -> WorkerPool:
    """Return the loaded pool, or make one for the loaded registry.

    A registry without a server gets that of its pool, so that its tasks can enqueue each other.

    Args:
        loaded: A pool, or a registry, for which a pool is made.
        target: How the user called it.
        settings: Where a registry is processed; by default where its tasks enqueue.

    Raises:
        LoadError: Settings were given for a pool, which has its own.
        WorkkitError: The settings or the tasks are not valid.
    """
    from workkit.pool import WorkerPool
    from workkit.tasks.outlet import ServerOutlet

    if isinstance(loaded, WorkerPool):
        if settings.options:
            raise LoadError(
                f"{target!r} is a pool, which has its own server, namespace and concurrency; "
                f"{', '.join(settings.options)} is for a Tasks registry"
            )
        return loaded
    known = loaded.outlet.server if isinstance(loaded.outlet, ServerOutlet) else None
    namespace, redis = known or (DEFAULT_NAMESPACE, DEFAULT_REDIS)
    namespace = namespace if settings.namespace is None else settings.namespace
    redis = redis if settings.redis is None else settings.redis
    more: dict[str, Any] = (
        {} if settings.concurrency is None else {"concurrency": settings.concurrency}
    )
    pool = WorkerPool(namespace, redis, tasks=loaded, **more)
    if known is None:
        loaded.connect(namespace, redis)
    elif (there := _place(*known)) != (here := _place(namespace, redis)):
        _log.warning(
            "the tasks of %s enqueue to %s, but this worker processes %s", target, there, here
        )
    return pool


def _place(namespace: str, redis: RedisLike) -> str:
    from workkit.store.connections.target import Target as Server

    return f"namespace {namespace!r} on {Server.of(redis, namespace).label}"


def _find(target: str, module: ModuleType, path: str) -> Target:
    module_name = module.__name__
    if not path:
        raise LoadError(f"name the tasks or the pool of {module_name!r}.{_suggest(module)}")
    found: Any = module
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise LoadError(f"{module_name!r} has no {path!r}.{_suggest(module)}") from None
    return _checked(_made(found, target, module), target, module)


def _check_module_name(module_name: str, path: str) -> None:
    """Refuse file names, the most common mistake, and show the right spelling."""
    dotted = dotted_name(module_name)
    if not dotted:
        raise LoadError(
            f"{module_name!r} is not a module; write workkit worker package.module:tasks"
        )
    if dotted != module_name:
        raise LoadError(
            f"{module_name!r} is a file; name the module: workkit worker {dotted}:{path or 'tasks'}"
        )


def _made(found: Any, target: str, module: ModuleType) -> Any:
    """Call a function that makes a pool or a registry; return other objects as they are."""
    from workkit.tasks import Task

    if isinstance(found, Task):
        raise LoadError(f"{target!r} is one task; name its registry.{_suggest(module)}")
    if _is_target(found):
        return found
    if not callable(found) or isinstance(found, type):
        raise LoadError(
            f"{target!r} is {_article(found)}, not a Tasks registry, a WorkerPool or a function "
            f"that makes one.{_suggest(module)}"
        )
    try:
        made = found()
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything
        raise LoadError(failure_text(f"{target!r} failed when it was called", error)) from None
    if inspect.iscoroutine(made):
        made.close()  # else Python warns that nobody has awaited it
        raise LoadError(
            f"{target!r} is an async function; make the pool in a function with `def`, and open "
            "what needs an event loop in a lifespan"
        )
    if not _is_target(made):
        raise LoadError(
            f"{target!r} returned {_article(made)}, not a Tasks registry or a WorkerPool."
            f"{_suggest(module)}"
        )
    return made


def _checked(found: Any, target: str, module: ModuleType) -> Target:
    """Refuse what cannot run."""
    from workkit.tasks import Tasks

    if isinstance(found, Tasks):
        if not len(found):
            raise LoadError(
                f"{target!r} has no tasks; name the modules that register them: "
                f"--import {module.__name__.partition('.')[0]}.more_tasks"
            )
        return found
    if found.pool_id:  # started by the import of its module, as in a script
        raise LoadError(
            f"{target!r} was started while {module.__name__!r} was imported: put pool.start(), "
            'pool.run() and other code only for a script below `if __name__ == "__main__":`'
        )
    pool: WorkerPool = found
    return pool


def _is_target(value: object) -> bool:
    from workkit.pool import WorkerPool
    from workkit.tasks import Tasks

    return isinstance(value, WorkerPool | Tasks)


def _article(value: object) -> str:
    return "a class" if isinstance(value, type) else f"an object of type {type(value).__name__!r}"


def _suggest(module: ModuleType) -> str:
    """Name the registries and pools of a module."""
    names = [name for name, value in vars(module).items() if _is_target(value)]
    if not names:
        return f" No Tasks registry or WorkerPool was found in {module.__name__!r}."
    commands = " or ".join(f"workkit worker {module.__name__}:{name}" for name in names)
    return f" Try {commands}"
