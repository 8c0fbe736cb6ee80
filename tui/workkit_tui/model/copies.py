"""What can be copied of a job, as the screens show it: without secrets and harmless."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from workkit.core.job import Job
from workkit.core.masks import Masks
from workkit.core.text import clean
from workkit_tui.model.words import json_text

__all__ = ["JOB_COPY_KEYS", "Copy", "cleaned_lines", "find_command", "job_copies"]

#: The keys that pick what is copied of a job.
JOB_COPY_KEYS: Final = "iaejc"


@dataclass(frozen=True, slots=True)
class Copy:
    """Something that can be copied.

    Attributes:
        what: Its name for people, such as "the args".
        text: The text.
        key: The key that picks it among others; "" where there is nothing to choose.
    """

    what: str
    text: str
    key: str = ""


def cleaned_lines(text: str) -> str:
    """Return a text of several lines without characters that a terminal would obey."""
    return "\n".join(map(clean, text.splitlines()))


def find_command(job_id: str, label: str) -> str:
    """Return the command line that shows a job.

    Args:
        job_id: The job's id.
        label: The label of a reader of a server: the namespace and the server.
    """
    namespace, found, _ = label.rpartition(" at ")
    words = ["workkit", "jobs", "find", *(["--namespace", namespace] if found else [])]
    return clean(shlex.join([*words, *(["--"] if job_id.startswith("-") else []), job_id]))


def job_copies(job: Job, masks: Masks, whole: Callable[[], Any], label: str | None) -> list[Copy]:
    """Return what can be copied of a job, the most wanted first.

    Args:
        job: The job.
        masks: Hides secrets.
        whole: Returns the whole record as plain data without secrets.
        label: The label of its reader; None where no command shows the job, as in a file.
    """
    found = [Copy("the id", clean(job.id), "i")] if job.id else []
    if job.args is not None:
        found.append(Copy("the args", json_text(masks.hide(job.args)), "a"))
    if job.last_err:
        found.append(Copy("the error", cleaned_lines(masks.text(job.last_err, job.args)), "e"))
    found.append(Copy("the whole job", json_text(whole()), "j"))
    if label is not None and job.id:
        found.append(Copy("the command that shows it", find_command(job.id, label), "c"))
    return found
