"""`workkit jobs`: shows the jobs of a queue or a set, or finds one job."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar

import click

from workkit.core.text import age, due, headline
from workkit.tools.cli.common import exits
from workkit.tools.cli.common.found import print_found
from workkit.tools.cli.common.nothing import explain
from workkit.tools.cli.common.options import Server, examples, json_option, server_options
from workkit.tools.cli.common.output import (
    TableColumn,
    compact,
    note,
    print_record,
    print_records,
    print_table,
)
from workkit.tools.cli.common.picking import filter_option, pick
from workkit.tools.cli.common.recorded import (
    note_of_lists,
    reader_or_moment,
    recording_options,
    time_of,
)
from workkit.tools.cli.common.values import to_count, to_job_id

if TYPE_CHECKING:
    from workkit.admin.query import Query
    from workkit.admin.reader import Reader
    from workkit.core.job import Job
    from workkit.core.records import DeadJob, Kind, QueuedJob, RetryJob, ScheduledJob

__all__ = ["jobs"]

R = TypeVar("R")

_PAGE: Final = 20
_NO_JOB: Final = "(no job)"
_ID: Final = TableColumn("JOB ID")
_NAME: Final = TableColumn("NAME", colors={_NO_JOB: "red"})
_FAILS: Final = TableColumn("FAILS", right=True)
_ERROR: Final = TableColumn("ERROR")
_ARGS: Final = TableColumn("ARGS")


class _Extent:
    """The part of a queue or set that the user wants; see `_extent_options`."""

    def __init__(
        self, page: int | None, limit: int | None, query: Query | None, *, everything: bool
    ) -> None:
        if sum((page is not None, limit is not None, everything)) > 1:
            raise click.UsageError("give only one of --page, --limit and --all")
        self.page = None if everything or limit is not None else page or 1
        self.limit = limit
        self.query = query

    def select(self, reader: Reader, kind: Kind, queue: str = "") -> tuple[Iterable[Any], str]:
        """Return the records, and the note below them.

        Args:
            reader: Reads the records.
            kind: The kind of place.
            queue: The name of the queue, if the place is a queue.
        """
        from workkit.core.records import Place

        place = Place(kind, queue)
        if self.query is not None:
            return self._picked(pick(reader.walk(place), self.query))
        if self.page is None:
            walk = (record for batch in reader.walk(place) for record in batch.jobs)
            return islice(walk, self.limit), ""
        found = reader.jobs(place, (self.page - 1) * _PAGE, _PAGE)
        pages = -(-found.total // _PAGE)
        if not pages or pages == self.page == 1:
            return found.jobs, ""
        more = f"; next: --page {self.page + 1}" if self.page < pages else ""
        return found.jobs, f"page {self.page} of {pages}, {found.total:,} jobs in all{more}"

    def _picked(self, walk: Iterator[Any]) -> tuple[Iterable[Any], str]:
        """Take a page of the matching jobs. Their number is unknown until the walk ends."""
        if self.page is None:
            return islice(walk, self.limit), ""
        start = (self.page - 1) * _PAGE
        found = list(islice(walk, start, start + _PAGE + 1))
        more = f"more match; next: --page {self.page + 1}" if len(found) > _PAGE else ""
        return found[:_PAGE], more

    def nothing(self, message: str) -> str:
        """Return the message for no jobs, or for no matching jobs."""
        return f"{message} that match {self.query.text!r}" if self.query else message


def _extent_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add --filter, --page, --limit and --all to a command, which gets one `extent`."""

    @functools.wraps(command)
    def with_extent(
        *args: Any,
        page: int | None,
        limit: int | None,
        query: Query | None,
        everything: bool,
        **options: Any,
    ) -> R:
        extent = _Extent(page, limit, query, everything=everything)
        return command(*args, extent=extent, **options)

    for option in (
        click.option("--all", "everything", is_flag=True, help="All jobs."),
        click.option("--limit", type=int, callback=to_count, metavar="N", help="The first N jobs."),
        click.option(
            "--page",
            type=int,
            callback=to_count,
            metavar="N",
            help=f"Page N, with {_PAGE} jobs per page. [default: 1]",
        ),
    ):
        with_extent = option(with_extent)
    return filter_option(with_extent)


def _show(
    columns: Sequence[TableColumn],
    row: Callable[[Any], Sequence[str]],
    selected: tuple[Iterable[Any], str],
    *,
    as_json: bool,
) -> bool:
    """Print jobs and the note; returns whether there were jobs."""
    records, footer = selected
    shown = print_records(records) if as_json else print_table(columns, map(row, records))
    if footer and not as_json:
        note(footer)
    return bool(shown or footer)


def _name(job: Job) -> str:
    return _NO_JOB if job.undecodable else job.name


def _error(job: Job) -> str:
    return job.undecodable or headline(job.last_err)


def _args(job: Job) -> str:
    return job.undecodable or compact(job.args)


def _waited(job: Job, now: int) -> str:
    return age(now - job.enqueued_at) if job.enqueued_at else "-"


class _Listing(NamedTuple):
    """How the jobs of a sorted set are shown.

    Attributes:
        kind: The set.
        columns: The columns of the table.
        row: Makes the cells of a record, at a time in epoch seconds.
        nothing: The message for an empty set.
    """

    kind: Literal["scheduled", "retry", "dead"]
    columns: Sequence[TableColumn]
    row: Callable[[Any, int], Sequence[str]]
    nothing: str


def _scheduled_row(found: ScheduledJob, now: int) -> Sequence[str]:
    return due(found.run_at, now), found.job.id, _name(found.job), _args(found.job)


def _retry_row(found: RetryJob, now: int) -> Sequence[str]:
    job = found.job
    return due(found.retry_at, now), job.id, _name(job), f"{job.fails}", _error(job)


def _dead_row(found: DeadJob, now: int) -> Sequence[str]:
    job = found.job
    return age(now - found.died_at), job.id, _name(job), _error(job)


_DUE: Final = TableColumn("DUE", right=True)
_AGO: Final = TableColumn("AGO", right=True)
_SCHEDULED: Final = _Listing(
    "scheduled", (_DUE, _ID, _NAME, _ARGS), _scheduled_row, "no jobs are scheduled"
)
_RETRY: Final = _Listing(
    "retry", (_DUE, _ID, _NAME, _FAILS, _ERROR), _retry_row, "no jobs wait to be tried again"
)
_DEAD: Final = _Listing("dead", (_AGO, _ID, _NAME, _ERROR), _dead_row, "no jobs are dead")


class _Reading(NamedTuple):
    """What is read: a server, or a recording at a time.

    Attributes:
        server: The server.
        recording: The file of the recording, if one is read.
        at: The time, as it was written.
    """

    server: Server
    recording: str | None
    at: str | None

    def opened(self) -> AbstractContextManager[Reader]:
        """Open it."""
        return reader_or_moment(self.server, self.recording, self.at)


def _reading_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add the options of a server and of a recording to a command, which gets a `_Reading`."""

    @functools.wraps(command)
    def with_reading(
        server: Server, *args: Any, recording: str | None, at: str | None, **options: Any
    ) -> R:
        return command(_Reading(server, recording, at), *args, **options)

    return recording_options(server_options(with_reading))


def _list_set(reading: _Reading, extent: _Extent, listing: _Listing, *, as_json: bool) -> None:
    """Show the jobs of a sorted set, or explain why there are none."""
    with reading.opened() as reader:
        now = time_of(reader)
        selected = extent.select(reader, listing.kind)

        def row(found: Any) -> Sequence[str]:
            return listing.row(found, now)

        shown = _show(listing.columns, row, selected, as_json=as_json)
        note_of_lists(reader)
        if not shown:
            explain(reading.server, reader, extent.nothing(listing.nothing))


class _InOrder(click.Group):
    """A group whose help lists the commands in the order of the source."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self.commands)


@click.group(
    cls=_InOrder, epilog=examples("workkit jobs dead", "workkit jobs find 6f1c0a6e5d9b4f3a8e7d2c1b")
)
def jobs() -> None:
    """Show the jobs of a queue or a set, or find one job by its id."""


@jobs.command(
    short_help="Show the waiting jobs of a queue.",
    epilog=examples(
        "workkit jobs queued send_email",
        "workkit jobs queued send_email --limit 3 --json",
    ),
)
@click.argument("name")
@_extent_options
@_reading_options
@json_option
def queued(reading: _Reading, *, name: str, extent: _Extent, as_json: bool) -> None:
    """Show the waiting jobs of queue NAME. The job that runs next is first."""
    columns = (TableColumn("#", right=True), _ID, TableColumn("WAITED", right=True), _ARGS)
    with reading.opened() as reader:
        now = time_of(reader)

        def row(queued_job: QueuedJob) -> Sequence[str]:
            job = queued_job.job
            return f"{queued_job.position}", job.id, _waited(job, now), _args(job)

        shown = _show(columns, row, extent.select(reader, "queued", name), as_json=as_json)
        note_of_lists(reader)
        if not shown:
            message = extent.nothing(f"no jobs wait in queue {name!r}")
            explain(reading.server, reader, message, name=name)


@jobs.command(
    short_help="Show the scheduled jobs.",
    epilog=examples("workkit jobs scheduled", "workkit jobs scheduled --page 2"),
)
@_extent_options
@_reading_options
@json_option
def scheduled(reading: _Reading, *, extent: _Extent, as_json: bool) -> None:
    """Show the jobs that are scheduled for later, the earliest first."""
    _list_set(reading, extent, _SCHEDULED, as_json=as_json)


@jobs.command(
    short_help="Show the failed jobs that will be retried.",
    epilog=examples(
        "workkit jobs retry",
        "workkit jobs retry --all --json | jq -r '.[].job.last_err'",
    ),
)
@_extent_options
@_reading_options
@json_option
def retry(reading: _Reading, *, extent: _Extent, as_json: bool) -> None:
    """Show the failed jobs that will be retried, the earliest first."""
    _list_set(reading, extent, _RETRY, as_json=as_json)


@jobs.command(
    short_help="Show the dead jobs.",
    epilog=examples(
        "workkit jobs dead",
        "workkit jobs dead --filter 'queue:send_email error:timeout age:<1h'",
        "workkit jobs dead --recording night.wkr --at 03:12",
        "workkit jobs dead --all --json > dead.json",
        "workkit jobs dead --all --json | jq -r '.[].job.last_err' | sort | uniq -c",
    ),
)
@_extent_options
@_reading_options
@json_option
def dead(reading: _Reading, *, extent: _Extent, as_json: bool) -> None:
    """Show the dead jobs, the oldest first. Dead jobs are not retried automatically."""
    _list_set(reading, extent, _DEAD, as_json=as_json)


@jobs.command(
    short_help="Find a job by its id.",
    epilog=examples("workkit jobs find 6f1c0a6e5d9b4f3a8e7d2c1b"),
)
@click.argument("job_id", callback=to_job_id)
@_reading_options
@json_option
@click.pass_context
def find(ctx: click.Context, reading: _Reading, *, job_id: str, as_json: bool) -> None:
    """Find the job JOB_ID and show all of its fields.

    Redis has no index of ids, so the command reads every queue and set, page by page. If no queue,
    set or pool holds the job, the exit code is 1, and history shows how its last execution ended.
    """
    with reading.opened() as reader:
        found = reader.find(job_id)
        if as_json:
            print_record(found)
        elif found is not None:
            print_found(found, time_of(reader))
        if found is None:
            executions = reader.job_history(job_id)
            if executions:
                last = executions[-1]
                ago = age(time_of(reader) - last.finished_ms // 1000)
                note(f"no queue or set holds job {job_id}; it ended {ago} ago as {last.outcome!r}")
                note(f"workkit history --job {job_id} shows its executions")
            else:
                where = f"namespace {reading.server.namespace!r}" if reader.live else reader.label
                explain(reading.server, reader, f"no job {job_id} in {where}")
            ctx.exit(exits.NOT_FOUND)
