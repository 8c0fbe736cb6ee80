"""Checks queues whose jobs cannot run, limits, unique keys, and types of keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from workkit.core.text import counted
from workkit.doctor.checks.pools import suspect_pools
from workkit.doctor.findings import Case, Finding
from workkit.doctor.look import Examination
from workkit.doctor.repairs import Repairs
from workkit.store.keys import Keys

__all__ = ["check"]

_NAME: Final = re.compile(rb'"name":"([^"\\]*)"')
_ID: Final = re.compile(rb'"id":"([^"\\]*)"')


def check(now: Examination, keys: Keys, repairs: Repairs) -> Iterator[Case]:
    """Check queues, limits, unique keys and types."""
    yield from _types(now, keys, repairs)
    yield from _waiting(now, repairs)
    yield from _limits(now, repairs)
    yield from _large(now)
    if now.claimed is not None:
        yield from _uniques(now, repairs, now.claimed)


def _types(now: Examination, keys: Keys, repairs: Repairs) -> Iterator[Case]:
    for key, kind in sorted(now.types.items()):
        wanted = keys.type_of(key)
        if wanted is not None and kind != wanted:
            name = key.decode("utf-8", "replace")
            yield Case(
                Finding(
                    "wrong-type", "broken", name, f"the key {name!r} is a {kind}, not a {wanted}",
                    f"renames it to {keys.aside(key, 0).decode('utf-8', 'replace')!r}, with the "
                    "time instead of 0; keeps its value", repairable=True,
                ),
                lambda key=key, kind=kind: repairs.set_aside(key, kind),  # type: ignore[misc]
                kind,
            )  # fmt: skip


def _waiting(now: Examination, repairs: Repairs) -> Iterator[Case]:
    dead = suspect_pools(now)
    handled = {
        name
        for pool_id, beat in now.beats.items()
        if pool_id not in dead
        for name in beat.get("job_names", "").split(",")
    }
    for name, state in sorted(now.states.items()):
        if state.length and name not in now.known:
            yield Case(
                Finding(
                    "unknown-queue", "broken", name,
                    f"queue {name!r} has {counted(state.length, 'job')} but is not among the known "
                    "jobs, so consoles do not show it", "adds its name", repairable=True,
                ),
                lambda name=name: repairs.know(name),  # type: ignore[misc]
            )  # fmt: skip
        if state.length and name not in handled:
            yield Case(
                Finding(
                    "no-handler", "broken", name,
                    f"{counted(state.length, 'job waits', 'jobs wait')} in queue {name!r}, and no "
                    "live pool has a handler for it", "start a pool that has one, or delete the "
                    "jobs (`workkit delete`)",
                )
            )  # fmt: skip
        if state.length and state.paused:
            yield Case(
                Finding(
                    "paused", "note", name,
                    f"queue {name!r} is paused with {counted(state.length, 'job')}",
                    f"`workkit unpause {name}` lets them run",
                )
            )  # fmt: skip


def _large(now: Examination) -> Iterator[Case]:
    """List the largest jobs."""
    for where, job in now.large:
        name, job_id = (
            found[1].decode("utf-8", "replace") if (found := pattern.search(job.beginning)) else "?"
            for pattern in (_NAME, _ID)
        )
        yield Case(
            Finding(
                "large-job", "note", job_id,
                f"job {job_id} ({name!r}) in {where} takes {job.size:,} bytes",
                "store large data elsewhere and enqueue a reference to it: each step of a job's "
                "life copies the job",
            )
        )  # fmt: skip


def _limits(now: Examination, repairs: Repairs) -> Iterator[Case]:
    # A Go pool does not declare its limits, so its job names keep theirs.
    wanted = {name for beat in now.beats.values() for name in _wanted(beat)}
    for name, limit in sorted(now.limits.items()):
        if name not in wanted:
            yield Case(
                Finding(
                    "limit", "note", name,
                    f"queue {name!r} has a limit of {limit} that no registered pool declares",
                    "lifts it; a live workkit pool does that itself if no pool handles such jobs",
                    repairable=True,
                ),
                lambda name=name, limit=limit: repairs.lift(name, limit),  # type: ignore[misc]
            )  # fmt: skip


def _wanted(beat: Mapping[str, str]) -> list[str]:
    if not beat.get("workkit"):
        return beat.get("job_names", "").split(",")
    try:
        return list(json.loads(beat.get("limits") or "{}"))
    except (ValueError, TypeError):
        return []


def _uniques(now: Examination, repairs: Repairs, claimed: frozenset[str]) -> Iterator[Case]:
    for key, value in sorted(now.uniques.items()):
        name = key.decode("utf-8", "surrogateescape")
        if name not in claimed:
            shown = key.decode("utf-8", "replace").rstrip("\n")
            yield Case(
                Finding(
                    "unique-key", "broken", shown,
                    f"no job holds the unique key {shown!r}, so new jobs with it are refused",
                    "deletes it; otherwise it expires within a day of the job's due time",
                    repairable=True,
                ),
                lambda key=key, value=value: repairs.free(key, value),  # type: ignore[misc]
                value,
            )  # fmt: skip
