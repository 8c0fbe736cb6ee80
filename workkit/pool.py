"""The worker pool: registers handlers, runs the engine on threads, stops without losing a job."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar, Unpack, overload

from workkit.core.call import Call
from workkit.core.clock import Clock, SystemClock
from workkit.core.entropy import Entropy
from workkit.core.job import Job
from workkit.core.options import MAX_JOB_BYTES, HistoryOptions, JobKeywords, check_job_bytes
from workkit.core.probes import Probe, Where
from workkit.core.records import Drained
from workkit.engine.driver import PoolDriver
from workkit.engine.handling import events
from workkit.engine.handling.events import EventName, ReapedPool
from workkit.engine.handling.handlers import Registration, read_middleware
from workkit.engine.handling.lifespans import read_lifespan
from workkit.engine.handling.shapes import AnyHandler, AnyMiddleware
from workkit.engine.lifecycle import PoolLife
from workkit.engine.observing import PoolObserver
from workkit.engine.process.sources import Sources
from workkit.engine.registering import check_pool, register_job, register_periodic, register_task
from workkit.engine.runners import HandlerRunner, Runner
from workkit.engine.running import Run
from workkit.engine.spec import PoolSpec
from workkit.engine.surroundings import Surroundings
from workkit.errors import InvalidHandler, PoolState
from workkit.store.connections.target import RedisLike, Target
from workkit.store.keys import Keys, check_name
from workkit.tasks.joining import Joined
from workkit.tasks.registry import Tasks
from workkit.tasks.task import Task

__all__ = ["Drained", "WorkerPool"]

F = TypeVar("F", bound=AnyHandler)
M = TypeVar("M", bound=AnyMiddleware)
H = TypeVar("H", bound=Callable[[], object])
L = TypeVar("L", bound=Callable[[], AsyncIterator[Any]] | Callable[[], Iterator[Any]])

#: Polling intervals if the server does not announce changes, milliseconds. The original goes on to
#: 5 s, but there each worker polls for itself; here one dispatcher polls for all.
SLEEP_BACKOFFS_MS: Final = (0, 10, 100, 1_000)


class WorkerPool(PoolLife):
    """Processes jobs.

    Register the handlers first, then start the pool::

        pool = WorkerPool("work", "redis://localhost:6379", concurrency=20)

        @pool.job(max_fails=3)
        def send_email(job):
            deliver(job.arg_str("address"))

        if __name__ == "__main__":
            pool.run()

    In asyncio: ``await pool.run_async()``, or ``async with pool:``.

    Args:
        namespace: Prefix of all Redis keys; the same as the enqueuer's.
        redis: A redis-py client or a URL. The pool opens separate connections to that server, with
            its own timeouts: docs/reliability.md.
        concurrency: How many handlers run at once, sync and async together; 1 to 10000.
        context: Makes a new context per job, for handlers with ``(ctx, job)``; sync or async.
        history: How much history of executed jobs to keep; None for no history.
        sleep_backoffs: Waits between looks at empty queues, milliseconds; used only if the server
            does not announce changes.
        max_recoveries: A job whose process died this many times while it ran goes to the dead set.
        max_job_bytes: A larger cron job is refused; 1 MiB by default.
        tasks: A registry whose tasks the pool runs, with its cron entries and lifespans. Tasks that
            are registered there before the pool starts are added.

    Raises:
        InvalidOption: An option is out of its range.
        InvalidName: The namespace is not valid.
        InvalidHandler: A task wants an object that no lifespan yields.
    """

    def __init__(
        self,
        namespace: str,
        redis: RedisLike,
        *,
        concurrency: int = 10,
        context: Callable[[], Any] | None = None,
        history: HistoryOptions | None = HistoryOptions(),  # noqa: B008 - frozen
        sleep_backoffs: Sequence[int] = SLEEP_BACKOFFS_MS,
        max_recoveries: int = 3,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        max_job_bytes: int = MAX_JOB_BYTES,
        tasks: Tasks | None = None,
    ) -> None:
        Keys(namespace)
        self._target = target = Target.of(redis, namespace)
        check_pool(concurrency, context, history, sleep_backoffs, max_recoveries, clock, entropy)
        max_bytes = check_job_bytes(max_job_bytes)
        self._spec = spec = PoolSpec(
            namespace, concurrency, context, history, max_recoveries, max_bytes,
            where=Where(namespace, *target.address),
        )  # fmt: skip
        sources = Sources(
            SystemClock() if clock is None else clock, Entropy() if entropy is None else entropy
        )
        surroundings = Surroundings(spec)

        def make_runner(
            worker_ids: Sequence[str], done: Callable[[Any], None], own: Sources
        ) -> Runner:
            return HandlerRunner(worker_ids, done, own, surroundings.loop)

        def make_driver() -> PoolDriver:
            backoffs_s = [ms / 1000 for ms in sleep_backoffs]
            return PoolDriver(spec, target, sources, backoffs_s, make_runner)

        self._run = Run(spec, make_driver, surroundings, sources.clock)
        self._joined = Joined(self, tasks) if tasks is not None else None
        self._tasks = tasks

    # Registering.

    @property
    def tasks(self) -> Tasks | None:
        """The registry whose tasks the pool runs; None without one."""
        return self._tasks

    @property
    def spec(self) -> PoolSpec:
        """All registrations and options; the simulator builds its pools from them."""
        return self._spec

    @overload
    def job(self, name: str, handler: F, **options: Unpack[JobKeywords]) -> F: ...
    @overload
    def job(self, name: F, handler: None = None, **options: Unpack[JobKeywords]) -> F: ...
    @overload
    def job(
        self, name: str | None = None, handler: None = None, **options: Unpack[JobKeywords]
    ) -> Callable[[F], F]: ...

    def job(
        self,
        name: str | Callable[..., Any] | None = None,
        handler: Callable[..., Any] | None = None,
        **options: Any,
    ) -> Any:
        """Register a handler, by a call or as a decorator.

        Args:
            name: The job's name; the decorator uses the function's name by default.
            handler: ``def`` or ``async def`` with ``(job)`` or ``(ctx, job)``. It fails by raising;
                an awaitable result is awaited.
            **options: The fields of `JobOptions`.

        Returns:
            The handler, or a decorator.

        Raises:
            InvalidName: The name is empty or reserved.
            InvalidHandler: The handler has another signature.
            InvalidOption: An option is unknown or out of its range.
            PoolState: The pool has been started, or the name is taken.
        """
        for given in (name, handler):
            if isinstance(given, (Call, Task, Tasks)):
                raise InvalidHandler(
                    f"{given!r} belongs to a registry of tasks, and handlers take a job; "
                    "give the pool the registry: WorkerPool(..., tasks=...)"
                )
        if callable(name):
            if handler is not None:
                raise InvalidHandler("the job's name comes first: pool.job(name, handler)")
            return self.job(None, None, **options)(name)
        if handler is None:
            if name is not None:
                check_name(name)

            def register(function: F) -> F:
                own = name if name is not None else getattr(function, "__name__", "")
                self._register(own, function, options)
                return function

            return register
        self._register(name, handler, options)
        return handler

    def _register(self, name: str | None, function: object, options: dict[str, Any]) -> None:
        self._refuse_if_started("register a job")
        register_job(self._spec, name, function, options)

    def register_task(self, registration: Registration, *, again: bool = False) -> None:
        """Register a task of a registry; `WorkerPool(tasks=...)` does it for all of them."""
        self._refuse_if_started("register a task")
        register_task(self._spec, registration, again=again)

    def middleware(self, function: M) -> M:
        """Register a function around every job, by a call or as a decorator.

        Args:
            function: ``def`` or ``async def`` with ``(job, next)`` or ``(ctx, job, next)``; it
                calls (or awaits) ``next()`` to continue, and the job fails if it raises. If it does
                not call ``next()``, the job ends without its handler. Async handlers are fast only
                behind async middleware.

        Returns:
            The function.

        Raises:
            InvalidHandler: It has another signature.
            PoolState: The pool has been started.
        """
        self._refuse_if_started("register middleware")
        has_context = self._spec.context is not None
        self._spec.middleware.append(read_middleware(function, has_context=has_context))
        return function

    def periodically_enqueue(
        self,
        spec: str,
        name: str,
        args: Mapping[str, Any] | None = None,
        *,
        catch_up_s: int = 3_600,
    ) -> None:
        """Enqueue a job by the clock: each slot once, even if several pools declare it.

        Args:
            spec: Five fields, six with leading seconds, a descriptor such as ``@hourly``, or
                ``@every 90s``. ``TZ=Europe/Berlin`` in front sets a zone other than the host's. A
                time that DST skips does not come that day; a time that DST repeats comes twice.
            name: The job's name; this pool need not handle it.
            args: The job's args. Go pools that plan the same slot enqueue it without args.
            catch_up_s: If no pool was running when slots were due, the newest of them still runs
                if it is at most this old, in seconds; 0 to 86400. A slot is dropped if it has
                waited in its queue for longer than this, and for more than a minute.

        Raises:
            InvalidSpec: The spec is outside the grammar, or never due (30 February).
            InvalidName: The name is empty or reserved.
            InvalidArgs: The args have no JSON form.
            InvalidOption: `catch_up_s` is out of its range.
            PoolState: The pool has been started, or has the same spec and name with other args.
        """
        self._refuse_if_started("register a cron job")
        register_periodic(self._spec, spec, name, args, catch_up_s)

    @overload
    def on(
        self, event: Literal["failed", "dead"], hook: Callable[[Job, BaseException], object]
    ) -> None: ...
    @overload
    def on(self, event: Literal["reaped"], hook: Callable[[ReapedPool], object]) -> None: ...

    def on(self, event: EventName, hook: Callable[..., Any]) -> None:
        """Call a function on an event, outside the handlers' time; its errors are only logged.

        Args:
            event: "failed" and "dead" call ``hook(job, error)``. "reaped" calls
                ``hook(reaped_pool)`` when this pool has recovered the jobs of a dead one.
            hook: The function, sync or async; an async one runs on the handlers' loop.

        Raises:
            InvalidOption: The event is unknown.
            InvalidHandler: The hook has another signature.
        """
        self._spec.events.on(event, hook)

    def observe(self, observer: PoolObserver) -> None:
        """Tell an observer what the pool does, for metrics; docs/telemetry.md.

        Args:
            observer: Hears of executions in batches, on the pool's own loops. Its errors are logged
                once.

        Raises:
            PoolState: The pool has been started.
        """
        self._refuse_if_started("register an observer")
        self._spec.observers.add(observer)

    def on_start(self, hook: H) -> H:
        """Call a function before the pool claims its first job; its error makes `start()` fail.

        An async function runs on the handlers' loop, so handlers can use a connection that it
        opens.
        """
        self._refuse_if_started("register a start hook")
        events.check_plain_hook("a start hook", hook)
        self._spec.start_hooks.append(hook)
        return hook

    def on_stop(self, hook: H) -> H:
        """Call a function after the pool has stopped; an async one runs on the handlers' loop."""
        events.check_plain_hook("a stop hook", hook)
        self._spec.stop_hooks.append(hook)
        return hook

    def lifespan(self, function: L) -> L:
        """Open before the first job what handlers use, and close it after the last.

        Several lifespans are entered in the order of registration, before the start hooks, and left
        in reverse, after the stop hooks, also if the pool stops by its timeout.

        Args:
            function: A generator function without arguments that yields once, with ``async def`` or
                ``def``. An async one runs on the handlers' loop, a sync one on a thread of its own.
                Handlers find the yielded value with `lifespan_value`.

        Returns:
            The function.

        Raises:
            InvalidHandler: It is not such a function.
            PoolState: The pool has been started.
        """
        self._refuse_if_started("register a lifespan")
        self._spec.lifespans.append(read_lifespan(function))
        return function

    @property
    def probes(self) -> tuple[Probe, ...]:
        """What watches the handlers of this pool, such as tracing; mostly nothing.

        The probes of the process come on top.

        Raises:
            PoolState: They are set after the pool has been started.
        """
        return self._spec.probes

    @probes.setter
    def probes(self, probes: tuple[Probe, ...]) -> None:
        self._refuse_if_started("set probes")
        self._spec.probes = probes

    def _refuse_if_started(self, what: str) -> None:
        if self._driver is not None:
            raise PoolState(f"cannot {what}: the pool has been started")

    @property
    def server(self) -> str:
        """The server for display, such as ``localhost:6379/0``; without a password."""
        return self._target.label
