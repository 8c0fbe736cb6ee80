"""Checks for wrong locks, and for in-progress jobs that no worker runs."""

from __future__ import annotations

from collections.abc import Iterator

from workkit.admin.steps.reads import read_job
from workkit.core.text import counted
from workkit.doctor.checks.pools import suspect_pools
from workkit.doctor.findings import Case, Finding
from workkit.doctor.look import Examination
from workkit.doctor.repairs import Repairs
from workkit.store.calls.tally import LockTally

__all__ = ["check", "suspects"]


def check(before: Examination, now: Examination, repairs: Repairs) -> Iterator[Case]:
    """Compare locks with the jobs that pools hold, and the jobs of Go pools with their workers."""
    for name, tally in sorted(now.tallies.items()):
        total = sum(_believed(now, tally).values())
        stale = sorted(set(tally.info) - set(now.beats) - _holders(tally))
        if tally.lock != total:
            yield Case(
                Finding(
                    "lock", "broken", name,
                    f"the lock of queue {name!r} is {tally.lock}, but pools hold "
                    f"{counted(total, 'job')} of it" + _consequence(now, name, tally, total),
                    "counts it again; a live workkit pool does that itself every few minutes",
                    repairable=True,
                ),
                lambda name=name: repairs.recount(name),  # type: ignore[misc]
                (tally.lock, total),
            )  # fmt: skip
        elif stale:
            yield Case(
                Finding(
                    "lock-info", "note", name,
                    f"lock_info of queue {name!r} names "
                    f"{counted(len(stale), 'pool that is', 'pools that are')} gone",
                    "removes the fields", repairable=True,
                ),
                lambda name=name: repairs.recount(name),  # type: ignore[misc]
                tuple(stale),
            )  # fmt: skip
    yield from _ghosts(before, now, repairs)


def suspects(now: Examination) -> dict[tuple[str, str], list[bytes]]:
    """Return jobs that a live Go pool holds, but that none of its workers reports as running.

    Workkit pools make this comparison themselves.
    """
    still = suspect_pools(now)
    go = {pool for pool, beat in now.beats.items() if not beat.get("workkit")} - still
    return {
        (pool_id, name): ghosts
        for (pool_id, name), raws in now.held.items()
        if pool_id in go
        if (ghosts := [raw for raw in raws if read_job(raw, name).id not in now.observed])
    }


def _ghosts(before: Examination, now: Examination, repairs: Repairs) -> Iterator[Case]:
    then = suspects(before)
    for owner, raws in sorted(suspects(now).items()):
        pool_id, name = owner
        still = [raw for raw in raws if raw in then.get(owner, [])]
        if still:
            yield Case(
                Finding(
                    "ghost", "broken", pool_id,
                    f"Go pool {pool_id} holds {counted(len(still), 'job')} of queue {name!r} that "
                    "none of its workers runs",
                    "moves them to the front of their queue; a job that Go has run but not removed "
                    "runs again", repairable=True,
                ),
                lambda pool_id=pool_id, name=name, still=still: repairs.give_back(  # type: ignore[misc]
                    pool_id, name, still
                ),
                (name, tuple(still)),
            )  # fmt: skip


def _believed(now: Examination, tally: LockTally) -> dict[str, int]:
    """Return how many jobs each registered or orphaned pool holds; see recount.lua."""
    believed = {}
    for pool_id in {*tally.info, *now.beats}:
        held = tally.held.get(pool_id, 0)
        beat = now.beats.get(pool_id)
        counted_for = tally.info.get(pool_id, held)
        is_go = beat is not None and not beat.get("workkit")
        if is_go:
            held = min(held, max(tally.info.get(pool_id, 0), 0))
        elif beat is None and counted_for == 0:  # a Go pool that has stopped
            held = 0
        believed[pool_id] = held
    return believed


def _holders(tally: LockTally) -> set[str]:
    return {pool_id for pool_id, held in tally.held.items() if held}


def _consequence(now: Examination, name: str, tally: LockTally, total: int) -> str:
    state = now.states.get(name)
    if state is None or not state.max_concurrency or tally.lock is None:
        return ""
    if tally.lock >= state.max_concurrency > total:
        return f", so with a limit of {state.max_concurrency} none of its jobs run"
    if tally.lock < total:
        return f", so its limit of {state.max_concurrency} is exceeded"
    return ""
