"""The parts of every scenario: a place, a journal, enqueuers, and the count at the end."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from redis import Redis

from tests.system.chaos.fleet import Fleet
from tests.system.chaos.journal import Journal
from tests.system.chaos.load import Load
from tests.system.chaos.place import Place
from tests.system.chaos.verdict import Verdict
from tests.system.chaos.waiting import await_that, wait_s
from workkit import Client
from workkit.core.entropy import Entropy
from workkit.doctor import Doctor
from workkit.embedded import EmbeddedServer

__all__ = ["LONG", "REPLICAS", "SHORT", "ChaosRun", "Say", "Scale", "on_one_server", "silent"]

Say = Callable[[str], None]

#: A run without progress for this long is over, seconds: recovery takes up to 20.
_STALLED_S: Final = 60.0
_LOOK_S: Final = 0.1
_NAMES: Final = ("note", "limited", "unique", "scheduled", "tick")
#: How many replicas there are under Sentinel.
REPLICAS: Final = 2


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done.

    Attributes:
        jobs: How many jobs there are at the start.
        work_ms: How long a handler takes, milliseconds.
        faults: How often something is broken.
        frozen_s: How long a frozen process stays so.
        processes: How many worker processes there are.
        replicas: Under Sentinel, for how many replicas each enqueue waits.
    """

    jobs: int
    work_ms: float
    faults: int
    frozen_s: float
    processes: int = 3
    replicas: int = REPLICAS


#: For every change: seconds of faults.
SHORT: Final = Scale(jobs=5_000, work_ms=40, faults=4, frozen_s=15)
#: By hand: the promises come from runs of this size.
LONG: Final = Scale(jobs=100_000, work_ms=10, faults=20, frozen_s=15)


def silent(_line: str) -> None:
    """Say nothing."""


class ChaosRun:
    """One run.

    Args:
        place: Where the jobs are.
        directory: For journal and logs.
        scenario: The name of the verdict.
        say: Takes a line of progress.
        client: A client of the server that the jobs are on; for looking.
    """

    def __init__(
        self, place: Place, directory: Path, scenario: str, say: Say, client: Callable[[], Any]
    ) -> None:
        self.place = place
        self.directory = directory
        self.say = say
        self.client = client
        (directory / "journal").mkdir()
        self.journal = Journal(directory / "journal")
        self.load = Load(place)
        self.verdict = Verdict(scenario)
        self.entropy = Entropy()

    def move(self, place: Place) -> None:
        """Let workers and enqueuers go another way to the same server."""
        self.load.close()
        self.place = place
        self.load = Load(place)

    def pick(
        self, workers: Fleet, sparing: subprocess.Popen[bytes] | None = None
    ) -> subprocess.Popen[bytes]:
        """Choose a victim among those that have begun to work."""
        workers.check()

        def ready() -> list[subprocess.Popen[bytes]]:
            return [p for p in workers.processes if workers.works(p) and p is not sparing]

        await_that(ready, "no worker works")
        found = ready()
        return found[self.entropy.below(len(found))]

    def held(self, pid: int) -> list[int]:
        """Return the numbers of the jobs that a process holds, as Redis has it."""
        client = Client(self.place.namespace, self.place.redis())
        numbers: list[int] = []
        with self.client() as redis:
            for beat in client.worker_pool_heartbeats():
                for name in _NAMES if beat.pid == pid else ():
                    key = f"{self.place.namespace}:jobs:{name}:{beat.worker_pool_id}:inprogress"
                    numbers += [_number(raw) for raw in redis.lrange(key, 0, -1)]
        client.close()
        return [number for number in numbers if number]

    def give_up_what_waits(self) -> None:
        """Expect nothing any more of jobs that were accepted and have not run."""
        self.journal.read()
        self.load.accepted.intersection_update(self.journal.ends)

    def finish(self, workers: Fleet) -> Verdict:
        """Wait until all accepted jobs have run, end the workers, and count."""
        accepted = self.load.accepted
        self.load.close()
        self._watch(workers, lambda: not self.journal.missing(accepted))
        workers.stop()
        self.journal.read()
        verdict = self.verdict
        verdict.accepted = len(accepted)
        missing = self.journal.missing(accepted)
        verdict.lost = len(missing)
        verdict.ran = verdict.accepted - verdict.lost
        verdict.duplicates = self.journal.duplicates()
        verdict.duplicates_at_most += self.load.unsure
        verdict.unmended = self._unmended()
        if missing:
            verdict.notes.append(f"never ran: {sorted(missing)[:20]}; {workers.log_tail()}")
        if verdict.duplicates > verdict.duplicates_at_most:
            verdict.notes.append(f"started most often: {self.journal.most_started()}")
        return verdict

    def _unmended(self) -> list[str]:
        """Let the doctor repair the damage of the faults, and return the findings that remain."""
        # Nobody lives any more, so nobody has to be watched.
        doctor = Doctor(self.place.namespace, self.place.redis(), wait=lambda _seconds: None)
        for finding in doctor.examine():
            if finding.repairable:
                doctor.repair(finding)
        broken = [f for f in doctor.examine() if f.severity == "broken"]
        doctor.close()
        # After the workers have stopped, nobody runs the second run of a job that still waits.
        return [f"{f.check}: {f.says}" for f in broken if f.check != "no-handler"]

    def _watch(self, workers: Fleet, done: Callable[[], bool]) -> None:
        seen, since = -1, time.monotonic()
        said = since
        while True:
            self.journal.read()
            if done():
                return
            workers.check()
            ran, now = self.journal.ran(), time.monotonic()
            if ran != seen:
                seen, since = ran, now
            if now - since > _STALLED_S:
                return
            if now - said > 2:
                said = now
                self.say(f"{self.verdict.scenario}: {ran:,} jobs have run")
            wait_s(_LOOK_S)


@contextmanager
def on_one_server(
    scenario: str, say: Say, **options: Any
) -> Iterator[tuple[ChaosRun, EmbeddedServer]]:
    """Set the stage on a server of the run's own.

    Args:
        scenario: The name of the verdict.
        say: Takes a line of progress.
        **options: The arguments of `EmbeddedServer`.
    """
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as directory,
        EmbeddedServer(**options) as server,
    ):
        place = Place("chaos", server.url)
        stage = ChaosRun(place, Path(directory), scenario, say, lambda: Redis.from_url(server.url))
        yield stage, server


def _number(raw: bytes) -> int:
    head, _, tail = raw.partition(b'"n":')
    del head
    digits = tail.split(b"}")[0].split(b",")[0]
    return int(digits) if digits.isdigit() else 0
