"""Prints one job in full, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from workkit.core.text import age, clean, due, stamp
from workkit.tools.cli.common.output import compact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workkit.core.job import Job
    from workkit.core.records import Found

__all__ = ["print_found"]


def print_found(found: Found, now: int) -> None:
    """Print the place of a job and all of its fields, one in each line."""
    lines = [("place", _place(found, now)), *_facts(found.job, now)]
    broad = max(len(label) for label, _ in lines)
    for label, text in lines:
        click.echo(f"{click.style(f'{label:<{broad}}', bold=True)}  {text}" if text else "")


def _place(found: Found, now: int) -> str:
    if found.place == "running":
        return f"running, held by pool {clean(found.pool_id)}"
    if found.at is None:
        return found.place
    when = f"{age(now - found.at)} ago" if found.place == "dead" else due(found.at, now)
    return f"{found.place}, {'died' if found.place == 'dead' else 'due'} {when} ({stamp(found.at)})"


def _facts(job: Job, now: int) -> Iterator[tuple[str, str]]:
    yield "name", clean(job.name)
    yield "id", clean(job.id)
    if job.enqueued_at:
        yield "enqueued", f"{age(now - job.enqueued_at)} ago ({stamp(job.enqueued_at)})"
    if job.unique:
        by = clean(job.unique_key.strip()) or "its args"
        yield "unique", f"until {job.unique_until}, by {by}"
    yield "args", clean(compact(job.args)) or "none"
    if job.fails:
        last = f", the last one {age(now - job.failed_at)} ago" if job.failed_at else ""
        yield "fails", f"{job.fails}{last}"
    if job.last_err:
        first, *rest = job.last_err.rstrip().splitlines()
        yield "error", clean(first)
        for line in rest:
            yield "", clean(line)
