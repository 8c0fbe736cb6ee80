"""Faults around a pool: in its threads, its log, its descriptors, its process."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from tests.conftest import PrivateServer, WaitUntil
from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S, Gate, Notes
from tests.engine.test_stop import in_background
from workkit import Client, Enqueuer, Job, WorkerPool
from workkit.engine.driver import PoolDriver
from workkit.engine.duties import heartbeat
from workkit.engine.process import vitals
from workkit.engine.process.waker import Waker
from workkit.engine.runners import PoolLoop
from workkit.engine.serving import Serving
from workkit.errors import PoolState
from workkit.store.connections.link import Link

pytestmark = pytest.mark.one_server

THREADS: Final = ("workkit-dispatcher", "workkit-heartbeat", "workkit-maintenance")
WAITS: Final = ((Waker, "wait"), (Link, "wait"), (Link, "send"))


class Struck(SystemExit):
    """An exception that ends a thread."""


class Trap:
    """Makes one thread end, or hang, the next time it waits somewhere."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._victim = ""
        self._deed: Callable[[], Any] = lambda: None
        self.sprung = threading.Event()

    def lay(self, place: tuple[type[Any], str], victim: str, deed: Callable[[], Any]) -> None:
        """Make a thread call something at one of its waits."""
        self._victim, self._deed = victim, deed
        real = getattr(*place)

        def wait(*args: Any) -> Any:
            if threading.current_thread().name == self._victim:
                self.sprung.set()
                self._deed()
            return real(*args)

        self._monkeypatch.setattr(*place, wait)


@pytest.fixture
def trap(monkeypatch: pytest.MonkeyPatch) -> Trap:
    return Trap(monkeypatch)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pool find a hanging loop soon."""
    monkeypatch.setattr(vitals, "HANGS_S", 3.0)
    monkeypatch.setattr(heartbeat, "STILL_S", 2.0)


def strike() -> None:
    raise Struck


CASES: Final = [
    pytest.param(
        place, victim, id=f"{victim.removeprefix('workkit-')}-{place[0].__name__}.{place[1]}"
    )
    for victim in THREADS
    for place in WAITS
    if place != (Link, "wait") or victim == "workkit-dispatcher"
]


def handler_for(place: tuple[type[Any], str], gate: Gate) -> Callable[[Job], None]:
    """Return a handler with which the dispatcher waits there: for the handler, or for jobs."""
    return gate.pass_through if place == (Waker, "wait") else lambda job: None


@pytest.mark.parametrize(("place", "victim"), CASES)
def test_run_ends_when_a_thread_of_the_pool_is_ended(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    trap: Trap,
    wait_until: WaitUntil,
    place: tuple[type[Any], str],
    victim: str,
) -> None:
    pool, gate = make_pool(concurrency=1), Gate()
    pool.job("work", handler_for(place, gate))
    ended = in_background(lambda: pool.run(1))
    wait_until(lambda: pool.running)
    trap.lay(place, victim, strike)
    enqueuer.enqueue("work")
    assert ended.result(PATIENCE_S) is False
    gate.open()
    assert not pool.running


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("place", "victim"), CASES)
def test_run_ends_when_a_thread_of_the_pool_hangs(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    trap: Trap,
    wait_until: WaitUntil,
    place: tuple[type[Any], str],
    victim: str,
) -> None:
    pool, gate = make_pool(concurrency=1), Gate()
    pool.job("work", handler_for(place, gate))
    ended = in_background(lambda: pool.run(1))
    wait_until(lambda: pool.running)
    trap.lay(place, victim, gate.pass_through)
    enqueuer.enqueue("work")
    try:
        assert ended.result(2 * PATIENCE_S) is False
    finally:
        gate.open()
    assert not pool.running


def test_a_pool_without_run_notices_as_well_and_can_be_started_again(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    trap: Trap,
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = make_pool(concurrency=1)
    pool.job("work", lambda job: None)
    pool.start()
    trap.lay((Link, "send"), "workkit-dispatcher", strike)
    enqueuer.enqueue("work")
    wait_until(lambda: not pool.running)
    monkeypatch.undo()
    pool.start()
    assert pool.running
    assert pool.drain(PATIENCE_S).complete


def test_run_ends_when_a_worker_thread_is_ended(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(concurrency=2)
    pool.job("work", lambda job: None)
    runner = "workkit.engine.runners.threads.ThreadRunner"
    monkeypatch.setattr(f"{runner}._leave", lambda worker, execution: strike())
    enqueuer.enqueue("work")
    ended = in_background(lambda: pool.run(0.1))
    assert ended.result(PATIENCE_S) is False
    assert client.queued_jobs("work").total == 1


def test_run_ends_when_a_worker_of_async_handlers_is_ended(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(concurrency=2)

    async def work(job: Job) -> None: ...

    def no_memory(*_: Any) -> None:
        raise MemoryError

    pool.job("work", work)
    monkeypatch.setattr("workkit.engine.handling.execution.Execution.finish", no_memory)
    enqueuer.enqueue("work")
    ended = in_background(lambda: pool.run(0.1))
    assert ended.result(PATIENCE_S) is False
    assert client.queued_jobs("work").total == 1


@pytest.mark.parametrize("victim", THREADS)
def test_run_ends_when_a_thread_of_the_pool_dies_before_it_begins(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    pool = make_pool(concurrency=1)
    pool.job("work", lambda job: None)
    real = threading.Thread.run

    def patched(thread: threading.Thread) -> None:
        """Do as a tool that watches threads does, and fail for one."""
        if thread.name != victim:
            real(thread)

    monkeypatch.setattr(threading.Thread, "run", patched)
    ended = in_background(lambda: pool.run(0.1))
    assert ended.result(PATIENCE_S) is False
    assert not pool.running


def test_run_ends_when_the_event_loop_of_async_handlers_is_stopped(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client
) -> None:
    pool = make_pool(concurrency=2)

    @pool.job
    async def work(job: Job) -> None:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(60)

    enqueuer.enqueue("work")
    ended = in_background(lambda: pool.run(0.1))
    assert ended.result(PATIENCE_S) is False
    assert client.queued_jobs("work").total == 1


def test_run_without_a_timeout_ends_when_it_is_first_to_see_that_the_event_loop_was_stopped(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Serving, "_check_workers", lambda self: None)
    monkeypatch.setattr("workkit.engine.driver.LAST_JOBS_S", 0.1)
    pool = make_pool(concurrency=2)

    @pool.job
    async def work(job: Job) -> None:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(60)

    enqueuer.enqueue("work")
    ended = in_background(lambda: pool.run(None))
    assert ended.result(PATIENCE_S) is False
    assert client.queued_jobs("work").total == 1


@pytest.mark.slow
def test_run_ends_when_an_async_handler_past_its_timeout_blocks_the_event_loop(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workkit.engine.runners.loop._HANGS_S", 0.5)
    pool, gate = make_pool(concurrency=3), Gate()

    @pool.job(timeout=0.1, max_fails=1)
    async def block(job: Job) -> None:
        gate.pass_through()

    @pool.job
    async def work(job: Job) -> None:
        await asyncio.sleep(60)

    enqueuer.enqueue("work")
    ended = in_background(lambda: pool.run(0.1))
    enqueuer.enqueue("block")
    try:
        assert ended.result(PATIENCE_S) is False
    finally:
        gate.open()
    assert client.dead_jobs().total == 1
    assert client.queued_jobs("work").total == 1


def test_a_blocked_event_loop_is_reported_with_the_place_where_it_is(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    wait_until: WaitUntil,
) -> None:
    monkeypatch.setattr("workkit.engine.runners.loop._SLOW_S", 0.1)
    pool, gate = make_pool(concurrency=3), Gate()

    @pool.job
    async def block(job: Job) -> None:
        gate.pass_through()

    pool.job("work", block_nothing)
    enqueuer.enqueue("block")
    pool.start()
    gate.arrived.wait_for(1)
    enqueuer.enqueue("work")
    try:
        assert wait_until(lambda: pool.running and "blocks the event loop" in caplog.text)
    finally:
        gate.open()
    assert "gate.pass_through()" in caplog.text
    assert pool.drain(PATIENCE_S).complete


async def block_nothing(job: Job) -> None: ...


def test_a_stop_ends_although_a_handler_has_broken_the_event_loop(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool, stopped = make_pool(concurrency=2), Notes()

    def refuse(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    @pool.job
    async def spoil(job: Job) -> None:
        asyncio.get_running_loop().set_task_factory(refuse)

    pool.on_stop(lambda: stopped("stopped"))
    enqueuer.enqueue("spoil")
    pool.start()
    assert pool.drain(PATIENCE_S).complete
    in_background(lambda: pool.stop(1)).result(PATIENCE_S)
    assert stopped.items == ["stopped"]


def test_a_blocked_loop_is_waited_for_no_longer_than_was_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, gate, waits = PoolLoop(), Gate(), list[float]()
    loop().call_soon_threadsafe(gate.pass_through)
    gate.arrived.wait_for(1)
    (thread,) = [each for each in threading.enumerate() if each.name == "workkit-loop"]
    real = thread.join
    monkeypatch.setattr(thread, "join", waits.append)
    loop.close(wait_s=0.5)
    assert waits == [0.5]
    gate.open()
    real(PATIENCE_S)


# The log.


@pytest.fixture
def broken_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], Any]], None]]:
    """Handle the log with a function that fails or hangs."""
    logger, handlers = logging.getLogger("workkit"), []

    def log_to(function: Callable[[], Any]) -> None:
        handler = logging.Handler()
        handler.emit = lambda record: function()  # type: ignore[method-assign]
        handlers.append(handler)
        logger.addHandler(handler)

    yield log_to
    for handler in handlers:
        logger.removeHandler(handler)


def fail(job: Job) -> None:
    raise ValueError


def test_a_log_handler_that_raises_or_wants_to_end_the_process_harms_no_job(
    make_pool: MakePool, enqueuer: Enqueuer, broken_log: Any
) -> None:
    pool = make_pool(concurrency=2)
    pool.job("fails", fail, max_fails=1)
    broken_log(strike)
    enqueuer.enqueue_many([("fails", None)] * 20)
    with pool:
        assert pool.drain(PATIENCE_S).complete
        assert pool.totals["dead"] == 20


def test_a_log_that_nobody_reads_holds_up_neither_jobs_nor_the_stop(
    make_pool: MakePool, enqueuer: Enqueuer, broken_log: Any
) -> None:
    pool, gate = make_pool(concurrency=2), Gate()
    pool.job("fails", fail, max_fails=1)
    broken_log(gate.pass_through)
    enqueuer.enqueue_many([("fails", None)] * 20)
    pool.start()
    assert pool.drain(PATIENCE_S).complete
    in_background(lambda: pool.stop(1)).result(PATIENCE_S)
    gate.open()


# Threads that the system refuses.


class Refusing:
    """A system that refuses to start threads with some names, while it is full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: set[str] = set()
        self.refused = Notes()
        start = threading.Thread.start

        def refusing(thread: threading.Thread) -> None:
            if thread.name in self.names:
                self.refused(thread.name)
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refusing)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Refusing:
    return Refusing(monkeypatch)


def test_log_records_are_delivered_by_the_stop_where_no_thread_can_deliver_them(
    make_pool: MakePool, enqueuer: Enqueuer, system: Refusing, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool()
    pool.job("fails", fail, max_fails=1)
    system.names = {"workkit-log"}
    enqueuer.enqueue("fails")
    with pool:
        assert pool.drain(PATIENCE_S).complete
        system.refused.wait_for(1)
    assert "is dead" in caplog.text


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_workers_that_were_refused_are_started_later(
    make_pool: MakePool, enqueuer: Enqueuer, system: Refusing, kind: str
) -> None:
    pool, gate = make_pool(concurrency=4), Gate()

    async def wait(job: Job) -> None:
        gate.arrived()

    pool.job("work", gate.pass_through if kind == "sync" else wait)
    system.names = {"workkit-worker", "workkit-loop"}
    enqueuer.enqueue_many([("work", None)] * 4)
    with pool:
        system.refused.wait_for(2)
        assert gate.arrived.items == []
        system.names = set()
        gate.arrived.wait_for(4)
        gate.open()
        assert pool.drain(PATIENCE_S).complete


def test_a_pool_with_few_workers_holds_no_jobs_that_others_could_run(
    make_pool: MakePool, enqueuer: Enqueuer, system: Refusing
) -> None:
    short, other, held, ran = make_pool(concurrency=4), make_pool(concurrency=4), Gate(), Notes()

    async def run(job: Job) -> None:
        ran(job.arg_int("n"))

    short.job("work", held.pass_through)
    other.job("work", run)
    enqueuer.enqueue("work")
    short.start()
    held.arrived.wait_for(1)
    system.names = {"workkit-worker"}
    enqueuer.enqueue_many([("work", {"n": n}) for n in range(8)])
    system.refused.wait_for(1)
    other.start()
    assert sorted(ran.wait_for(8)) == list(range(8))
    held.open()


def test_a_pool_for_which_no_thread_is_started_says_so_and_leaves_nothing(
    make_pool: MakePool, client: Client, system: Refusing
) -> None:
    pool = make_pool()
    pool.job("work", lambda job: None)
    system.names = {"workkit-dispatcher"}
    with pytest.raises(PoolState, match="refuses to start a thread"):
        pool.start()
    pool.stop()
    assert client.worker_pool_heartbeats() == []
    system.names = set()
    with pool:
        assert pool.running


def test_hooks_whose_thread_was_refused_run_later(
    make_pool: MakePool, enqueuer: Enqueuer, system: Refusing
) -> None:
    pool, told = make_pool(), Notes()
    pool.job("fails", fail)
    pool.on("failed", lambda job, error: told("failed"))
    system.names = {"workkit-hooks"}
    with pool:
        enqueuer.enqueue("fails")
        system.refused.wait_for(1)
        system.names = set()
    assert told.items == ["failed"]


# Stopping from inside.


@pytest.mark.parametrize("timeout", [None, 5.0])
@pytest.mark.parametrize("where", ["handler", "async handler", "middleware", "hook", "async part"])
def test_a_stop_from_inside_is_asked_for_and_returns(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    wait_until: WaitUntil,
    where: str,
    timeout: float | None,
) -> None:
    pool, told = make_pool(concurrency=2), Notes()

    def stop(*_: Any) -> None:
        pool.stop(timeout)
        told("returned")

    async def stop_async(job: Job) -> None:
        stop()

    def middleware(job: Job, proceed: Callable[[], Any]) -> None:
        proceed()
        if where == "middleware":
            stop()

    handlers: dict[str, Any] = {"handler": stop, "hook": fail}
    handlers |= {"async handler": stop_async, "async part": stop_async}
    pool.job("work", handlers.get(where, lambda job: None), max_fails=1)
    if where in {"middleware", "async part"}:
        pool.middleware(middleware)
    if where == "hook":
        pool.on("dead", stop)
    pool.on_stop(lambda: told("stopped"))
    pool.start()
    enqueuer.enqueue("work")
    assert told.wait_for(2) == ["returned", "stopped"]
    wait_until(lambda: not pool.running)
    assert sum(pool.totals.values()) == 1


def test_run_counts_a_stop_from_inside_as_asked_for(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool = make_pool()
    pool.job("work", lambda job: pool.stop())
    enqueuer.enqueue("work")
    assert in_background(pool.run).result(PATIENCE_S) is True


def test_a_handler_may_stop_its_pool_before_the_start_returns(
    make_pool: MakePool, enqueuer: Enqueuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, stopped = PoolDriver.start, Notes()

    def start_and_linger(driver: PoolDriver) -> None:
        start(driver)
        stopped.wait_for(1)

    monkeypatch.setattr(PoolDriver, "start", start_and_linger)
    pool = make_pool()

    def work(job: Job) -> None:
        pool.stop()
        stopped()

    pool.job("work", work)
    enqueuer.enqueue("work")
    assert in_background(pool.run).result(PATIENCE_S) is True
    assert pool.totals["done"] == 1


def test_a_stop_within_a_stop_hook_does_nothing(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.job("work", lambda job: None)
    pool.on_stop(pool.stop)
    pool.start()
    in_background(pool.stop).result(PATIENCE_S)


def test_a_start_hook_that_starts_its_own_pool_is_refused(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.job("work", lambda job: None)
    pool.on_start(pool.start)
    with pytest.raises(PoolState, match="start hook"):
        in_background(pool.start).result(PATIENCE_S)


def test_run_within_a_running_loop_is_refused_with_the_way_that_works(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.job("work", lambda job: None)

    async def main() -> None:
        with pytest.raises(PoolState, match=r"await pool\.run_async\(\)"):
            pool.run()
        pool.start()
        await asyncio.to_thread(pool.stop)

    asyncio.run(main())


# A server that hangs.


@pytest.mark.slow
def test_a_stop_waits_for_no_answer_of_a_server_that_hangs(
    private_server: PrivateServer, namespace: str
) -> None:
    server, gate = private_server(), Gate()
    pool = WorkerPool(namespace, server.url, concurrency=1)
    pool.job("work", gate.pass_through)
    Enqueuer(namespace, server.url).enqueue("work")
    pool.start()
    gate.arrived.wait_for(1)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        # Before a reply is given up, 5 s pass.
        in_background(lambda: pool.stop(0)).result(4.5)
    finally:
        os.kill(server.pid, signal.SIGCONT)
        gate.open()


# Processes.


def test_a_forked_child_is_told_that_the_pool_is_its_parents(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool = make_pool()
    pool.job("work", lambda job: None)
    pool.start()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            assert not pool.running
            with pytest.raises(PoolState, match="this process is a fork of it"):
                pool.start()
            with pytest.raises(PoolState, match="running pool"):
                pool.drain(1)
            pool.stop()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    enqueuer.enqueue("work")
    assert pool.drain(PATIENCE_S).complete
    assert pool.running


SCRIPT: Final = """
import sys, threading
from workkit import Enqueuer, WorkerPool
pool, arrived = WorkerPool(sys.argv[2], sys.argv[1]), threading.Event()
@pool.job
def work(job):
    arrived.set()
    threading.Event().wait(60)
Enqueuer(sys.argv[2], sys.argv[1]).enqueue("work")
pool.on_stop(lambda: print("stopped"))
pool.start()
arrived.wait(20)
"""


@pytest.mark.slow
def test_a_script_that_ends_without_a_stop_gives_its_jobs_back(
    redis_url: str, namespace: str, client: Client
) -> None:
    command = [sys.executable, "-c", SCRIPT, redis_url, namespace]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "stopped\n"
    assert "the process ends while its pool runs" in ended.stderr
    assert client.queued_jobs("work").total == 1
    assert client.worker_pool_heartbeats() == []


HANGING: Final = """
import sys, threading
from workkit import WorkerPool
pool = WorkerPool(sys.argv[2], sys.argv[1], concurrency=1)
pool.job("work", lambda job: None)
def hang():
    print("hangs", flush=True)
    threading.Event().wait()
pool.on_stop(hang)
pool.on_stop(lambda: print("next", flush=True))
pool.on_start(lambda: print("starts", flush=True))
sys.exit(0 if pool.run(timeout=5) else 75)
"""


@pytest.mark.slow
def test_a_second_signal_interrupts_a_stop_hook_that_hangs(
    redis_url: str, namespace: str, client: Client, wait_until: WaitUntil
) -> None:
    command = [sys.executable, "-c", HANGING, redis_url, namespace]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        try:
            assert run.stdout is not None
            assert run.stdout.readline() == "starts\n"
            wait_until(client.worker_pool_heartbeats)
            run.send_signal(signal.SIGTERM)
            assert run.stdout.readline() == "hangs\n"
            run.send_signal(signal.SIGTERM)
            said, errors = run.communicate(timeout=PATIENCE_S)
        finally:
            run.kill()
    assert (said, run.returncode) == ("next\n", 0)
    assert "a second signal asked for the end" in errors


FORKING: Final = """
import asyncio, os, sys, threading
from workkit import Enqueuer, WorkerPool
pool, codes = WorkerPool(sys.argv[2], sys.argv[1], concurrency=1), []

def fork(way):
    child = os.fork()
    if child == 0:
        if way == "exit":
            sys.exit(3)
        if way == "raise":
            raise ValueError("of the child")
        return
    codes.append(f"{way} {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")

@pool.job(max_fails=1)
def sync(job):
    fork(job.arg_str("way"))

@pool.job(max_fails=1)
async def on_loop(job):
    fork(job.arg_str("way"))

@pool.job(max_fails=1)
def fails(job):
    raise LookupError

pool.job("backs", fails, backoff=lambda job: fork("backoff") or 500)
pool.on("dead", lambda job, error: fork("hook"))
enqueuer = Enqueuer(sys.argv[2], sys.argv[1])
for name in ("sync", "on_loop"):
    for way in ("exit", "raise", "return"):
        enqueuer.enqueue(name, {"way": way})
enqueuer.enqueue("fails")
enqueuer.enqueue("backs")
pool.start()
drained = pool.drain(20).complete
pool.stop(2)
print(drained, sorted(codes), sorted(pool.totals.items()))
"""


@pytest.mark.slow
def test_a_child_that_a_handler_or_a_hook_forks_never_returns_into_the_pool(
    redis_url: str, namespace: str
) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKING, redis_url, namespace]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    codes = [
        "backoff 0",
        "exit 3",
        "exit 3",
        "hook 0",
        "raise 1",
        "raise 1",
        "return 0",
        "return 0",
    ]
    assert ended.stdout == f"True {codes} [('dead', 1), ('done', 6), ('retry', 1)]\n"
    assert "ValueError: of the child" in ended.stderr
