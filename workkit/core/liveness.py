"""When a pool counts as alive, suspect or dead: every limit follows from the heartbeat.

Only the reaper and the doctor decide that a pool is dead; both watch its heartbeat on a monotonic
clock of their own. Everybody else only shows how old the heartbeat is.
"""

from __future__ import annotations

from typing import Final

__all__ = ["BEAT_S", "DEAD_S", "GO_BEAT_S", "GO_DEAD_S", "SUSPECT_S", "WATCH_S", "is_silent"]

#: Seconds between two heartbeats of a pool of ours. One may be lost and the next be late before a
#: Go pool takes us for dead.
BEAT_S: Final = 4.0
#: Seconds between two heartbeats of a Go pool, and the age at which Go takes a pool for dead.
GO_BEAT_S: Final = 5.0
GO_DEAD_S: Final = 10.0
#: A heartbeat that has not changed for this long is that of a dead pool, seconds.
DEAD_S: Final = 3 * BEAT_S
#: A heartbeat that has not changed for this long is worth watching, seconds.
SUSPECT_S: Final = 2 * BEAT_S
#: How long the doctor watches a suspect, seconds; longer than the reaper, which goes first.
WATCH_S: Final = DEAD_S + 1.0


def is_silent(heartbeat_at: float, now_s: float) -> bool:
    """Tell whether a heartbeat is missing or older than that of a living pool.

    Args:
        heartbeat_at: When it was written, epoch seconds; 0 for a missing one.
        now_s: The present, epoch seconds, by the clock of whoever looks.
    """
    return now_s - heartbeat_at > DEAD_S
