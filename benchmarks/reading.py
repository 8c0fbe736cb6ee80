"""Read a history once, in a separate process: `python -m benchmarks.reading SIDE URL`.

Prints one JSON object: seconds, records, and memory where it is measured.
"""

from __future__ import annotations

import gc
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from redis import Redis

from benchmarks.past import NAMESPACE
from workkit import Client

__all__ = ["SIDES", "resident_mb"]

_PAGE: Final = 200


def _redis_py(url: str) -> dict[str, float]:
    client: Any = Redis.from_url(url)
    client.ping()
    began_s, low, entries = time.perf_counter(), b"-", 0
    while page := client.xrange(f"{NAMESPACE}:history", low, "+", count=_PAGE):
        entries += len(page)
        low = b"(" + page[-1][0]
    return {"seconds": time.perf_counter() - began_s, "records": entries}


def _frame(url: str) -> dict[str, float]:
    from workkit import frames

    client = Client(NAMESPACE, url)
    next(client.history(limit=1))
    gc.collect()
    before_mb, began_s = resident_mb("VmRSS"), time.perf_counter()
    frame = frames.history(client)
    seconds = time.perf_counter() - began_s
    frame_mb = float(frame.memory_usage(deep=True).sum()) / 1e6
    peak_mb = resident_mb("VmHWM") - before_mb
    return {
        "seconds": seconds, "records": len(frame), "frame_mb": frame_mb, "peak_mb": peak_mb,
    }  # fmt: skip


def _archive(url: str) -> dict[str, float]:
    from workkit import frames

    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        began_s = time.perf_counter()
        run = frames.archive(Client(NAMESPACE, url), Path(directory) / "archive")
        return {"seconds": time.perf_counter() - began_s, "records": run.records}


def _snapshot(url: str) -> dict[str, float]:
    from workkit.snapshot import write_snapshot

    client = Client(NAMESPACE, url)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        began_s = time.perf_counter()
        write_snapshot(client, Path(directory) / "snapshot")
        return {
            "seconds": time.perf_counter() - began_s,
            "records": client.overview().dead,
            "peak_mb": resident_mb("VmHWM"),
            "file_mb": (Path(directory) / "snapshot").stat().st_size / 1e6,
        }


def resident_mb(field: str) -> float:
    """Return memory of this process, such as "VmRSS" or "VmHWM", the most so far."""
    status = Path("/proc/self/status").read_text("utf-8")
    match = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
    return int(match[1]) * 1024 / 1e6 if match else 0.0


#: How a history can be read.
SIDES: Final[dict[str, Callable[[str], dict[str, float]]]] = {
    "redis-py": _redis_py,
    "frame": _frame,
    "archive": _archive,
    "snapshot": _snapshot,
}

if __name__ == "__main__":
    print(json.dumps(SIDES[sys.argv[1]](sys.argv[2])))
