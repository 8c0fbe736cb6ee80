"""What is known of one job, as texts without secrets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from workkit.admin.explain import Circumstances, why
from workkit.admin.steps.history import HistoryRecord
from workkit.core.job import Job
from workkit.core.masks import Masks
from workkit.core.parents import parent_of
from workkit.core.records import WorkerObservation
from workkit.core.secrets import SECRETS
from workkit.core.text import clean, stamp, took
from workkit_tui.model.copies import cleaned_lines
from workkit_tui.model.running import RunningJob
from workkit_tui.model.words import ago, clock, count, json_text, until

__all__ = ["HeldJob", "JobPage", "RanRow"]


class RanRow(NamedTuple):
    """One execution.

    Attributes:
        ended: When it ended.
        outcome: How it ended.
        ran: How long it ran; "-" if it did not.
        host: Where it ran.
        error: Its error or the reason of its outcome.
    """

    ended: str
    outcome: str
    ran: str
    host: str
    error: str


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job that a worker runs."""

    job: Job
    place: str = "running"
    at: int | None = None


@dataclass(slots=True)
class JobPage:
    """A job and its state. All texts are harmless for a terminal.

    Attributes:
        placed: The job, where it is.
        masks: Hides secrets.
        run: Its state if it runs; None for one that waits.
        around: The facts that decide whether it runs; None before they were read.
        attempts: Its executions, the oldest first; None before they were read.
        now_s: Epoch seconds.
        ended: How it has ended, if it is in no queue and no set any more.
        in_past: Whether it is shown from a recording.
    """

    placed: Any
    masks: Masks = field(default_factory=lambda: Masks(SECRETS))
    run: RunningJob | None = None
    around: Circumstances | None = None
    attempts: Sequence[HistoryRecord] | None = None
    now_s: float = 0.0
    ended: str = ""
    in_past: bool = False

    @classmethod
    def of_worker(cls, worker: WorkerObservation) -> JobPage:
        """Return the page of the job that a worker runs."""
        try:
            args = json.loads(worker.args_json or "null")
        except ValueError:
            args = None
        job = Job(worker.job_name, worker.job_id, 0, args if isinstance(args, dict) else None)
        return cls(HeldJob(job), run=RunningJob(worker.job_id, worker=worker))

    @property
    def job(self) -> Job:
        """The job."""
        job: Job = self.placed.job
        return job

    @property
    def name(self) -> str:
        """Its name."""
        return clean(self.job.name) or "(no job)"

    @property
    def title(self) -> str:
        """Its name and its id."""
        return f"{self.name} {clean(self.job.id)}".rstrip()

    def text(self) -> str:
        """Return all of it as text."""
        facts = [f"{name:<9} {text}" for name, text in self.facts()]
        rows = [" ".join(filter(None, row)) for row in self.executions()]
        ran = [] if self.attempts is None else rows or [self.why_no_execution()]
        sections = (
            (self.title, facts), ("Why it is not running", self.reasons()),
            ("Args", (self.args() or "none").split("\n")), ("Error", self.error().split("\n")),
            ("Executions", ran),
        )  # fmt: skip
        return "\n\n".join(
            "\n".join([title, *(f"  {line}".rstrip() for line in lines)])
            for title, lines in sections
            if any(lines)
        )

    def hidden(self, text: str) -> str:
        """Return a text of the job without secrets."""
        return self.masks.text(text, self.job.args)

    def facts(self) -> list[tuple[str, str]]:
        """Return the names and the values of its fields."""
        job = self.job
        rows = [("place", self.where())]
        if self.run is not None and self.run.worker is not None:
            worker = self.run.worker
            since = ago(worker.checkin_at, self.now_s)
            said = f"{clean(self.hidden(worker.checkin))} ({since} ago)"
            rows.append(("check-in", said if worker.checkin else "none"))
            rows.append(("worker", clean(worker.worker_id)))
        if job.enqueued_at:
            waited = ago(job.enqueued_at, self.now_s)
            rows.append(("enqueued", f"{waited} ago, {stamp(job.enqueued_at)}"))
        if parent_id := self._parent_id():
            rows.append(("parent", clean(parent_id)))
        if job.unique:
            by = clean(self.hidden(job.unique_key.strip())) or "its args"
            rows.append(("unique", f"until {job.unique_until}, by {by}"))
        if job.fails:
            last = f", the last time {ago(job.failed_at, self.now_s)} ago" if job.failed_at else ""
            rows.append(("fails", f"{count(job.fails)}{last}"))
        return rows

    def _parent_id(self) -> str:
        """Return the job that enqueued it, from its bytes or from history; "" if not known."""
        told = (record.parent_id for record in self.attempts or ())
        return parent_of(self.job.raw) or next(filter(None, told), "")

    def where(self) -> str:
        """Say where it is."""
        placed = self.placed
        if self.ended:
            return clean(f"nowhere: {self.hidden(self.ended)}")
        if self.run is not None:
            return clean(self.run.words(self.attempts or [], self.now_s))
        if placed.at is None:
            position = getattr(placed, "position", None)
            return "queued" if position is None else f"queued, number {count(position + 1)}"
        if placed.place == "dead":
            return f"dead, for {ago(placed.at, self.now_s)} ({stamp(placed.at)})"
        return f"{placed.place}, due {until(placed.at, self.now_s)} ({stamp(placed.at)})"

    def reasons(self) -> list[str]:
        """Say why it is not running."""
        found = why(self.placed, self.around) if self.around is not None else []
        return [clean(reason) for reason in found]

    def args(self) -> str | None:
        """Return its args as indented JSON, or its bytes if they are not a job; None for none."""
        job = self.job
        if job.undecodable:
            return f"{clean(job.undecodable)}\n{clean(self.hidden(repr(job.raw[:2_000])))}"
        return None if job.args is None else json_text(self.masks.hide(job.args))

    def error(self) -> str:
        """Return its last error with the traceback."""
        return cleaned_lines(self.hidden(self.job.last_err))

    def executions(self) -> list[RanRow]:
        """Return its executions, the newest first."""
        return [
            RanRow(
                clock(each.finished_ms / 1_000, self.now_s),
                clean(each.outcome),
                took(each.finished_ms - each.started_ms) if each.started_ms else "-",
                clean(each.host),
                clean(self.hidden(each.error or each.reason)),
            )
            for each in reversed(self.attempts or [])
        ]

    def why_no_execution(self) -> str:
        """Say why no executions are shown."""
        if self.attempts is None:
            return "reading …"
        if self.run is not None and not self.run.has_ended:
            return "no execution has ended yet, or history has lost it"
        if self.in_past:
            return "a recording has only the failures of the minutes before"
        return "history has no execution: it has not run, ran on a Go pool, or ran long ago"
