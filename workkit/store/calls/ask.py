"""Round trips about the stacks of running handlers: ask a pool, answer, read the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from workkit.core.lifetimes import STACK_KEPT_S
from workkit.store import scripts
from workkit.store.keys import Keys
from workkit.store.round_trip import RoundTrip, call

__all__ = ["answer", "answered", "ask"]

#: A pool is asked for so many jobs at once.
_MOST: Final = 16


def ask(keys: Keys, pool_id: str, job_id: str) -> RoundTrip[int]:
    """Ask a pool for the stack of a handler; gives 1, 0 (no pool of ours) or -1 (too many)."""
    return RoundTrip.one(call(scripts.ASK, [keys.pool(pool_id)], [job_id, _MOST]), int)


def answer(keys: Keys, stacks: Mapping[str, bytes]) -> RoundTrip[None]:
    """Write stacks by job id, for a short time."""
    commands = [
        ("SET", keys.stack(job_id), stack, "EX", STACK_KEPT_S) for job_id, stack in stacks.items()
    ]
    return RoundTrip(commands, lambda _: None)


def answered(keys: Keys, job_id: str) -> RoundTrip[bytes | None]:
    """Read a stack; gives None if there is none, or if the key has a wrong type."""
    return RoundTrip(
        [("GET", keys.stack(job_id))],
        lambda replies: replies[0] if isinstance(replies[0], bytes) else None,
        tolerant=True,
    )
