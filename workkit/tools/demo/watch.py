"""Watches a running demo from outside, through `Client`, as an operator would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workkit.client import Client
from workkit.core.records import Queue
from workkit.tools.demo.handlers import CRON_JOB, PARSING

__all__ = ["Snapshot", "take_snapshot"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look.

    Attributes:
        queues: The queues, by name.
        retry: Failed jobs that will be tried again.
        dead: Jobs that are not tried any more.
        executions_before: How many had ended when the look began.
        executions: How many had ended when it was over.
        pending: Whether anything but the cron job is scheduled. Looked up only where nothing else
            is left to do, else True.
        checkin: The newest check-in of a running job; "" for none.
    """

    queues: Mapping[str, Queue]
    retry: int
    dead: int
    executions_before: int
    executions: int
    pending: bool
    checkin: str

    @property
    def unparsed(self) -> int:
        """How many files are neither parsed nor dead."""
        states = [self.queues[name] for name in PARSING if name in self.queues]
        return sum(state.count + state.running for state in states) + self.retry

    def confirms_end(self, before: Snapshot | None) -> bool:
        """Tell whether nothing is left to do but the cron job.

        A look is several round trips, between which a job can move from where we look next to where
        we have looked. But what became due during one look is in its queue or runs during the next,
        unless it has ended by then: two looks that found nothing, while nothing ended, are proof.

        Args:
            before: The look before this one.
        """
        return (
            before is not None
            and not before.pending
            and not self.pending
            and before.executions_before == self.executions
        )


def take_snapshot(client: Client) -> Snapshot:
    """Look at everything.

    Raises:
        ServerError: The server does not answer or refuses.
    """
    executions_before = client.history_extent().written
    checkin = max(
        ((o.checkin_at, o.checkin) for o in client.worker_observations() if o.checkin),
        default=(0, ""),
    )[1]
    queues = {queue.job_name: queue for queue in client.queues()}
    retry = client.retry_jobs().total
    busy = retry or any(q.count or q.running for q in queues.values() if q.job_name != CRON_JOB)
    pending = bool(busy) or _is_more_scheduled(client)
    return Snapshot(
        queues=queues,
        retry=retry,
        dead=client.dead_jobs().total,
        executions_before=executions_before,
        executions=client.history_extent().written,
        pending=pending,
        checkin=checkin,
    )


def _is_more_scheduled(client: Client) -> bool:
    return any(found.job.name != CRON_JOB for found in client.iter_scheduled_jobs())
