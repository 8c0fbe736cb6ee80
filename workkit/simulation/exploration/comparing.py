"""Plays a world in two processes with two hash seeds, and finds the first event that differs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from workkit.simulation.trace import Event

__all__ = ["HASH_SEEDS", "Comparison", "NotPlayed", "compare"]

#: The values of PYTHONHASHSEED: with two of them, sets of texts have two orders.
HASH_SEEDS: Final = ("1", "2")
#: How many events before the first difference are shown.
_BEFORE: Final = 3
_CAUSES: Final = (
    "What a handler does may depend on the order of a set, on id() or hash(), on a dict that is "
    "filled in such an order, on files, on the environment, or on the processor's time."
)


class NotPlayed(Exception):
    """A process that was to play a world has failed; the message is its output."""


class Comparison(NamedTuple):
    """What two processes have played.

    Attributes:
        events: How many events they have in common, from the first on.
        differs: The first event that differs, in each process; "" if a process has no more
            events. None if all are the same.
        text: The result for people.
    """

    events: int
    differs: tuple[str, str] | None
    text: str


def compare(
    command: Sequence[str],
    environment: Mapping[str, str] = os.environ,
    *,
    folder: Path | None = None,
) -> Comparison:
    """Run a command in two processes and compare the traces that it writes.

    Args:
        command: The command; "{trace}" in it stands for the file that it writes.
        environment: The variables of the processes; "{trace}" in a value stands for that file.
        folder: Where the processes run; None for the folder of this one.

    Raises:
        NotPlayed: A process wrote no trace.
    """
    with TemporaryDirectory() as scratch, ThreadPoolExecutor(len(HASH_SEEDS)) as threads:
        files = [Path(scratch) / f"{seed}.jsonl" for seed in HASH_SEEDS]
        play = partial(_play, command, environment, folder)
        list(threads.map(play, HASH_SEEDS, files))
        return _compared(*(file.read_text(encoding="utf-8").splitlines() for file in files))


def _play(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path | None,
    hash_seed: str,
    file: Path,
) -> None:
    done = subprocess.run(  # noqa: S603 - our own program
        [part.replace("{trace}", str(file)) for part in command],
        env={name: value.replace("{trace}", str(file)) for name, value in environment.items()}
        | {"PYTHONHASHSEED": hash_seed},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if not file.exists():
        raise NotPlayed((done.stderr or done.stdout).strip() or f"exit code {done.returncode}")


def _compared(one: Sequence[str], other: Sequence[str]) -> Comparison:
    same = 0
    for first, second in zip_longest(one, other, fillvalue=""):
        if first == second:
            same += 1
            continue
        lines = [f"event {same + 1} differs between two processes with two hash seeds:"]
        lines += [f"    {_line(each)}" for each in one[max(same - _BEFORE, 0) : same]]
        for hash_seed, event in zip(HASH_SEEDS, (first, second), strict=True):
            lines.append(f"  PYTHONHASHSEED={hash_seed}")
            lines.append(f"    {_line(event)}" if event else "    (no more events)")
        return Comparison(same, (first, second), "\n".join([*lines, _CAUSES]))
    return Comparison(
        same, None, f"two processes with two hash seeds have played the same {same:,} events"
    )


def _line(event: str) -> str:
    """Return an event of a trace as a line of a timeline."""
    record = json.loads(event)
    at_us, kind = record.pop("at_us"), record.pop("kind")
    pool, job, job_id = (record.pop(key, "") for key in ("pool", "job", "id"))
    return Event(at_us, kind, pool, job, job_id, record).line()
