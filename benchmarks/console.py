"""The cost of the console on a big namespace: `python -m benchmarks.console`.

Fills a private server with 1,000 queues, 2,000 workers, 100,000 waiting and 1,000,000 dead jobs.
Opens the console on it without a terminal, in a separate process. Prints the cost of a look for the
server and the console, the time of a key during a look, the memory, and the cost while nothing
changes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from redis import Redis

from workkit.client import Client
from workkit.embedded import EmbeddedServer

__all__ = ["main"]

NAMESPACE: Final = "big"
_CHUNK: Final = 2_000
_SIZE: Final = (200, 60)
_ERRORS: Final = (
    "TimeoutError: no answer from smtp-{n}.example.com within 30 s",
    "CardDeclined: card {n} was declined by its issuer",
    "KeyError: 'customer_{n}'",
    "RuntimeError: cannot read /srv/uploads/{n}.heic",
)
_TRACE: Final = (
    "\n\nTraceback (innermost last):\n"
    '  File "/srv/shop/tasks.py", line 41, in run\n    step(job)\n'
    '  File "/srv/shop/steps.py", line 17, in step\n    raise Broken(job)\n'
)


def main() -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--queues", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=2_000)
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--dead", type=int, default=1_000_000)
    parser.add_argument("--idle", type=float, default=30.0, help="seconds watched while idle")
    parser.add_argument(
        "--look-back", type=float, default=3_600.0, help="seconds that it remembers; 0 for none"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--on", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.on:
        print(json.dumps(asyncio.run(_measure(options.on, options.idle, options.look_back))))
        return 0
    with EmbeddedServer() as server, Redis.from_url(server.url) as redis:
        began = time.perf_counter()
        _seed(redis, options.queues, options.workers, options.waiting, options.dead)
        print(f"seeded in {time.perf_counter() - began:.0f} s", file=sys.stderr)
        command = [sys.executable, "-m", "benchmarks.console", "--on", server.url]
        command += ["--idle", str(options.idle), "--look-back", str(options.look_back)]
        with _beating(redis):
            shown = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        figures = json.loads(shown.stdout.splitlines()[-1])
    if options.json:
        print(json.dumps(figures, indent=1))
        return 0
    for name, value in figures.items():
        print(f"{name:<46} {value:>10,}")
    return 0


# Seeding.


def _seed(redis: Any, queues: int, workers: int, waiting: int, dead: int) -> None:
    now = int(time.time())
    names = [f"queue_{n:04}" for n in range(queues)]
    redis.sadd(f"{NAMESPACE}:known_jobs", *names)
    for chunk in _chunks(waiting):
        pipe = redis.pipeline(transaction=False)
        for n in chunk:
            name = names[n % queues]
            job = {"name": name, "id": f"{n:024x}", "t": now - n % 900, "args": {"n": n}}
            pipe.lpush(f"{NAMESPACE}:jobs:{name}", json.dumps(job))
        pipe.execute()
    for chunk in _chunks(dead):
        members = {}
        for n in chunk:
            error = _ERRORS[n % len(_ERRORS)].format(n=n) + _TRACE
            job = {
                "name": names[n % queues], "id": f"{n + 2**40:024x}", "t": now - n // 20 - 60,
                "args": {"user": n, "to": f"user{n}@example.com"}, "fails": 4, "err": error,
                "failed_at": now - n // 20,
            }  # fmt: skip
            members[json.dumps(job)] = now - n // 20
        redis.zadd(f"{NAMESPACE}:dead", members)
    size = 20
    for at in range(workers // size):
        pool_id = f"{at:024x}"
        ids = [f"{at:020x}{n:04x}" for n in range(size)]
        pipe = redis.pipeline(transaction=False)
        pipe.sadd(f"{NAMESPACE}:worker_pools", pool_id)
        pipe.hset(f"{NAMESPACE}:worker_pools:{pool_id}", mapping={
            "heartbeat_at": now, "started_at": now - 9_000, "job_names": ",".join(names[at::10]),
            "concurrency": size, "worker_ids": ",".join(ids), "host": f"web-{at}",
            "pid": 1_000 + at, "workkit": "0.1.0", "busy": size // 2, "done": 10_000 + at,
        })  # fmt: skip
        for worker in ids[: size // 2]:
            row = {
                "job_name": names[at % queues], "job_id": worker, "started_at": now - at,
                "args": '{"n":1}', "checkin": "page 3 of 9", "checkin_at": now - 1,
            }  # fmt: skip
            pipe.hset(f"{NAMESPACE}:worker:{worker}", mapping=row)
        pipe.execute()


def _chunks(count: int) -> Iterator[range]:
    for start in range(0, count, _CHUNK):
        yield range(start, min(start + _CHUNK, count))


class _beating:  # noqa: N801 - used as a word
    """Sends heartbeats of all pools every four seconds, as live pools do."""

    def __init__(self, redis: Any) -> None:
        import threading

        self._redis = redis
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat)

    def _beat(self) -> None:
        pools = [p.decode() for p in self._redis.smembers(f"{NAMESPACE}:worker_pools")]
        while not self._stop.wait(4):
            pipe = self._redis.pipeline(transaction=False)
            for pool in pools:
                pipe.hset(f"{NAMESPACE}:worker_pools:{pool}", "heartbeat_at", int(time.time()))
            pipe.execute()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


# Measuring.


async def _measure(url: str, idle_s: float, look_back_s: float) -> dict[str, float]:
    from workkit.store.connections.link import Link
    from workkit_tui.app import Console
    from workkit_tui.settings import Settings

    trips: list[int] = []
    send = Link.send

    def counted(link: Link, commands: Sequence[Any], meanwhile: Any = None) -> Any:
        trips.append(len(commands))
        return send(link, commands, meanwhile)

    Link.send = counted  # type: ignore[assignment,method-assign]
    client = Client(NAMESPACE, url)
    app = Console(
        client, actions=client.actions, settings=Settings(refresh_s=2.0, look_back_s=look_back_s)
    )
    figures: dict[str, float] = {}
    with Redis.from_url(url) as redis:
        async with app.run_test(size=_SIZE) as pilot:
            await _until(lambda: app.looks > 1)
            app.frozen = True
            for key, name in (("1", "overview"), ("2", "queues"), ("3", "workers"), ("6", "dead")):
                await pilot.press(key)
                await _until(lambda: not app._looking)  # noqa: SLF001 - it is measured
                full = name == "overview"
                figures |= await _looks(app, pilot, name, trips, everything=full)
            figures["key to screen while it looks, ms, median"] = await _keys(app)
            await pilot.press("g", "G", "g")
            began = time.perf_counter()
            await pilot.press("G")
            await _until(lambda: app.screen.rows.get(app.screen.table.cursor) is not None)  # type: ignore[attr-defined]
            figures["to the end of the dead, ms"] = round((time.perf_counter() - began) * 1e3, 1)
            await pilot.press("1")
            app.frozen = False
            await asyncio.sleep(5)
            before = _calls(redis)
            cpu = time.process_time()
            await asyncio.sleep(idle_s)
            figures["idle, commands/s"] = round((_calls(redis) - before - 1) / idle_s, 1)
            figures["idle, CPU, %"] = round(100 * (time.process_time() - cpu) / idle_s, 1)
            rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            figures["memory, MB, at most so far"] = round(rss)
            began = time.perf_counter()
            await pilot.press("7")
            screen: Any = app.screen
            await _until(lambda: screen._seen >= screen._total > 0 and not screen._walking, 600)  # noqa: SLF001
            figures["grouping all errors, s"] = round(time.perf_counter() - began, 1)
            rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            figures["memory after grouping, MB, at most"] = round(rss)
    client.close()
    return figures


async def _looks(
    app: Any, pilot: Any, name: str, trips: list[int], *, everything: bool
) -> dict[str, float]:
    """Measure looks: those that read everything, and those that read what has changed."""
    figures: dict[str, float] = {}
    for kind in ("all read", "nothing changed") if everything else ("all read",):
        cpu, most, commands = [], 0, 0
        for _ in range(8):
            if kind == "all read" and app.feed._watch is not None:  # noqa: SLF001 - so that all is read
                app.feed._watch._survey = None  # noqa: SLF001
            trips.clear()
            looks, before = app.looks, time.process_time()
            app.frozen = False
            app.look_now()
            app.frozen = True
            await _until(lambda looks=looks: app.looks > looks)
            await pilot.pause()
            cpu.append(time.process_time() - before)
            most, commands = max(most, len(trips)), max(commands, sum(trips))
        figures[f"{name}: round trips, {kind}"] = most
        figures[f"{name}: commands, {kind}"] = commands
        figures[f"{name}: CPU of a look, ms, {kind}"] = round(statistics.median(cpu) * 1e3, 1)
    return figures


async def _keys(app: Any) -> float:
    """Press keys during looks; return the median time from key to moved cursor, ms."""
    table = app.screen.table
    took = []
    for _ in range(40):
        if app.feed._watch is not None:  # noqa: SLF001 - so that all is read
            app.feed._watch._survey = None  # noqa: SLF001
        app.look_now()
        before, began = table.cursor, time.perf_counter()
        app.post_message(_key())
        await _until(lambda before=before: table.cursor != before)
        took.append(time.perf_counter() - began)
        await _until(lambda: not app._looking)  # noqa: SLF001
    took.sort()
    return round(took[len(took) // 2] * 1e3, 1)


def _key() -> Any:
    from textual import events

    return events.Key("j", "j")


async def _until(condition: Any, timeout_s: float = 60.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - what is waited for gives no signal
            await asyncio.sleep(0.001)


def _calls(redis: Any) -> int:
    stats = redis.info("commandstats")
    # The pools' beats are not the console's.
    return sum(
        row["calls"] for name, row in stats.items() if name not in {"cmdstat_hset", "cmdstat_info"}
    )


if __name__ == "__main__":
    sys.exit(main())
