"""Marks: what changed at a time, such as a pool that went away, a deploy, a pause or an act."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from workkit.admin.actions.outcomes import Operation
from workkit.admin.explain import pool_name
from workkit.core.liveness import is_silent
from workkit.core.masks import Masks
from workkit.core.records import Overview, WorkerPoolHeartbeat
from workkit.core.text import counted

__all__ = ["SIGNS", "Mark", "MarkFinder", "MarkKind"]

MarkKind = Literal["died", "lost", "left", "came", "deploy", "paused", "resumed", "act", "begins"]
#: The sign of each kind on one column of a strip; where several meet, the first one is drawn.
SIGNS: Final[Mapping[MarkKind, str]] = {
    "died": "✝", "lost": "✖", "deploy": "◆", "act": "✎", "paused": "‖", "resumed": "▸",
    "left": "-", "came": "+", "begins": "│",
}  # fmt: skip
#: A version that no execution has had for this long is new again, seconds.
_FORGOTTEN_S: Final = 600.0
_DID: Final = {"delete": "deleted", "retry": "retried"}


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that changed.

    Attributes:
        at_s: When it was seen, epoch seconds.
        kind: "died" (a pool went without a farewell), "left", "came", "deploy", "paused",
            "resumed", "act" (a deletion or a retry of a user), "lost" (the server did not answer)
            or "begins" (recording began).
        text: A sentence without a full stop.
    """

    at_s: float
    kind: MarkKind
    text: str


class MarkFinder:
    """Compares each overview with the one before.

    Args:
        masks: Hides secrets in the queries of acts.
    """

    def __init__(self, masks: Masks) -> None:
        self._masks = masks
        self._before: Overview | None = None
        self._silent: set[str] = set()
        self._versions: dict[str, float] = {}
        self._acts: set[str] | None = None

    def find(self, seen: Overview, versions: Collection[str]) -> list[Mark]:
        """Return what has changed since the overview before; nothing for the first one.

        Args:
            seen: The overview.
            versions: Versions of the programs that run jobs, in words.
        """
        at_s, before = seen.taken_at, self._before
        found = [] if before is None else [*self._pools(before, seen), *_pauses(before, seen)]
        found += self._deploys(at_s, versions, first=not self._versions)
        self._before = seen
        return found

    def _pools(self, before: Overview, seen: Overview) -> Iterator[Mark]:
        at_s = seen.taken_at
        here = {pool.worker_pool_id: pool for pool in seen.pools}
        there = {pool.worker_pool_id: pool for pool in before.pools}
        for pool_id, pool in there.items():
            if pool_id not in here:
                # One that stops takes its entry out; one that died was silent before.
                if pool_id not in self._silent:
                    yield Mark(at_s, "left", f"pool {pool_name(pool)} has stopped")
                self._silent.discard(pool_id)
        for pool_id, pool in here.items():
            silent = is_silent(pool.heartbeat_at, at_s)
            if pool_id not in there and not silent:
                yield Mark(at_s, "came", f"pool {pool_name(pool)} has started{_version(pool)}")
            elif silent and pool_id not in self._silent:
                yield Mark(at_s, "died", f"pool {pool_name(pool)} went silent")
            elif not silent and pool_id in self._silent:
                yield Mark(at_s, "came", f"pool {pool_name(pool)} sends heartbeats again")
            if silent:
                self._silent.add(pool_id)
            else:
                self._silent.discard(pool_id)

    def _deploys(self, at_s: float, versions: Iterable[str], *, first: bool) -> Iterator[Mark]:
        for version in sorted(versions):
            known_s = self._versions.get(version)
            if not first and (known_s is None or at_s - known_s > _FORGOTTEN_S):
                yield Mark(at_s, "deploy", f"{version} runs jobs")
            self._versions[version] = at_s

    def acts(self, operations: Iterable[Operation]) -> list[Mark]:
        """Return the acts that were not seen before; nothing for the first time.

        Args:
            operations: The acts that can be undone.
        """
        by_id = {each.operation_id: each for each in operations}
        known = self._acts
        self._acts = set(by_id)
        if known is None:
            return []
        return [
            Mark(each.at, "act", self._act(each))
            for operation_id, each in by_id.items()
            if operation_id not in known
        ]

    def _act(self, each: Operation) -> str:
        picked = f" ({self._masks.text(each.query)})" if each.query else ""
        did = _DID.get(each.verb, each.verb)
        return (
            f"{each.by or 'somebody'} {did} {counted(each.planned, 'job')} of {each.place}{picked}"
        )


def _version(pool: WorkerPoolHeartbeat) -> str:
    return f", workkit {pool.version}" if pool.version else ""


def _pauses(before: Overview, seen: Overview) -> Iterator[Mark]:
    paused = {queue.job_name for queue in before.queues if queue.paused}
    for queue in seen.queues:
        if queue.paused and queue.job_name not in paused:
            yield Mark(seen.taken_at, "paused", f"queue {queue.job_name!r} is paused")
        elif not queue.paused and queue.job_name in paused:
            yield Mark(seen.taken_at, "resumed", f"queue {queue.job_name!r} is resumed")
