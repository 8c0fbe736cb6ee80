"""Says acts in words, for tables."""

from __future__ import annotations

from workkit.admin.acts.act import Act
from workkit.core.text import counted

__all__ = ["details", "jobs", "subject"]


def subject(act: Act) -> str:
    """Return what an act was about, such as "dead", "queue mail" or "wrong-type"."""
    if act.queue:
        return f"queue {act.queue}"
    return act.subject or act.place


def jobs(act: Act) -> str:
    """Return how many jobs an act has changed: "12", "3 of 12", "? of 12"; "" without jobs."""
    if not act.planned:
        return ""
    if act.done == act.planned:
        return f"{act.planned:,}"
    done = "?" if act.done is None else f"{act.done:,}"
    return f"{done} of {act.planned:,}"


def details(act: Act) -> str:
    """Return the rest of an act in one line: how jobs were picked, the change, and who undid it."""
    return "; ".join(filter(None, (_picked(act), _change(act), act.note, _end(act), _undone(act))))


def _picked(act: Act) -> str:
    if act.query:
        return act.query
    if act.undoes:
        return f"operation {act.undoes}"
    if not act.ids:
        return ""
    more = act.planned - 1
    return f"job {act.ids[0]}" + (f" and {counted(more, 'other')}" if more > 0 else "")


def _change(act: Act) -> str:
    if act.verb in {"delete", "retry", "undo", "forget"}:
        return ""  # the verb says it
    return " -> ".join(filter(None, (act.before, act.after)))


def _end(act: Act) -> str:
    return "" if act.ended_ms else "no end was recorded"


def _undone(act: Act) -> str:
    if not act.undone_by:
        return ""
    number = "" if act.undone is None else f" ({act.undone:,})"
    return f"undone by {act.undone_by}{number}"
