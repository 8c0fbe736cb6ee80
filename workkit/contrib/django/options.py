"""The OPTIONS of the backend in Django's settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from workkit.contrib.django.api import InvalidTaskBackend
from workkit.core.options import shown
from workkit.engine.handling.job_options import read_options
from workkit.errors import WorkkitError
from workkit.store.connections.target import Target
from workkit.store.keys import Keys

__all__ = ["Options", "read_backend_options"]


@dataclass(frozen=True)
class Options:
    """The checked options.

    Attributes:
        NAMESPACE: Prefix of all keys.
        URL: The server.
        ENQUEUE_ON_COMMIT: Whether jobs are enqueued when the open transactions are committed.
        JOB_OPTIONS: The fields of `JobOptions` for each queue of Django.
    """

    NAMESPACE: str = "work"
    URL: str = "redis://localhost:6379/0"
    ENQUEUE_ON_COMMIT: bool = True
    JOB_OPTIONS: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def read_backend_options(
    alias: str, options: Mapping[str, Any], queues: Collection[str] = ()
) -> Options:
    """Check the options of a backend.

    Args:
        alias: The backend.
        options: Its OPTIONS.
        queues: Its QUEUES; empty if any queue is allowed.

    Raises:
        InvalidTaskBackend: The message names the option and the remedy.
    """
    where = f"TASKS[{alias!r}]['OPTIONS']"
    known = [each.name for each in fields(Options)]
    for name in options:
        if name not in known:
            raise InvalidTaskBackend(f"{where} has no {shown(name)}; it has {', '.join(known)}")
    read = Options(**options)
    if not isinstance(read.ENQUEUE_ON_COMMIT, bool):
        raise InvalidTaskBackend(
            f"{where}: ENQUEUE_ON_COMMIT must be True or False, not {shown(read.ENQUEUE_ON_COMMIT)}"
        )
    if not isinstance(read.JOB_OPTIONS, Mapping) or not all(
        isinstance(each, Mapping) for each in read.JOB_OPTIONS.values()
    ):
        raise InvalidTaskBackend(
            f"{where}: JOB_OPTIONS maps queues to options of jobs, such as "
            f'{{"default": {{"max_fails": 1}}}}, not {shown(read.JOB_OPTIONS)}'
        )
    if not isinstance(read.URL, str):
        raise InvalidTaskBackend(f"{where}: URL must be a text, not {shown(read.URL)}")
    try:
        Keys(read.NAMESPACE)
        Target.of(read.URL, read.NAMESPACE)
        for queue, each in read.JOB_OPTIONS.items():
            if queues and queue not in queues:
                raise InvalidTaskBackend(
                    f"{where}: JOB_OPTIONS has {shown(queue)}, QUEUES does not"
                )
            read_options(queue, dict(each))
    except WorkkitError as error:
        raise InvalidTaskBackend(f"{where}: {error}") from error
    return read
