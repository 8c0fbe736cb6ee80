"""A history to read: entries in the form in which pools write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from workkit.core.entropy import Entropy
from workkit.core.history import FORMAT, Record, pack
from workkit.core.outcomes import Outcome

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["NAMESPACE", "fill"]

NAMESPACE: Final = "bench"

_START_MS: Final = 1_800_000_000_000
_ENTRY: Final = 20
_PIPELINE: Final = 500
_FAILING: Final = 20
_ERRORS: Final = 7


def fill(client: Redis, records: int) -> int:
    """Write history of a day: 10 job names, 5 % failures of 7 kinds, 20 records an entry.

    Args:
        client: The server.
        records: How many.

    Returns:
        How many were written.
    """
    entropy = Entropy(1)
    pools = [entropy.identifier() for _ in range(4)]
    workers = [[entropy.identifier() for _ in range(20)] for _ in pools]
    key, written, pipe = f"{NAMESPACE}:history", 0, client.pipeline(transaction=False)
    step_ms = max(80_000_000 * _ENTRY // records, 1)
    for number, start in enumerate(range(0, records, _ENTRY)):
        at_ms, pool = _START_MS + number * step_ms, number % len(pools)
        entry = [
            _record(entropy, n, at_ms, workers[pool][n % 20])
            for n in range(start, min(start + _ENTRY, records))
        ]
        written += len(entry)
        fields: dict[Any, Any] = {
            "v": FORMAT, "pool": pools[pool], "host": f"host-{pool}", "n": len(entry),
            "r": pack(entry), "b": 0, "ver": "1.2.3",
        }  # fmt: skip
        pipe.xadd(key, fields, id=f"{at_ms}-{written}")
        if number % _PIPELINE == _PIPELINE - 1:
            pipe.execute()
    pipe.set(f"{NAMESPACE}:history:head", f"{at_ms} {written} 0")
    pipe.execute()
    return written


def _record(entropy: Entropy, number: int, at_ms: int, worker_id: str) -> Record:
    failed = number % _FAILING == 0
    kind = number // _FAILING % _ERRORS
    outcome: Outcome = "done" if not failed else "dead" if kind == 0 else "retry"
    return Record(
        entropy.identifier(),
        f"job{number % 10}",
        at_ms // 1_000 - 1,
        at_ms - 40 - number % 1_000,
        at_ms - number % 37,
        outcome,
        1 if failed else 0,
        f"ConnectionError: host db-{number} did not answer ({kind})" if failed else "",
        f"{kind:012x}" if failed else "",
        worker_id,
    )
