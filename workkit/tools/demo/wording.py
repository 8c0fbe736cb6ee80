"""The words and tables of the demo, the same on a terminal and in a pipe."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from workkit.core.text import clean, counted
from workkit.tools.demo.report import ErrorRow, JobRow, Report
from workkit.tools.demo.workload import MAX_BYTES, Workload

__all__ = ["Grid", "facts", "grids", "headline", "how_to_try", "left_out"]

_PACKAGES: Final = 4
_ERRORS: Final = 8
_DIGEST_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Grid:
    """A table.

    Attributes:
        names: Of its columns.
        is_text: Which of them hold text rather than numbers.
        rows: Its cells.
        last_is_total: Whether the last row sums up the others.
    """

    names: Sequence[str]
    is_text: Sequence[bool]
    rows: Sequence[Sequence[str]]
    last_is_total: bool = False


def headline(workload: Workload) -> str:
    """Say what is processed."""
    return (
        f"{counted(len(workload.files), 'file')} of Python {platform.python_version()}, "
        f"{workload.packages:,} packages, {workload.suspects} kept for tests of wrong source"
    )


def left_out(workload: Workload) -> str:
    """Say what is not processed; "" for nothing."""
    reasons = []
    if workload.over_limit:
        reasons.append(f"{counted(workload.over_limit, 'file')} over the limit")
    if workload.over_size:
        reasons.append(f"{counted(workload.over_size, 'file')} larger than {MAX_BYTES // 1024} KiB")
    return f"left out: {', '.join(reasons)}" if reasons else ""


def grids(report: Report) -> list[Grid]:
    """Return the tables of the end."""
    names = ("job", "accepted", "done", "retried", "dead", "median ms", "p99 ms")
    is_text = (True, *(False for _ in names[1:]))
    rows = [_cells(row) for row in (*report.jobs, report.total)]
    found = [Grid(names, is_text, rows, last_is_total=True)]
    if report.errors:
        found.append(_errors(report.errors))
    return found


def _errors(errors: Sequence[ErrorRow]) -> Grid:
    shown = [
        (
            f"{row.failures:,}",
            f"{row.dead:,}",
            clean(row.error),
            clean(row.example.rpartition("/")[2]),
        )
        for row in errors[:_ERRORS]
    ]
    if len(errors) > _ERRORS:
        rest = errors[_ERRORS:]
        failures, dead = sum(row.failures for row in rest), sum(row.dead for row in rest)
        shown.append((f"{failures:,}", f"{dead:,}", f"{len(rest):,} other errors", ""))
    names = ("failures", "dead", "error", "for example")
    return Grid(names, (False, False, True, True), shown)


def _cells(row: JobRow) -> tuple[str, ...]:
    counts = (row.accepted, row.done, row.retried, row.dead, row.median_ms, row.p99_ms)
    return (row.name or "all", *(f"{count:,}" for count in counts))


def facts(report: Report) -> Iterator[tuple[str, str]]:
    """Yield what the tables do not say, each with its title."""
    total = report.total
    ended = total.accepted - report.left
    speed = f"{report.jobs_per_s:,.0f} jobs/s: {ended:,} jobs in {report.wall_s:.1f} s of wall time"
    yield "speed", f"{speed}, waits included"
    if report.sampled_per_s:
        rates = " ".join(f"{rate:,}" for rate in report.sampled_per_s)
        yield "by cron", f"{rates} executions/s, sampled every 2 s"
    accepted = next(row.accepted for row in report.jobs if row.name == "package_report")
    asked, refused = accepted + report.refused, report.refused
    yield "unique", f"{asked:,} package reports asked for, {refused:,} refused: one was waiting"
    most, limit = report.at_once, report.at_once_limit
    yield "limit", f"parse_large_file: {limit} at once allowed, {most} seen"
    yield from _findings(report)
    if not report.suspects:
        yield (
            "no errors",
            "this Python came without CPython's files of wrong source (Debian's does)",
        )
    if report.pool_totals:
        counts = (f"{count:,} {name}" for name, count in report.pool_totals.items() if count)
        yield "pool", f"{', '.join(counts) or 'nothing yet'} by its last heartbeat"
    accounts = (
        f"{total.accepted:,} accepted = {total.done:,} done + {total.dead:,} dead + "
        f"{total.discarded:,} discarded"
    )
    yield "accounts", accounts + (f" + {report.left:,} left" if report.left else "")


def _findings(report: Report) -> Iterator[tuple[str, str]]:
    """Yield what the jobs have found out."""
    parsed = report.parsed
    if parsed.files:
        held = f"{parsed.lines:,} lines, {parsed.functions:,} functions, {parsed.classes:,} classes"
        yield "parsed", f"{held} in {parsed.size / 1e6:,.1f} MB"
    if report.packages:
        largest = list(report.packages.items())[:_PACKAGES]
        shown = ", ".join(f"{name} {totals.lines:,}" for name, totals in largest)
        yield "largest", f"{shown} lines"
    name, took_s = report.slowest
    if name:
        yield "slowest", f"{clean(name)}, {took_s * 1000:,.0f} ms"
    if report.digest:
        yield "sha256", f"{report.digest[:_DIGEST_DIGITS]}… of all files in their order"


def how_to_try(url: str, namespace: str) -> str:
    """Say how to look at a server that goes on.

    Args:
        url: The server, as it may be shown.
        namespace: The namespace.
    """
    return (
        "\nServer and pool go on until Ctrl-C. In another terminal:\n\n"
        f"  export WORKKIT_REDIS_URL={shlex.quote(url)}\n"
        f"  export WORKKIT_NAMESPACE={shlex.quote(namespace)}\n"
        "  workkit queues\n"
        "  workkit jobs dead\n"
        "  workkit retry --all\n"
    )
