"""Runs all libraries in turn, round by round."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench
from benchmarks.figures import Sample, rate
from benchmarks.peers import original, venvs
from benchmarks.peers.apps.common import QUEUES
from benchmarks.peers.settings import (
    CONCURRENCY_MARK,
    ORIGINAL_CONCURRENCIES,
    ORIGINAL_JOBS,
    URL_MARK,
    Peer,
)
from benchmarks.workers import ROOT, Metered

__all__ = ["Entry", "contest"]

_ENQUEUING_S: Final = 300


@dataclass(slots=True)
class Entry:
    """The measurements of one library.

    Attributes:
        name: As it is listed.
        settings: Its most important settings.
        versions: The installed versions.
        jobs_per_s: One a round.
        enqueued_per_s: One a round.
        failure: Why it failed; "" if it did not.
    """

    name: str
    settings: str
    versions: str = ""
    jobs_per_s: list[float] = field(default_factory=list)
    enqueued_per_s: list[float] = field(default_factory=list)
    failure: str = ""

    @property
    def rate(self) -> Sample:
        """Jobs a second."""
        return Sample.of(self.jobs_per_s)

    @property
    def enqueuing(self) -> Sample:
        """Jobs a second, enqueued one by one."""
        return Sample.of(self.enqueued_per_s)


#: Measures once and adds the result to an entry.
_Side = Callable[[Entry], None]


def contest(bench: Bench, peers: Sequence[Peer], binary: Path | None) -> list[Entry]:
    """Measure libraries in turn; each round begins with another one.

    Args:
        bench: The server and how thorough to be.
        peers: The libraries.
        binary: The program that runs the original; None leaves it out.

    Returns:
        An entry each; those that failed say why.
    """
    sides: list[tuple[Entry, _Side]] = []
    for peer in peers:
        entry = Entry(peer.name, f"{peer.concurrency} at once, {peer.settings}")
        try:
            venvs.provide(peer, bench.say)
            entry.versions = venvs.versions(peer)
        except venvs.NotInstalled as error:
            entry.failure = f"not installed: {error}"
        sides.append((entry, _peer_side(bench, peer)))
    if binary is not None:
        for concurrency in ORIGINAL_CONCURRENCIES:
            entry = Entry(f"original, {concurrency}", f"{concurrency} at once, 10 queues")
            sides.append((entry, _original_side(bench, binary, concurrency)))
    for number in range(bench.effort.rounds):
        shift = number * (len(sides) // bench.effort.rounds + 1) % len(sides)
        for entry, side in sides[shift:] + sides[:shift]:
            _measure(bench, entry, side, number)
    return [entry for entry, _ in sides]


def _measure(bench: Bench, entry: Entry, side: _Side, number: int) -> None:
    if entry.failure:
        return
    bench.empty()
    at = f"round {number + 1}/{bench.effort.rounds}"
    try:
        side(entry)
    except Exception as error:  # noqa: BLE001 - one library's failure leaves the others
        entry.failure = f"failed in {at}: {error}"
        bench.say(f"{entry.name}: {entry.failure}")
    else:
        bench.say(
            f"{entry.name}: {entry.jobs_per_s[-1]:,.0f} jobs/s, "
            f"enqueued {entry.enqueued_per_s[-1]:,.0f} jobs/s ({at})"
        )


def _peer_side(bench: Bench, peer: Peer) -> _Side:
    jobs = bench.jobs(peer.jobs)
    marks = {URL_MARK: bench.url, CONCURRENCY_MARK: str(peer.concurrency)}
    variables = {
        **peer.variables,
        "BENCH_REDIS": bench.url,
        "BENCH_CONCURRENCY": str(peer.concurrency),
    }

    def side(entry: Entry) -> None:
        with Metered(variables) as work:
            enqueued_per_s = _enqueue(peer, jobs, work.environment)
            name, *arguments = peer.worker
            work.start([venvs.program(peer, name), *(marks.get(word, word) for word in arguments)])
            work.await_count(jobs)
            entry.jobs_per_s.append(rate(work.values()))
            entry.enqueued_per_s.append(enqueued_per_s)

    return side


def _enqueue(peer: Peer, jobs: int, environment: Mapping[str, str]) -> float:
    done = subprocess.run(
        [venvs.program(peer, "python"), "-m", peer.app, str(jobs)],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=_ENQUEUING_S,
    )
    if done.returncode:
        raise RuntimeError(f"enqueuing: {done.stderr.strip().splitlines()[-1:]}")
    said: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return said["enqueued_per_s"]


def _original_side(bench: Bench, binary: Path, concurrency: int) -> _Side:
    jobs = bench.jobs(ORIGINAL_JOBS)

    def side(entry: Entry) -> None:
        said = original.run(binary, bench.url, queues=QUEUES, jobs=jobs, concurrency=concurrency)
        entry.versions = said.about
        entry.jobs_per_s.append(said.jobs_per_s)
        entry.enqueued_per_s.append(said.enqueued_per_s)

    return side
