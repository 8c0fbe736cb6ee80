"""`python -m tests.system.alarms.soak --minutes 10`: health checks never raise a false alarm.

Workers run a load of every kind: short jobs in bursts, jobs that compute, jobs that fill all
workers, failures, scheduled and cron jobs, and queues that are paused. One worker is deployed again
and again by SIGHUP, and one is stopped and started. Meanwhile each `/livez` and `/readyz` is asked
once a second. Each answer but 200 is printed with its reason, unless the worker was told to stop.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import Final, TextIO
from urllib.error import HTTPError
from urllib.request import urlopen

import click

from workkit import Client, Enqueuer
from workkit.core.clock import monotonic_s
from workkit.embedded import EmbeddedServer

__all__ = ["Watched", "soak"]

NAMESPACE: Final = "soak"
_APP: Final = "tests.system.alarms.app:pool"
_SERVED: Final = re.compile(r"metrics (?:and health )?on (http://[^/\s]+)")
#: A check that takes longer has failed, as Kubernetes sees it with `timeoutSeconds: 5`.
_ANSWER_S: Final = 5.0
_START_S: Final = 60.0
#: Name, seconds and number of the jobs of each second, in turn.
_KINDS: Final = (
    ("nothing", 0.0, 3_000), ("computes", 0.5, 6), ("sleeps", 2.0, 40), ("fails", 0.0, 20),
    ("waits", 1.0, 200), ("blocks", 0.3, 3), ("paused", 0.0, 50),
)  # fmt: skip


@dataclass
class Watched:
    """A program whose health is asked for.

    Attributes:
        name: What it is.
        command: Its arguments, behind `workkit`.
        asked: How often each path has answered.
        alarms: Each answer but 200: how many seconds after the start, the path, and what it said.
    """

    name: str
    command: tuple[str, ...]
    env: dict[str, str]
    asked: Counter[str] = field(default_factory=Counter)
    alarms: list[tuple[float, str, str]] = field(default_factory=list)
    process: subprocess.Popen[str] | None = None
    base: str = ""
    resting: threading.Event = field(default_factory=threading.Event)
    reading: threading.Thread | None = None

    def start(self) -> None:
        """Start it, and wait until it is ready; until then it is not asked."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "workkit", *self.command],
            env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        stderr = self.process.stderr
        assert stderr is not None
        for line in stderr:
            if found := _SERVED.search(line):
                self.base = found[1]
                break
        self.reading = threading.Thread(target=_read, args=(stderr,), daemon=True)
        self.reading.start()
        until_s = monotonic_s() + _START_S
        while self._ask("readyz")[0] != "200":
            if monotonic_s() > until_s or self.process.poll() is not None:
                raise click.ClickException(f"{self.name} does not start: {self._ask('readyz')[1]}")
            time.sleep(0.1)  # noqa: TID251 - real time is what is measured
        self.resting.clear()

    def stop(self) -> None:
        """Stop it; from now on it is not asked."""
        self.resting.set()
        if self.process is not None:
            self.process.terminate()
            self.process.wait(_START_S)
        if self.reading is not None:
            self.reading.join(_START_S)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; it is asked on."""
        if self.process is not None:
            self.process.send_signal(number)

    def look(self, began_s: float) -> None:
        """Ask for its health once."""
        for path in ("livez", "readyz"):
            if self.resting.is_set():
                return
            code, said = self._ask(path)
            if code != "200" and self.resting.is_set():
                return  # it was told to stop meanwhile
            self.asked[path] += 1
            if code != "200":
                self.alarms.append((monotonic_s() - began_s, path, f"{code}: {said.strip()}"))

    def _ask(self, path: str) -> tuple[str, str]:
        try:
            with urlopen(f"{self.base}/{path}", timeout=_ANSWER_S) as reply:  # noqa: S310 - ours
                return str(reply.status), reply.read().decode()
        except HTTPError as error:
            with error:
                return str(error.code), error.read().decode()
        except OSError as error:
            return "no answer", str(error)


def _read(lines: TextIO) -> None:
    """Read what a program logs, so that it does not wait for us."""
    with lines:
        for _ in lines:
            pass


@contextmanager
def _regularly(every_s: float, work: Callable[[], object]) -> Iterator[None]:
    """Do something again and again on a thread meanwhile."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(every_s):
            work()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(_START_S)


class _Load:
    """Enqueues jobs of every kind, and pauses a queue now and then."""

    def __init__(self, url: str) -> None:
        self._enqueuer = Enqueuer(NAMESPACE, url)
        self._client = Client(NAMESPACE, url)
        self._enqueuer.enqueue("paused")
        self._kinds = cycle(_KINDS)
        self.enqueued = 0

    def step(self) -> None:
        """Enqueue what comes within a second, unless much waits already."""
        if sum(queue.count for queue in self._client.queues()) > 20_000:
            return
        name, seconds, number = next(self._kinds)
        args = {"seconds": seconds} if seconds else None
        jobs: list[tuple[str, dict[str, float] | None]] = [(name, args)] * number
        self._enqueuer.enqueue_many(jobs)
        self._enqueuer.enqueue_in("nothing", 3)
        self._enqueuer.enqueue_unique("sleeps", {"seconds": 0.1})
        self.enqueued += len(jobs)

    def pause(self) -> None:
        """Pause a queue, or unpause it."""
        (queue,) = (each for each in self._client.queues() if each.job_name == "paused")
        (self._client.unpause if queue.paused else self._client.pause)("paused")

    def close(self) -> None:
        """Close the connections."""
        self._enqueuer.close()
        self._client.close()


def soak(
    seconds: float, *, every_s: float = 1.0, disturb_s: float = 25.0
) -> tuple[list[Watched], int]:
    """Run the load and ask.

    Args:
        seconds: How long.
        every_s: How often each path is asked, seconds.
        disturb_s: How often a worker is deployed again, is stopped, or a queue is paused, seconds.

    Returns:
        The programs with what they said, and how many jobs were enqueued.
    """
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedServer())
        env = os.environ | {
            "SOAK_REDIS": server.url, "SOAK_NAMESPACE": NAMESPACE,
            "WORKKIT_REDIS_URL": server.url, "WORKKIT_NAMESPACE": NAMESPACE,
        }  # fmt: skip
        worker = ("worker", _APP, "--metrics-port", "0")
        steady = Watched("a worker", worker, env)
        deployed = Watched("two processes, SIGHUP", (*worker, "--processes", "2"), env)
        stopped = Watched("a worker, SIGTERM", (*worker, "--timeout", "5"), env)
        exporter = Watched("workkit metrics", ("metrics", "--port", "0"), env)
        watched = [steady, deployed, stopped, exporter]
        load = _Load(server.url)
        stack.callback(load.close)
        load.step()
        for each in watched:
            stack.callback(each.stop)
            each.start()
        began_s = monotonic_s()

        def restart() -> None:
            stopped.stop()
            stopped.start()

        stack.enter_context(_regularly(1.0, load.step))
        stack.enter_context(_regularly(disturb_s, load.pause))
        stack.enter_context(_regularly(disturb_s, lambda: deployed.signal(signal.SIGHUP)))
        stack.enter_context(_regularly(disturb_s, restart))
        for each in watched:
            stack.enter_context(_regularly(every_s, lambda each=each: each.look(began_s)))  # type: ignore[misc]
        threading.Event().wait(seconds)
        for each in watched:  # from now on everything is told to stop
            each.resting.set()
    return watched, load.enqueued


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="How long.")
def main(*, minutes: float) -> None:
    """Ask for the health of workers under a mixed load; exit with 1 after a false alarm."""
    watched, enqueued = soak(60 * minutes)
    click.echo(f"{minutes:g} minutes, {enqueued:,} jobs enqueued\n")
    click.echo("| program | /livez | /readyz | not 200 |\n|---|---|---|---|")
    for each in watched:
        click.echo(
            f"| {each.name} | {each.asked['livez']} | {each.asked['readyz']} | {len(each.alarms)} |"
        )
    for each in watched:
        for at_s, path, said in each.alarms:
            click.echo(f"{each.name}, /{path} after {at_s:.0f} s: {said}")
    raise SystemExit(any(each.alarms for each in watched))


if __name__ == "__main__":
    main()
