"""Acts on jobs by their ids: one action for each queue or set that holds some of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import click

from workkit.core.text import clean
from workkit.tools.cli.common import exits
from workkit.tools.cli.common.output import note

if TYPE_CHECKING:
    from workkit.admin.actions import Fate, Verb
    from workkit.admin.steps.walk import WaitingJob
    from workkit.client import Client
    from workkit.core.records import Kind, Place

__all__ = ["Finding", "act_on", "found_anywhere", "found_in", "offer_undo"]

_DONE: Final = {"retry": "retried", "delete": "deleted"}


class Finding(NamedTuple):
    """The place of a job, or the reason why we cannot act on it.

    Attributes:
        place: The queue or set that holds it; None if we cannot act on it.
        record: The job there.
        why: The reason, as a message.
    """

    place: Place | None
    record: WaitingJob | None
    why: str = ""


def found_in(
    client: Client, place: Place, job_ids: Sequence[str], at: int | None
) -> dict[str, Finding]:
    """Find jobs in one place, in one walk.

    Args:
        client: Reads the place.
        place: The queue or set.
        job_ids: The ids.
        at: The time of the job in its set, epoch seconds, if the user gave it.
    """
    records = client.actions.pick(place, job_ids, at=at)
    return {
        job_id: Finding(place, records[job_id])
        if job_id in records
        else Finding(None, None, _missing(place, job_id, at))
        for job_id in job_ids
    }


def _missing(place: Place, job_id: str, at: int | None) -> str:
    when = "" if at is None else f" at {at}"
    return f"{place} holds no job {job_id}{when}; `workkit jobs find {job_id}` looks everywhere"


def found_anywhere(client: Client, job_ids: Sequence[str]) -> dict[str, Finding]:
    """Find jobs in all queues and sets. For a running job, the result has the reason."""
    return {job_id: _found(client, job_id) for job_id in job_ids}


def _found(client: Client, job_id: str) -> Finding:
    from workkit.admin.steps.walk import record
    from workkit.core.records import Place

    found = client.find(job_id)
    if found is None:
        return Finding(None, None, f"no queue or set holds a job {job_id}")
    if found.place == "running":
        why = f"pool {found.pool_id} runs job {job_id}; a running job cannot be deleted"
        return Finding(None, None, why)
    kind = cast("Kind", found.place)
    place = Place(kind, found.job.name if kind == "queued" else "")
    return Finding(place, record(place, found.job.raw, found.at or 0))


def act_on(client: Client, verb: Verb, findings: Mapping[str, Finding]) -> None:
    """Act on jobs and report each of them. Exit with 1 if one of them was not acted on.

    Args:
        client: Acts on the jobs.
        verb: The action.
        findings: Job id → the place of the job.
    """
    by_place: dict[Place, list[WaitingJob]] = {}
    for finding in findings.values():
        if finding.place is not None and finding.record is not None:
            by_place.setdefault(finding.place, []).append(finding.record)
    fates: dict[str, Fate] = {}
    operations: list[str] = []
    unacted = False
    try:
        for place, records in by_place.items():
            plan = client.actions.plan_for(verb, place, records)
            outcome = client.actions.apply(plan, each=fates.__setitem__)
            operations.append(outcome.operation_id)
            for record in records:
                fates.setdefault(record.job.id, "gone")
    finally:  # reports the finished part also if the server fails in the middle
        for job_id, finding in findings.items():
            unacted |= not _say(verb, job_id, finding, fates.get(job_id))
        offer_undo(operations)
    if unacted:
        click.get_current_context().exit(exits.NOT_FOUND)


def _say(verb: Verb, job_id: str, finding: Finding, fate: Fate | None) -> bool:
    """Report the fate of a job; returns whether it was acted on."""
    if fate == "done":
        where = f" from {finding.place}" if verb == "delete" else ""
        click.echo(clean(f"{_DONE[verb]} {job_id}{where}"))
        return True
    if finding.place is None or finding.record is None:
        exits.complain(finding.why)
    elif fate == "refused":
        name = finding.record.job.name
        exits.complain(
            f"job {job_id} stays in {finding.place}: the key of queue {name!r} has a wrong type; "
            "rename or delete it"
        )
    elif fate == "gone":
        exits.complain(f"{finding.place} does not hold job {job_id} any more")
    return False


def offer_undo(operation_ids: Iterable[str]) -> None:
    """Print how to undo actions. The id of an action that did nothing is ""."""
    for operation_id in filter(None, operation_ids):
        note(f"to undo it: workkit undo {operation_id}")
