"""The engine in virtual time, for tests: deterministic, with faults, a day in seconds.

    from workkit.simulation import Simulation

See `docs/simulation.md`.
"""

from __future__ import annotations

from workkit.simulation.simulation import Simulation

__all__ = ["Simulation"]
