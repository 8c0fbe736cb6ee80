"""An event loop in virtual time for the async handlers of one simulated pool."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NoReturn

from workkit.engine.handling.interrupt import Crossing
from workkit.simulation.machine.handler_stack import AwaitRequest, HandlerStack
from workkit.simulation.machine.host import Host
from workkit.simulation.machine.inside import HERE, inside
from workkit.simulation.machine.parking import HandlerBlocked, current_stack
from workkit.simulation.machine.refusing import NotSimulated, refuse
from workkit.simulation.machine.world import microseconds

__all__ = ["VirtualLoop"]

_log = logging.getLogger("workkit")


class _SerialFuture(asyncio.Future[Any]):
    """A future whose place in a set does not depend on its address."""

    __slots__ = ("serial",)

    def __init__(self, serial: int, loop: asyncio.AbstractEventLoop) -> None:
        self.serial = serial
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self.serial


class _SerialTask(asyncio.Task[Any]):
    """A task whose place in a set does not depend on its address."""

    __slots__ = ("serial",)

    def __init__(self, serial: int, coro: Any, **options: Any) -> None:
        self.serial = serial  # first, since asyncio puts a task into a set while it is made
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self.serial


class VirtualLoop(asyncio.AbstractEventLoop, Crossing):
    """Runs callbacks and timers of asyncio as events of the world.

    Sleeping, timeouts, tasks, futures, locks, queues and threads work; sockets and subprocesses are
    real, so they do not.

    Args:
        host: The machine that it runs on.
        new_stack: Makes a stack for the sync parts of a chain.
    """

    def __init__(self, host: Host, new_stack: Callable[[], HandlerStack]) -> None:
        self._host = host
        self._new_stack = new_stack
        self._stacks: list[HandlerStack] = []
        self._ready: deque[asyncio.Handle] = deque()
        self._planned = False
        self._closed = False
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._made = 0
        self._task_factory: Any = None
        self._exception_handler: Any = None

    def time(self) -> float:
        """Return the host's monotonic time, seconds."""
        return self._host.clock.read().monotonic_s

    def call_soon(  # type: ignore[override] # our callbacks take any arguments
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """Call something at this instant, after everything that is due."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        if not self._planned:
            self._planned = True
            self._host.soon(self._run_ready)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call something after a delay, seconds."""
        timer = asyncio.TimerHandle(self.time() + delay, callback, args, self, context)
        self._host.later(microseconds(max(delay, 0)), self._fire, timer)
        return timer

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call something at a time of this loop, seconds."""
        return self.call_later(when - self.time(), callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Do nothing: `TimerHandle` calls this, and a cancelled timer is skipped when it is due."""

    def _fire(self, timer: asyncio.TimerHandle) -> None:
        if not timer.cancelled():
            self._ready.append(timer)
            self._run_ready()

    def _run_ready(self) -> None:
        self._planned = False
        before = asyncio._get_running_loop()  # noqa: SLF001 - what run_forever of any loop does
        asyncio._set_running_loop(self)  # noqa: SLF001
        caller, HERE.host = HERE.host, self._host
        try:
            while self._ready and not self._closed:
                handle = self._ready.popleft()
                if not handle.cancelled():
                    try:
                        handle._run()  # noqa: SLF001
                    except SystemExit:  # of a task that a handler has made; as on a real loop
                        _log.exception("a task of a handler tried to end the process")
        finally:
            HERE.host = caller
            asyncio._set_running_loop(before)  # noqa: SLF001

    # Chains with sync and async parts.

    def await_on_thread(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop while the current stack waits; returns its result.

        Raises:
            HandlerBlocked: The caller is a thread that the simulation does not know.
        """
        stack = current_stack()
        if stack is None:
            coroutine.close()
            raise HandlerBlocked(
                "a thread that a handler or a middleware has started waits for async code. In a "
                "simulation only the thread of the handler itself can wait; do not start threads"
            )
        return stack.ask(AwaitRequest(coroutine))

    async def run_on_thread(self, function: Callable[[], None]) -> None:
        """Run a function on its own stack; cancelling interrupts it."""
        done: asyncio.Future[BaseException | None] = self.create_future()

        def conclude(error: BaseException | None) -> None:
            if not done.done():
                done.set_result(error)

        function = partial(contextvars.copy_context().run, function)
        stack = self.call_on_stack(function, "a sync part of a handler", conclude)
        try:
            error = await done
        except asyncio.CancelledError:
            stack.interrupt()
            raise
        if error is not None:
            raise error

    def call_on_stack(
        self,
        function: Callable[[], object],
        what: str,
        ended: Callable[[BaseException | None], None],
    ) -> HandlerStack:
        """Run a function on its own stack.

        Args:
            function: The function.
            what: A name for it, for the error that it blocks.
            ended: Called with the exception that it raised, or None.
        """

        def conclude(error: BaseException | None) -> None:
            self._stacks.remove(stack)
            ended(error)

        stack = self._new_stack()
        self._stacks.append(stack)
        stack.start(function, what, conclude)
        return stack

    # For asyncio.

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future of this loop."""
        self._made += 1
        return _SerialFuture(self._made, self)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """Run a coroutine."""
        self._made = serial = self._made + 1
        name = options.pop("name", None) or f"Task-{serial}"
        task: asyncio.Task[Any]
        if self._task_factory is None:
            task = _SerialTask(serial, coro, loop=self, name=name, **options)
        else:
            given = {key: value for key, value in options.items() if value is not None}
            task = self._task_factory(self, coro, **given)
            task.set_name(name)
        task._log_destroy_pending = False  # type: ignore[attr-defined] # noqa: SLF001 - crashes leave them
        self._tasks[task] = None
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)

    def get_task_factory(self) -> Any:
        """Return what makes tasks in place of asyncio, or None."""
        return self._task_factory

    def set_task_factory(self, factory: Any) -> None:
        """Let something else make tasks. Their order in a set may differ between runs."""
        self._task_factory = factory

    def get_debug(self) -> bool:
        """Tell whether asyncio runs in debug mode: never."""
        return False

    def is_running(self) -> bool:
        """Tell whether the loop runs."""
        return not self._closed

    def is_closed(self) -> bool:
        """Tell whether the loop is closed."""
        return self._closed

    def close(self) -> None:
        """Stop running callbacks."""
        self._closed = True
        self._ready.clear()

    def unwind(self) -> None:
        """End the coroutines of unfinished tasks, once the world is over."""
        for stack in list(self._stacks):
            stack.unwind()
        tasks, self._tasks = self._tasks, {}
        for task in tasks:
            coroutine: Any = task.get_coro()
            with contextlib.suppress(BaseException), inside(self._host):
                coroutine.close()

    # What needs a real loop.

    def _no_sockets(self, *_: object, **__: object) -> NoReturn:
        self._refuse("sockets")

    def _no_subprocesses(self, *_: object, **__: object) -> NoReturn:
        self._refuse("subprocesses")

    def _refuse(self, kind: str) -> NoReturn:
        refuse(self._host, kind)
        raise NotSimulated(
            "the event loop of a simulation has neither sockets nor processes; a sync handler may "
            f"have them with Simulation(allow=[{kind!r}])"
        )

    create_connection = create_server = create_datagram_endpoint = _no_sockets
    create_unix_connection = create_unix_server = connect_accepted_socket = _no_sockets
    sock_connect = sock_accept = sock_recv = sock_recv_into = sock_sendall = _no_sockets
    sock_recvfrom = sock_recvfrom_into = sock_sendto = sock_sendfile = _no_sockets
    add_reader = add_writer = getaddrinfo = getnameinfo = sendfile = start_tls = _no_sockets
    subprocess_exec = subprocess_shell = connect_read_pipe = connect_write_pipe = _no_subprocesses

    def remove_reader(self, fd: Any) -> bool:
        """Return False: there is none."""
        del fd
        return False

    remove_writer = remove_reader

    def remove_signal_handler(self, sig: int) -> bool:
        """Return False: there is none."""
        del sig
        return False

    def add_signal_handler(  # type: ignore[override]
        self, sig: int, callback: Any, *args: Any
    ) -> NoReturn:
        """Refuse, as the loop of a real pool does.

        Raises:
            RuntimeError: Always.
        """
        del sig, callback, args
        raise RuntimeError(
            "signals are handled in the main thread, and the loop of a pool runs in another one; "
            "pool.run() and workkit worker handle SIGTERM and SIGINT"
        )

    def run_forever(self) -> NoReturn:
        """Refuse: the loop runs already.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError("This event loop is already running")

    def run_until_complete(self, future: Any) -> NoReturn:
        """Refuse: the loop runs already.

        Raises:
            RuntimeError: Always.
        """
        if asyncio.iscoroutine(future):
            future.close()
        raise RuntimeError("This event loop is already running")

    def stop(self) -> NoReturn:
        """Refuse: other handlers use the loop.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError("the event loop belongs to the pool, which stops it: call pool.stop()")

    def set_debug(self, enabled: bool) -> None:
        """Do nothing: the debug mode of asyncio measures real time."""

    def set_default_executor(self, executor: Any) -> None:
        """Do nothing: functions have stacks of their own, whatever the executor."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - of asyncio
        """Do nothing: there is no executor."""

    def get_exception_handler(self) -> Any:
        """Return what is called with errors that nobody awaited, or None."""
        return self._exception_handler

    def set_exception_handler(self, handler: Any) -> None:
        """Call something with errors that nobody awaited, instead of logging them."""
        self._exception_handler = handler

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report an error that nobody awaited."""
        if self._exception_handler is None:
            self.default_exception_handler(context)
        else:
            self._exception_handler(self, context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Log an error that nobody awaited."""
        logging.getLogger("asyncio").error(
            context.get("message", ""), exc_info=context.get("exception")
        )

    async def shutdown_asyncgens(self) -> None:
        """Do nothing: async generators end with the world."""

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> Any:
        """Run a function on a stack of its own, whatever the executor; it may sleep.

        Returns:
            A future of its result.
        """
        del executor
        future, results = self.create_future(), list[Any]()

        def ended(error: BaseException | None) -> None:
            if future.done():
                return  # cancelled meanwhile
            if error is None:
                future.set_result(results[0])
            else:
                future.set_exception(error)

        self.call_on_stack(
            lambda: results.append(func(*args)), "a function of asyncio.to_thread", ended
        )
        return future
