"""A day of a fleet as a frame of history: deploys, cron, an incident, retries and a pause."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import pandas as pd

from tests.support.queueing import history_of

__all__ = ["BEGIN_S", "busy_day"]

BEGIN_S = 1_795_000_000.0
_DAY_S = 8 * 3_600.0


def busy_day(seed: int = 1, *, odd: str = "") -> Any:
    """Make history.

    Args:
        seed: Of the draws.
        odd: Appended to every text that comes from Redis, such as names and errors.
    """
    draw = np.random.default_rng(seed)
    at = np.sort(draw.uniform(0, _DAY_S, 5_000))
    at = at[(at < 5 * 3_600) | (at > 5.4 * 3_600)]  # nothing comes for a while
    todo: list[tuple[float, int, int]] = [(due, n, 0) for n, due in enumerate(at)]
    slots = np.arange(0, _DAY_S, 1_800)
    todo += [(slot + 1, 100_000 + n, 0) for n, slot in enumerate(slots)]
    heapq.heapify(todo)
    free = [0.0] * 8
    names = draw.choice(["mail", "report", "import"], len(at), p=[0.7, 0.2, 0.1])
    rows: list[dict[str, Any]] = []
    while todo:
        due, job, fails = heapq.heappop(todo)
        worker = int(np.argmin(free))
        start = max(due, free[worker]) + draw.exponential(0.004)
        cron = job >= 100_000
        name = "cleanup" if cron else str(names[job])
        run = draw.exponential({"mail": 3, "report": 30, "import": 60, "cleanup": 20}[name])
        outage = 2 * 3_600 < start < 2.6 * 3_600 and name == "mail"
        failed = draw.random() < (0.9 if outage else 0.02)
        ended = start + (0.3 if outage else run)
        free[worker] = ended
        outcome = "done" if not failed else ("dead" if fails == 3 else "retry")
        kind = "smtp" if outage else ("csv" if name == "import" else "rare")
        errors = {
            "smtp": "ConnectionRefusedError: [Errno 111] Connection refused",
            "csv": "ValueError: could not convert string to float: '48,50'",
            "rare": "KeyError: 'price'",
        }
        rows.append(
            {
                "job_id": f"periodic:cleanup:*/30 * * * *:{int(BEGIN_S + slots[job - 100_000])}"
                if cron
                else f"{job:024x}",
                "at": due, "start": start, "run": ended - start, "name": name + odd,
                "outcome": outcome, "fails": fails + failed,
                "error": errors[kind] + odd if failed else None,
                "fingerprint": kind + odd if failed else None,
                "worker_id": f"{worker:02x}{odd}worker", "pool_id": f"pool{worker // 4}{odd}",
                "host": f"web-{worker // 4 + 1}{odd}",
                "version": ("2.4.0" if start < 4 * 3_600 else "2.4.1") + odd,
            }
        )  # fmt: skip
        if outcome == "retry":
            heapq.heappush(todo, (ended + 60 * 3**fails + draw.uniform(0, 30), job, fails + 1))
    frame = pd.DataFrame(rows)
    made = history_of(
        BEGIN_S + frame["at"].to_numpy(),
        BEGIN_S + frame["start"].to_numpy(),
        frame["run"].to_numpy(),
        **{name: frame[name] for name in frame if name not in {"at", "start", "run"}},
    )
    made.attrs["read"] = (BEGIN_S, BEGIN_S + _DAY_S)
    return made
