"""Mistakes of users, with the errors of a strict type checker. This file is never run.

An ignore that is not needed is an error, so each line here is one that mypy finds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import redis

from workkit import (
    AsyncEnqueuer,
    Client,
    Enqueuer,
    HistoryOptions,
    Job,
    JobOptions,
    ReapedPool,
    WorkerPool,
)

URL = "redis://localhost:6379"
server = redis.Redis()
pool = WorkerPool("work", URL)


def send(job: Job) -> None: ...
async def send_async(ctx: dict[str, str], job: Job) -> None: ...
def of_args(address: str, retries: int = 3) -> None: ...
def of_two_args(address: str, retries: int) -> None: ...
def nothing() -> None: ...
def of_three(ctx: object, job: Job, more: int) -> None: ...


# Names of options, in every form of the call.
pool.job("send", send, max_fail=3)  # type: ignore[call-overload]
pool.job("send", max_fail=3)(send)  # type: ignore[call-overload]
pool.job(send, max_fail=3)  # type: ignore[call-overload]
pool.job(max_fail=3)(send)  # type: ignore[call-overload]
JobOptions(max_fail=3)  # type: ignore[call-arg]
HistoryOptions(max_record=3)  # type: ignore[call-arg]
WorkerPool("work", URL, concurency=3)  # type: ignore[call-arg]

# Types of options.
pool.job("send", send, max_fails="3")  # type: ignore[call-overload]
pool.job("send", send, skip_dead="no")  # type: ignore[call-overload]
pool.job("send", send, timeout="5")  # type: ignore[call-overload]
pool.job("send", send, backoff=5)  # type: ignore[call-overload]
pool.job("send", send, backoff=lambda: 5)  # type: ignore[arg-type]
pool.job("send", send, check_args=1)  # type: ignore[call-overload]
WorkerPool("work", URL, history=True)  # type: ignore[arg-type]
WorkerPool("work", URL, context=5)  # type: ignore[arg-type]
WorkerPool("work", URL, sleep_backoffs=5)  # type: ignore[arg-type]

# Namespace and server.
WorkerPool(server, "work")  # type: ignore[arg-type]
Enqueuer(server, "work")  # type: ignore[arg-type]
AsyncEnqueuer(server, "work")  # type: ignore[arg-type]
Client(server, "work")  # type: ignore[arg-type]
WorkerPool("work", 6379)  # type: ignore[arg-type]
Enqueuer("work", {"host": "localhost"})  # type: ignore[arg-type]
Client("work", None)  # type: ignore[arg-type]

# Signatures of handlers.
pool.job("send", of_args)  # type: ignore[type-var]
pool.job("send", of_two_args)  # type: ignore[type-var]
pool.job("send", nothing)  # type: ignore[type-var]
pool.job("send", of_three)  # type: ignore[type-var]
pool.job("send")(of_args)  # type: ignore[type-var]
pool.job(of_two_args)  # type: ignore[type-var]
pool.job("send", "send")  # type: ignore[call-overload]
pool.job(send, "send")  # type: ignore[call-overload]


@pool.job(max_fails=3)  # type: ignore[type-var]
def decorated(address: str) -> None: ...


# Signatures of middleware.
def layer(job: Job, next: Callable[[], None]) -> None: ...  # noqa: A002
async def layer_async(ctx: object, job: Job, next: Callable[[], Awaitable[None]]) -> None: ...  # noqa: A002
def layer_of_one(job: Job) -> None: ...


pool.middleware(layer_of_one)  # type: ignore[type-var]
pool.middleware(nothing)  # type: ignore[type-var]


# Signatures of hooks.
def told(job: Job, error: BaseException) -> None: ...
def told_less(job: Job) -> None: ...
def told_of_pool(reaped: ReapedPool) -> None: ...


pool.on("failed", told_less)  # type: ignore[call-overload]
pool.on("dead", nothing)  # type: ignore[call-overload]
pool.on("dead", told_of_pool)  # type: ignore[call-overload]
pool.on("reaped", told)  # type: ignore[call-overload]
pool.on("died", told)  # type: ignore[call-overload]
pool.on_start(told_less)  # type: ignore[type-var]
pool.on_stop(told)  # type: ignore[type-var]


# Other calls.
enqueuer = Enqueuer("work", URL)
enqueuer.enqueue("send", [1, 2])  # type: ignore[call-overload]
enqueuer.enqueue_in("send", {"a": 1}, 5)  # type: ignore[call-overload]
enqueuer.enqueue_unique("send", {}, until="end")  # type: ignore[call-overload]


async def forgets_to_await() -> None:
    await AsyncEnqueuer("work", URL).enqueue(5)  # type: ignore[call-overload]


def reads(job: Job) -> int:
    return job.arg_str("n")  # type: ignore[return-value]


# Correct code, which must give no error.
pool.job("send", send, max_fails=3, timeout=1.5, backoff=lambda job: 10 * job.fails)
pool.job("async", send_async)
pool.job("lambda", lambda job: None)
pool.job("pair", lambda ctx, job: None)
pool.job("loop", lambda job, n=5: None)
pool.job(send)
pool.middleware(layer)
pool.middleware(layer_async)
pool.on("failed", told)
pool.on("dead", lambda job, error: None)
pool.on("reaped", told_of_pool)
pool.on_start(nothing)
Client("work", server)
Enqueuer("work", redis.cluster.RedisCluster())
AsyncEnqueuer("work", redis.asyncio.Redis())


@pool.job
def plain(job: Job) -> None: ...


@pool.job("named", max_fails=2)
async def named(job: Job, verbose: bool = False) -> None: ...


@pool.on_stop
async def disconnect() -> None: ...


def keeps_its_type(job: Job) -> int:
    return 5


kept: Callable[[Job], int] = pool.job("kept", keeps_its_type)
kept = pool.job("kept")(keeps_its_type)
