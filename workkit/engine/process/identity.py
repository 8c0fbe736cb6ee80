"""A pool's ids and the facts about it that it writes into Redis."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence

from workkit._version import __version__
from workkit.core.entropy import Entropy
from workkit.store.calls.publish import NO_SIGNATURES, Signatures

__all__ = ["Identity"]


class Identity:
    """A pool's id, which changes after the pool was reaped, and its constant facts.

    Attributes:
        pool_id: The id under which jobs are held.
        worker_ids: One per worker, sorted.
        host: The machine's name.
        started_at: When the pool started, epoch seconds; 0 before.
        signatures: What the args of its typed tasks must be.
    """

    def __init__(
        self,
        *,
        job_names: Sequence[str],
        limits: Mapping[str, int],
        concurrency: int,
        entropy: Entropy,
        host: str | None = None,
        pid: int | None = None,
        signatures: Signatures = NO_SIGNATURES,
    ) -> None:
        self._entropy = entropy
        self._job_names = ",".join(sorted(job_names))
        self.jobs = len(job_names)
        self.limits = dict(limits)
        self._concurrency = concurrency
        self.worker_ids = sorted(entropy.identifier() for _ in range(concurrency))
        self.host = host if host is not None else socket.gethostname()
        self._pid = pid if pid is not None else os.getpid()
        self.started_at = 0
        self.signatures = signatures
        self.pool_id = entropy.identifier()

    def renew(self) -> str:
        """Make a new pool id.

        Returns:
            The old one.
        """
        old, self.pool_id = self.pool_id, self._entropy.identifier()
        return old

    def pulse(self, now_s: int, totals: Mapping[str, int]) -> dict[str, str | int]:
        """Return the fields that change with each heartbeat.

        Args:
            now_s: Epoch seconds.
            totals: Running totals since the pool started.
        """
        return {"heartbeat_at": now_s, **totals}

    def heartbeat(self, now_s: int, totals: Mapping[str, int]) -> dict[str, str | int]:
        """Return all fields of a heartbeat: the original's, then ours, which Go readers ignore.

        Args:
            now_s: Epoch seconds.
            totals: Running totals since the pool started.
        """
        return {
            "started_at": self.started_at,
            "job_names": self._job_names,
            "concurrency": self._concurrency,
            "worker_ids": ",".join(self.worker_ids),
            "host": self.host,
            "pid": self._pid,
            "workkit": __version__,
            "limits": json.dumps(self.limits, sort_keys=True),
            **self.signatures.named,
            **self.pulse(now_s, totals),
        }
