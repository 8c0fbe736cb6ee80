"""`workkit queues` and `workkit pools`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from workkit.admin.obstacles import obstacles
from workkit.core.text import age, counted
from workkit.tools.cli.common.nothing import explain
from workkit.tools.cli.common.options import Server, examples, json_option, server_options
from workkit.tools.cli.common.output import TableColumn, note, print_records, print_table
from workkit.tools.cli.common.recorded import reader_or_moment, recording_options, time_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workkit.core.records import Queue, WorkerObservation, WorkerPoolHeartbeat

__all__ = ["pools", "queues"]

_NONE: Final = "-"

_QUEUES: Final = (
    TableColumn("QUEUE"),
    TableColumn("WAITING", right=True),
    TableColumn("OLDEST", right=True),
    TableColumn("RUNNING", right=True),
    TableColumn("LIMIT", right=True),
    TableColumn("STATE", colors={"paused": "yellow", "full": "yellow", "broken": "red"}),
)
_POOLS: Final = (
    TableColumn("POOL"),
    TableColumn("HOST:PID"),
    TableColumn("BEAT", right=True, colors={"missing": "red"}),
    TableColumn("UP", right=True),
    TableColumn("BUSY", right=True),
    TableColumn("JOBS"),
)
_WORKERS: Final = (
    TableColumn("JOB ID"),
    TableColumn("NAME"),
    TableColumn("RUNS", right=True),
    TableColumn("CHECK-IN"),
    TableColumn("ARGS"),
)


@click.command(
    epilog=examples(
        "workkit queues",
        "workkit queues --namespace billing",
        "workkit queues --recording night.wkr --at 03:12",
        "workkit queues --json | jq -r '.[] | select(.paused) | .job_name'",
    )
)
@recording_options
@server_options
@json_option
def queues(server: Server, *, recording: str | None, at: str | None, as_json: bool) -> None:
    """Show all queues of the namespace, also empty ones.

    OLDEST is the waiting time of the job that runs next. RUNNING is the number of jobs that pools
    hold. LIMIT is how many jobs may run at once. A "broken" queue has a key of a wrong type, so its
    jobs do not run.
    """
    with reader_or_moment(server, recording, at) as reader:
        found = reader.queues()
        if as_json:
            print_records(found)
        else:
            print_table(_QUEUES, [_queue_row(queue) for queue in found])
        if not found:
            explain(server, reader, "this namespace has no queues yet")


def _queue_row(queue: Queue) -> Sequence[str]:
    return (
        queue.job_name,
        f"{queue.count}",
        age(queue.latency) if queue.count else _NONE,
        f"{queue.running}",
        f"{queue.max_concurrency or _NONE}",
        next(iter(obstacles(queue, None)), ""),
    )


@click.command(
    epilog=examples(
        "workkit pools",
        "workkit pools --workers",
        "workkit pools --json | jq '.[].totals'",
    )
)
@click.option("--workers", is_flag=True, help="Show the workers and their jobs instead.")
@recording_options
@server_options
@json_option
def pools(
    server: Server, *, workers: bool, recording: str | None, at: str | None, as_json: bool
) -> None:
    """Show the pools that process jobs, or the jobs that their workers run.

    BEAT is the age of the last heartbeat, by the clock of this machine. A pool sends one every few
    seconds. For Go pools, BUSY is unknown.
    """
    with reader_or_moment(server, recording, at) as reader:
        found: Sequence[object]
        if workers:
            found = observations = reader.worker_observations()
        else:
            found = heartbeats = reader.worker_pool_heartbeats()
        if as_json:
            print_records(found)
        elif workers:
            _print_workers(observations, time_of(reader))
        else:
            now = time_of(reader)
            print_table(_POOLS, [_pool_row(pool, now) for pool in heartbeats])
        if not found:
            explain(server, reader, "no pool is running")


def _pool_row(pool: WorkerPoolHeartbeat, now: int) -> Sequence[str]:
    busy = pool.totals.get("busy")
    return (
        pool.worker_pool_id,
        f"{pool.host}:{pool.pid}" if pool.host else _NONE,
        age(now - pool.heartbeat_at) if pool.heartbeat_at else "missing",
        age(now - pool.started_at) if pool.started_at else _NONE,
        f"{_NONE if busy is None else busy}/{pool.concurrency}",
        " ".join(pool.job_names),
    )


def _print_workers(observations: Sequence[WorkerObservation], now: int) -> None:
    busy = [worker for worker in observations if worker.is_busy]
    print_table(_WORKERS, [_worker_row(worker, now) for worker in busy])
    if observations:
        note(f"{len(busy):,} of {counted(len(observations), 'worker')} busy")


def _worker_row(worker: WorkerObservation, now: int) -> Sequence[str]:
    checkin = f"{worker.checkin} ({age(now - worker.checkin_at)} ago)" if worker.checkin else _NONE
    return (
        worker.job_id,
        worker.job_name,
        age(now - worker.started_at),
        checkin,
        worker.args_json.strip(),
    )
