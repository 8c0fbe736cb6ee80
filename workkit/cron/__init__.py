"""Cron specs: their grammar, and when they are due.

The original reads its specs with robfig/cron 3.0.1, and a Go pool and a Python pool that share a
namespace must agree on the seconds, or each job runs twice. So the grammar, the refusals and the
host's zone as default are that library's: `grammar` says what may be written and what differs,
`zone` how wall time and epoch time relate.

croniter finds the times, from lists of values that `grammar` has read (its own grammar is another
one), and `schedule` turns them into instants. Where the original walks through the hours of a day
with a DST change in its own way, the answers can differ: see "Deviations" in ARCHITECTURE.md.

``@every D`` is due at the multiples of D since the Unix epoch. In the original it counts from when
a pool happened to look, so no two pools agree.
"""

from __future__ import annotations

from workkit.cron.grammar import parse
from workkit.cron.schedule import Schedule
from workkit.cron.zone import host_is_utc, host_zone, host_zone_name

__all__ = ["Schedule", "host_is_utc", "host_zone", "host_zone_name", "parse"]
