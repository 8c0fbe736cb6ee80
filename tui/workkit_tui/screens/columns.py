"""Cells that several lists of jobs have in common."""

from __future__ import annotations

from typing import Final

from workkit.core.job import Job
from workkit.core.masks import Masks
from workkit.core.text import clean
from workkit_tui.model.words import args_text, error_text
from workkit_tui.widgets.table import Cell

__all__ = ["args_cell", "error_cell", "name_cell"]


#: Longest args in a table; no terminal shows more, characters.
_CHARS: Final = 1_000


def name_cell(job: Job) -> Cell:
    """Return the job's name; invalid bytes stand out."""
    return ("(no job)", "bad") if job.undecodable else clean(job.name)


def error_cell(job: Job, masks: Masks) -> Cell:
    """Return the headline of the error, secrets hidden."""
    if job.undecodable:
        return clean(job.undecodable), "bad"
    return error_text(job.last_err, masks, job.args)


def args_cell(job: Job, masks: Masks) -> Cell:
    """Return the beginning of the args as short JSON, secrets hidden."""
    return "" if job.undecodable else args_text(masks.brief(job.args, _CHARS))
