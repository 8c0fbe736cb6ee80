"""Checks for dead pools, and for hosts with wrong clocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from workkit.core.liveness import SUSPECT_S
from workkit.core.text import counted
from workkit.doctor.findings import Case, Finding
from workkit.doctor.look import Examination
from workkit.doctor.repairs import Repairs

__all__ = ["check", "is_suspect", "suspect_pools"]

#: How much a clock may differ: heartbeats have whole seconds and are up to 5 s old.
_SKEW_MS: Final = 10_000
_AHEAD_MS: Final = 2_000


def suspect_pools(now: Examination) -> set[str]:
    """Return pools that may be dead, so that they must be watched."""
    return {
        pool_id
        for pool_id in {*now.beats, *(pool for pool, _ in now.held)}
        if is_suspect(now.beats.get(pool_id, {}), now.server_ms)
    }


def is_suspect(beat: Mapping[str, str], server_ms: int) -> bool:
    """Tell whether a heartbeat is missing, old, or in the future."""
    age_ms = server_ms - _beat_ms(beat)
    return not server_ms or age_ms > 1_000 * SUSPECT_S or age_ms < -_AHEAD_MS


def check(before: Examination, now: Examination, repairs: Repairs) -> Iterator[Case]:
    """Compare the heartbeats of two examinations, before and after the watch."""
    for pool_id in sorted(suspect_pools(before) & suspect_pools(now)):
        beat = now.beats.get(pool_id, {})
        stood_still = beat.get("heartbeat_at") == before.beats.get(pool_id, {}).get("heartbeat_at")
        if stood_still:
            yield _dead(pool_id, beat, now, repairs)
        else:
            off_s = (_beat_ms(beat) - now.server_ms) // 1000
            if abs(off_s * 1000) > _SKEW_MS or off_s * 1000 > _AHEAD_MS:
                yield Case(
                    Finding(
                        "clock-skew", "risk", pool_id,
                        f"the clock of host {beat.get('host', '?')} differs from the server's by "
                        f"about {off_s:+d} s",
                        "synchronize the host's clock: scheduled jobs and cron use it, and Go "
                        "pools decide by it that a pool is dead",
                    )
                )  # fmt: skip


def _dead(pool_id: str, beat: Mapping[str, str], now: Examination, repairs: Repairs) -> Case:
    held = sum(len(raws) for (owner, _), raws in now.held.items() if owner == pool_id)
    jobs = counted(held, "job")
    names = {name for owner, name in now.held if owner == pool_id}
    if pool_id not in now.beats:
        check_name, says = "orphan", f"{jobs} held by a pool that is not registered"
    elif beat.get("heartbeat_at") is None:
        check_name, says = "dead-pool", f"the pool has no heartbeat and holds {jobs}"
    else:
        age_s = max(now.server_ms - _beat_ms(beat), 0) // 1000
        where = f"{beat.get('host', '?')}, process {beat.get('pid', '?')}"
        check_name = "dead-pool"
        says = f"the pool ({where}) has sent no heartbeat for {age_s} s and holds {jobs}"
    return Case(
        Finding(
            check_name, "broken" if held else "note", pool_id, says,
            "moves its jobs to the front of their queues and removes the pool; a live workkit "
            "pool does that itself within 20 s", repairable=True,
        ),
        lambda: repairs.recover(pool_id, beat.get("heartbeat_at", ""), names),
    )  # fmt: skip


def _beat_ms(beat: Mapping[str, str]) -> int:
    at = beat.get("heartbeat_at", "")
    return int(at) * 1000 if at.isdecimal() else 0
