"""The engine in virtual time, for tests: deterministic, with faults, a day in seconds.

from workkit.simulation import Simulation

with Simulation(seed=7) as sim:
    sim.pool().job("send_email", send_email, backoff=lambda job: 60)
    job = sim.enqueuer.enqueue("send_email", {"address": "a@example.com"})
    sim.run_for(hours=1)
    assert sim.retry_schedule(job) == [0, 60, 120]
"""

from __future__ import annotations

from workkit.simulation.checkers import Checker, Violation
from workkit.simulation.exploration.exploring import (
    Explored,
    ScenarioFailed,
    explore,
    sweep_crashes,
)
from workkit.simulation.faults import Fault, Faults
from workkit.simulation.machine.parking import HandlerBlocked
from workkit.simulation.machine.refusing import NotSimulated
from workkit.simulation.performing import Performed
from workkit.simulation.pool import SimulatedPool
from workkit.simulation.running import NothingRan
from workkit.simulation.simulation import Simulation
from workkit.simulation.trace import Event, Trace

__all__ = [
    "Checker",
    "Event",
    "Explored",
    "Fault",
    "Faults",
    "HandlerBlocked",
    "NotSimulated",
    "NothingRan",
    "Performed",
    "ScenarioFailed",
    "SimulatedPool",
    "Simulation",
    "Trace",
    "Violation",
    "explore",
    "sweep_crashes",
]
