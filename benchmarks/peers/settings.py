"""The settings of all libraries; the handlers are in `apps`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from benchmarks.peers.apps.common import QUEUE_NAMES

__all__ = [
    "CONCURRENCY_MARK",
    "ORIGINAL_CONCURRENCIES",
    "ORIGINAL_JOBS",
    "OURS",
    "PEERS",
    "URL_MARK",
    "Peer",
]

#: The original is measured at each of these; its best one counts.
ORIGINAL_CONCURRENCIES: Final = (10, 20, 50, 100)
#: How many jobs it is given each time.
ORIGINAL_JOBS: Final = 60_000

_APPS: Final = "benchmarks.peers.apps"
#: Stand for the server's URL and the concurrency in a command.
URL_MARK: Final = "{url}"
CONCURRENCY_MARK: Final = "{concurrency}"

_CONCURRENCY: Final = 20
#: Of our own async handlers. Others do not gain from more than 20.
_ASYNC_CONCURRENCY: Final = 100


@dataclass(frozen=True, slots=True)
class Peer:
    """A library and how it is run.

    Attributes:
        name: As it is listed.
        app: Its module in `apps`; run as a program, it enqueues.
        worker: The command that works, whose program is looked up in the environment.
        jobs: How many, so that a run takes some seconds.
        settings: Its most important other settings.
        concurrency: How many jobs run at once in its one process.
        environment: The name of its virtual environment; "" for our own.
        requirements: The packages that are installed there, at the newest versions.
        shown: Distributions whose versions are shown.
        variables: Environment variables.
    """

    name: str
    app: str
    worker: tuple[str, ...]
    jobs: int
    concurrency: int
    settings: str
    environment: str = ""
    requirements: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


OURS: Final = (
    Peer(
        "workkit",
        f"{_APPS}.workkit_app",
        ("workkit", "worker", f"{_APPS}.workkit_app:pool"),
        100_000,
        _CONCURRENCY,
        "sync, 10 queues; one middleware, history and all defaults",
        shown=("workkit", "redis"),
    ),
    Peer(
        "workkit, async",
        f"{_APPS}.workkit_app",
        ("workkit", "worker", f"{_APPS}.workkit_app:async_pool"),
        100_000,
        _ASYNC_CONCURRENCY,
        "async, 10 queues; one middleware, history and all defaults",
        shown=("workkit", "redis"),
    ),
)

_TASKIQ_WORKER: Final = (
    "taskiq", "worker", f"{_APPS}.taskiq_app:broker", "--workers", "1",
    "--max-async-tasks", CONCURRENCY_MARK, "--log-level", "WARNING",
)  # fmt: skip

PEERS: Final = (
    Peer(
        "dramatiq",
        f"{_APPS}.dramatiq_app",
        ("dramatiq", f"{_APPS}.dramatiq_app", "--processes", "1", "--threads", CONCURRENCY_MARK),
        20_000,
        _CONCURRENCY,
        "sync, 10 queues; default middleware and prefetch; no results",
        "dramatiq",
        ("dramatiq[redis]", "hiredis"),
        ("dramatiq", "redis"),
    ),
    Peer(
        "taskiq, streams",
        f"{_APPS}.taskiq_app",
        _TASKIQ_WORKER,
        15_000,
        _CONCURRENCY,
        "async, 1 queue; RedisStreamBroker, which acknowledges "
        "when executed; no results",
        "taskiq",
        ("taskiq", "taskiq-redis", "hiredis", "uvloop"),
        ("taskiq", "taskiq-redis", "redis", "uvloop"),
    ),
    Peer(
        "taskiq, list",
        f"{_APPS}.taskiq_app",
        _TASKIQ_WORKER,
        15_000,
        _CONCURRENCY,
        "async, 1 queue; ListQueueBroker, which loses what a "
        "worker holds when it dies; no results",
        "taskiq",
        ("taskiq", "taskiq-redis", "hiredis", "uvloop"),
        ("taskiq", "taskiq-redis", "redis", "uvloop"),
        {"BENCH_TASKIQ": "list"},
    ),
    Peer(
        "huey",
        f"{_APPS}.huey_app",
        ("huey_consumer", f"{_APPS}.huey_app.huey", "-k", "thread", "-w", CONCURRENCY_MARK, "-q"),
        10_000,
        _CONCURRENCY,
        "sync, 1 queue; no results, no log line a job",
        "huey",
        ("huey", "redis[hiredis]"),
        ("huey", "redis"),
    ),
    Peer(
        "SAQ",
        f"{_APPS}.saq_app",
        ("saq", f"{_APPS}.saq_app.settings", "--quiet"),
        10_000,
        _CONCURRENCY,
        "async, 1 queue; finished jobs are not kept, no log line a job",
        "saq",
        ("saq[redis]", "hiredis", "typing-extensions"),  # imported, but not among its requirements
        ("saq", "redis"),
    ),
    Peer(
        "arq",
        f"{_APPS}.arq_app",
        (
            "arq", f"{_APPS}.arq_app.WorkerSettings",
            "--custom-log-dict", f"{_APPS}.arq_app.quiet_logs",
        ),
        8_000,
        _CONCURRENCY,
        "async, 1 queue; asks for jobs every 10 ms instead of 500; no results, no log line a job",
        "arq",
        ("arq",),
        ("arq", "redis"),
    ),
    Peer(
        "Celery",
        f"{_APPS}.celery_app",
        (
            "celery", "--app", f"{_APPS}.celery_app", "worker", "--pool", "threads",
            "--concurrency", CONCURRENCY_MARK, "--queues", ",".join(QUEUE_NAMES),
            "--loglevel", "WARNING",
        ),
        6_000,
        _CONCURRENCY,
        "sync, 10 queues; default prefetch (4 a thread) and early "
        "acknowledgement; no results",
        "celery",
        ("celery[redis]", "hiredis"),
        ("celery", "redis"),
    ),
    Peer(
        "streaQ",
        f"{_APPS}.streaq_app",
        ("streaq", "run", f"{_APPS}.streaq_app:worker"),
        6_000,
        _CONCURRENCY,
        "async, 1 queue; default prefetch; no results, no log line a job",
        "streaq",
        ("streaq",),
        ("streaq", "coredis"),
    ),
    Peer(
        "RQ",
        f"{_APPS}.rq_app",
        ("rq", "worker", "--worker-class", "rq.worker.SimpleWorker", "--quiet",
         "--url", URL_MARK, *QUEUE_NAMES),
        2_000,
        1,
        "sync, 10 queues; SimpleWorker, since the default forks a process a job; "
        "no results, no log line a job",
        "rq",
        ("rq", "hiredis"),
        ("rq", "redis"),
    ),
)  # fmt: skip
