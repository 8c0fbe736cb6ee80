"""Round trips that read, pause and unpause queues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from workkit.store import scripts
from workkit.store.calls import acts
from workkit.store.calls.acts import ActEntry
from workkit.store.keys import Keys
from workkit.store.replies import number
from workkit.store.round_trip import RoundTrip, call

__all__ = [
    "QueueState",
    "pause",
    "states",
]


class QueueState(NamedTuple):
    """The present state of one queue.

    Attributes:
        name: The job's name.
        length: Jobs that wait; 0 also for a key of a wrong type.
        oldest: The job that runs next, or None.
        paused: Whether it is paused.
        running: How many of its jobs pools hold.
        max_concurrency: Its limit; 0 for none.
        wrong: The keys of the queue that have a wrong type.
    """

    name: str
    length: int
    oldest: bytes | None
    paused: bool
    running: int
    max_concurrency: int
    wrong: tuple[bytes, ...] = ()

    @property
    def broken(self) -> bool:
        """Whether a key of the queue has a wrong type."""
        return bool(self.wrong)


def states(keys: Keys, names: Sequence[str]) -> RoundTrip[list[QueueState]]:
    """Read queues, five commands each, in one round trip."""
    commands: list[tuple[Any, ...]] = []
    for name in names:
        queue = keys.queue(name, "")
        commands += (
            ("LLEN", queue.jobs),
            ("LINDEX", queue.jobs, -1),
            ("GET", queue.paused),
            ("GET", queue.lock),
            ("GET", queue.max_concurrency),
        )

    def parse(replies: list[Any]) -> list[QueueState]:
        return [_state(keys, name, replies[5 * at : 5 * at + 5]) for at, name in enumerate(names)]

    return RoundTrip(commands, parse, tolerant=True)


def pause(keys: Keys, name: str, act: ActEntry, *, wanted: bool) -> RoundTrip[bool]:
    """Pause or unpause a queue, for Go pools as well, and record that.

    Args:
        keys: The namespace.
        name: The job's name.
        act: What is recorded.
        wanted: Whether it is to be paused.

    Returns:
        Whether it was paused before.
    """
    command = call(
        scripts.PAUSE,
        [keys.paused(name), *acts.act_keys(keys)],
        [int(wanted), *acts.act_args(act)],
    )
    return RoundTrip.one(command, lambda reply: bool(acts.check(keys, reply)))


def _state(keys: Keys, name: str, replies: Sequence[Any]) -> QueueState:
    count, oldest, paused, lock, limit = replies
    wrong: tuple[bytes, ...] = ()
    if any(isinstance(reply, Exception) for reply in (count, paused, lock, limit)):
        queue = keys.queue(name, "")
        pairs = (
            (queue.jobs, count),
            (queue.paused, paused),
            (queue.lock, lock),
            (queue.max_concurrency, limit),
        )
        wrong = tuple(key for key, reply in pairs if isinstance(reply, Exception))
    return QueueState(
        name,
        count if isinstance(count, int) else 0,
        oldest if isinstance(oldest, bytes) else None,
        isinstance(paused, bytes) and paused != b"0",
        max(number(lock) or 0, 0),
        max(number(limit) or 0, 0),
        wrong,
    )
