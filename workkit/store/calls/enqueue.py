"""Round trips that enqueue jobs, and how to read them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from workkit.store import scripts
from workkit.store.calls.layout import keys_and_args
from workkit.store.keys import Keys
from workkit.store.round_trip import Command, RoundTrip, call

__all__ = [
    "MAX_BATCH",
    "MAX_BATCH_BYTES",
    "ScheduleArgs",
    "UniqueArgs",
    "Written",
    "enqueue",
    "enqueue_one",
    "enqueue_unique",
    "read_enqueue",
    "read_written",
    "schedule",
    "without",
]

#: Maximum of jobs in one script call: the server keeps all of them in memory.
MAX_BATCH: Final = 1_000
#: About how many bytes of jobs one script call has at most.
MAX_BATCH_BYTES: Final = 4 * 1024 * 1024


class ScheduleArgs(NamedTuple):
    """The arguments of schedule.lua, in their order: a job, and when it is due, epoch seconds."""

    name: str
    run_at_s: int
    raw: bytes


class UniqueArgs(NamedTuple):
    """The arguments of enqueue_unique.lua, in their order; see `enqueue_unique`.

    Attributes:
        run_at_s: When the job is due, epoch seconds; "" for now.
    """

    name: str
    raw: bytes
    value: bytes
    lives_s: int
    run_at_s: int | str
    replaces: int


class Written(NamedTuple):
    """A job that a command of this module puts into Redis.

    Attributes:
        name: The job's name.
        raw: The job.
        run_at_s: When it is due, epoch seconds; None for now.
        unique_key: The key that it must get; empty for a job that is not unique.
        replaces: Whether it gives its args to the job that has the key.
    """

    name: str
    raw: bytes
    run_at_s: int | None = None
    unique_key: bytes = b""
    replaces: bool = False


def enqueue_one(keys: Keys, name: str, raw: bytes) -> RoundTrip[None]:
    """Put one job into its queue."""
    command = (scripts.ENQUEUE, 2, keys.known_jobs, keys.jobs(name), name, 1, raw)
    return RoundTrip((command,), _nothing)


def enqueue(keys: Keys, batches: Mapping[str, Sequence[bytes]]) -> RoundTrip[None]:
    """Put jobs into their queues, all or none.

    Args:
        keys: The namespace.
        batches: Name -> jobs in the order in which they are to run; at most `MAX_BATCH` in all.
    """
    key_list = [keys.known_jobs, *(keys.jobs(name) for name in batches)]
    args: list[Any] = []
    for name, raws in batches.items():
        args += (name, len(raws), *raws)
    return RoundTrip.one(call(scripts.ENQUEUE, key_list, args), _nothing)


def read_enqueue(command: Command) -> list[tuple[str, list[bytes]]]:
    """Return the names and jobs of a call of enqueue.lua."""
    _, args = keys_and_args(command)
    batches, at = [], 0
    while at < len(args):
        name, count = args[at], int(args[at + 1])
        first, at = at + 2, at + 2 + count
        batches.append((name, list(args[first:at])))
    return batches


def schedule(keys: Keys, name: str, run_at_s: int, raw: bytes) -> RoundTrip[None]:
    """Put one job into the scheduled set."""
    args = ScheduleArgs(name, run_at_s, raw)
    command = call(scripts.SCHEDULE, (keys.known_jobs, keys.scheduled), args)
    return RoundTrip.one(command, _nothing)


def enqueue_unique(
    keys: Keys,
    name: str,
    raw: bytes,
    *,
    unique_key: bytes,
    value: bytes,
    replaces: bool,
    lives_s: int,
    run_at_s: int | None,
) -> RoundTrip[bool]:
    """Put one job into its queue or the scheduled set unless its key is held.

    Args:
        keys: The namespace.
        name: The job's name.
        raw: The job.
        unique_key: The key.
        value: The value of the key: b"1", or the payload that is to run.
        replaces: Whether a refused duplicate gives its value to the job that waits.
        lives_s: How long the key lives, seconds.
        run_at_s: When the job is due, epoch seconds; None for now.

    Returns:
        A round trip that says whether the job was enqueued.
    """
    where = keys.jobs(name) if run_at_s is None else keys.scheduled
    command = call(
        scripts.ENQUEUE_UNIQUE,
        (keys.known_jobs, where, unique_key),
        UniqueArgs(name, raw, value, lives_s, "" if run_at_s is None else run_at_s, int(replaces)),
    )
    return RoundTrip.one(command, bool)


def read_written(command: Command) -> list[Written]:
    """Return the jobs that a command puts into Redis; none for a command of another module."""
    script = command[0]
    if script is scripts.ENQUEUE:
        return [Written(name, raw) for name, raws in read_enqueue(command) for raw in raws]
    if script is scripts.SCHEDULE:
        due = ScheduleArgs(*keys_and_args(command)[1])
        return [Written(due.name, due.raw, due.run_at_s)]
    if script is scripts.ENQUEUE_UNIQUE:
        keys, args = keys_and_args(command)
        new = UniqueArgs(*args)
        due_s = None if new.run_at_s == "" else int(new.run_at_s)
        return [Written(new.name, new.raw, due_s, keys[2], bool(new.replaces))]
    return []


def without(command: Command, names: Collection[str]) -> Command | None:
    """Return a command of this module without the jobs of some names; None if none is left."""
    if command[0] is not scripts.ENQUEUE:
        return None if read_written(command)[0].name in names else command
    known_jobs, *queues = keys_and_args(command)[0]
    kept = [
        (queue, name, raws)
        for queue, (name, raws) in zip(queues, read_enqueue(command), strict=True)
        if name not in names
    ]
    if not kept:
        return None
    args: list[Any] = []
    for _, name, raws in kept:
        args += (name, len(raws), *raws)
    return call(scripts.ENQUEUE, (known_jobs, *(queue for queue, _, _ in kept)), args)


def _nothing(reply: object) -> None:
    """Ignore a reply that carries no information."""
    del reply
