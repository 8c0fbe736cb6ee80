"""`workkit enqueue`."""

from __future__ import annotations

import contextlib
import math
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from workkit.core.text import clean, counted, due, stamp
from workkit.errors import ServerRefused
from workkit.tools.cli.common.insisting import insist_option, naming_insist, tell_doubts
from workkit.tools.cli.common.options import Server, examples, json_option, now_s, server_options
from workkit.tools.cli.common.output import note, print_record, print_records
from workkit.tools.cli.common.values import to_count, to_object, to_seconds, to_time

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator

    from workkit.admin.actions import Actions
    from workkit.core.job import Job
    from workkit.core.records import ScheduledJob
    from workkit.enqueuer import Enqueuer

__all__ = ["enqueue"]

#: Jobs that are made and sent in one batch.
_BATCH: Final = 10_000
#: A unique job is scheduled by a delay, which is rounded up to a whole second. We make the delay
#: shorter by this, because some time passes before it is computed, seconds.
_EARLY_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class _Order:
    """The job that the user wants to enqueue."""

    name: str
    args: dict[str, Any] | None
    delay_s: float | None
    at: datetime.datetime | float | None
    unique: bool
    until: Literal["start", "done"] | None
    key: dict[str, Any] | None

    def check(self, count: int | None) -> None:
        """Refuse options that cannot be combined."""
        if self.delay_s is not None and self.at is not None:
            raise click.UsageError("give either --in or --at")
        if self.key is not None and self.until == "done":
            raise click.UsageError("--until done cannot be combined with --key")
        if self.until is not None and not self.unique and self.key is None:
            raise click.UsageError("--until needs --unique")
        special = (self.delay_s, self.at, self.key, self.unique or None)
        if count is not None and any(value is not None for value in special):
            raise click.UsageError("--count cannot be combined with --in, --at, --unique or --key")

    @property
    def is_for_later(self) -> bool:
        """Whether the job is scheduled."""
        return self.delay_s is not None or self.at is not None

    def send(self, enqueuer: Enqueuer) -> Job | ScheduledJob | None:
        """Enqueue the job. Return None if an equal unique job is already waiting."""
        if self.key is not None or self.unique:
            return self._send_unique(enqueuer)
        if self.at is not None:
            return enqueuer.enqueue_at(self.name, self.at, self.args)
        if self.delay_s is not None:
            return enqueuer.enqueue_in(self.name, self.delay_s, self.args)
        return enqueuer.enqueue(self.name, self.args)

    def _send_unique(self, enqueuer: Enqueuer) -> Job | ScheduledJob | None:
        delay_s = self.delay_s if self.at is None else _until(self.at)
        until = self.until or "start"
        if self.key is not None and delay_s is not None:
            return enqueuer.enqueue_unique_in_by_key(self.name, delay_s, self.args, self.key)
        if self.key is not None:
            return enqueuer.enqueue_unique_by_key(self.name, self.args, self.key)
        if delay_s is not None:
            return enqueuer.enqueue_unique_in(self.name, delay_s, self.args, until=until)
        return enqueuer.enqueue_unique(self.name, self.args, until=until)


def _until(at: datetime.datetime | float) -> float:
    """Return the seconds until a point in time."""
    from workkit.core.clock import SystemClock

    epoch_s = at if isinstance(at, (int, float)) else at.timestamp()
    return max(math.ceil(epoch_s) - SystemClock().read().epoch_ms / 1_000 - _EARLY_S, 0.0)


@click.command(
    epilog=examples(
        """workkit enqueue send_email '{"address": "a@example.com"}'""",
        "workkit enqueue report --in 15m",
        "workkit enqueue report --at 2030-01-31T09:00+01:00",
        """workkit enqueue sync '{"user": 7}' --unique --until done""",
        """workkit enqueue sync '{"user": 7, "full": true}' --key '{"user": 7}'""",
        "workkit enqueue import_rows - < args.json",
    )
)
@click.argument("name")
@click.argument("args", metavar="[ARGS_JSON]", required=False, callback=to_object)
@click.option(
    "--in",
    "delay_s",
    callback=to_seconds,
    metavar="SPAN",
    help="Run after 90 (seconds), 15m, 2h or 1d.",
)
@click.option(
    "--at", callback=to_time, metavar="WHEN", help="Run at a time with a zone, or at epoch seconds."
)
@click.option(
    "--unique", is_flag=True, help="Enqueue only if no job with this name and args is waiting."
)
@click.option(
    "--until",
    type=click.Choice(["start", "done"]),
    help="Unique until the job starts (default), or until it is done or dead.",
)
@click.option(
    "--key",
    callback=to_object,
    metavar="JSON",
    help="Unique by this key, not by the args. A waiting job gets the new args.",
)
@click.option(
    "--count",
    type=int,
    callback=to_count,
    metavar="N",
    help="Enqueue N equal jobs, for example to test a pool.",
)
@insist_option
@server_options
@json_option
def enqueue(
    server: Server,
    *,
    name: str,
    args: dict[str, Any] | None,
    delay_s: float | None,
    at: datetime.datetime | float | None,
    unique: bool,
    until: Literal["start", "done"] | None,
    key: dict[str, Any] | None,
    count: int | None,
    insist: bool,
    as_json: bool,
) -> None:
    """Enqueue or schedule a job called NAME. ARGS_JSON is a JSON object with its args.

    The command prints the id of the job. If an equal unique job is already waiting, nothing is
    enqueued. This is not an error: stdout is empty (null with --json), and the exit code is 0.
    `workkit audit-log` shows who has enqueued it.

    Args of a typed task are checked against its signature, if a running pool has published it.
    """
    order = _Order(name, args, delay_s, at, unique, until, key)
    order.check(count)
    with closing(server.enqueuer()) as enqueuer, closing(server.client()) as client:
        _check(client.actions, order, insist=insist)
        if count is not None:
            _send_many(client.actions, enqueuer, order, count, as_json=as_json)
            return
        made = _send_one(client.actions, enqueuer, order)
    if as_json:
        print_record(made)
    else:
        _tell(order, made)


def _check(actions: Actions, order: _Order, *, insist: bool) -> None:
    """Refuse args that do not fit their task.

    A user who may only enqueue cannot read what pools publish; then nothing is checked.
    """
    with naming_insist(), contextlib.suppress(ServerRefused):
        tell_doubts(actions.check_args(order.name, order.args, insist=insist))


def _send_one(actions: Actions, enqueuer: Enqueuer, order: _Order) -> Job | ScheduledJob | None:
    """Enqueue a job, and record that as an act."""
    from workkit.core.records import ScheduledJob

    made: Job | ScheduledJob | None = None

    def jobs() -> Iterator[Job]:
        nonlocal made
        made = order.send(enqueuer)
        if made is not None:
            yield made.job if isinstance(made, ScheduledJob) else made

    for _ in actions.record_enqueue(order.name, jobs(), scheduled=order.is_for_later):
        pass
    return made


def _send_many(
    actions: Actions, enqueuer: Enqueuer, order: _Order, count: int, *, as_json: bool
) -> None:
    """Enqueue equal jobs, and record that as one act."""

    def batches() -> Iterator[Job]:
        for start in range(0, count, _BATCH):
            size = min(_BATCH, count - start)
            yield from enqueuer.enqueue_many([(order.name, order.args)] * size)

    sent = actions.record_enqueue(order.name, batches(), planned=count)
    if as_json:
        print_records(sent)
    else:
        click.echo(f"enqueued {counted(sum(1 for _ in sent), 'job')} {clean(order.name)}")


def _tell(order: _Order, made: Job | ScheduledJob | None) -> None:
    if made is None:
        note(
            "not enqueued: the waiting job with this key gets these args"
            if order.key is not None
            else "not enqueued: a job with the same name and args is already waiting"
        )
        return
    from workkit.core.records import ScheduledJob

    if isinstance(made, ScheduledJob):
        when = due(made.run_at, now_s())
        click.echo(
            f"scheduled {clean(order.name)} {made.job.id}, due {when} ({stamp(made.run_at)})"
        )
    else:
        click.echo(f"enqueued {clean(order.name)} {made.id}")
