"""The dispatcher's exchanges: settle and claim, look."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from workkit.store import scripts
from workkit.store.calls.layout import head, keys_and_args
from workkit.store.keys import Keys, QueueKeys
from workkit.store.replies import text
from workkit.store.round_trip import Command, RoundTrip, call

__all__ = [
    "Claimed",
    "Effect",
    "ExchangeCall",
    "ExchangeKeys",
    "ExchangeReply",
    "HistoryBlob",
    "IdleLook",
    "QueuePart",
    "Settled",
    "Settlement",
    "exchange",
    "flags",
    "look",
    "read_exchange",
]

#: Maximum of claims of one queue in one exchange; Lua's stack bounds how much it can unpack.
MAX_CLAIM: Final = 1_000
#: The fates of jobs that go to a sorted set.
_SCORED: Final = frozenset({b"r", b"x"})


class Effect(NamedTuple):
    """A further write when a job is settled; see exchange.lua.

    Attributes:
        op: "release", "mark", "recovered" or "begun".
        key: The Redis key that it touches; b"" for ops with a fixed key.
        argument: The op's argument.
    """

    op: str
    key: bytes
    argument: str


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """The fate of one job.

    Attributes:
        queue: The queue that it was claimed from (its own name may say otherwise).
        raw: The bytes in the in-progress list.
        fate: b"d" done or discarded, b"r" retry, b"x" dead, b"b" back to its queue.
        score: When it is due or when it died, epoch seconds; for retry and dead.
        new: The bytes to store there.
        effects: Further writes.
        begun: The id under which a unique job was marked as begun; "" for others.
    """

    queue: str
    raw: bytes
    fate: bytes
    score: int
    new: bytes
    effects: tuple[Effect, ...]
    begun: str


class HistoryBlob(NamedTuple):
    """Finished executions on their way to the history stream.

    Attributes:
        max_records: How many records the stream keeps; 0 to append nothing.
        records: How many records the blob holds.
        blob: The packed records.
        host: The host on which they ran.
        max_bytes: How many bytes the stream keeps; 0 for no bound.
        version: The program's version.
    """

    max_records: int = 0
    records: int = 0
    blob: bytes = b""
    host: str = ""
    max_bytes: int = 0
    version: str = ""


class Claimed(NamedTuple):
    """The jobs that were claimed from one queue.

    Attributes:
        queue: Its name.
        raws: The claimed jobs, oldest first.
        stopped_by: Why no more jobs were claimed: "" (more may wait), "empty", "paused", "limit",
            "type".
    """

    queue: str
    raws: list[bytes]
    stopped_by: str


@dataclass(slots=True)
class ExchangeReply:
    """The outcome of an exchange.

    Attributes:
        status: "ok"; otherwise nothing was applied: "gone" (the pool is not registered), "fenced"
            (out of step with the server), "type" (the retry or dead key has a wrong type).
        applied: One flag a settlement, in the given order: False if the pool did not hold the job
            any more.
        recovering: How many jobs of the namespace have been recovered and are not settled.
        claimed: One entry for each queue of the exchange.
        detail: The key that has a wrong type.
    """

    status: str
    applied: list[bool] = field(default_factory=list)
    recovering: int = 0
    claimed: list[Claimed] = field(default_factory=list)
    detail: str = ""

    @property
    def jobs(self) -> int:
        """How many jobs were claimed."""
        return sum(len(claimed.raws) for claimed in self.claimed)


class _Part(NamedTuple):
    """The settlements of one queue, as indexes.

    Attributes:
        done: Jobs that leave the system, without those in `begun`.
        begun: Unique jobs with a mark that leave the system.
        others: The rest.
    """

    done: list[int]
    begun: list[int]
    others: list[int]

    def arguments(self, settlements: Sequence[Settlement]) -> list[Any]:
        """Return the arguments of exchange.lua for these settlements."""
        args: list[Any] = [len(self.done), *[settlements[index].raw for index in self.done]]
        args.append(len(self.begun))
        for index in self.begun:
            args += (settlements[index].raw, settlements[index].begun)
        args.append(len(self.others))
        for index in self.others:
            settlement = settlements[index]
            args += (settlement.fate, settlement.raw)
            if settlement.fate in _SCORED:
                args += (settlement.score, settlement.new)
        return args


class ExchangeKeys(NamedTuple):
    """The keys that an exchange begins with; six a queue follow, then keys of effects."""

    pool: bytes
    retry: bytes
    dead: bytes
    history: bytes
    history_head: bytes
    recoveries: bytes
    begun: bytes


def exchange(
    keys: Keys,
    pool_id: str,
    fence: int,
    now_ms: int,
    settlements: Sequence[Settlement],
    claims: Mapping[str, int],
    history: HistoryBlob,
    meanwhile: Callable[[], None] | None = None,
) -> RoundTrip[ExchangeReply]:
    """Settle finished jobs and claim new ones, in one script.

    Args:
        keys: The namespace.
        pool_id: The pool that holds and claims the jobs.
        fence: The pool's last known fence; it becomes `fence` + 1.
        now_ms: Epoch milliseconds.
        settlements: Fates, in any order.
        claims: Queue -> how many at most.
        history: Executions to append.
        meanwhile: Work to do while the server works.
    """
    parts, has_effects = _parts(settlements, claims)
    # The fields of `ExchangeKeys`; to build the record would take a tenth of a small exchange.
    key_list: list[bytes] = [
        keys.pool(pool_id), keys.retry, keys.dead, keys.history, keys.history_head,
        keys.recoveries, keys.begun,
    ]  # fmt: skip
    args: list[Any] = [pool_id, fence, fence + 1, now_ms, *history, len(parts)]
    flat: list[int] = []
    for name, part in parts.items():
        key_list += keys.queue(name, pool_id)
        args.append(min(claims.get(name, 0), MAX_CLAIM))
        args += part.arguments(settlements)
        flat += part.done
        flat += part.begun
        flat += part.others
    for position, effect in _effects(settlements, flat) if has_effects else ():
        key_at = 1
        if effect.key:
            key_list.append(effect.key)
            key_at = len(key_list)
        args += (position, effect.op, key_at, effect.argument)
    return RoundTrip(
        (call(scripts.EXCHANGE, key_list, args),),
        lambda replies: _parse(replies[0], list(parts), flat),
        meanwhile=meanwhile,
    )


def _parts(
    settlements: Sequence[Settlement], claims: Mapping[str, int]
) -> tuple[dict[str, _Part], bool]:
    """Return the settlements of each queue, and whether one of them has effects."""
    parts = {name: _Part([], [], []) for name in claims}
    has_effects = False
    for index, settlement in enumerate(settlements):
        has_effects = has_effects or bool(settlement.effects)
        part = parts.get(settlement.queue)
        if part is None:
            part = parts[settlement.queue] = _Part([], [], [])
        if settlement.fate != b"d":
            part.others.append(index)
        elif settlement.begun:
            part.begun.append(index)
        else:
            part.done.append(index)
    return parts, has_effects


def flags(sent: Sequence[Settlement], claims: Mapping[str, int], bits: bytes) -> list[bool]:
    """Tell which settlements were applied, by the bits that a script has left; b"" if all were."""
    parts, _ = _parts(sent, claims)
    flat = [index for part in parts.values() for index in (*part.done, *part.begun, *part.others)]
    return _flags(flat, bits or b"1" * len(flat))


def _flags(flat: Sequence[int], bits: bytes) -> list[bool]:
    applied = [True] * len(flat)
    if b"0" in bits:
        for index, bit in zip(flat, bits, strict=True):
            applied[index] = bit == ord("1")
    return applied


def _effects(
    settlements: Sequence[Settlement], order: Sequence[int]
) -> Iterator[tuple[int, Effect]]:
    """Yield all effects, each with the position of its settlement in the arguments, from 1."""
    for position, index in enumerate(order, 1):
        for effect in settlements[index].effects:
            yield position, effect


class Settled(NamedTuple):
    """A job that an exchange settles.

    Attributes:
        fate: As in `Settlement`.
        raw: Its bytes.
        score: When it is due or died, epoch seconds; 0 for other fates.
    """

    fate: bytes
    raw: bytes
    score: int = 0


class QueuePart(NamedTuple):
    """The part of an exchange that concerns one queue.

    Attributes:
        keys: The queue's keys.
        settled: The jobs that it settles, in the order of the reply.
    """

    keys: QueueKeys
    settled: list[Settled]


class ExchangeCall(NamedTuple):
    """An exchange, read from its command.

    Attributes:
        keys: The keys that it begins with.
        parts: One for each queue.
        effect_keys: The keys of further writes.
    """

    keys: ExchangeKeys
    parts: list[QueuePart]
    effect_keys: tuple[bytes, ...]

    def reply(self, reply: Any) -> ExchangeReply:
        """Read its reply; `applied` has the order of the parts, and the queues have no names."""
        count = sum(len(part.settled) for part in self.parts)
        return _parse(reply, [""] * len(self.parts), list(range(count)))


def read_exchange(command: Command) -> ExchangeCall:
    """Read a call of exchange.lua: the reverse of `exchange`."""
    keys, args = keys_and_args(command)
    fixed, rest = head(ExchangeKeys, keys)
    at = 4 + len(HistoryBlob._fields)  # behind the pool, the two fences and the time
    count, at = int(args[at]), at + 1
    parts = []
    for _ in range(count):
        queue, rest = head(QueueKeys, rest)
        settled, at = _read_part(args, at + 1)  # behind how many jobs to claim
        parts.append(QueuePart(queue, settled))
    return ExchangeCall(fixed, parts, tuple(rest))


def _read_part(args: Sequence[Any], at: int) -> tuple[list[Settled], int]:
    """Read what `_Part.arguments` has written; return it and the place behind it."""
    count, at = int(args[at]), at + 1
    settled = [Settled(b"d", raw) for raw in args[at : at + count]]
    at += count
    count, at = int(args[at]), at + 1
    settled += [Settled(b"d", raw) for raw in args[at : at + 2 * count : 2]]
    at += 2 * count
    count, at = int(args[at]), at + 1
    for _ in range(count):
        fate, raw = args[at], args[at + 1]
        has_score = fate in _SCORED
        settled.append(Settled(fate, raw, args[at + 2] if has_score else 0))
        at += 4 if has_score else 2
    return settled, at


def _parse(reply: Any, names: list[str], flat: list[int]) -> ExchangeReply:
    status = reply[0].decode()
    if status != "ok":
        return ExchangeReply(status, detail=text(reply[1]) if len(reply) > 1 else "")
    claimed = [
        Claimed(name, got[1:], got[0].decode()) for name, got in zip(names, reply[3:], strict=True)
    ]
    return ExchangeReply("ok", _flags(flat, reply[1]), int(reply[2]), claimed)


class IdleLook(NamedTuple):
    """The state that an idle pool depends on.

    Attributes:
        next_due_s: Earliest score of the scheduled and the retry set, epoch seconds, or None.
        ready: Queues with jobs, and queues that are not blocked any more.
        blocked: Queues that still are paused or at their limit.
    """

    next_due_s: float | None
    ready: list[str]
    blocked: list[str]


def look(
    keys: Keys, pool_id: str, queues: Sequence[str], blocked: Collection[str] = ()
) -> RoundTrip[IdleLook]:
    """Read everything that can give the pool work; write nothing.

    Args:
        keys: The namespace.
        pool_id: The pool.
        queues: Its queues.
        blocked: Queues that were paused or full. The exchange does not read the jobs of these, so
            that jobs that no pool may claim do not end the watch.
    """
    open_ones = [name for name in queues if name not in blocked]
    names = [*open_ones, *(name for name in queues if name in blocked)]
    key_list: list[bytes] = [keys.scheduled, keys.retry, keys.known_jobs]
    for name in names:
        if name in blocked:
            queue = keys.queue(name, pool_id)
            key_list += (queue.paused, queue.max_concurrency, queue.lock)
        else:
            key_list.append(keys.jobs(name))

    def parse(reply: Any) -> IdleLook:
        due, states = reply[0], reply[1].decode()
        by_state: dict[str, list[str]] = {"1": [], "0": [], "b": []}
        for name, state in zip(names, states, strict=True):
            by_state[state].append(name)
        return IdleLook(float(due) if due else None, by_state["1"], by_state["b"])

    return RoundTrip.one(call(scripts.LOOK, key_list, [len(open_ones)]), parse)
