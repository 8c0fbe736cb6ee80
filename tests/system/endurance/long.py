"""`python -m tests.system.endurance.long`: an hour of mixed load, and whether anything grows.

Every ten seconds: memory, file descriptors and threads of each worker process, connections, keys
and memory of the server. At the end a table, and a plot where matplotlib is installed.

One thing grows by design, for two days: the marks of cron slots that have run, here one a second.
They are counted, and all other data on the server is judged.
"""

from __future__ import annotations

import csv
import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import click
from redis import Redis

from tests.system.endurance.pools import MIX
from tests.system.endurance.processes import processes, server_takes
from workkit import Client, Enqueuer, ServerError
from workkit.embedded import EmbeddedServer

_PROCESSES: Final = 2
_SLOTS: Final = 10
_CLEAR_S: Final = 20.0
#: If the last quarter is not more than this above the second one, the line counts as flat.
_FLAT: Final = 0.05
#: The size of the mark of a slot, bytes: 172,800 of them, two days of seconds, take 20.3 MB.
_MARK_BYTES: Final = 117
_MARKS: Final = "marks of cron slots"
_NAMES: Final = [name for name, share in MIX.items() for _ in range(share)]


@click.command()
@click.option("--minutes", default=60.0, show_default=True)
@click.option("--rate", default=200, show_default=True, help="Jobs a second.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("build/endurance"), show_default=True
)
@click.option("--every", "every_s", default=10.0, show_default=True, help="Seconds a sample.")
def main(*, minutes: float, rate: int, out: Path, every_s: float) -> None:
    """Let two processes work for an hour on jobs of all kinds, and see what grows."""
    out.mkdir(parents=True, exist_ok=True)
    over = threading.Event()
    rows: list[Mapping[str, float]] = []
    with (
        EmbeddedServer() as server,
        Redis.from_url(server.url) as client,
        processes(
            server.url, "long", count=_PROCESSES, pools=1, concurrency=_SLOTS, cron=True
        ) as started,
    ):
        enqueuing = threading.Thread(target=_enqueue, args=(server.url, rate, over))
        enqueuing.start()
        began = time.monotonic()
        while (passed := time.monotonic() - began) < minutes * 60:
            over.wait(every_s)
            rows.append(_sample(passed, [process.pid for process in started], client))
            if len(rows) % 30 == 0:
                click.echo(f"{passed / 60:.0f} min, {rows[-1]}", err=True)
        over.set()
        enqueuing.join()
    _write(rows, out)
    click.echo(_table(rows))


def _enqueue(url: str, rate: int, over: threading.Event) -> None:
    """Enqueue at a steady rate; clear the dead now and then, as an operator does."""
    enqueuer, client = Enqueuer("long", url), Client("long", url)
    n, cleared = 0, time.monotonic()
    while not over.wait(0.1):
        batch = []
        for _ in range(rate // 10):
            n += 1
            name = _NAMES[(n * 37) % len(_NAMES)]
            batch.append((name, {"n": n}))
        with suppress(ServerError):
            enqueuer.enqueue_many(batch)
            enqueuer.enqueue_unique("unique", {"n": n % 100})
            enqueuer.enqueue_in("plain", 2, {"n": n})
            if time.monotonic() - cleared > _CLEAR_S:
                cleared = time.monotonic()
                client.delete_all_dead_jobs()


def _sample(passed_s: float, pids: Sequence[int], client: Redis) -> Mapping[str, float]:
    takes = server_takes(client)
    marks = sum(1 for _ in client.scan_iter(match="long:slot:*", count=10_000))
    row: dict[str, float] = {
        "minute": passed_s / 60,
        _MARKS: marks,
        f"server memory without {_MARKS}, MiB": (takes.memory - marks * _MARK_BYTES) / 2**20,
        f"keys without {_MARKS}": client.dbsize() - marks,
        "connections": takes.connections,
    }
    for at, pid in enumerate(pids, 1):
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        row[f"process {at}: memory, MiB"] = int(fields["VmRSS"].split()[0]) / 1024
        row[f"process {at}: threads"] = int(fields["Threads"])
        row[f"process {at}: file descriptors"] = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return row


def _table(rows: Sequence[Mapping[str, float]]) -> str:
    """Compare the second quarter with the last."""
    quarter = max(len(rows) // 4, 1)
    lines = ["| | second quarter | last quarter | |", "|---|---|---|---|"]
    for name in rows[0]:
        if name == "minute":
            continue
        early = statistics.mean(row[name] for row in rows[quarter : 2 * quarter])
        late = statistics.mean(row[name] for row in rows[-quarter:])
        verdict = "flat" if late <= early * (1 + _FLAT) else f"grew by {late / early - 1:.0%}"
        if name == _MARKS:
            verdict = "grow for two days"
        lines.append(f"| {name} | {early:.1f} | {late:.1f} | {verdict} |")
    return "\n".join(lines)


def _write(rows: Sequence[Mapping[str, float]], out: Path) -> None:
    with (out / "long.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    _plot(rows, out)


def _plot(rows: Sequence[Mapping[str, float]], out: Path) -> None:
    try:
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot as plt
    except ImportError:
        click.echo("no plot: matplotlib is not installed (make .venv/.bench)", err=True)
        return
    kinds = ("memory", "keys", "file descriptors", "threads", "connections")
    figure, axes = plt.subplots(len(kinds), 1, figsize=(8, 12), sharex=True)
    for axis, kind in zip(axes, kinds, strict=True):
        for name in rows[0]:
            if kind in name:
                axis.plot([row["minute"] for row in rows], [row[name] for row in rows], label=name)
        axis.set_ylim(0, axis.get_ylim()[1] * 1.1)
        axis.legend(loc="lower right", fontsize=7)
    axes[-1].set_xlabel("minutes")
    figure.tight_layout()
    figure.savefig(out / "long.png", dpi=110)


if __name__ == "__main__":
    main()
