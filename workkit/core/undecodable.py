"""Malformed payloads, wrapped into valid dead jobs so that every reader can show them."""

from __future__ import annotations

import base64
from typing import Final

from workkit.core import gojson
from workkit.core.job import Job, Payload, encode, failed

__all__ = ["UNDECODABLE", "bury_undecodable", "restore_undecodable"]

#: The args key that holds the bytes of a malformed payload, in base64.
UNDECODABLE: Final = "workkit_undecodable"


def bury_undecodable(raw: bytes, origin: str, reason: str, job_id: str, now_s: int) -> bytes:
    """Wrap a malformed payload into a valid dead job, so that every reader can show it.

    Args:
        raw: The malformed payload.
        origin: Where it was: a queue's name, or "scheduled" or "retry".
        reason: Why it is malformed.
        job_id: A new id.
        now_s: Epoch seconds.
    """
    args = {UNDECODABLE: base64.b64encode(raw).decode("ascii"), "from": origin}
    fresh = encode(origin, job_id, now_s, gojson.encode_args(args))
    return failed(fresh, 1, f"undecodable payload: {reason}", now_s)


def restore_undecodable(job: Job | Payload) -> bytes | None:
    """Return the malformed payload that `bury_undecodable` wrapped; None for any other job."""
    if not job.args or not isinstance(text := job.args.get(UNDECODABLE), str):
        return None
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None
