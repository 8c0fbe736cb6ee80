"""Handlers and middleware: accepted signatures, and messages for the others."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from workkit.core.job import Job
from workkit.engine.handling.handlers import (
    Chain,
    Handler,
    Middleware,
    read_handler,
    read_middleware,
)
from workkit.errors import InvalidHandler, WorkkitError

HANDLER_SHAPES: Final = "def handler(job), def handler(ctx, job), or the same with async def"
MIDDLEWARE_SHAPES: Final = (
    "def middleware(job, next), def middleware(ctx, job, next), or the same with async def"
)
Next = Callable[[], Any]


def plain(job: Job) -> object:
    return job


def any_job(job: object) -> object:
    return job


def with_context(ctx: object, job: Job) -> object:
    return ctx, job


async def plain_async(job: Job) -> object:
    return job


async def with_context_async(ctx: object, job: Job) -> object:
    return ctx, job


def with_default(job: Job, retries: int = 3) -> object:
    return job, retries


def with_keyword(job: Job, *, verbose: bool = False) -> object:
    return job, verbose


def any_arguments(*args: object) -> object:
    return args


def anything(*args: object, **options: object) -> object:
    return args, options


def configured(colour: str, job: Job) -> object:
    return colour, job


class Methods:
    def plain(self, job: Job) -> object:
        return job

    async def with_context_async(self, ctx: object, job: Job) -> object:
        return ctx, job

    @classmethod
    def of_class(cls, job: Job) -> object:
        return job

    @staticmethod
    def static(ctx: object, job: Job) -> object:
        return ctx, job

    def __call__(self, job: Job) -> object:
        return job


class AsyncCallable:
    async def __call__(self, ctx: object, job: Job) -> object:
        return ctx, job


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: object, **options: object) -> object:
        return function(*args, **options)

    return wrapper


# Handlers


@pytest.mark.parametrize(
    ("function", "takes_context", "is_async"),
    [
        (plain, False, False),
        (with_context, True, False),
        (plain_async, False, True),
        (with_context_async, True, True),
        (with_default, False, False),
        (with_keyword, False, False),
        (lambda job: job, False, False),
        (Methods().plain, False, False),
        (Methods().with_context_async, True, True),
        (Methods.of_class, False, False),
        (Methods.static, True, False),
        (Methods(), False, False),
        (AsyncCallable(), True, True),
        (functools.partial(configured, "red"), False, False),
        (functools.partial(with_context_async, "ctx"), False, True),
        (functools.partial(functools.partial(with_context_async), "ctx"), False, True),
        (functools.partial(with_default, retries=5), False, False),
        (decorated(plain), False, False),
        (decorated(with_context), True, False),
        (any_arguments, False, False),
        (anything, False, False),
        (print, False, False),
    ],
)
def test_a_handler_of_an_accepted_shape_is_taken_for_what_it_is(
    function: Callable[..., Any], takes_context: bool, is_async: bool
) -> None:
    handler = read_handler(function, "mail", has_context=True)
    assert handler == Handler(function, is_async, takes_context)


@pytest.mark.parametrize(
    "function",
    [
        lambda: None,
        lambda ctx, job, more: (ctx, job, more),
        lambda *, job: job,
        lambda job, *, needed: (job, needed),
        functools.partial(any_job, "job"),
        Methods.with_context_async,
    ],
)
def test_a_handler_of_another_shape_is_refused_with_the_right_ones(
    function: Callable[..., Any],
) -> None:
    with pytest.raises(InvalidHandler) as refusal:
        read_handler(function, "mail", has_context=True)
    assert str(refusal.value).startswith("the handler of 'mail' has the signature (")
    assert f"; it must be {HANDLER_SHAPES}" in str(refusal.value)


@pytest.mark.parametrize("thing", [None, "send_email", 5, [plain], object()])
def test_a_handler_that_cannot_be_called_is_refused(thing: object) -> None:
    with pytest.raises(InvalidHandler) as refusal:
        read_handler(thing, "mail", has_context=True)
    message = f"the handler of 'mail' must be a function: {HANDLER_SHAPES}; got {thing!r}"
    assert str(refusal.value) == message
    assert isinstance(refusal.value, WorkkitError)
    assert isinstance(refusal.value, TypeError)


def test_a_handler_with_a_context_needs_a_pool_that_makes_contexts() -> None:
    with pytest.raises(InvalidHandler, match=r"takes \(ctx, job\).* WorkerPool\(context=\.\.\.\)"):
        read_handler(with_context, "mail", has_context=False)
    assert not read_handler(plain, "mail", has_context=False).takes_context


def test_a_handler_is_called_with_what_it_takes() -> None:
    job, seen = Job("mail", "x", 1, None), []

    def noted(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: object) -> None:
            seen.append(function(*args))

        return wrapper

    functions: list[tuple[Callable[..., Any], object]] = [
        (plain, job),
        (with_context, ("ctx", job)),
        (with_default, (job, 3)),
        (any_arguments, (job,)),
    ]
    for function, _ in functions:
        handler = read_handler(noted(function), "mail", has_context=True)
        Chain(handler, (), lambda: "ctx").run(job)
    assert seen == [wanted for _, wanted in functions]


# Middleware


def around(job: Job, next: Next) -> None:  # noqa: A002 - the name that users are shown
    next()


def around_with_context(ctx: object, job: Job, proceed: Next) -> None:
    proceed()


async def around_async(job: Job, proceed: Callable[[], Awaitable[None]]) -> None:
    await proceed()


def around_with_default(job: Job, proceed: Next, label: str = "x") -> None:
    proceed()


@pytest.mark.parametrize(
    ("function", "takes_context", "is_async"),
    [
        (around, False, False),
        (around_with_context, True, False),
        (around_async, False, True),
        (functools.partial(around_with_context, "ctx"), False, False),
        (decorated(around_with_context), True, False),
        (around_with_default, False, False),
        (any_arguments, False, False),
    ],
)
def test_a_middleware_of_an_accepted_shape_is_taken_for_what_it_is(
    function: Callable[..., Any], takes_context: bool, is_async: bool
) -> None:
    found = read_middleware(function, has_context=True)
    assert found == Middleware(function, is_async, takes_context)


@pytest.mark.parametrize(
    "function",
    [plain, lambda: None, lambda a, b, c, d: (a, b, c, d), lambda *, job, proceed: (job, proceed)],
)
def test_a_middleware_of_another_shape_is_refused_with_the_right_ones(
    function: Callable[..., Any],
) -> None:
    with pytest.raises(InvalidHandler) as refusal:
        read_middleware(function, has_context=True)
    assert str(refusal.value).startswith("a middleware has the signature (")
    assert str(refusal.value).endswith(f"; it must be {MIDDLEWARE_SHAPES}")


def test_a_middleware_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(InvalidHandler, match=r"a middleware must be a function: .*; got 'logging'"):
        read_middleware("logging", has_context=True)


def test_a_middleware_with_a_context_needs_a_pool_that_makes_contexts() -> None:
    with pytest.raises(InvalidHandler, match=r"takes \(ctx, job, next\).* WorkerPool\(context="):
        read_middleware(around_with_context, has_context=False)


# Chains


def chain_of(
    handler: Callable[..., Any],
    *layers: Callable[..., Any],
    context: Callable[[], Any] | None = None,
) -> Chain:
    read = [read_middleware(layer, has_context=True) for layer in layers]
    return Chain(read_handler(handler, "mail", has_context=True), read, context)


@pytest.mark.parametrize(
    ("handler", "layers", "on_loop"),
    [
        (plain, [], False),
        (plain_async, [], True),
        (plain, [around], False),
        (plain_async, [around_async, around_async], True),
        (plain_async, [around], False),
        (plain, [around_async], False),
    ],
)
def test_only_a_chain_that_is_all_async_runs_on_the_loop(
    handler: Callable[..., Any], layers: list[Callable[..., Any]], on_loop: bool
) -> None:
    assert chain_of(handler, *layers).on_loop == on_loop


def test_layers_run_in_the_order_of_registration_and_share_one_fresh_context_a_job() -> None:
    steps: list[str] = []

    def layer(name: str) -> Callable[..., None]:
        def run(ctx: list[str], job: Job, proceed: Next) -> None:
            ctx.append(name)
            steps.append(f"{name} in")
            proceed()
            steps.append(f"{name} out")

        return run

    def handler(ctx: list[str], job: Job) -> None:
        steps.append(f"{job.name} with {ctx}")

    chain = chain_of(handler, layer("a"), layer("b"), context=list)
    for _ in range(2):
        chain.run(Job("mail", "x", 1, None), None)
    once = ["a in", "b in", "mail with ['a', 'b']", "b out", "a out"]
    assert steps == once * 2


def test_a_layer_can_keep_a_job_from_running_see_its_error_and_swallow_it() -> None:
    ran: list[str] = []

    def guard(job: Job, proceed: Next) -> None:
        if job.id == "skip":
            return
        try:
            proceed()
        except ZeroDivisionError:
            ran.append("caught")

    def handler(job: Job) -> None:
        ran.append(job.id)
        raise {"zero": ZeroDivisionError, "key": KeyError}[job.id]

    chain = chain_of(handler, guard)
    chain.run(Job("mail", "skip", 1, None), None)
    chain.run(Job("mail", "zero", 1, None), None)
    with pytest.raises(KeyError):
        chain.run(Job("mail", "key", 1, None), None)
    assert ran == ["zero", "caught", "key"]
