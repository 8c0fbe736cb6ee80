"""Shapes of users' functions: what takes a job, and what takes the args of one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NewType, Optional, Protocol, TypedDict

import pytest

from workkit import InvalidHandler, InvalidName, InvalidOption, Job, WorkerPool
from workkit.engine.handling.handlers import read_handler, read_middleware

URL = "redis://localhost:6379"
Alias = Annotated[Job, "the job"]
UserId = NewType("UserId", int)


class Named(Protocol):
    name: str


class Args(TypedDict):
    address: str


def pool(**options: Any) -> WorkerPool:
    return WorkerPool("work", URL, **options)


# What takes a job.


def of_any(j: Any) -> None: ...
def of_object(thing: object) -> None: ...
def of_optional(j: Optional[Job]) -> None: ...  # noqa: UP045
def of_union(j: Job | str) -> None: ...
def of_alias(j: Alias) -> None: ...
def of_protocol(j: Named) -> None: ...
def of_unknown(j: Unknown) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def with_loop_variable(job, n=5): ...  # type: ignore[no-untyped-def]
def with_more_defaults(_, verbose=False): ...  # type: ignore[no-untyped-def]
def with_annotation(task: Job, retries: int = 3) -> None: ...
def with_rest(job: Job, *args: Any, **options: Any) -> None: ...
def by_another_name(message): ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize(
    "function",
    [
        of_any, of_object, of_optional, of_union, of_alias, of_protocol, of_unknown,
        with_loop_variable, with_more_defaults, with_annotation, with_rest, by_another_name,
        lambda j, n=1: None, lambda *args: None, lambda _: None,
    ],
)  # fmt: skip
def test_what_may_well_be_a_job_is_given_the_job(function: Callable[..., Any]) -> None:
    assert not read_handler(function, "mail", has_context=False).takes_context
    assert not read_handler(function, "mail", has_context=True).takes_context


def context_and_job(ctx, job): ...  # type: ignore[no-untyped-def]
def of_a_task(context: object, task: Job) -> None: ...
def of_a_unit(c, j): ...  # type: ignore[no-untyped-def]
def of_my_context(my_ctx, item): ...  # type: ignore[no-untyped-def]
def of_app(app: Mapping[str, int], item): ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize(
    "function", [context_and_job, of_a_task, of_a_unit, of_my_context, of_app, lambda _, job: None]
)
def test_what_may_well_be_a_context_and_a_job_is_given_both(function: Callable[..., Any]) -> None:
    assert read_handler(function, "mail", has_context=True).takes_context


# What takes args.


def send(address: str, retries: int = 3) -> None: ...
def send_two(address: str, retries: int) -> None: ...
def send_plain(address, retries): ...  # type: ignore[no-untyped-def]
def send_plain_default(address, retries=3): ...  # type: ignore[no-untyped-def]
def send_keyword(*, address: str) -> None: ...
def send_job_keyword(job: Job, *, address: str) -> None: ...
def send_one(address: str) -> None: ...
def send_id(user: UserId) -> None: ...
def send_dict(args: dict[str, Any]) -> None: ...
def send_mapping(args: Mapping[str, Any]) -> None: ...
def send_typed(args: Args) -> None: ...
def send_literal(kind: Literal["a", "b"]) -> None: ...
def send_either(address: str | None) -> None: ...
def send_many(address: str, subject: str, body: str) -> None: ...
def send_text(address, subject: str): ...  # type: ignore[no-untyped-def]
def swapped(job, ctx): ...  # type: ignore[no-untyped-def]
def swapped_types(a: Job, b: object) -> None: ...
def only_context(ctx): ...  # type: ignore[no-untyped-def]
def context_and_default(ctx, job=None): ...  # type: ignore[no-untyped-def]
def next_of_middleware(job, next): ...  # type: ignore[no-untyped-def]  # noqa: A002


WRONG = [
    send, send_two, send_plain, send_plain_default, send_keyword, send_job_keyword, send_one,
    send_id, send_dict, send_mapping, send_typed, send_literal, send_either, send_many, send_text,
    swapped, swapped_types, only_context, context_and_default, next_of_middleware,
]  # fmt: skip


@pytest.mark.parametrize("context", [None, dict])
@pytest.mark.parametrize("function", WRONG)
def test_a_function_of_args_is_refused_with_or_without_contexts(
    function: Callable[..., Any], context: Any
) -> None:
    with pytest.raises(InvalidHandler) as refusal:
        pool(context=context).job("mail", function)
    assert "def handler(job), def handler(ctx, job), or the same with async def" in str(
        refusal.value
    ) or "makes no contexts" in str(refusal.value)


@pytest.mark.parametrize("function", [send, send_two, send_plain, send_plain_default])
def test_the_refusal_shows_how_the_args_are_read_and_never_advises_a_context(
    function: Callable[..., Any],
) -> None:
    with pytest.raises(InvalidHandler, match=r'job\.arg_str\("address"\)') as refusal:
        pool().job("mail", function)
    assert "context=" not in str(refusal.value)


def test_the_refusal_names_the_accessor_of_each_type() -> None:
    def work(a: str, b: int, c: float, d: bool) -> None: ...

    with pytest.raises(InvalidHandler) as refusal:
        pool().job("mail", work)  # type: ignore[type-var]
    wanted = 'job.arg_str("a"), job.arg_int("b"), job.arg_float("c"), job.arg_bool("d")'
    assert wanted in str(refusal.value)


class Task:
    def __init__(self, job: Job) -> None: ...

    def run(self) -> None: ...


@pytest.mark.parametrize("function", [Task, functools.partial(Task), str, Exception])
def test_a_class_is_refused_since_a_call_only_makes_an_object(function: Any) -> None:
    with pytest.raises(InvalidHandler, match="is the class"):
        pool().job("mail", function)


@pytest.mark.parametrize(
    "function",
    [
        lambda next, job: None,  # noqa: A006
        lambda job, next, ctx: None,  # noqa: A006
        lambda ctx, job: None,
        lambda job, *, next: None,  # noqa: A006
        Task,
    ],
)
def test_middleware_whose_parameters_are_in_another_order_is_refused(function: Any) -> None:
    with pytest.raises(InvalidHandler, match="def middleware"):
        read_middleware(function, has_context=True)


# Backoff.


def of_fails(fails: int) -> float:
    return fails


async def slow(job: Job) -> float:
    return 1


def lazy(job: Job) -> Any:
    yield 1


@pytest.mark.parametrize(
    "backoff",
    [
        of_fails, slow, lazy, lambda: 5, lambda fails: 5, lambda attempt: 5, lambda job, fails: 5,
        lambda *, job: 5, float, functools.partial(slow),
    ],
)  # fmt: skip
def test_a_backoff_of_another_shape_is_refused_where_it_is_registered(backoff: Any) -> None:
    with pytest.raises(InvalidHandler, match=r"job 'mail': backoff .*lambda job: 10 \* job\.fails"):
        pool().job("mail", lambda job: None, backoff=backoff)


@pytest.mark.parametrize(
    "backoff",
    [
        lambda job: 5,
        lambda job, error: 5,
        lambda j, n=2: 5,
        functools.partial(lambda n, job: n, 2),
        lambda *a: 5,
        hash,
    ],
)
def test_a_backoff_of_the_job_is_taken(backoff: Any) -> None:
    pool().job("mail", lambda job: None, backoff=backoff)


# Hooks.


@pytest.mark.parametrize("event", ["failed", "dead"])
@pytest.mark.parametrize("hook", [lambda: None, lambda job: None, lambda error, job: None, Task])
def test_a_hook_of_a_failure_takes_job_and_error(event: Any, hook: Any) -> None:
    with pytest.raises(InvalidHandler, match=rf"the hook of '{event}' .*def hook\(job, error\)"):
        pool().on(event, hook)


@pytest.mark.parametrize("hook", [lambda: None, lambda a, b: None, lambda job: None])
def test_a_hook_of_recoveries_takes_the_pool(hook: Any) -> None:
    with pytest.raises(InvalidHandler, match=r"def hook\(reaped_pool\)"):
        pool().on("reaped", hook)


@pytest.mark.parametrize("hook", [lambda pool: None, lambda *, pool: None, "connect", None, Task])
def test_a_hook_of_start_and_stop_takes_nothing(hook: Any) -> None:
    for register in (pool().on_start, pool().on_stop):
        with pytest.raises(InvalidHandler, match=r"def hook\(\)"):
            register(hook)


def test_a_hook_may_have_more_parameters_with_defaults() -> None:
    one = pool()
    one.on_start(lambda db="main": None)
    hook: Any = lambda job, error, channel="#ops": None  # noqa: E731
    one.on("dead", hook)
    one.on("reaped", print)


# Names.


def test_a_pool_takes_the_options_of_a_function_that_is_given_first() -> None:
    one = pool()

    def mail(job: Job) -> None: ...

    one.job(mail, max_fails=7)
    assert one.spec.registrations["mail"].options.max_fails == 7
    with pytest.raises(InvalidHandler, match="the job's name comes first"):
        one.job(mail, "mail")  # type: ignore[call-overload]
    with pytest.raises(InvalidName, match="a lambda has no name"):
        one.job(lambda job: None)


def test_a_namespace_and_a_server_that_are_swapped_are_told_apart() -> None:
    with pytest.raises(InvalidName, match="the namespace first"):
        WorkerPool(URL, "work")


# Options.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_fail": 3}, "no option max_fail; did you mean max_fails?"),
        ({"retries": 3}, "no option retries; there are priority"),
        ({"max_concurency": 1}, "did you mean max_concurrency?"),
        ({"skip_dead": "no"}, "job 'mail': skip_dead must be True or False, not 'no'"),
        ({"skip_dead": 1}, "skip_dead must be True or False, not 1"),
        ({"check_args": None}, "check_args must be True or False, not None"),
        ({"timeout": True}, "timeout must be a number of seconds above 0"),
        ({"timeout": 10**400}, "timeout must be a number of seconds above 0"),
        ({"priority": 10**5_000}, "priority must be a whole number from 1 to 100000, not a value"),
    ],
)
def test_an_option_of_a_job_is_refused_by_name_and_value(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidOption) as refusal:
        pool().job("mail", lambda job: None, **options)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"history": True}, "history must be HistoryOptions(...), or None"),
        ({"history": 100}, "history must be HistoryOptions(...), or None"),
        ({"sleep_backoffs": 5}, "sleep_backoffs must be a list of milliseconds, not 5"),
        ({"sleep_backoffs": "10"}, "sleep_backoffs must be a list of milliseconds"),
        ({"sleep_backoffs": []}, "sleep_backoffs must be a list of milliseconds"),
        ({"sleep_backoffs": [True]}, "sleep_backoffs, in milliseconds, must be a whole number"),
        ({"sleep_backoffs": [10**9]}, "sleep_backoffs, in milliseconds, must be a whole number"),
        ({"sleep_backoffs": [0.5]}, "sleep_backoffs, in milliseconds, must be a whole number"),
        ({"concurrency": "10"}, "concurrency must be a whole number from 1 to 10000, not '10'"),
        ({"max_recoveries": 0}, "max_recoveries must be a whole number from 1 to 1000, not 0"),
        ({"clock": 5}, "clock must have a method read(), not 5"),
        ({"entropy": 5}, "entropy must be an Entropy(...), not 5"),
        ({"context": {}}, "context must be a function"),
    ],
)
def test_an_option_of_a_pool_is_refused_by_name_and_value(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidOption) as refusal:
        pool(**options)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("event", "message"),
    [("fail", "did you mean failed?"), ("died", "there are failed, dead, reaped"), ([], "[]"),
     (None, "None")],
)  # fmt: skip
def test_an_event_that_does_not_exist_is_refused_by_name(event: Any, message: str) -> None:
    with pytest.raises(InvalidOption, match="there is no event") as refusal:
        pool().on(event, lambda job, error: None)
    assert message in str(refusal.value)


@pytest.mark.parametrize("catch_up_s", [-1, 86_401, 1.5, "60", True, None])
def test_a_catch_up_out_of_its_bounds_is_refused(catch_up_s: Any) -> None:
    with pytest.raises(InvalidOption, match="catch_up_s must be a whole number from 0 to 86400"):
        pool().periodically_enqueue("@hourly", "mail", catch_up_s=catch_up_s)


@pytest.mark.parametrize("spec", [None, 60, ["@hourly"]])
def test_a_cron_spec_that_is_no_text_is_refused(spec: Any) -> None:
    with pytest.raises(ValueError, match="a cron spec is a text such as"):
        pool().periodically_enqueue(spec, "mail")
