"""Exceptions whose own code breaks: the job is settled, the worker goes on, the log takes it."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn

import pytest

from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S, Notes
from workkit import Client, Enqueuer, Job

pytestmark = pytest.mark.one_server


class StrExits(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class StrInterrupts(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


class StrIsNoText(Exception):
    def __str__(self) -> Any:
        return 42  # noqa: PLE0307 - that is what is odd about it


class _Text(str):
    """A text whose own methods raise."""

    __slots__ = ()

    def __getitem__(self, _: Any) -> NoReturn:
        raise SystemExit

    def __format__(self, _: str) -> NoReturn:
        raise SystemExit

    def encode(self, *_: Any) -> NoReturn:
        raise SystemExit


class StrIsOdd(Exception):
    def __str__(self) -> str:
        return _Text("odd")


class AttributesExit(Exception):
    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            raise SystemExit(name)
        return super().__getattribute__(name)


class ClassExits(Exception):
    @property
    def __class__(self) -> Any:
        raise SystemExit

    @__class__.setter
    def __class__(self, _: Any) -> None: ...


class NoTraceback(Exception):
    @property
    def __traceback__(self) -> Any:  # type: ignore[override]
        raise SystemExit

    def with_traceback(self, _: Any) -> NoReturn:
        raise SystemExit


class CauseExits(Exception):
    @property
    def __cause__(self) -> Any:  # type: ignore[override]
        raise SystemExit


class IsFalse(Exception):
    def __bool__(self) -> bool:
        raise SystemExit

    def __len__(self) -> int:
        return 0


class _NoName(type):
    def __getattribute__(cls, name: str) -> Any:
        if name in {"__qualname__", "__name__", "__module__", "__mro__"}:
            raise SystemExit(name)
        return super().__getattribute__(name)


class ClassHasNoName(Exception, metaclass=_NoName):
    pass


def cycle() -> BaseException:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    return one


def nested() -> BaseException:
    group: ExceptionGroup[Exception] = ExceptionGroup(
        "inner", [ValueError(str(n)) for n in range(500)]
    )
    for _ in range(500):
        group = ExceptionGroup("outer", [group])
    return group


def caused() -> BaseException:
    error = ValueError("outer")
    error.__cause__ = AttributesExit()
    return error


def noted(notes: Any) -> BaseException:
    error = ValueError("noted")
    error.__notes__ = notes
    return error


ERRORS: Final[dict[str, Callable[[], BaseException]]] = {
    "str exits": StrExits,
    "str interrupts": StrInterrupts,
    "str is not a text": StrIsNoText,
    "str is odd": StrIsOdd,
    "attributes exit": AttributesExit,
    "its class exits": ClassExits,
    "no traceback": NoTraceback,
    "its cause exits": CauseExits,
    "it is false": IsFalse,
    "its class has no name": ClassHasNoName,
    "a name of two lines": type("X\n\x1b[2J", (Exception,), {"__module__": None}),
    "a cycle": cycle,
    "nested groups": nested,
    "a cause that exits": caused,
    "notes that are none": lambda: noted(5),
    "notes that exit": lambda: noted([StrExits(), object()]),
    "odd places": lambda: SyntaxError("bad", ("f\0", "x", object(), "text")),  # type: ignore[arg-type]
    "GeneratorExit": GeneratorExit,
    "StopIteration": lambda: StopIteration(1),
    "KeyboardInterrupt": KeyboardInterrupt,
    "SystemExit": lambda: SystemExit(1),
    "a base group": lambda: BaseExceptionGroup("base", [SystemExit(1)]),
    "a long message": lambda: ValueError("x" * 20_000_000),
}


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """The output of a plain logging handler."""
    stream = io.StringIO()
    handler, logger = logging.StreamHandler(stream), logging.getLogger("workkit")
    logger.addHandler(handler)
    propagate, logger.propagate = logger.propagate, False
    yield stream
    logger.removeHandler(handler)
    logger.propagate = propagate


@pytest.mark.parametrize("chain", ["sync", "async", "mixed"])
@pytest.mark.parametrize("what", ERRORS)
def test_a_job_is_settled_whatever_its_exception_does_when_it_is_looked_at(
    make_pool: MakePool,
    enqueuer: Enqueuer,
    client: Client,
    logged: io.StringIO,
    chain: str,
    what: str,
) -> None:
    pool, told, ran = make_pool(concurrency=1), Notes(), Notes()

    def fail(job: Job) -> None:
        raise ERRORS[what]()  # noqa: RSE102 - not all of these are classes

    async def fail_async(job: Job) -> None:
        fail(job)

    async def run_async(job: Job) -> None:
        ran()

    if chain == "mixed":
        pool.middleware(lambda job, next: next())  # noqa: A006
    pool.job("fail", fail if chain == "sync" else fail_async, max_fails=1)
    pool.job("work", ran if chain == "sync" else run_async)
    pool.on("dead", lambda job, error: told(job.name))
    enqueuer.enqueue("fail")
    with pool:
        assert pool.drain(PATIENCE_S).complete
        assert told.wait_for(1) == ["fail"]
        enqueuer.enqueue("work")
        assert pool.drain(PATIENCE_S).complete
    ran.wait_for(1)
    (dead,) = client.dead_jobs().jobs
    assert 0 < len(dead.job.last_err) < 20_000
    assert dead.job.last_err.partition(":")[0].partition("\n\n")[0].isprintable()
    assert f"job 'fail' {dead.job.id} failed (1 of 1), is dead" in logged.getvalue()


def with_notes() -> BaseException:
    error = ValueError("noted")
    for _ in range(1_000):
        error.add_note("n" * 1_000)
    return error


def chained(count: int, text: str) -> BaseException:
    error: BaseException = ValueError(text)
    for _ in range(count):
        outer = ValueError(text)
        outer.__cause__ = error
        error = outer
    return error


LONG: Final[dict[str, Callable[[], BaseException]]] = {
    "a text": lambda: ValueError("x" * 1_000_000),
    "lines": lambda: ValueError("x\n" * 500_000),
    "a key": lambda: KeyError("k" * 1_000_000),
    "notes": with_notes,
    "a cause": lambda: chained(1, "c" * 1_000_000),
    "many causes": lambda: chained(2_000, "c"),
    "a name": lambda: type("N" * 1_000_000, (ValueError,), {})("named"),
}


@pytest.mark.parametrize("what", LONG)
def test_a_long_exception_makes_no_long_log(
    make_pool: MakePool, enqueuer: Enqueuer, client: Client, logged: io.StringIO, what: str
) -> None:
    pool = make_pool(concurrency=1)

    @pool.job(max_fails=1)
    def fail(job: Job) -> None:
        raise LONG[what]()  # noqa: RSE102 - a function

    enqueuer.enqueue("fail")
    with pool:
        assert pool.drain(PATIENCE_S).complete
    (dead,) = client.dead_jobs().jobs
    assert len(dead.job.last_err) < 20_000
    assert f"job 'fail' {dead.job.id} failed (1 of 1), is dead" in logged.getvalue()
    assert len(logged.getvalue()) < 100_000


def test_a_hook_may_fail_with_such_an_exception_too(
    make_pool: MakePool, enqueuer: Enqueuer, logged: io.StringIO
) -> None:
    pool, told = make_pool(concurrency=1), Notes()

    def fail(job: Job, error: BaseException) -> None:
        raise ClassHasNoName("hook")

    pool.job("work", fail_plainly, max_fails=1)
    pool.on("dead", fail)
    pool.on("dead", lambda job, error: told())
    enqueuer.enqueue("work")
    with pool:
        told.wait_for(1)
    assert "fail failed: ClassHasNoName: hook" in logged.getvalue()


def fail_plainly(job: Job) -> None:
    raise ValueError("plain")
