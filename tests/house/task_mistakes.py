"""What users get wrong with tasks, and what a strict type checker says; it is never run.

The lines marked `WRONG` are the mistakes; no other line may be reported.
"""

from __future__ import annotations

import asyncio
import datetime

from workkit import AsyncEnqueuer, Call, Enqueuer, Fail, Job, Retry, ScheduledJob, Tasks, WorkerPool

URL = "redis://localhost:6379"
tasks = Tasks()
enqueuer = Enqueuer("work", URL)


@tasks.task(max_fails=3, timeout=30)
def send(address: str, subject: str, at: datetime.datetime | None = None) -> int:
    return len(address)


@tasks.task
async def sync_api(user: int, *, pages: list[int] | None = None) -> None:
    raise Retry(in_s=7)


@tasks.cron("0 4 * * *")
def nightly(depth: int = 2) -> None: ...


# Arguments of calls: a wrong type, name, and arity.
send.call(5, "hi")  # WRONG
send.call("a@x", subject=5)  # WRONG
send.call("a@x", "hi", at="tomorrow")  # WRONG
send.call("a@x", subjekt="hi")  # WRONG
send.call("a@x")  # WRONG
send.call("a@x", "hi", None, "more")  # WRONG
send("a@x")  # WRONG
sync_api.call(5, [1])  # WRONG
sync_api.call(5, pages=["1"])  # WRONG
nightly.call("deep")  # WRONG

# Arguments of the methods that enqueue.
send.enqueue("a@x", subject=5)  # WRONG
send.enqueue_in("a@x", "a@x", "hi")  # WRONG
send.enqueue_in(300, "a@x")  # WRONG
send.enqueue_unique(subject="hi")  # WRONG
send.enqueue_unique_by_key("key", "a@x", "hi")  # WRONG

# A task or its name in place of a call.
enqueuer.enqueue(send)  # WRONG
enqueuer.enqueue_in(send.call("a@x", "hi"))  # WRONG
enqueuer.enqueue(send.call("a@x", "hi"), {"n": 1})  # WRONG

# Options.
tasks.task(max_fail=3)  # WRONG
tasks.task(retry_on=OSError)  # WRONG
tasks.task(unknown="drop")  # WRONG
tasks.cron(5)  # WRONG
WorkerPool("work", URL, tasks=[tasks])  # WRONG
tasks.connect("work", URL, max_connection=3)  # WRONG
tasks.connect("work", URL, max_connections="3")  # WRONG
tasks.connect("work", 5)  # WRONG

# Verdicts, and results.
Retry(counts=False)  # WRONG
Fail(reason=5)  # WRONG
text: str = send("a@x", "hi")  # WRONG


# What is right, and has to stay without a word.
@tasks.task(
    name="other",
    retry_on=(OSError,),
    fail_on=(PermissionError,),
    backoff=lambda job, error: 5,
    unknown="ignore",
    upgrade=lambda args: args,
)
def other(numbers: list[int], resource: Tasks = tasks.resource) -> None:
    raise Retry("busy", in_s=3, counts=False)


@tasks.task()
def plain(n: int) -> str:
    return str(n)


call: Call = send.call("a@x", subject="hi")
length: int = send("a@x", "hi")
job: Job = send.enqueue("a@x", subject="hi")
later: ScheduledJob = send.enqueue_in(300, "a@x", "hi")
maybe: Job | None = other.enqueue_unique([1])
enqueuer.enqueue(call)
enqueuer.enqueue_many([call, ("other", {"numbers": [1]})])
enqueuer.enqueue_unique(plain.call(3), until="done")
enqueuer.enqueue_unique_by_key(plain.call(3), key={"n": 3})
WorkerPool("work", URL, tasks=tasks)
tasks.connect("work", URL, max_connections=3, allow_huge_integers=True)


async def in_asyncio() -> None:
    first: Job = await sync_api.enqueue_async(5, pages=[1])
    second: Job = await AsyncEnqueuer("work", URL).enqueue(sync_api.call(first.enqueued_at))
    await asyncio.gather(sync_api(5), sync_api(second.fails))
