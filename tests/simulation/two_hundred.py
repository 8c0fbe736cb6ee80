"""All kinds of jobs, 200 of them, while everything goes wrong.

workkit simulate tests/simulation/two_hundred.py --seeds 1000
"""

from __future__ import annotations

from tests.simulation.fleet import two_hundred_jobs
from workkit.simulation import Simulation

__all__ = ["scenario"]


def scenario(sim: Simulation) -> None:
    """Build the world."""
    two_hundred_jobs(sim)
