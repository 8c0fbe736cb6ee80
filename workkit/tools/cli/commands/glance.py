"""`workkit top --once`: prints an overview as text or as one JSON document."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import click

from workkit.admin.attention import each_concern, held_up, in_lines
from workkit.admin.obstacles import takers
from workkit.admin.trends import Trends
from workkit.core.text import age, clean, counted
from workkit.tools.cli.common.output import TableColumn, json_bytes, print_table

if TYPE_CHECKING:
    from workkit.admin.attention import Concern
    from workkit.admin.reader import Reader
    from workkit.core.records import Overview

__all__ = ["each_trouble", "print_glance", "troubles"]

#: At most this many queues are listed: nobody reads more than a screen.
_MOST: Final = 20
_COLORS: Final = {"paused": "yellow", "full": "yellow", "no worker": "red", "broken": "red"}


def print_glance(reader: Reader, *, as_json: bool) -> None:
    """Print the first screen of the console, without rates, which need two reads."""
    seen = reader.overview()
    if as_json:
        click.echo(json_bytes(_document(reader, seen)))
        return
    click.echo(click.style(clean(reader.label), bold=True))
    counts = _counts(seen)
    figures = [f"{number:,} {name}" for name, number in counts.items() if name != "pools"]
    click.echo("   ".join([*figures, counted(counts["pools"], "pool")]))
    for line in troubles(reader, seen):
        click.echo(click.style(f"! {line}", fg="yellow"))
    queues = [queue for queue in seen.queues if queue.count or queue.running or queue.paused]
    if queues:
        taken = takers(seen)
        listed = sorted(queues, key=lambda queue: -queue.count)[:_MOST]
        click.echo()
        columns = (
            TableColumn("QUEUE"), TableColumn("WAITING", right=True),
            TableColumn("OLDEST", right=True),
            TableColumn("RUNNING", right=True), TableColumn("STATE", colors=_COLORS),
        )  # fmt: skip
        rows = (
            (
                queue.job_name, f"{queue.count:,}", age(queue.latency) if queue.count else "-",
                f"{queue.running:,}", held_up(queue, taken)[0],
            )
            for queue in listed
        )  # fmt: skip
        print_table(columns, rows)
        if len(queues) > len(listed):
            click.echo(f"and {len(queues) - len(listed):,} more queues; --json has all")


def _counts(seen: Overview) -> dict[str, int]:
    return {
        "queued": seen.queued,
        "running": seen.running,
        "scheduled": seen.scheduled,
        "retry": seen.retry,
        "dead": seen.dead,
        "pools": len(seen.pools),
    }


def troubles(reader: Reader, seen: Overview | None = None) -> list[str]:
    """Return what needs attention, worst first, one line each; `seen` spares a reading."""
    seen = reader.overview() if seen is None else seen
    return [concern.text for concern in in_lines(seen, each_trouble(reader, seen))]


def each_trouble(reader: Reader, seen: Overview) -> list[Concern]:
    """Return all concerns of an overview, one for each queue and pool."""
    from workkit.recording import Moment

    if isinstance(reader, Moment):
        trends = reader.trends
    else:
        trends = Trends()
        trends.add(seen, reader.recent_history())
    return list(each_concern(seen, trends, takers(seen)))


def _document(reader: Reader, seen: Overview) -> dict[str, Any]:
    return {
        "label": reader.label,
        "taken_at": seen.taken_at,
        "counts": _counts(seen),
        "attention": troubles(reader, seen),
        "queues": [asdict(queue) for queue in seen.queues],
        "pools": [asdict(pool) for pool in seen.pools],
        "next_scheduled_at": seen.next_scheduled_at,
        "next_retry_at": seen.next_retry_at,
        "executions": seen.executions,
    }
