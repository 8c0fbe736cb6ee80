"""Reads the options of a job at its registration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from workkit.core.options import JobOptions, check_unknown
from workkit.engine.handling.shapes import Shape, is_async, read_shape
from workkit.errors import InvalidHandler, InvalidOption

__all__ = ["read_options"]

_BACKOFF: Final = Shape(
    "backoff",
    (("job",), ("job", "error")),
    "def backoff(job) or def backoff(job, error), which returns seconds, such as "
    "lambda job: 10 * job.fails",
)


def read_options(name: str, options: Mapping[str, Any], *others: str) -> JobOptions:
    """Check the options of a job.

    Args:
        name: The job's name, for messages.
        options: The options as keyword arguments.
        *others: Further names that the caller accepts, for the message.

    Raises:
        InvalidOption: An option is unknown or out of its range.
        InvalidHandler: The backoff has another signature.
    """
    check_unknown(f"job {name!r}", options, (*others, *JobOptions.__dataclass_fields__))
    try:
        read = JobOptions(**options)
        if read.backoff is not None:
            read_shape(read.backoff, _BACKOFF)
    except InvalidOption as error:
        raise InvalidOption(f"job {name!r}: {error}") from None
    except InvalidHandler as error:
        raise InvalidHandler(f"job {name!r}: {error}") from None
    if is_async(read.backoff):
        raise InvalidHandler(f"job {name!r}: backoff must be {_BACKOFF.text}, without async")
    return read
