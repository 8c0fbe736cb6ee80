"""One call of a job: its name and its args, ready to be enqueued."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["Call"]


class Call(NamedTuple):
    """A job's name with its args. Every form of enqueuing takes one instead of the two.

    `Task.call` makes calls with checked args. Make one yourself for a job that other programs
    process: ``Call("resize", {"image": 7})``.

    Attributes:
        name: The job's name.
        args: The args as JSON values: parameter -> value.
    """

    name: str
    args: Mapping[str, Any] | None = None
