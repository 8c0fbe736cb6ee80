"""Recordings without a server: overviews that are made up, and what they are written to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from workkit.admin.trends import Digest
from workkit.core.masks import Masks
from workkit.core.records import Overview, Queue, WorkerPoolHeartbeat
from workkit.core.secrets import SECRETS
from workkit.recording import Recorder, RecordingWriter

__all__ = ["LABEL", "MASKS", "NOW_S", "Nobody", "overview", "pool", "recorder", "writer"]

LABEL = "work at localhost:6379/0"
NOW_S = 1_800_000_000
MASKS = Masks(SECRETS)
DAY_S = 86_400.0
BYTES = 50_000_000


class Nobody:
    """A reader of a namespace in which there is nothing but what overviews say."""

    def __init__(self) -> None:
        self.reads = 0

    def cron(self) -> list[Any]:
        self.reads += 1
        return []

    def jobs(self, place: Any, start: int, count: int, *, reverse: bool = False) -> Any:
        from workkit.core.records import Page

        return Page([], 0)

    def worker_observations(self, ids: Any = None) -> list[Any]:
        return []


def pool(number: int, at_s: float, **totals: int) -> WorkerPoolHeartbeat:
    """Return a pool that has just sent a heartbeat."""
    return WorkerPoolHeartbeat(
        f"{number:024x}", int(at_s), NOW_S - 60, ["mail"], 2, "web", number,
        [f"{number:020x}{at:04x}" for at in range(2)], {"busy": 0, "done": 0, **totals}, "0.1.0",
    )  # fmt: skip


def overview(at_s: float, *pools: WorkerPoolHeartbeat, count: int = 3, **fields: Any) -> Overview:
    """Return an overview with one queue."""
    latency = 5 if count else 0
    queues = [Queue("mail", count, latency, running=1, max_concurrency=4)]
    seen = Overview(at_s, queues, list(pools), 1, 2, 3, NOW_S + 9, None, 40)
    return replace(seen, **fields)


def writer(path: Path | None, **options: Any) -> RecordingWriter:
    """Open a writer."""
    bounds: dict[str, Any] = {"every_s": 2.0, "keep_s": DAY_S, "most_bytes": BYTES}
    return RecordingWriter(path, options.pop("label", LABEL), **(bounds | options))


@contextmanager
def recorder(path: Path | None, **options: Any) -> Iterator[Recorder]:
    """Open a recorder of made-up overviews."""
    reader: Any = Nobody()
    made = Recorder(reader, writer(path, **options), MASKS)
    try:
        yield made
    finally:
        made.close()


def record(made: Recorder, *seen: Overview) -> None:
    """Record overviews in which no execution has ended."""
    for each in seen:
        made.record(each, Digest())
