"""`python -m tests.system.endurance.many`: the cost of fifty pools on one server."""

from __future__ import annotations

import time
from typing import Final

import click
from redis import Redis

from tests.system.endurance.processes import processes, server_takes
from workkit import Enqueuer
from workkit.embedded import EmbeddedServer

#: Processes and pools in each.
_SIZES: Final = ((1, 1), (2, 5), (5, 5), (10, 5))
_SETTLE_S: Final = 3.0
_QUEUES: Final = ("plain", "waits", "unique", "tick")


@click.command()
@click.option("--jobs", default=50_000, show_default=True, help="To run, per size.")
@click.option("--idle", "idle_s", default=10.0, show_default=True, help="Seconds to idle.")
@click.option("--slots", default=20, show_default=True, help="Of each pool.")
@click.option("--largest", default=10, show_default=True, help="Processes at most.")
def main(*, jobs: int, idle_s: float, slots: int, largest: int) -> None:
    """Measure pools, idle and at work, as their number grows."""
    click.echo(
        "| processes x pools x slots | connections | idle: commands/s | per pool "
        "| server CPU, idle | jobs/s | server CPU, µs a job |\n|---|---|---|---|---|---|---|"
    )
    for count, pools in _SIZES:
        if count > largest:
            continue
        with EmbeddedServer() as server, Redis.from_url(server.url) as client:
            with processes(server.url, "many", count=count, pools=pools, concurrency=slots):
                time.sleep(_SETTLE_S)  # noqa: TID251 -- real time is what is measured
                before = server_takes(client)
                time.sleep(idle_s)  # noqa: TID251
                after = server_takes(client)
                rate = (after.commands - before.commands) / idle_s
                idle_cpu = (after.cpu_s - before.cpu_s) / idle_s
                jobs_per_s, cpu_us = _work(server.url, client, jobs)
            click.echo(
                f"| {count} x {pools} x {slots} | {after.connections - 1} | {rate:.0f} "
                f"| {rate / (count * pools):.1f} | {idle_cpu:.1%} | {jobs_per_s:,.0f} "
                f"| {cpu_us:.1f} |"
            )


def _work(url: str, client: Redis, jobs: int) -> tuple[float, float]:
    """Let all jobs run; return jobs a second and the server's CPU a job, µs."""
    enqueuer = Enqueuer("many", url)
    names = [_QUEUES[n % len(_QUEUES)] for n in range(jobs)]
    for name in set(names):
        client.set(f"many:jobs:{name}:paused", "1")
    enqueuer.enqueue_many([(name, None) for name in names])
    before, started = server_takes(client), time.monotonic()
    client.delete(*(f"many:jobs:{name}:paused" for name in set(names)))
    while any(
        client.llen(f"many:jobs:{name}") or client.get(f"many:jobs:{name}:lock") not in {None, b"0"}
        for name in set(names)
    ):
        time.sleep(0.02)  # noqa: TID251
    took_s = time.monotonic() - started
    after = server_takes(client)
    return jobs / took_s, (after.cpu_s - before.cpu_s) / jobs * 1e6


if __name__ == "__main__":
    main()
