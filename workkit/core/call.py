"""One call of a job: its name and its args, ready to be enqueued."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["Call", "TaskCall"]


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


class TaskCall(Call):
    """A call that knows the registry of its task, so that a simulation can run it.

    It is equal to the plain call, and a copy by pickle is a plain call.
    """

    registry: Any = None

    def __reduce__(self) -> tuple[type[Call], tuple[Any, ...]]:
        """Leave the registry behind."""
        return Call, tuple(self)

    def __repr__(self) -> str:
        return f"Call(name={self.name!r}, args={self.args!r})"
