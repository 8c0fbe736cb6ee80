"""Whether a pool lives and can claim jobs, from what its own watch knows.

A pool is live while its loops make progress: only a new process helps if one of them does not. It
is ready while it can claim jobs: Redis answers, and its heartbeats arrive. So an outage of Redis
makes pools unready, and leaves them live.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from workkit.core.guarding import passes, warn_once
from workkit.core.liveness import DEAD_S
from workkit.engine.engine import Engine
from workkit.engine.process.vitals import STILL_S
from workkit.engine.serving import Serving

__all__ = ["STOPPED", "UNSTARTED", "Health", "asked", "examine"]


@dataclass(frozen=True, slots=True)
class Health:
    """The health of a pool, or of a supervisor and its processes.

    Attributes:
        state: "starting", "running", "stopping" or "stopped".
        faults: Why it is not live; each is a sentence.
        obstacles: Why it cannot claim jobs, beyond the faults; each is a sentence.
    """

    state: Literal["starting", "running", "stopping", "stopped"]
    faults: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()

    @property
    def live(self) -> bool:
        """Whether its loops make progress."""
        return not self.faults

    @property
    def ready(self) -> bool:
        """Whether it can claim jobs."""
        return not self.faults and not self.obstacles

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not ready, the faults first."""
        return (*self.faults, *self.obstacles)


#: The health of a pool before its first start, and after a stop.
UNSTARTED: Final = Health("starting", (), ("the pool has not started",))
STOPPED: Final = Health("stopped", (), ("the pool has stopped",))


def asked(health: Callable[[], Health]) -> Health:
    """Ask for a health. It never raises.

    Args:
        health: Returns it. It may be code of others, and raise anything: then it is unknown whether
            jobs can be claimed. That is no proof that the loops hang, so the pool counts as live.
    """
    try:
        found = health()
        return Health(found.state, tuple(found.faults), tuple(found.obstacles))
    except BaseException as error:
        if passes(error):
            raise
        name = type(error).__name__
        warn_once(("health", name), "the health cannot be read (logged once)", error=error)
        return Health("running", (), (f"the health cannot be read: {name}",))


def examine(
    engine: Engine, serving: Serving, silences: Mapping[str, float], now_s: float
) -> Health:
    """Return the health of a pool that runs.

    Args:
        engine: Its parts.
        serving: Its dispatcher's loop.
        silences: Loop -> how long it has been silent beyond its rest, seconds.
        now_s: The time, monotonic seconds.
    """
    faults = [
        f"the pool's {loop} has made no progress for {silent_s:.0f} s"
        if silent_s < float("inf")
        else f"the pool's {loop} has ended"
        for loop, silent_s in silences.items()
        if silent_s >= STILL_S
    ]
    obstacles = []
    if serving.stopping:
        obstacles.append("the pool is stopping and claims no jobs")
    if serving.out_of_touch:
        obstacles.append("Redis does not answer the pool's dispatcher")
    heartbeat = engine.heartbeat
    if not heartbeat.is_heard:
        obstacles.append("the pool's last heartbeat did not arrive")
    elif heartbeat.heard_s and now_s - heartbeat.heard_s > DEAD_S:
        obstacles.append(f"no heartbeat has arrived for {now_s - heartbeat.heard_s:.0f} s")
    if not engine.runner.capacity:
        obstacles.append("the system refuses threads for the pool's workers")
    if engine.runner.fault:
        obstacles.append(engine.runner.fault)
    state: Literal["running", "stopping"] = "stopping" if serving.stopping else "running"
    return Health(state, tuple(faults), tuple(obstacles))
