"""When a pool is alive, suspect or dead. All limits derive from the interval of heartbeats.

Only the reaper and the doctor decide that a pool is dead. Both measure with their own monotonic
clock how long its heartbeat has not changed. Other code only shows the age of the heartbeat.
"""

from __future__ import annotations

from typing import Final

__all__ = ["BEAT_S", "DEAD_S", "GO_BEAT_S", "GO_DEAD_S", "SUSPECT_S", "WATCH_S", "is_silent"]

#: Seconds between two heartbeats of a workkit pool. If one is lost and the next is late, a Go pool
#: still sees the pool alive.
BEAT_S: Final = 4.0
#: Seconds between two heartbeats of a Go pool, and the age at which Go declares a pool dead.
GO_BEAT_S: Final = 5.0
GO_DEAD_S: Final = 10.0
#: A pool is dead if its heartbeat has not changed for this long, seconds.
DEAD_S: Final = 3 * BEAT_S
#: A pool is suspect if its heartbeat has not changed for this long, seconds.
SUSPECT_S: Final = 2 * BEAT_S
#: How long the doctor watches a suspect pool, seconds. Longer than the reaper, which acts first.
WATCH_S: Final = DEAD_S + 1.0


def is_silent(heartbeat_at: float, now_s: float) -> bool:
    """Tell whether a heartbeat is missing or too old for a live pool.

    Args:
        heartbeat_at: When it was written, epoch seconds; 0 if it is missing.
        now_s: The reader's time, epoch seconds.
    """
    return now_s - heartbeat_at > DEAD_S
