"""How long an idle worker takes to notice a new job."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

from benchmarks.bench import Bench, Side
from benchmarks.figures import Sample, percentile
from benchmarks.result import Result, Row, at_most
from benchmarks.workers import Workers
from workkit import Enqueuer
from workkit.core.entropy import Entropy

__all__ = ["measure"]

_JOBS = 500
_PAUSES_S = (0.005, 0.03)
_CLIS = ("redis-cli", "valkey-cli")

#: Puts the i-th job into the queue `job0`.
_Push = Callable[[int], None]


def measure(bench: Bench) -> Result:
    """Measure from before a job is sent to the first line of its handler."""
    jobs = bench.jobs(_JOBS)
    with ExitStack() as stack:
        ways: dict[str, _Push] = {
            "workkit": _enqueuer(bench),
            "a raw socket": stack.enter_context(_raw_socket(bench)),
        }
        if cli := next(filter(None, map(shutil.which, _CLIS)), None):
            ways["redis-cli"] = stack.enter_context(_command_line(bench, cli))
        latencies: dict[str, list[list[float]]] = {way: [] for way in ways}

        def side(way: str) -> Side:
            def run() -> float:
                latencies[way].append(_latencies_ms(bench, jobs, ways[way]))
                return percentile(latencies[way][-1], 0.5)

            return run

        pings: list[list[float]] = []

        def ping() -> float:
            pings.append(_pings_ms(bench, jobs))
            return percentile(pings[-1], 0.5)

        bench.rounds("pick-up ms", {"PING": ping, **{way: side(way) for way in ways}})
    rows = [
        Row(
            f"a bare PING: {label}",
            Sample.of([percentile(values, share) for values in pings]),
            "ms",
        )
        for label, share in (("median", 0.5), ("p99", 0.99))
    ]
    for way, rounds in latencies.items():
        for label, share, bound in (("median", 0.5, 1.0), ("p99", 0.99, 5.0)):
            sample = Sample.of([percentile(values, share) for values in rounds])
            rows.append(Row(f"enqueued by {way}: {label}", sample, "ms", at_most(bound)))
        medians = [percentile(values, 0.5) for values in rounds]
        over = [m / percentile(p, 0.5) for m, p in zip(medians, pings, strict=True)]
        rows.append(Row(f"enqueued by {way}: median over that of the PING", Sample.of(over), "x"))
        rows.append(
            Row(f"enqueued by {way}: worst", Sample.of([max(values) for values in rounds]), "ms")
        )
    missing = "" if "redis-cli" in ways else " No redis-cli was found on PATH."
    return Result(
        "One idle worker process, concurrency 20, 10 queues. From before the job is sent until its "
        "handler has read its argument, so the sender's own round trip is part of it; "
        f"{jobs} jobs a round, one at a time, 5 to 30 ms apart. The raw socket sends what a client "
        "in any language would: LPUSH of a payload. A PING after the same pauses shows what one "
        "round trip alone takes here; a job takes two and a half on its way, and a thread is woken."
        + missing,
        rows,
    )


def _pings_ms(bench: Bench, count: int) -> list[float]:
    entropy = Entropy()
    spent_ms = []
    for _ in range(count):
        time.sleep(entropy.uniform(*_PAUSES_S))
        before = time.monotonic()
        bench.client.ping()
        spent_ms.append((time.monotonic() - before) * 1000)
    return spent_ms


def _latencies_ms(bench: Bench, jobs: int, push: _Push) -> list[float]:
    bench.empty()
    entropy = Entropy()
    sent: list[float] = []
    with Workers(bench.spec()) as workers:
        push(0)  # the first one finds out what has to be loaded
        workers.await_count(1)
        for i in range(jobs):
            time.sleep(entropy.uniform(*_PAUSES_S))
            sent.append(time.monotonic())
            push(i + 1)
        workers.await_count(jobs + 1)
        started = workers.values()[1:]
    return [(b - a) * 1000 for a, b in zip(sent, sorted(started), strict=True)]


def _payload(i: int) -> str:
    fields = {"name": "job0", "id": f"{i:024x}", "t": int(time.time()), "args": {"i": i}}
    return json.dumps(fields, separators=(",", ":"))


def _enqueuer(bench: Bench) -> _Push:
    enqueuer = Enqueuer("bench", bench.url)

    def push(i: int) -> None:
        enqueuer.enqueue("job0", {"i": i})

    return push


@contextmanager
def _raw_socket(bench: Bench) -> Iterator[_Push]:
    address = urlsplit(bench.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def push(i: int) -> None:
            payload = _payload(i).encode()
            connection.sendall(
                b"*3\r\n$5\r\nLPUSH\r\n$15\r\nbench:jobs:job0\r\n$%d\r\n%b\r\n"
                % (len(payload), payload)
            )
            connection.recv(64)

        yield push


@contextmanager
def _command_line(bench: Bench, cli: str) -> Iterator[_Push]:
    """Keep one redis-cli open, whose start is not to be measured, and type into it."""
    command = [cli, "-p", str(bench.server.port)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        typed = process.stdin

        def push(i: int) -> None:
            typed.write(f"LPUSH bench:jobs:job0 '{_payload(i)}'\n")

        yield push
