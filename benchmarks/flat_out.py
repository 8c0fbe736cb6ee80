"""The server-bound ceiling: the exchange script, driven by a client that does nothing else.

All commands are made, by the same function that the dispatcher uses, and packed before the clock
starts. The queues are first in, first out, so the client knows which jobs each exchange will claim
and the next one will settle. It then only writes bytes, and hiredis reads the replies.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import hiredis
from redis import Redis

from workkit import Enqueuer, Job
from workkit.core.entropy import Entropy
from workkit.core.history import Record, pack
from workkit.core.options import HistoryOptions
from workkit.store import scripts
from workkit.store.calls import beat, exchange
from workkit.store.connections.link import Link
from workkit.store.connections.target import Target
from workkit.store.keys import Keys
from workkit.store.packing import plain
from workkit.store.round_trip import RoundTrip

__all__ = ["drive"]

_READ: Final = 1 << 20
_HISTORY: Final = HistoryOptions().max_records


def drive(url: str, names: list[str], jobs: int, batch: int) -> float:
    """Enqueue jobs, then settle and claim them over one connection, without a handler.

    Args:
        url: An empty server, over TCP.
        names: Of the queues; each exchange claims from all of them.
        jobs: How many jobs.
        batch: How many each exchange claims.

    Returns:
        Jobs a second that were claimed and settled.
    """
    each = max(batch // len(names), 1)
    rounds = max(jobs // (each * len(names)), 2)
    enqueued = _enqueue(url, names, each * rounds)
    pool_id = Entropy().identifier()
    keys = Keys("bench")
    link = Link(Target.of(url))
    link.do(beat.register(keys, pool_id, {"heartbeat_at": _now_ms() // 1000}, {}, names))
    link.close()
    commands = list(_commands(keys, pool_id, enqueued, each))
    with Redis.from_url(url) as client:
        client.script_load(scripts.EXCHANGE.source)
    spent_s = _send(url, commands)
    return each * rounds * len(names) / spent_s


def _enqueue(url: str, names: list[str], each: int) -> dict[str, list[Job]]:
    enqueuer = Enqueuer("bench", url)
    return {name: enqueuer.enqueue_many([(name, {"i": i}) for i in range(each)]) for name in names}


def _commands(keys: Keys, pool_id: str, jobs: dict[str, list[Job]], each: int) -> Iterator[bytes]:
    """Make every exchange: the first only claims, the last only settles."""
    entropy, now_ms = Entropy(), _now_ms()
    worker_id = entropy.identifier()
    total = len(next(iter(jobs.values())))
    for fence, start in enumerate(range(0, total + each, each)):
        settled = [job for queue in jobs.values() for job in queue[max(start - each, 0) : start]]
        records = [
            Record(job.id, job.name, job.enqueued_at, now_ms, now_ms, "done", worker_id=worker_id)
            for job in settled
        ]
        yield _packed(
            exchange.exchange(
                keys,
                pool_id,
                fence,
                now_ms,
                [exchange.Settlement(job.name, job.raw, b"d", 0, b"", (), "") for job in settled],
                dict.fromkeys(jobs, each if start < total else 0),
                exchange.HistoryBlob(_HISTORY, len(records), pack(records), "bench")
                if records
                else exchange.HistoryBlob(),
            )
        )


def _packed(round_trip: RoundTrip[Any]) -> bytes:
    (command,) = round_trip.commands
    parts = [part if isinstance(part, bytes) else str(part).encode() for part in plain(command, ())]
    return b"*%d\r\n" % len(parts) + b"".join(
        b"$%d\r\n%b\r\n" % (len(part), part) for part in parts
    )


def _send(url: str, commands: list[bytes]) -> float:
    """Send each command after the reply to the one before; return the seconds."""
    address = urlsplit(url)
    reader = hiredis.Reader()
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        before = time.perf_counter()
        for command in commands:
            connection.sendall(command)
            while (reply := reader.gets()) is False:
                reader.feed(connection.recv(_READ))
            if isinstance(reply, Exception) or reply[0] != b"ok" or b"0" in reply[1]:
                raise RuntimeError(f"the exchange was not applied: {str(reply)[:200]}")
        return time.perf_counter() - before


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
