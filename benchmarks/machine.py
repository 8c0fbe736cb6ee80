"""The machine and the date of a measurement."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from workkit.embedded import EmbeddedServer

__all__ = ["describe"]


def describe(server: EmbeddedServer, command: str, rounds: int) -> str:
    """Say when, how and on what class of machine, in lines of Markdown.

    Args:
        server: The server that is used.
        command: The command that repeats the run.
        rounds: How many rounds.
    """
    today = datetime.now(UTC).date().isoformat()
    facts = {
        "date": today,
        "command": f"`{command}`",
        "rounds": f"{rounds}; medians, with the lowest and the highest round as spread",
        "machine": f"{os.cpu_count()} cores, {_processor()}, {_memory()}, {platform.system()}",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "server": f"{server.version}, default settings without persistence, TCP on loopback",
    }
    return "\n".join(f"- {name}: {value}" for name, value in facts.items()) + "\n"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except FileNotFoundError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB"
