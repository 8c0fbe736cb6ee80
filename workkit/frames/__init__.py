"""Jobs and history as pandas DataFrames, from a live server, a snapshot or an archive.

    from workkit import Client
    from workkit import frames

    ran = frames.history(Client("work", "redis://localhost:6379"), since="2026-11-25T00:00Z")
    frames.latency_quantiles(ran, by="name")
    frames.compare(ran[ran.outcome.isin(["retry", "dead"])], ran[ran.outcome == "done"])

``docs/analysis.md`` documents the columns and dtypes of each frame. `VERSION` is their version.
"""

from __future__ import annotations

from workkit.frames.archive_files import Gap, archive_gaps
from workkit.frames.archiving import Archived, archive
from workkit.frames.args import flatten_args
from workkit.frames.auditing.audit import RULES, Audit, Finding, audit
from workkit.frames.capacity import Capacity, Estimate, capacity
from workkit.frames.compacting import Compacted, compact, forget
from workkit.frames.comparing import compare
from workkit.frames.executions import history
from workkit.frames.failures import errors
from workkit.frames.files import read, write
from workkit.frames.jobs import dead_jobs, retry_jobs, scheduled_jobs
from workkit.frames.journeys import attempts, journeys
from workkit.frames.measures import latency_quantiles, lateness, retry_delays, throughput
from workkit.frames.objectives import slo
from workkit.frames.periods import compare_periods, regressions
from workkit.frames.scanning import Scan, scan
from workkit.frames.schema import VERSION, Column, Schema, schema
from workkit.frames.state import queues, workers

__all__ = [
    "RULES",
    "VERSION",
    "Archived",
    "Audit",
    "Capacity",
    "Column",
    "Compacted",
    "Estimate",
    "Finding",
    "Gap",
    "Scan",
    "Schema",
    "archive",
    "archive_gaps",
    "attempts",
    "audit",
    "capacity",
    "compact",
    "compare",
    "compare_periods",
    "dead_jobs",
    "errors",
    "flatten_args",
    "forget",
    "history",
    "journeys",
    "latency_quantiles",
    "lateness",
    "queues",
    "read",
    "regressions",
    "retry_delays",
    "retry_jobs",
    "scan",
    "scheduled_jobs",
    "schema",
    "slo",
    "throughput",
    "workers",
    "write",
]
