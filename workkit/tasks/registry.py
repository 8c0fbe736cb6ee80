"""The registry of tasks: it knows functions and options, and no server until it is connected."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from types import CodeType
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Literal,
    NamedTuple,
    ParamSpec,
    Protocol,
    TypeVar,
    Unpack,
    overload,
)
from weakref import ReferenceType, WeakSet

from workkit.core.options import (
    EnqueuerKeywords,
    JobKeywords,
    check_catch_up,
    check_unknown,
    shown,
)
from workkit.engine.handling.job_options import read_options
from workkit.engine.handling.lifespans import read_lifespan
from workkit.errors import InvalidHandler, InvalidName, InvalidOption
from workkit.store.keys import check_name
from workkit.tasks.codec import Codec
from workkit.tasks.definitions import is_again, names_of, place, run_of
from workkit.tasks.modes import Modes
from workkit.tasks.outlet import Outlet, ServerOutlet, Unconnected
from workkit.tasks.signature import RESOURCE, check_upgrade, read_parameters
from workkit.tasks.task import Task

if TYPE_CHECKING:
    from workkit.store.connections.target import RedisLike

__all__ = ["CronEntry", "TaskKeywords", "Tasks"]

P = ParamSpec("P")
R = TypeVar("R")
L = TypeVar("L", bound=Callable[[], Any])

Upgrade = Callable[[dict[str, Any]], Mapping[str, Any]]

_OWN: Final = ("name", "unknown", "upgrade")


class TaskKeywords(JobKeywords, total=False):
    """The options of a task as keyword arguments, for type checkers."""

    name: str
    unknown: Literal["refuse", "ignore"]
    upgrade: Upgrade | None


class CronEntry(NamedTuple):
    """A task that is enqueued by the clock.

    Attributes:
        spec: When.
        task: The task; it runs with its defaults.
        catch_up_s: How old a missed slot may be to run, seconds.
    """

    spec: str
    task: Task[..., Any]
    catch_up_s: int


class _Watcher(Protocol):
    """A pool that runs the tasks of a registry."""

    def update(self, tasks: Tasks) -> None:
        """Register what is new."""
        ...


class _Decorator(Protocol):
    """Makes a task of a function."""

    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...


class Tasks(Modes):
    """A registry of tasks, for any number of pools and enqueuers::

        tasks = Tasks()

        @tasks.task(max_fails=3, timeout=30)
        def send_email(address: str, subject: str) -> None:
            deliver(address, subject)

        send_email("a@example.com", subject="hi")          # runs here
        enqueuer.enqueue(send_email.call("a@example.com", subject="hi"))
        pool = WorkerPool("work", "redis://localhost:6379", tasks=tasks)

    It imports no Redis. After `connect`, tasks can enqueue themselves: ``send_email.enqueue(...)``.

    Attributes:
        outlet: Where the calls of `Task.enqueue` go.
    """  # noqa: D415 - the line is followed by code

    def __init__(self) -> None:
        self._tasks: dict[str, Task[..., Any]] = {}
        self._runs: dict[str, ReferenceType[CodeType] | None] = {}
        self._cron: list[CronEntry] = []
        self._lifespans: list[Callable[[], Any]] = []
        self._watchers: WeakSet[_Watcher] = WeakSet()
        self.outlet: Outlet = Unconnected()

    # Registering.

    @overload
    def task(self, function: Callable[P, R], /, **options: Unpack[TaskKeywords]) -> Task[P, R]: ...
    @overload
    def task(self, /, **options: Unpack[TaskKeywords]) -> _Decorator: ...

    def task(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Register a function as a task, by a call or as a decorator, with or without options.

        The parameters of the function are the args of its jobs; each needs an annotation.
        docs/tasks.md lists the types.

        Args:
            function: ``def`` or ``async def``. It fails by raising; `Retry`, `Fail` and `Discard`
                decide what becomes of the job.
            **options: The fields of `JobOptions`, and these:
                name: The job's name; by default the function's.
                unknown: "refuse" (default): a job with an arg that the function does not take is
                dead at once. "ignore": the arg is left out, for rolling deployments.
                upgrade: Takes the args of each job as a dict and returns those of today, for older
                payloads.

        Returns:
            The task, or a decorator.

        Raises:
            InvalidHandler: The function cannot be a task; the message shows the right form.
            InvalidName: The name is empty, reserved or taken.
            InvalidOption: An option is unknown or out of its range.
        """
        frame = inspect.currentframe()
        names, run = names_of(frame), run_of(frame)
        if function is not None:
            return self._keep(self._make(function, options, names), run)

        def decorate(function: Callable[P, R], /) -> Task[P, R]:
            return self._keep(self._make(function, options, names), run)

        return decorate

    def cron(
        self, spec: str, /, *, catch_up_s: int = 3_600, **options: Unpack[TaskKeywords]
    ) -> _Decorator:
        """Register a function as a task that is enqueued by the clock, with its defaults.

        It also takes a task that is registered already: write it above ``@tasks.task``.

        Args:
            spec: As for `WorkerPool.periodically_enqueue`.
            catch_up_s: As for `WorkerPool.periodically_enqueue`.
            **options: As for `task`.

        Returns:
            A decorator, which returns the task.

        Raises:
            InvalidSpec: The spec is outside the grammar, or never due.
            InvalidHandler: As for `task`, or a parameter has no default.
            InvalidName: As for `task`.
            InvalidOption: As for `task`, or `catch_up_s` is out of its range.
        """
        from workkit.cron import parse

        if not isinstance(spec, str):
            raise InvalidOption(f'cron needs a spec: @tasks.cron("0 4 * * *"), not {shown(spec)}')
        parse(spec)
        check_catch_up(catch_up_s)
        frame = inspect.currentframe()
        names, run = names_of(frame), run_of(frame)

        def decorate(function: Callable[P, R], /) -> Task[P, R]:
            made: Task[P, R]
            if isinstance(function, Task):
                if options:
                    raise InvalidOption(f"give the options of {function.name!r} to tasks.task")
                made = function
            else:
                made = self._make(function, options, names)
            made.check_runs_without_args()
            self._keep(made, run)
            entry = CronEntry(spec, made, catch_up_s)
            self._cron = [
                each for each in self._cron if (each.spec, each.task.name) != (spec, made.name)
            ]
            self._cron.append(entry)
            self._changed()
            return made

        return decorate

    def lifespan(self, function: L) -> L:
        """Register what each pool opens before its first job and closes after its last.

        Args:
            function: An async generator function (or a sync one) without parameters that yields
                once. It runs on the handlers' loop. A parameter annotated with the class of what
                it yields gets that object.

        Returns:
            The function.

        Raises:
            InvalidHandler: It is another function.
        """
        read_lifespan(function)
        self._lifespans.append(function)
        self._changed()
        return function

    @property
    def resource(self) -> Any:
        """The default of a parameter that gets what a lifespan yields.

        With it, the parameter may be left out of calls: ``http: Client = tasks.resource``.
        """
        return RESOURCE

    def _make(
        self, function: Callable[P, R], options: Mapping[str, Any], names: Mapping[str, Any]
    ) -> Task[P, R]:
        if isinstance(function, Task):
            raise InvalidHandler(f"{function!r} is a task already; decorate the function")
        own = options.get("name", getattr(function, "__name__", ""))
        if not own and "name" not in options:
            raise InvalidName(
                f"{shown(function)} has no name; write a function with def, or name the task: "
                "@tasks.task(name=...)"
            )
        if own == "<lambda>":
            raise InvalidName("a lambda has no name and no annotations; write a function with def")
        name = check_name(own)
        job_options = read_options(
            name, {key: each for key, each in options.items() if key not in _OWN}, *_OWN
        )
        unknown, upgrade = options.get("unknown", "refuse"), options.get("upgrade")
        if unknown not in {"refuse", "ignore"}:
            raise InvalidOption(
                f'task {name!r}: unknown must be "refuse" or "ignore", not {shown(unknown)}'
            )
        check_upgrade(name, upgrade)
        parameters = read_parameters(name, function, names)
        codec = Codec(
            name,
            [parameter for parameter in parameters if not parameter.is_resource],
            ignore_unknown=unknown == "ignore",
            upgrade=upgrade,
            provided={each.name: each.type for each in parameters if each.is_resource},
        )
        return Task(name, function, parameters, codec, job_options, self)

    def _keep(self, task: Task[P, R], run: ReferenceType[CodeType] | None) -> Task[P, R]:
        """Add a task, or replace one whose function is defined again."""
        known = self._tasks.get(task.name)
        if known is task:
            return task
        former = self._runs.get(task.name)
        is_later_run = run is None or former is None or former() is not run()
        if known is not None and not is_again(
            known.function, task.function, is_later_run=is_later_run
        ):
            raise InvalidName(
                f"task {task.name!r} is registered already, by {place(known.function)}; give one "
                "of them another name: @tasks.task(name=...)"
            )
        self._runs[task.name] = run
        self._tasks[task.name] = task
        self._cron = [
            each._replace(task=task) if each.task is known else each for each in self._cron
        ]
        self._changed()
        return task

    def watch(self, watcher: _Watcher) -> None:
        """Tell a pool about later registrations, as long as it exists."""
        self._watchers.add(watcher)

    def _changed(self) -> None:
        for watcher in list(self._watchers):
            watcher.update(self)

    # Reading.

    def __iter__(self) -> Iterator[Task[..., Any]]:
        """Iterate over the tasks, in the order of registration."""
        return iter(list(self._tasks.values()))

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a task of a name."""
        return name in self._tasks

    def __getitem__(self, name: str) -> Task[..., Any]:
        """Return the task of a name.

        Raises:
            KeyError: There is none.
        """
        return self._tasks[name]

    def __repr__(self) -> str:
        return f"Tasks({', '.join(self._tasks)})"

    @property
    def cron_entries(self) -> list[CronEntry]:
        """The tasks that are enqueued by the clock; a copy."""
        return list(self._cron)

    @property
    def lifespans(self) -> list[Callable[[], Any]]:
        """The lifespans; a copy."""
        return list(self._lifespans)

    # Enqueuing.

    def connect(
        self, namespace: str, redis: RedisLike, **options: Unpack[EnqueuerKeywords]
    ) -> None:
        """Say where `Task.enqueue` and its siblings enqueue; connections open when they are used.

        Args:
            namespace: Prefix of all Redis keys.
            redis: A redis-py client or a URL.
            **options: Further options of `Enqueuer`, such as `max_job_bytes`.

        Raises:
            InvalidOption: `redis` is neither a client nor a URL, or an option is unknown or not
                valid.
            InvalidName: The namespace is not valid.
        """
        check_unknown("tasks.connect", options, EnqueuerKeywords.__annotations__)
        self.close()
        self.outlet = ServerOutlet(namespace, redis, **options)

    def close(self) -> None:
        """Close the connections of `Task.enqueue`; they open again when needed."""
        if isinstance(self.outlet, ServerOutlet):
            self.outlet.close()

    async def close_async(self) -> None:
        """Close the connections of this event loop; they open again when needed."""
        if isinstance(self.outlet, ServerOutlet):
            await self.outlet.close_async()
