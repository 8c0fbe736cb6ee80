"""The HTML of groups and jobs in the view of dead jobs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from workkit.admin.grouping import ErrorGroup
from workkit.admin.steps.walk import WaitingJob
from workkit.core.text import age, clean, clip, headline, pad
from workkit_notebook import html
from workkit_notebook.deadset import DeadSet
from workkit_notebook.extra import widgets

__all__ = ["STATIC_ROWS", "group_head", "group_line", "job_page", "job_row", "static_page"]

_DAY_S: Final = 86_400
_TREND: Final = 24
_TITLE_CHARS: Final = 110
_ROW_CHARS: Final = 150
_ARG_CHARS: Final = 2_000
#: How many jobs a page without widgets lists.
STATIC_ROWS: Final = 20
_MONO: Final = "font-family: monospace; font-size: 12px; white-space: pre-wrap; margin: 4px 0"
_ROOMY: Final = (
    "display: grid; grid-template-columns: 60px 130px 110px auto; gap: 8px; font-size: 13px; "
    "line-height: 28px; align-items: center"
)


def group_head() -> Any:
    """Return the header of the list of groups."""
    cells = "".join(
        f"<span>{html.muted(name)}</span>" for name in ("jobs", "last day", "last", "failure")
    )
    return widgets.HTML(f'<div style="{_ROOMY}; margin-left: 28px">{cells}</div>')


def group_line(group: ErrorGroup, now_s: float) -> Any:
    """Return a line for a group."""
    trend = group.trend(now_s, _TREND, _DAY_S)
    queues = ", ".join(group.queues)
    frame = f" in {group.frame}" if group.frame else ""
    title = f"<b>{html.escape(clip(_title(group), _TITLE_CHARS))}</b> "
    cells = (
        f"{group.count:,}",
        html.sparkline(trend, f"{sum(trend)} in the last day, by the hour"),
        html.when(group.last_at, now_s),
        title + html.muted(f"{clip(queues, 60)}{frame}"),
    )
    spans = "".join(f"<span>{cell}</span>" for cell in cells)
    return widgets.HTML(f'<div style="{_ROOMY}">{spans}</div>')


def _title(group: ErrorGroup) -> str:
    return clean(f"{group.type}: {group.message}" if group.type else group.message)


def job_row(record: WaitingJob, now_s: float) -> str:
    """Return a job's line for the list of jobs."""
    job = record.job
    reason = job.undecodable or headline(job.last_err)
    ago = age(now_s - (record.at or 0))
    name, job_id = clean(job.name) or "-", clean(job.id) or "-"
    line = f"{pad(ago, 8)} {pad(name, 18)} {pad(job_id, 26)} {clean(reason)}"
    return clip(line, _ROW_CHARS).replace(" ", "\u00a0")  # HTML would join plain spaces


def job_page(record: WaitingJob, now_s: float) -> str:
    """Return the page of one job, with all its fields."""
    job = record.job
    if job.undecodable is not None:
        shown = job.raw[:_ARG_CHARS].decode("utf-8", "backslashreplace")
        return html.notice(f"malformed payload: {job.undecodable}") + _block(shown)
    facts = [
        ("id", html.escape(job.id)),
        ("name", html.escape(job.name)),
        ("died", _moment(record.at or 0, now_s)),
        ("enqueued", _moment(job.enqueued_at, now_s)),
        ("fails", str(job.fails)),
    ]
    if job.unique:
        facts.append(("unique", html.escape(f"until {job.unique_until}: {job.unique_key}")))
    args = [(html.escape(key), _value(value)) for key, value in (job.args or {}).items()]
    return (
        html.table(("", ""), [(html.muted(name), value) for name, value in facts])
        + html.table(("arg", "value"), args, "no args")
        + _block(job.last_err or "no error is recorded")
    )


def _moment(at_s: int, now_s: float) -> str:
    return f"{html.clock_time(at_s, seconds=True)} UTC, {html.when(at_s, now_s)}"


def _value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return f"<code>{html.escape(clip(clean(text), _ARG_CHARS))}</code>"


def _block(text: str) -> str:
    return f'<pre style="{_MONO}">{html.block(text)}</pre>'


def static_page(
    head: Sequence[str],
    groups: Sequence[ErrorGroup],
    rows: Sequence[WaitingJob],
    matching: int,
    dead: DeadSet,
) -> str:
    """Return a page without widgets, for readers without a kernel.

    Args:
        head: What is said first, as HTML: of the jobs, of what is wrong, and of the filter.
        groups: The groups of the jobs that match.
        rows: Those that are listed.
        matching: How many match.
        dead: All jobs.
    """
    now_s = dead.now_s
    grouped = html.table(
        ("jobs", "last day", "last", "failure"),
        [
            (
                f"{group.count:,}",
                html.sparkline(group.trend(now_s, _TREND, _DAY_S), "by the hour"),
                html.when(group.last_at, now_s),
                html.escape(clip(_title(group), _TITLE_CHARS)),
            )
            for group in groups
        ],
        "none of them matches" if dead.records else "no dead jobs",
    )
    listed = html.table(
        ("died", "name", "id", "error"),
        [
            (
                f"{html.clock_time(record.at or 0, seconds=True)} UTC",
                html.escape(record.job.name),
                f"<code>{html.escape(record.job.id)}</code>",
                html.escape(
                    clip(record.job.undecodable or headline(record.job.last_err), _TITLE_CHARS)
                ),
            )
            for record in rows
        ],
    )
    more = matching - len(rows)
    rest = html.muted(f"and {more:,} more") if more > 0 else ""
    told = "<br>".join(line for line in head if line)
    return f"<div>{told}<br>{grouped}<br>{listed}{rest}</div>"
