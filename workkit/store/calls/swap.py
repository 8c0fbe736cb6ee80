"""The round trip that puts an edited job into the place of the job that it was, or back."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from workkit.store import scripts
from workkit.store.calls.remove import Trash
from workkit.store.keys import Keys
from workkit.store.round_trip import RoundTrip, call

__all__ = ["KeyMove", "Spot", "Swap", "has_begun", "swap"]


class Spot(NamedTuple):
    """A place in Redis.

    Attributes:
        key: The queue or the set.
        kind: Its type.
        queue: The name of the queue; "" for a set.
    """

    key: bytes
    kind: Literal["list", "zset"]
    queue: str


class KeyMove(NamedTuple):
    """What becomes of unique keys.

    Attributes:
        frees: The key to free; "" for none.
        had: The value that it must have.
        takes: The key to take; "" for none.
        value: Its value.
        lives_s: How long it lives, seconds.
    """

    frees: str = ""
    had: bytes = b""
    takes: str = ""
    value: bytes = b""
    lives_s: int = 0


class Swap(NamedTuple):
    """A job that another takes the place of.

    Attributes:
        old: The bytes of the job.
        new: The bytes of the other.
        job_id: The id of both.
        source: Where the job is.
        target: Where the other goes.
        score: Its score there; "" for the score that the job had.
        move: What becomes of unique keys.
    """

    old: bytes
    new: bytes
    job_id: str
    source: Spot
    target: Spot
    score: str = ""
    move: KeyMove = KeyMove()


def swap(
    keys: Keys, wanted: Swap, trash: Trash, now_s: int, *, details: bytes = b"", entry: bytes = b""
) -> RoundTrip[str]:
    """Swap; gives "1", or why nothing was done, see swap.lua.

    Args:
        keys: The namespace.
        wanted: The swap.
        trash: Where the job is kept.
        now_s: Epoch seconds.
        details: What the trash keeps with the job; b"" to undo a swap.
        entry: The entry of the trash that is undone.
    """
    move = wanted.move
    spare = keys.trashed(trash.operation)
    key_list = [
        wanted.source.key, wanted.target.key, keys.known_jobs, keys.begun, spare,
        move.frees.encode() or spare, move.takes.encode() or spare,
    ]  # fmt: skip
    args: list[Any] = [
        wanted.source.kind, wanted.target.kind, wanted.score, now_s, trash.kept_s, wanted.old,
        wanted.new, wanted.target.queue, wanted.job_id, move.had, move.value, move.lives_s,
        details, entry,
    ]  # fmt: skip
    return RoundTrip.one(call(scripts.SWAP, key_list, args), lambda reply: reply.decode())


def has_begun(keys: Keys, job_id: str) -> RoundTrip[bool]:
    """Tell whether a unique job has begun once, and is not settled."""
    return RoundTrip.one(("HEXISTS", keys.begun, job_id), bool)
