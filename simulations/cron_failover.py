"""Cron: three pools, wrong clocks, a crash, and the night in which an hour is missing.

A report runs at 02:30 and a tick every ten minutes, both by Berlin's clocks. The world begins on
the evening before summer time: 02:30 does not exist in that night. One pool's clock is 40 s ahead,
another's a minute behind; the third is killed for an hour. Every slot runs once, and by the
server's clock.

    workkit simulate simulations/cron_failover.py
"""

from __future__ import annotations

import datetime
from collections import Counter
from zoneinfo import ZoneInfo

from workkit import Job
from workkit.simulation import Simulation
from workkit.simulation.plots import table

START = datetime.datetime(2027, 3, 27, 17, 0, tzinfo=datetime.UTC)
UNTIL = "36h"
BERLIN = ZoneInfo("Europe/Berlin")


def run(job: Job) -> None:
    """Run."""


def scenario(sim: Simulation) -> None:
    """Three pools with the same entries."""
    for _ in range(3):
        pool = sim.pool(concurrency=2)
        pool.job("report", run, takes=30)
        pool.job("tick", run, takes=1)
        pool.periodically_enqueue("CRON_TZ=Europe/Berlin 30 2 * * *", "report")
        pool.periodically_enqueue("CRON_TZ=Europe/Berlin */10 * * * *", "tick")
    ahead, behind, dying = sim.pools
    sim.at(1, sim.step_clock, ahead, 40)
    sim.at(1, sim.step_clock, behind, -60)
    sim.at(5 * 3_600, lambda: sim.crash(dying, restart_after=3_600))


def report(sim: Simulation) -> str:
    """Show the reports, the ticks an hour, and how many slots ran twice or not at all."""
    reports = [
        (_local(event.at, sim), event.where, event.job_id.rpartition(":")[2])
        for event in sim.trace.of(kind="started", name="report")
    ]
    ticks = [event.job_id for event in sim.trace.of(kind="started", name="tick")]
    first = int(ticks[0].rpartition(":")[2])
    slots = {int(each.rpartition(":")[2]) for each in ticks}
    missing = set(range(first, max(slots), 600)) - slots
    where = Counter(event.where for event in sim.trace.of(kind="started", name="tick"))
    return (
        table(["report at", "by", "its slot, epoch s"], reports)
        + f"\n\n{len(ticks)} ticks ran, {len(ticks) - len(slots)} of them twice, "
        + f"{len(missing)} slots are missing.\n"
        + "They were run by "
        + ", ".join(f"{pool} ({count})" for pool, count in sorted(where.items()))
        + "."
    )


def _local(at_s: float, sim: Simulation) -> str:
    when = datetime.datetime.fromtimestamp(sim.world.start_ms / 1000 + at_s, BERLIN)
    return f"{when:%a %d %b %H:%M:%S %Z}"
