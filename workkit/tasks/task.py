"""A task: a function with a real signature, whose parameters are the args of a job."""

from __future__ import annotations

import datetime
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

import msgspec

from workkit.core.call import Call, TaskCall
from workkit.core.job import Job
from workkit.core.options import JobOptions
from workkit.core.records import ScheduledJob
from workkit.engine.handling.handlers import Handler
from workkit.engine.handling.shapes import is_async
from workkit.errors import InvalidHandler
from workkit.tasks.codec import Codec
from workkit.tasks.outlet import Outlet
from workkit.tasks.resources import Finder
from workkit.tasks.signature import Parameter

__all__ = ["Task"]

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class _Registry(Protocol):
    """A registry, as its tasks see it."""

    outlet: Outlet


class Task(Generic[P, R_co]):
    """A function that can be called, and enqueued with the same arguments.

    `Tasks.task` makes it. A plain call runs the function here; `call` makes a `Call` for an
    enqueuer; the other methods enqueue one, once the registry is connected. Each has the
    parameters of the function, for type checkers and at run time.

    Attributes:
        name: The job's name.
        function: The function.
        options: How its jobs are processed.

    The methods that enqueue raise as those of `Enqueuer`, and `InvalidArgs` if the arguments do not
    fit the parameters. They raise `PoolState` if `Tasks.connect` was not called.
    """

    def __init__(
        self,
        name: str,
        function: Callable[P, R_co],
        parameters: list[Parameter],
        codec: Codec,
        options: JobOptions,
        registry: _Registry,
    ) -> None:
        self.name = name
        self.function = function
        self.options = options
        self._parameters = parameters
        self._codec = codec
        self._registry = registry
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Run the function here, without Redis."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Task({self.name!r})"

    def __reduce__(self) -> str:
        """Pickle by reference, as functions are, so that a pool of processes can run the task."""
        return getattr(self, "__qualname__", self.name)

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call:
        """Return a call of this task, for any method of an enqueuer.

        Raises:
            InvalidArgs: The arguments do not fit the parameters; the message names the place.
        """
        call = TaskCall(self.name, self._codec.encode(args, kwargs))
        call.registry = self._registry
        return call

    # Enqueuing from threads.

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job:
        """Enqueue a call; see `Enqueuer.enqueue`."""
        job: Job = self._registry.outlet.enqueuer.enqueue(self.call(*args, **kwargs))
        return job

    def enqueue_in(self, seconds: float, /, *args: P.args, **kwargs: P.kwargs) -> ScheduledJob:
        """Schedule a call some seconds from now; see `Enqueuer.enqueue_in`."""
        job: ScheduledJob = self._registry.outlet.enqueuer.enqueue_in(
            self.call(*args, **kwargs), seconds
        )
        return job

    def enqueue_at(
        self, when: datetime.datetime | float, /, *args: P.args, **kwargs: P.kwargs
    ) -> ScheduledJob:
        """Schedule a call for a point in time; see `Enqueuer.enqueue_at`."""
        job: ScheduledJob = self._registry.outlet.enqueuer.enqueue_at(
            self.call(*args, **kwargs), when
        )
        return job

    def enqueue_unique(self, *args: P.args, **kwargs: P.kwargs) -> Job | None:
        """Enqueue a call unless the same one is waiting; see `Enqueuer.enqueue_unique`."""
        job: Job | None = self._registry.outlet.enqueuer.enqueue_unique(self.call(*args, **kwargs))
        return job

    def enqueue_unique_in(
        self, seconds: float, /, *args: P.args, **kwargs: P.kwargs
    ) -> ScheduledJob | None:
        """Schedule a call unless the same one is waiting; see `Enqueuer.enqueue_unique_in`."""
        call = self.call(*args, **kwargs)
        job: ScheduledJob | None = self._registry.outlet.enqueuer.enqueue_unique_in(call, seconds)
        return job

    def enqueue_unique_by_key(
        self, key: Mapping[str, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job | None:
        """Enqueue a call or update the one that waits; see `Enqueuer.enqueue_unique_by_key`."""
        call = self.call(*args, **kwargs)
        job: Job | None = self._registry.outlet.enqueuer.enqueue_unique_by_key(call, key)
        return job

    def enqueue_unique_in_by_key(
        self, seconds: float, key: Mapping[str, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> ScheduledJob | None:
        """Schedule a call or update the one that waits; see `Enqueuer.enqueue_unique_in_by_key`."""
        call, enqueuer = self.call(*args, **kwargs), self._registry.outlet.enqueuer
        job: ScheduledJob | None = enqueuer.enqueue_unique_in_by_key(call, seconds, key)
        return job

    # Enqueuing from asyncio.

    async def enqueue_async(self, *args: P.args, **kwargs: P.kwargs) -> Job:
        """Enqueue a call; see `Enqueuer.enqueue`."""
        job: Job = await self._registry.outlet.async_enqueuer.enqueue(self.call(*args, **kwargs))
        return job

    async def enqueue_in_async(
        self, seconds: float, /, *args: P.args, **kwargs: P.kwargs
    ) -> ScheduledJob:
        """Schedule a call some seconds from now; see `Enqueuer.enqueue_in`."""
        call = self.call(*args, **kwargs)
        job: ScheduledJob = await self._registry.outlet.async_enqueuer.enqueue_in(call, seconds)
        return job

    async def enqueue_at_async(
        self, when: datetime.datetime | float, /, *args: P.args, **kwargs: P.kwargs
    ) -> ScheduledJob:
        """Schedule a call for a point in time; see `Enqueuer.enqueue_at`."""
        call = self.call(*args, **kwargs)
        job: ScheduledJob = await self._registry.outlet.async_enqueuer.enqueue_at(call, when)
        return job

    async def enqueue_unique_async(self, *args: P.args, **kwargs: P.kwargs) -> Job | None:
        """Enqueue a call unless the same one is waiting; see `Enqueuer.enqueue_unique`."""
        call = self.call(*args, **kwargs)
        job: Job | None = await self._registry.outlet.async_enqueuer.enqueue_unique(call)
        return job

    async def enqueue_unique_in_async(
        self, seconds: float, /, *args: P.args, **kwargs: P.kwargs
    ) -> ScheduledJob | None:
        """Schedule a call unless the same one is waiting; see `Enqueuer.enqueue_unique_in`."""
        call, enqueuer = self.call(*args, **kwargs), self._registry.outlet.async_enqueuer
        job: ScheduledJob | None = await enqueuer.enqueue_unique_in(call, seconds)
        return job

    async def enqueue_unique_by_key_async(
        self, key: Mapping[str, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job | None:
        """Enqueue a call or update the one that waits; see `Enqueuer.enqueue_unique_by_key`."""
        call, enqueuer = self.call(*args, **kwargs), self._registry.outlet.async_enqueuer
        job: Job | None = await enqueuer.enqueue_unique_by_key(call, key)
        return job

    async def enqueue_unique_in_by_key_async(
        self, seconds: float, key: Mapping[str, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> ScheduledJob | None:
        """Schedule a call or update the one that waits; see `Enqueuer.enqueue_unique_in_by_key`."""
        call, enqueuer = self.call(*args, **kwargs), self._registry.outlet.async_enqueuer
        job: ScheduledJob | None = await enqueuer.enqueue_unique_in_by_key(call, seconds, key)
        return job

    # For pools.

    @property
    def resources(self) -> dict[str, Any]:
        """The parameters that lifespans provide, with their annotations."""
        return {each.name: each.type for each in self._parameters if each.is_resource}

    def check_runs_without_args(self) -> None:
        """Check that each parameter has a default, as cron jobs have no args.

        Raises:
            InvalidHandler: One has none.
        """
        empty = inspect.Parameter.empty
        if needs := [
            each.name for each in self._parameters if each.default is empty and not each.is_resource
        ]:
            raise InvalidHandler(
                f"task {self.name!r} is enqueued by the clock without args, so {needs[0]} needs a "
                f"default: {needs[0]}=..."
            )

    @property
    def signature(self) -> bytes:
        """What pools publish of its parameters, see `workkit.core.signatures`."""
        return self._codec.published

    def check_args(self, args: Mapping[str, Any] | None) -> None:
        """Check the args of a job as its handler will.

        Raises:
            ArgsMismatch: They do not fit.
        """
        self._codec.decode(dict(args or {}))

    def handler(self, resources: Finder) -> Handler:
        """Return the handler of this task's jobs for one pool.

        Args:
            resources: Finds what the pool's lifespans have yielded.
        """
        run = self._runner(resources)
        run.__qualname__ = getattr(self.function, "__qualname__", self.name)
        return Handler(run, is_async(self.function), takes_context=False)

    def _runner(self, resources: Finder) -> Callable[[Job], Any]:
        """Return a function of the job that calls the user's; short, since each job calls it."""
        function: Callable[..., Any] = self.function
        decode, astuple = self._codec.decode, msgspec.structs.astuple
        wanted = self.resources
        args = [each for each in self._parameters if not each.is_resource]
        if wanted or any(each.by_name for each in args):
            return self._run_by_name(resources)
        plain, convert, refused = self._codec.plain, msgspec.convert, msgspec.ValidationError
        if plain is None:
            return lambda job: function(*astuple(decode(job.args)))

        def run(job: Job) -> Any:
            try:
                values = convert(job.args, plain)
            except refused:
                values = decode(job.args)  # no args, or an error that it explains
            return function(*astuple(values))

        return run

    def _run_by_name(self, resources: Finder) -> Callable[[Job], Any]:
        """Return a function of the job that passes all parameters by name."""
        function: Callable[..., Any] = self.function
        decode, astuple = self._codec.decode, msgspec.structs.astuple
        wanted, task = self.resources, self.name
        args = [each for each in self._parameters if not each.is_resource]
        names = [each.name for each in args]

        def run(job: Job) -> Any:
            values = dict(zip(names, astuple(decode(job.args)), strict=True))
            for name, kind in wanted.items():
                values[name] = resources.find(kind, task, name)
            return function(**values)

        return run
