"""Cron specs: their grammar, and when they are due.

The original reads its specs with robfig/cron 3.0.1. A Go pool and a Python pool that share a
namespace must agree on the seconds, or each job runs twice. So the grammar, the refusals and the
host's default zone are that library's: `grammar` documents the syntax and the differences, `zone`
relates wall time and epoch time.

croniter finds the times, from lists of values that `grammar` has read (its own grammar differs),
and `schedule` turns them into instants. The original steps differently through the hours of a day
with a DST change, so the answers can differ: see "Deviations" in ARCHITECTURE.md.

``@every D`` is due at the multiples of D since the Unix epoch. In the original it counts from the
time when a pool happened to look, so no two pools agree.
"""

from __future__ import annotations

from workkit.cron.grammar import parse
from workkit.cron.schedule import Schedule
from workkit.cron.zone import host_is_utc, host_zone, host_zone_name

__all__ = ["Schedule", "host_is_utc", "host_zone", "host_zone_name", "parse"]
