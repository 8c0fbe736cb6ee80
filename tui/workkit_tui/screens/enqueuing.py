"""Enqueues a new job: asks for its name, which it completes, then for its args."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import chain
from typing import Any, Final

from rich.highlighter import JSONHighlighter
from rich.text import Text

from workkit.admin.actions import Actions, NewJob
from workkit.admin.query import Query
from workkit.admin.reader import Reader
from workkit.core.job import Job
from workkit.core.records import Kind, Place, QueuedJob
from workkit.core.signatures import Signature
from workkit.core.text import clean
from workkit.errors import WorkkitError
from workkit_tui.model.words import json_text
from workkit_tui.screens.args import ArgsScreen, doubtful
from workkit_tui.screens.base import ConsoleScreen
from workkit_tui.screens.plan import PlanScreen, Wanted
from workkit_tui.themes import color

__all__ = ["EnqueueScreen", "ask_for_job", "template"]

#: So many jobs of each place are looked at for the names of args.
_LOOKED_AT: Final = 50
_SETS: Final[tuple[Kind, ...]] = ("scheduled", "retry", "dead")


def ask_for_job(screen: ConsoleScreen, name: str = "") -> None:
    """Ask for the name of a job, and then for its args.

    Args:
        screen: The screen whose prompt is used.
        name: The name to begin with.
    """
    view = screen.console.view
    if view is None or not screen.console.may_act():
        return
    handled = {each for pool in view.seen.pools for each in pool.job_names}
    names = sorted(handled | {queue.job_name for queue in view.seen.queues})

    def take(text: str) -> None:
        if not text:
            raise ValueError("type the name of a job; tab completes it")
        screen.close_prompt()
        screen.run_worker(
            lambda: _read(screen, text), thread=True, group="template", exclusive=True
        )

    screen.prompt.ask("Enqueue", take, value=name, hint="the name of a job", names=names)


def _read(screen: ConsoleScreen, name: str) -> None:
    """Read the args of other jobs, on a thread, and open the box."""
    console = screen.console
    signature = _signature(console.actions, name)
    text = template(console.reader, name, signature)
    if console.is_running:
        console.call_from_thread(screen.app.push_screen, EnqueueScreen(name, text, signature))


def _signature(actions: Actions | None, name: str) -> Signature | None:
    try:
        return actions.signature(name) if actions is not None else None
    except WorkkitError:
        return None  # the banner shows the trouble; the name is checked when the job is made


def template(reader: Reader, name: str, signature: Signature | None = None) -> str:
    """Return args to begin with: their names, without values.

    They are those that a typed task needs, or else those that another job of this name has.

    Args:
        reader: Reads the jobs.
        name: The name of the job.
        signature: What the task takes, if pools publish it.
    """
    if signature is not None:
        return f"{json.dumps(signature.template(), indent=2, ensure_ascii=False)}\n"
    try:
        queued = reader.jobs(Place("queued", name), 0, 1, reverse=True).jobs
        others = (reader.jobs(Place(kind), 0, _LOOKED_AT, reverse=True).jobs for kind in _SETS)
        for record in chain(queued, chain.from_iterable(others)):
            if record.job.name == name and record.job.args:
                return f"{json.dumps(_emptied(record.job.args), indent=2, ensure_ascii=False)}\n"
    except WorkkitError:
        pass  # the banner shows the trouble
    return "{}\n"


def _emptied(value: Any) -> Any:
    """Return a value of the same type that says nothing."""
    if isinstance(value, Mapping):
        return {name: _emptied(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return []
    if value is None or isinstance(value, bool):
        return value and False
    return type(value)()


class EnqueueScreen(ArgsScreen):
    """Enqueues a job.

    Args:
        name: The name of the job.
        text: The args to begin with.
        signature: What the task takes, if pools publish it.
    """

    def __init__(self, name: str, text: str, signature: Signature | None = None) -> None:
        super().__init__(f"Enqueue {name}", f"new-{name}", text)
        self.signature = signature
        self._called = name
        self._job: Job | None = None

    def make_plan(self, text: str | bytes) -> NewJob:
        """Make the job."""
        return self.actions.new_job(self._called, text, insist=self.insist)

    def describe(self, plan: Any) -> Text:
        """Show the args, and whether anybody takes the job."""
        args = plan.job.args
        shown = "no args" if args is None else json_text(self.console.masks.hide(args))
        text = JSONHighlighter()(shown)
        view, warning = self.console.view, color(self.app, "warning")
        if self.signature is not None:
            quiet = color(self.app, "secondary")
            text.append(f"\nit takes {clean(self.signature.takes)}", quiet)
        text.append_text(doubtful(plan.doubts, warning))
        if view is not None and not view.takers.get(self._called):
            text.append(f"\n▲ no live worker takes jobs called {clean(self._called)}", warning)
        return text

    def carry_out(self, plan: Any) -> str:
        """Enqueue the job; return its id."""
        self.actions.enqueue(plan.job, by=self.console.settings.by)
        self._job = plan.job
        return str(plan.job.id)

    def applied(self, result: str) -> None:
        """Offer to delete the job again."""
        self.console.action_refresh_now()
        said = f"{clean(self._called)} {clean(result)}"
        keys = "u deletes it again, unless it has started   esc closes"
        self.say("The job is enqueued", said, keys)

    def action_undo(self) -> None:
        """Delete the job again."""
        if self.stage == "done" and self._job is not None:
            place, record = Place("queued", self._called), QueuedJob(0, self._job)
            wanted = Wanted("delete", place, Query(""), [record], None)
            self.app.push_screen(PlanScreen(wanted), lambda _: self.dismiss(result=True))
