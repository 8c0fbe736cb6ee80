"""The errors of the Go peer.

::

    GoPeerError
    ├── GoDecodeError         bytes that Go's encoding/json or strconv would refuse
    ├── GoEncodeError         a value that Go's encoding/json cannot write
    ├── GoReplyError          a reply of Redis that the original does not expect
    ├── GoHangError           the original would never come back from this call
    ├── NothingDeletedError   the original's ErrNotDeleted
    └── NothingRetriedError   the original's ErrNotRetried
"""

from __future__ import annotations


class GoPeerError(Exception):
    """The root of what the Go peer raises on purpose."""


class GoDecodeError(GoPeerError):
    """Go could not have read these bytes into the type that it reads them into."""

    def __init__(self, reason: str, data: bytes) -> None:
        """Keep what was read.

        Args:
            reason: The error that Go would report.
            data: The bytes as they were in Redis.
        """
        super().__init__(f"{reason}: {data[:200]!r}")
        self.reason = reason
        self.data = data


class GoEncodeError(GoPeerError):
    """Go's encoding/json has no text for this value."""


class GoReplyError(GoPeerError):
    """Redis answered with something that the original takes for an error."""


class GoHangError(GoPeerError):
    """The original would loop without end here, writing again and again."""


class NothingDeletedError(GoPeerError):
    """The call worked, but no job to delete matched."""


class NothingRetriedError(GoPeerError):
    """The call worked, yet no job went back to a queue."""
