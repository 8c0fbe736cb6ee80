"""Round trips about the signatures of typed tasks: publish them, and read that of one name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from workkit.core.lifetimes import SIGNATURES_KEPT_S
from workkit.store import scripts
from workkit.store.keys import Keys
from workkit.store.replies import number, text
from workkit.store.round_trip import RoundTrip, call

__all__ = ["NO_SIGNATURES", "Publisher", "Signatures", "publish", "publishers", "signatures_of"]

#: A larger signature is not published, bytes.
_LARGEST: Final = 16_384
#: The rest is not published once all of them take this, bytes.
_MOST: Final = 262_144


@dataclass(frozen=True, slots=True)
class Signatures:
    """What the typed tasks of a pool take.

    Attributes:
        by_name: Job name → signature, as JSON.
        digest: Names these contents; "" if there are none.
    """

    by_name: Mapping[str, bytes] = field(default_factory=dict)
    digest: str = ""

    @classmethod
    def of(cls, by_name: Mapping[str, bytes]) -> Signatures:
        """Choose what is published: what is known, within the bounds of size."""
        chosen: dict[str, bytes] = {}
        total, digest = 0, hashlib.sha256()
        for name, signature in sorted(by_name.items()):
            size = len(signature)
            if 0 < size <= _LARGEST and total + size <= _MOST:
                chosen[name] = signature
                total += size
                digest.update(f"{len(name)} {name} {size} ".encode() + signature)
        return cls(chosen, digest.hexdigest()[:16] if chosen else "")

    def __bool__(self) -> bool:
        return bool(self.by_name)

    @property
    def named(self) -> dict[str, str]:
        """The field of a heartbeat that names them; none if there are none."""
        return {"signatures": self.digest} if self else {}


NO_SIGNATURES: Final = Signatures()


def publish(keys: Keys, signatures: Signatures) -> RoundTrip[None]:
    """Write the signatures of a pool. Pools of the same program share the key."""
    args: list[Any] = [SIGNATURES_KEPT_S]
    for name, signature in signatures.by_name.items():
        args += (name, signature)
    command = call(scripts.PUBLISH, [keys.signatures(signatures.digest)], args)
    return RoundTrip.one(command, lambda _: None)


class Publisher(NamedTuple):
    """What a pool says about its tasks.

    Attributes:
        job_names: What it handles.
        started_at: When it started, epoch seconds.
        digest: Names its signatures; "" for a Go pool, an older one, or one without typed tasks.
    """

    job_names: frozenset[str]
    started_at: int
    digest: str


def publishers(keys: Keys, pool_ids: Sequence[str]) -> RoundTrip[list[Publisher]]:
    """Read what pools handle; those of a wrong type handle nothing."""

    def parse(replies: list[Any]) -> list[Publisher]:
        rows = [reply for reply in replies if isinstance(reply, list)]
        return [
            Publisher(frozenset(text(names).split(",")), number(started_at) or 0, text(digest))
            for names, started_at, digest in rows
        ]

    fields = ("job_names", "started_at", "signatures")
    commands = [("HMGET", keys.pool(pool_id), *fields) for pool_id in pool_ids]
    return RoundTrip(commands, parse, tolerant=True)


def signatures_of(keys: Keys, name: str, digests: Sequence[str]) -> RoundTrip[dict[str, bytes]]:
    """Read the signatures of one name; omits what is gone or has a wrong type."""

    def parse(replies: list[Any]) -> dict[str, bytes]:
        pairs = zip(digests, replies, strict=True)
        return {digest: reply for digest, reply in pairs if isinstance(reply, bytes)}

    commands = [("HGET", keys.signatures(digest), name) for digest in digests]
    return RoundTrip(commands, parse, tolerant=True)
