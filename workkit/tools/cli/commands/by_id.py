"""Acts on jobs by their ids: one action for each queue or set that holds some of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import click

from workkit.core.text import clean
from workkit.tools.cli.common import exits
from workkit.tools.cli.common.output import note, print_records

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


def act_on(client: Client, verb: Verb, findings: Mapping[str, Finding], *, as_json: bool) -> None:
    """Act on jobs and report each of them. Exit with 1 if one of them was not acted on.

    Args:
        client: Acts on the jobs.
        verb: The action.
        findings: Job id → the place of the job.
        as_json: Whether to report all of them as one JSON document.
    """
    by_place: dict[Place, list[WaitingJob]] = {}
    for finding in findings.values():
        if finding.place is not None and finding.record is not None:
            by_place.setdefault(finding.place, []).append(finding.record)
    fates: dict[str, Fate] = {}
    operations: dict[Place, str] = {}
    try:
        for place, records in by_place.items():
            plan = client.actions.plan_for(verb, place, records)
            outcome = client.actions.apply(plan, each=fates.__setitem__)
            operations[place] = outcome.operation_id
            for record in records:
                fates.setdefault(record.job.id, "gone")
    finally:  # reports the finished part also if the server fails in the middle
        if as_json:
            print_records(
                _fields(job_id, finding, fates.get(job_id), operations)
                for job_id, finding in findings.items()
            )
        else:
            for job_id, finding in findings.items():
                _say(verb, job_id, finding, fates.get(job_id))
            offer_undo(operations.values())
    if any(fates.get(job_id) != "done" for job_id in findings):
        click.get_current_context().exit(exits.NOT_FOUND)


def _fields(
    job_id: str, finding: Finding, fate: Fate | None, operations: Mapping[Place, str]
) -> dict[str, Any]:
    """Return the fields of a job's record in JSON."""
    done = fate == "done" and finding.place is not None
    return {
        "job_id": job_id,
        "done": done,
        "place": None if finding.place is None else asdict(finding.place),
        "operation_id": operations[finding.place] if done and finding.place else None,
        "reason": None if done else _reason(job_id, finding, fate) or "not reached",
    }


def _say(verb: Verb, job_id: str, finding: Finding, fate: Fate | None) -> None:
    """Report the fate of a job in a line."""
    if fate == "done":
        where = f" from {finding.place}" if verb == "delete" else ""
        click.echo(clean(f"{_DONE[verb]} {job_id}{where}"))
    elif reason := _reason(job_id, finding, fate):
        exits.complain(reason)


def _reason(job_id: str, finding: Finding, fate: Fate | None) -> str:
    """Return why a job was not acted on; "" if the server has failed before it was its turn."""
    if finding.place is None or finding.record is None:
        return finding.why
    if fate == "refused":
        return (
            f"job {job_id} stays in {finding.place}: the key of queue "
            f"{finding.record.job.name!r} has a wrong type; rename or delete it"
        )
    return f"{finding.place} does not hold job {job_id} any more" if fate == "gone" else ""


def offer_undo(operation_ids: Iterable[str]) -> None:
    """Print how to undo actions. The id of an action that did nothing is ""."""
    for operation_id in filter(None, operation_ids):
        note(f"to undo it: workkit undo {operation_id}")
