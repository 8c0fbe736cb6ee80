"""The details behind an overview, as far as they are recorded: workers, jobs, cron entries, acts.

A place can hold millions of jobs, so only one end of it is recorded: the jobs that are due first,
the newest dead ones, and the jobs of a queue that run next.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final

import msgspec

from workkit.admin.actions.outcomes import Operation
from workkit.admin.acts.act import Act, ActsReader
from workkit.admin.reader import Reader
from workkit.admin.steps.history import HistoryRecord
from workkit.admin.steps.walk import WaitingJob
from workkit.admin.trends import Spans, Spread
from workkit.core.masks import Masks
from workkit.core.records import (
    CronEntry,
    Kind,
    Overview,
    Page,
    Place,
    WorkerObservation,
    queue_places,
)
from workkit.recording.deltas import Delta, State, key, name_of, played
from workkit.recording.states import execution_of, execution_row

__all__ = [
    "Details",
    "Executed",
    "PlacePart",
    "details_of",
    "details_state",
    "executions_event",
    "last_details",
    "masked_job",
    "read_details",
]

#: How many jobs of a set, how many queues, how many of their jobs and how many workers are
#: recorded at most.
SET_JOBS: Final = 200
QUEUES: Final = 10
QUEUE_JOBS: Final = 20
WORKERS: Final = 1_000
ACTS: Final = 100
#: Of how many names, and how many executions with each details.
SPREADS: Final = 300
EXECUTIONS: Final = 20
_CRON: Final = 1_000
#: Longer payloads are recorded without their args, and longer texts are cut.
_JOB_BYTES: Final = 4_096
_TEXT_CHARS: Final = 1_000
_SETS: Final[tuple[Kind, ...]] = ("scheduled", "retry", "dead")
_WORKERS: Final = key("W")


@dataclass(frozen=True, slots=True)
class PlacePart:
    """The recorded jobs of a place.

    Attributes:
        total: How many jobs the place had.
        jobs: Payload and score (or position, in a queue), from the recorded end on.
        from_top: Whether the recorded end is that of the highest scores.
    """

    total: int
    jobs: Sequence[tuple[bytes, int]]
    from_top: bool


@dataclass(frozen=True, slots=True)
class Details:
    """The details at one time.

    Attributes:
        at_s: When they were read, epoch seconds.
        workers: Busy workers.
        asked: How many workers were asked.
        places: The recorded parts of places.
        cron: Cron entries.
        operations: Acts that can be undone.
        acts: The newest acts, the newest first.
        spreads: Job name → how long its last executions waited and ran.
        executions: Some of the executions of the minutes before, the newest first.
    """

    at_s: float
    workers: Sequence[WorkerObservation] = ()
    asked: int = 0
    places: Mapping[Place, PlacePart] = field(default_factory=dict)
    cron: Sequence[CronEntry] = ()
    operations: Sequence[Operation] = ()
    acts: Sequence[Act] = ()
    spreads: Mapping[str, Spread] = field(default_factory=dict)
    executions: Sequence[HistoryRecord] = ()


class Executed:
    """What is recorded of executions with the next details."""

    def __init__(self) -> None:
        self._spans = Spans()
        self._fresh: set[str] = set()
        self._spreads: dict[str, Spread] = {}
        self._latest: deque[HistoryRecord] = deque(maxlen=EXECUTIONS)

    def add(self, fresh: Sequence[HistoryRecord]) -> None:
        """Add executions, the newest first."""
        self._spans.add(fresh)
        self._fresh.update(record.name for record in fresh)
        self._latest.extend(reversed(fresh[:EXECUTIONS]))

    def take(self) -> tuple[dict[str, Spread], list[HistoryRecord]]:
        """Return spreads by name, and the executions since the last call, the newest first."""
        for name in self._fresh:
            spread = self._spans.of(name)
            if spread is not None:
                self._spreads.pop(name, None)
                self._spreads[name] = spread
        for name in list(self._spreads)[:-SPREADS]:
            del self._spreads[name]
        latest = list(self._latest)[::-1]
        self._fresh.clear()
        self._latest.clear()
        return dict(self._spreads), latest


def read_details(reader: Reader, seen: Overview) -> Details:
    """Read the details in a bounded number of round trips.

    Args:
        reader: Reads the namespace.
        seen: An overview that was read just now.

    Raises:
        ServerError: The server does not answer, or refuses.
    """
    wanted = list(_workers(seen))[:WORKERS]
    observed = reader.worker_observations(wanted) if wanted else []
    places = {}
    for kind in _SETS:
        page: Page[WaitingJob] = Page([], 0)
        place = Place(kind)
        if seen.size(place):
            page = reader.jobs(place, 0, SET_JOBS, reverse=kind == "dead")
        places[place] = _part(page, from_top=kind == "dead")
    deep = sorted(
        (queue for queue in seen.queues if queue.count),
        key=lambda queue: (-queue.count, queue.job_name),
    )
    for place in islice(queue_places(deep), QUEUES):
        places[place] = _part(reader.jobs(place, 0, QUEUE_JOBS), from_top=False)
    actions = getattr(reader, "actions", None)
    operations: list[Operation] = actions.operations() if actions is not None else []
    acts = list(reader.acts(limit=ACTS)) if isinstance(reader, ActsReader) else []
    return Details(
        seen.taken_at, [each for each in observed if each.is_busy], len(wanted), places,
        reader.cron()[:_CRON], operations[:ACTS], acts,
    )  # fmt: skip


def _workers(seen: Overview) -> Iterator[str]:
    """Yield the workers of pools that run something, or of which that is unknown."""
    for pool in seen.pools:
        if pool.totals.get("busy", 1):
            yield from pool.worker_ids


def _part(page: Page[WaitingJob], *, from_top: bool) -> PlacePart:
    jobs = [(placed.job.raw, placed.at or 0) for placed in page.jobs]
    return PlacePart(page.total, jobs, from_top)


# As a state.


def details_state(details: Details, masks: Masks) -> State:
    """Write details as a state, without secrets."""
    state: State = {_WORKERS: [details.asked]}
    for job_name, spread in details.spreads.items():
        state[key("s", job_name)] = [spread.wait_ms, spread.run_ms, spread.executions]
    for worker in details.workers:
        state[key("w", worker.worker_id)] = _worker(worker, masks)
    for place, part in details.places.items():
        state[key("n", place.kind, place.queue)] = [part.total, part.from_top]
        equal: Counter[int] = Counter()
        for raw, score in part.jobs:
            payload, copy = masked_job(raw, masks), 0
            while (name := key("j", place.kind, place.queue, payload, copy)) in state:
                copy += 1
            # Jobs of the same score keep their order, also where masks change their bytes.
            state[name] = [score, equal[score]]
            equal[score] += 1
    for entry in details.cron:
        state[key("c", entry.job_name, entry.spec)] = msgspec.to_builtins(entry)
    for operation in details.operations:
        hidden = replace(operation, query=masks.text(operation.query)[:_TEXT_CHARS])
        state[key("o", operation.operation_id)] = msgspec.to_builtins(hidden)
    for act in details.acts:
        masked = replace(
            act, query=masks.text(act.query), before=masks.text(act.before),
            after=masks.text(act.after), note=masks.text(act.note),
        )  # fmt: skip
        state[key("a", str(act.number))] = msgspec.to_builtins(masked)
    return state


def _worker(worker: WorkerObservation, masks: Masks) -> list[Any]:
    args: Any = None
    try:
        args = json.loads(worker.args_json or "null")
        hidden = worker.args_json if masks.hide(args) == args else json.dumps(masks.hide(args))
    except (ValueError, RecursionError):
        hidden = json.dumps(masks.text(worker.args_json[:_TEXT_CHARS]))
    if len(hidden) > _JOB_BYTES:
        hidden = json.dumps({"not recorded": f"{len(hidden):,} characters of args"})
    checkin = masks.text(worker.checkin, args)[:_TEXT_CHARS]
    return [
        worker.job_name, worker.job_id, worker.started_at, hidden, checkin, worker.checkin_at
    ]  # fmt: skip


def masked_job(raw: bytes, masks: Masks) -> bytes:
    """Return a job's payload without secrets; a payload that is no job is left out."""
    try:
        fields = json.loads(raw)
        args = fields["args"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return b"%d bytes that are not a job were not recorded" % len(raw)
    hidden = dict(fields)
    if len(raw) > _JOB_BYTES:
        hidden["args"] = {"not recorded": f"a payload of {len(raw):,} bytes"}
    else:
        hidden["args"] = masks.hide(args)
    for name in ("err", "unique_key"):
        if isinstance(text := fields.get(name), str):
            hidden[name] = masks.text(text[:_JOB_BYTES], args)
    if hidden == fields:
        return raw
    return json.dumps(hidden, separators=(",", ":")).encode()


def executions_event(details: Details, masks: Masks) -> list[Any] | None:
    """Write the executions of details; None for none."""
    return [execution_row(record, masks) for record in details.executions] or None


def last_details(deltas: Sequence[Delta]) -> Details:
    """Read the details of the last delta, with the executions of all.

    Raises:
        ValueError: The deltas are damaged.
    """
    state: State = {}
    executions: list[HistoryRecord] = []
    for delta, state in played(deltas):  # noqa: B007 - the last one is wanted
        executions += map(execution_of, reversed(delta.event or ()))
    return details_of(deltas[-1].at_ms, state, executions[::-1])


def details_of(
    at_ms: int, state: Mapping[bytes, Any], executions: Sequence[HistoryRecord] = ()
) -> Details:
    """Read details from a state.

    Raises:
        ValueError: The state is damaged.
    """
    workers, cron, operations, acts = [], [], [], []
    spreads: dict[str, Spread] = {}
    totals: dict[Place, tuple[int, bool]] = {}
    jobs: dict[Place, list[tuple[bytes, list[int]]]] = {}
    for written, value in state.items():
        kind, *rest = name_of(written)
        if kind == "j":
            jobs.setdefault(Place(rest[0], rest[1]), []).append((rest[2], value))
        elif kind == "n":
            totals[Place(rest[0], rest[1])] = value[0], bool(value[1])
        elif kind == "w":
            name, job_id, started_at, args, checkin, checkin_at = value
            workers.append(
                WorkerObservation(
                    rest[0], True, name, job_id, started_at, args, checkin, checkin_at
                )
            )
        elif kind == "s":
            spreads[rest[0]] = _spread(*value)
        elif kind == "c":
            cron.append(msgspec.convert(value, CronEntry))
        elif kind == "o":
            operations.append(msgspec.convert(value, Operation))
        elif kind == "a":
            acts.append(msgspec.convert(value, Act))
    places = {
        place: PlacePart(total, _ordered(jobs.get(place, ()), from_top=from_top), from_top)
        for place, (total, from_top) in totals.items()
    }
    cron.sort(key=lambda entry: (entry.job_name, entry.spec))
    operations.sort(key=lambda each: (-each.at, each.operation_id))
    acts.sort(key=lambda act: -act.number)
    asked = state[_WORKERS][0]
    return Details(
        at_ms / 1_000, workers, asked, places, cron, operations, acts, spreads, executions
    )


def _spread(wait_ms: list[int] | None, run_ms: list[int] | None, executions: int) -> Spread:
    waits, runs = ((each[0], each[1]) if each is not None else None for each in (wait_ms, run_ms))
    return Spread(waits, runs, executions)


def _ordered(jobs: Iterable[tuple[bytes, list[int]]], *, from_top: bool) -> list[tuple[bytes, int]]:
    """Return jobs as they were read: by score, and then as they stood."""
    sign = -1 if from_top else 1
    ordered = sorted(jobs, key=lambda job: (sign * job[1][0], job[1][1]))
    return [(raw, value[0]) for raw, value in ordered]
