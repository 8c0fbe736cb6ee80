"""History survives hosts whose clocks are 30 days ahead or behind, and those that jump there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pytest

from workkit import HistoryOptions, Job, frames
from workkit.simulation import Simulation
from workkit.simulation.checkers import all_checkers
from workkit.store.keys import Keys

MONTH_S: Final = 30 * 86_400
HOURS: Final = 3
MAX_AGE_S: Final = 3_600
#: The trimmer looks once a minute, and pools do not look while nothing happens.
LATE_S: Final = 180
#: How many worlds are played. The more, the longer: WORKKIT_CLOCKS=200 takes four minutes.
SEEDS: Final = int(os.environ.get("WORKKIT_CLOCKS", "20"))
#: Seeds that one test plays, so that workers share them.
CHUNK: Final = 10

pytestmark = [pytest.mark.one_server, pytest.mark.timeout(600)]


@dataclass
class World:
    """What has happened, by the true time.

    Attributes:
        ran: The jobs and the end of each of their executions, epoch seconds.
        root: The archive of their history.
    """

    sim: Simulation
    root: Path
    ran: list[tuple[str, float]] = field(default_factory=list)

    def work(self, job: Job) -> None:
        self.sim.sleep(0.25)
        self.ran.append((job.id, self.sim.now_s))
        if job.arg_int("n") % 4 == 0 and job.fails < 2:
            raise ValueError(f"no {job.arg_int('n')}")

    def archive(self) -> None:
        frames.archive(self.sim.client, self.root)


def play(seed: int, root: Path) -> Iterator[World]:
    """Play some hours in which clocks are wrong from the beginning, jump, and are set right."""
    dice = np.random.default_rng(seed)
    with Simulation(seed=seed, checkers=all_checkers()) as sim:
        world = World(sim, root)
        options = HistoryOptions(args=True, max_age_s=MAX_AGE_S)
        pools = [sim.pool(concurrency=2, history=options) for _ in range(3)]
        for pool in pools:
            pool.job("work", world.work, backoff=lambda job: 30 * job.fails, max_fails=4)
        if dice.random() < 0.5:
            sim.step_clock(pools[0], int(dice.choice([-MONTH_S, MONTH_S])))
        for _ in range(dice.integers(1, 5)):
            at, by_s = dice.uniform(0, HOURS * 3_600), int(dice.choice([-MONTH_S, MONTH_S]))
            pool = pools[dice.integers(len(pools))]
            sim.at(at, sim.step_clock, pool, by_s)
            if dice.random() < 0.5:
                sim.at(at + dice.uniform(1, 2_000), sim.step_clock, pool, -by_s)
        for number in range(60):
            sim.at(dice.uniform(0, HOURS * 3_600), sim.enqueuer.enqueue, "work", {"n": number})
        for half_hour in range(1, 2 * HOURS):
            sim.at(half_hour * 1_800, world.archive)
        sim.run_for(hours=HOURS, minutes=5)
        world.archive()
        yield world


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_history_survives_clocks_that_are_a_month_off(first: int, tmp_path: Path) -> None:
    for seed in range(first, min(first + CHUNK, SEEDS)):
        for world in play(seed, tmp_path / str(seed)):
            archived = frames.history(world.root)
            kept = frames.history(world.sim.client)
            check_stream(world)
            check_records(world, archived)
            check_age(world, archived, kept)
            check_measures(world, archived)


def check_stream(world: World) -> None:
    """Entries have the time at which they were written."""
    sim = world.sim
    entries: Any = sim.redis.xrange(Keys(sim.namespace).history)
    for entry_id, _ in entries:
        at_s = int(entry_id.partition(b"-")[0]) / 1_000
        assert sim.now_s - MAX_AGE_S - LATE_S <= at_s <= sim.now_s + 1


def check_records(world: World, archived: Any) -> None:
    """Each execution is archived once, at the time at which it was."""
    assert len(archived) == len(world.ran)
    ends = dict.fromkeys((job for job, _ in world.ran))
    told = archived.sort_values("finished_at", kind="stable")
    true = sorted(world.ran, key=lambda each: each[1])
    assert sorted(told["job_id"]) == sorted(job for job, _ in true)
    times_s = told["finished_at"].astype("int64") / 1_000
    for job in ends:
        mine = times_s[(told["job_id"] == job).to_numpy()].to_list()
        assert mine == pytest.approx([at for one, at in true if one == job], abs=2)
    assert archived["run"].dt.total_seconds().to_list() == pytest.approx([0.25] * len(true))
    assert archived["wait"].between(pd.Timedelta(0), pd.Timedelta("10s")).all()


def check_age(world: World, archived: Any, kept: Any) -> None:
    """The stream has what is young enough, and nothing that is too old."""
    extent = world.sim.client.history_extent()
    assert extent.written == len(archived)
    assert extent.trimmed == len(archived) - len(kept)
    young = archived["finished_at"] > pd.Timestamp(
        world.sim.now_s - MAX_AGE_S + 2, unit="s", tz="UTC"
    )
    assert young.sum() <= len(kept) < len(archived)
    pd.testing.assert_frame_equal(
        kept.reset_index(drop=True),
        frames.history(world.root).tail(len(kept)).reset_index(drop=True),
        check_categorical=False,
    )


def check_measures(world: World, archived: Any) -> None:
    """Measures see hours, not months."""
    scan = frames.scan(world.root)
    assert len(frames.throughput(scan, "1h")) <= HOURS + 1
    assert {path.parent.name for path in scan.files} == {"day=2027-01-15"}
    assert frames.slo(scan, wait="10s")["late"].to_list() == [0] * 4
    delays = frames.attempts(archived)["delay"].dropna().dt.total_seconds()
    assert delays.between(28, 75).all()
    journeys = frames.journeys(archived)
    assert len(journeys) == 60
    assert journeys["whole"].all()
    assert (journeys["total"].dropna() < pd.Timedelta("5min")).all()
