"""Starts processes with pools, and reads their resources and the server's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from redis import Redis

__all__ = ["ServerTakes", "processes", "server_takes"]

ROOT: Final = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class ServerTakes:
    """The resources that a server has used since it started.

    Attributes:
        commands: Commands, those inside scripts included.
        cpu_s: Seconds of CPU.
        connections: Connections at present, ours included.
        memory: Bytes in use at present.
    """

    commands: int
    cpu_s: float
    connections: int
    memory: int


def server_takes(client: Redis) -> ServerTakes:
    """Read the resources of a server."""
    info: Any = client.info("everything")
    inner = sum(v["calls"] for k, v in info.items() if k.startswith("cmdstat_"))
    cpu_s = info["used_cpu_user"] + info["used_cpu_sys"]
    return ServerTakes(inner, cpu_s, info["connected_clients"], info["used_memory"])


@contextmanager
def processes(
    url: str, namespace: str, *, count: int, pools: int, concurrency: int, cron: bool = False
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run some processes with some pools each, which have registered when this begins."""
    command = [
        sys.executable, "-m", "tests.system.endurance.pools", url, namespace, str(pools),
        str(concurrency), "cron" if cron else "no cron",
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(count)
    ]
    try:
        for process in started:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                raise RuntimeError("a process with pools did not start")
        yield started
        for process in started:
            process.communicate(timeout=60)
    finally:
        for process in started:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
