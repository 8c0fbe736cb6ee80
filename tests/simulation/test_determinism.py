"""The same seed gives the same bytes: on every run, in every process, on every server."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.house.sources import ROOT
from tests.simulation.busy import STORM, busy
from workkit.core.entropy import Entropy
from workkit.simulation import Faults, Simulation


def test_the_same_seed_gives_the_same_trace_and_another_seed_another() -> None:
    trace = busy(1)
    assert trace == busy(1)
    assert trace != busy(2)
    assert trace.count("\n") > 200


def test_every_process_gives_the_same_trace() -> None:
    traces = []
    for hash_seed in ("1", "2"):
        shown = subprocess.run(
            [sys.executable, "-m", "tests.simulation.busy", "3"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": "Asia/Tokyo"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        traces.append(shown.stdout)
    assert traces[0] == traces[1] == busy(3)


_MOVES = """
from workkit.simulation import Checker, Simulation

class Shows(Checker):
    rule = "shows moves"

    def changed(self, change):
        print(change.command, [move.job_id for move in change.moves])

with Simulation(3, checkers=[Shows()]) as sim:
    sim.pool(concurrency=8).job("work", lambda job: None)
    for n in range(8):
        sim.enqueuer.enqueue("work", {"n": n})
        sim.enqueuer.enqueue_in("work", 2, {"n": n})
    sim.run_until_idle()
"""


def test_in_every_process_checkers_see_the_moves_of_a_command_in_the_same_order() -> None:
    shown = {
        subprocess.run(
            [sys.executable, "-c", _MOVES],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2", "3")
    }
    assert len(shown) == 1
    assert b"exchange" in shown.pop()


@pytest.mark.parametrize("faults", [STORM, None], ids=["storm", "calm"])
def test_fakeredis_gives_the_same_trace(faults: Faults | None) -> None:
    assert busy(3, server="fakeredis", faults=faults) == busy(3, faults=faults)


@pytest.mark.parametrize("seed", [4, 5])
def test_every_server_gives_the_same_trace(redis_url: str, namespace: str, seed: int) -> None:
    assert busy(seed, server=redis_url, namespace=namespace) == busy(seed, namespace=namespace)


def test_a_world_without_faults_is_the_same_on_every_server(redis_url: str, namespace: str) -> None:
    on_server = busy(6, server=redis_url, namespace=namespace, faults=None)
    assert on_server == busy(6, namespace=namespace, faults=None)


def test_a_plan_can_be_run_again_in_part() -> None:
    with Simulation(7, faults=STORM) as sim:
        for _ in range(2):
            sim.pool().job("work", lambda job: None)
        sim.run_for(1)
        plan = sim.plan
        sim.assert_ran("work", times=0)
    assert plan == STORM.draw(Entropy("7/faults"), ["pool-1", "pool-2"])
    assert len(plan) > 10
    assert busy(7, faults=plan[::2]) == busy(7, faults=plan[::2])
    assert [each.record()["kind"] for each in plan] == [each.kind for each in plan]
