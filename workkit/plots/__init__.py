"""Pictures of frames, made with matplotlib.

    from workkit import Client, frames, plots

    ran = frames.history(Client("work", "redis://localhost:6379"), since="2h")
    plots.throughput(ran, marks=plots.deploy_marks(ran))
    plots.latency(ran, tz="Europe/Berlin").savefig("latency.png")

Each function takes a frame and returns a `Picture`, a figure that a notebook shows as the last
value of a cell. ``docs/analysis.md`` lists them.
"""

from __future__ import annotations

import workkit.plots.extra  # noqa: F401 - first, because it names the extra of pictures
from workkit.plots.fleets import attempts, utilisation, workers
from workkit.plots.marks import Mark, cron_marks, deploy_marks
from workkit.plots.over_time import concurrency, errors, latency, queue_depth, throughput
from workkit.plots.picture import Picture
from workkit.plots.promises import burn_rate
from workkit.plots.spreads import capacity, latency_histogram, retry_ladder

__all__ = [
    "Mark",
    "Picture",
    "attempts",
    "burn_rate",
    "capacity",
    "concurrency",
    "cron_marks",
    "deploy_marks",
    "errors",
    "latency",
    "latency_histogram",
    "queue_depth",
    "retry_ladder",
    "throughput",
    "utilisation",
    "workers",
]
