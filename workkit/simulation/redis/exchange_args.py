"""Reads the arguments of exchange.lua; the script's header is their contract."""

from __future__ import annotations

from typing import Any, NamedTuple

from workkit.store.round_trip import Command

__all__ = ["QueuePart", "Settled", "exchange_parts"]

#: How many keys precede those of the queues, and how many keys a queue has.
_FIRST_KEYS = 7
_QUEUE_KEYS = 6


class Settled(NamedTuple):
    """A job that an exchange settles, in the order of the reply.

    Attributes:
        fate: b"d" done or discarded, b"r" retry, b"x" dead, b"b" back to its queue.
        raw: Its bytes.
        score: When it is due or died, epoch seconds; 0 for other fates.
    """

    fate: bytes
    raw: bytes
    score: Any = 0


class QueuePart(NamedTuple):
    """The part of an exchange that concerns one queue.

    Attributes:
        keys: The queue's keys, as `QueueKeys` has them.
        settled: The jobs that it settles.
    """

    keys: tuple[bytes, ...]
    settled: list[Settled]


def exchange_parts(command: Command) -> list[QueuePart]:
    """Split the arguments of an exchange by queue."""
    keys = command[2 : 2 + command[1]]
    args = command[2 + command[1] :]
    parts = []
    at = 11
    for queue in range(int(args[10])):
        done = int(args[at + 1])
        at += 2
        settled = [Settled(b"d", raw) for raw in args[at : at + done]]
        at += done
        begun = int(args[at])
        settled += [Settled(b"d", raw) for raw in args[at + 1 : at + 1 + 2 * begun : 2]]
        at += 1 + 2 * begun
        others = int(args[at])
        at += 1
        for _ in range(others):
            if args[at] in {b"r", b"x"}:
                settled.append(Settled(*args[at : at + 3]))
                at += 4
            else:
                settled.append(Settled(*args[at : at + 2]))
                at += 2
        first = _FIRST_KEYS + _QUEUE_KEYS * queue
        parts.append(QueuePart(keys[first : first + _QUEUE_KEYS], settled))
    return parts
