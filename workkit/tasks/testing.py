"""Takes the place of a server in tests: records the jobs of a registry, or runs them at once."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from workkit.core.call import Call
from workkit.core.current import RUNNING, WORKER
from workkit.core.job import Job, Payload, read
from workkit.core.verdicts import Discard
from workkit.errors import PoolState
from workkit.store.calls.enqueue import Written
from workkit.tasks.resources import Resources

if TYPE_CHECKING:
    from workkit.engine.handling.handlers import Handler
    from workkit.tasks.registry import Tasks

__all__ = ["Inline", "RecordedCall", "Recorder", "TestMode"]

T = TypeVar("T")

#: Jobs that enqueue jobs that enqueue jobs: beyond this depth it is taken for an endless loop.
_DEEPEST: Final = 30
_depth: Final[ContextVar[int]] = ContextVar("workkit_inline_depth", default=0)


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A job that was enqueued in a test.

    Attributes:
        name: The task's name.
        args: The args as they were encoded to JSON and read back.
        when: When the job is due, epoch seconds; None for at once.
        unique: Whether it was enqueued as a unique job.
        job: The complete job, with its id, its unique key, and until when it is unique.
    """

    name: str
    args: Mapping[str, Any]
    when: int | None = None
    unique: bool = False
    job: Job = field(compare=False, repr=False, default=Job("", "", 0, None))

    @property
    def call(self) -> Call:
        """The call, to compare it with ``task.call(...)``."""
        return Call(self.name, dict(self.args))


class TestMode:
    """The common part of recording and running.

    Args:
        tasks: The registry whose jobs are taken.

    Attributes:
        tasks: The registry.
        calls: The jobs so far.
        is_open: False once its ``with`` block has ended: a task or thread may outlive it.
    """

    __test__ = False  # for pytest, which would collect it by its name

    def __init__(self, tasks: Tasks) -> None:
        self.tasks = tasks
        self.calls: list[RecordedCall] = []
        self.is_open = True
        self._lock = threading.Lock()

    def wants(self, name: str) -> bool:
        """Take the jobs of all tasks of the registry."""
        return self.is_open and name in self.tasks

    def _record(self, written: Written, job: Job) -> RecordedCall:
        call = RecordedCall(job.name, job.args or {}, written.run_at_s, job.unique, job)
        self.calls.append(call)
        return call


class Recorder(TestMode):
    """Collects jobs and runs none, so a unique job keeps waiting."""

    def take(self, job: Written) -> bool:
        """Record a job, unless it is a duplicate of a unique one."""
        new = read(job.raw).job(job.raw)
        with self._lock:
            if new.unique_key:
                for at, call in enumerate(self.calls):
                    if call.job.unique_key == new.unique_key:
                        if job.replaces and call.job.unique_until != "done":
                            self._update(at, new)
                        return False
            self._record(job, new)
        return True

    async def take_async(self, job: Written) -> bool:
        """Record a job; as `take`."""
        return self.take(job)

    def _update(self, at: int, new: Job) -> None:
        """Give the newest args to the job that waits."""
        call = self.calls[at]
        self.calls[at] = RecordedCall(call.name, new.args or {}, call.when, call.unique, call.job)


class Inline(TestMode):
    """Runs jobs at once.

    Args:
        tasks: The registry.
        resources: The objects for parameters that a lifespan provides in a pool.
    """

    def __init__(self, tasks: Tasks, resources: tuple[object, ...]) -> None:
        super().__init__(tasks)
        self._resources = Resources(resources)
        self._held: set[str] = set()

    def take(self, job: Written) -> bool:
        """Run a job; its errors go to the caller."""
        begun = self._begin(job)
        if begun is None:
            return False
        handler, new = begun
        context = contextvars.copy_context()
        try:
            result = context.run(_deeper, handler.function, new)
            if inspect.isawaitable(result):
                _run_awaitable(context, result)
        except Discard:
            pass
        finally:
            self._held.discard(new.unique_key)
        return True

    async def take_async(self, job: Written) -> bool:
        """Run a job on this event loop, or on a thread if its function is sync; as `take`."""
        begun = self._begin(job)
        if begun is None:
            return False
        handler, new = begun
        try:
            await asyncio.create_task(_awaited(handler, new))
        except Discard:
            pass
        finally:
            self._held.discard(new.unique_key)
        return True

    def _begin(self, job: Written) -> tuple[Handler, Job] | None:
        """Record a job; None if it is a duplicate of a unique job that runs until it is done."""
        new = read(job.raw).job(job.raw)
        if _depth.get() >= _DEEPEST:
            raise PoolState(
                f"{_DEEPEST} jobs have enqueued each other in tasks.inline(), the last one is "
                f"{new.name!r}; to test a task that enqueues itself again, use tasks.recorded()"
            )
        with self._lock:
            if new.unique_key in self._held:
                return None
            if new.unique_until == "done":
                self._held.add(new.unique_key)
            self._record(job, new)
        return self.tasks[new.name].handler(self._resources), new


def _deeper(function: Callable[[Job], T], job: Job) -> T:
    _enter(job)
    return function(job)


def _enter(job: Job) -> None:
    """Prepare the context of a handler; `current_job` finds the job there."""
    _depth.set(_depth.get() + 1)
    payload = read(job.raw)
    RUNNING.set(payload)
    WORKER.set(_Worker(_Execution(payload, job)))


class _Worker(NamedTuple):
    """What `current_job` needs of a worker."""

    current: _Execution


class _Execution(NamedTuple):
    """The part of an execution that `current_job` needs."""

    payload: Payload
    job: Job


async def _awaited(handler: Handler, job: Job) -> None:
    """Run a handler in a context of its own."""
    _enter(job)
    if handler.is_async:
        await handler.function(job)
        return
    result = await asyncio.to_thread(handler.function, job)
    if inspect.isawaitable(result):
        await result


def _run_awaitable(context: contextvars.Context, awaitable: Any) -> None:
    """Wait for an async handler; on a thread if an event loop runs on this one."""

    async def wait() -> None:
        await awaitable

    def run() -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            asyncio.run(wait())
            return
        errors: list[BaseException] = []
        thread_context = contextvars.copy_context()

        def work() -> None:
            try:
                thread_context.run(asyncio.run, wait())
            except BaseException as error:  # noqa: BLE001 - raised again on the caller's thread
                errors.append(error)

        thread = threading.Thread(target=work, name="workkit-inline")
        thread.start()
        thread.join()
        if errors:
            raise errors[0]

    context.run(run)
