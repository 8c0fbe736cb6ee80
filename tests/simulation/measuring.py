"""How much of the engine runs in simulation alone: `python -m tests.simulation.measuring`.

It counts the lines of a pool from its registration to its end, of its duties, and of the package
that knows Redis. It does not count `WorkerPool`, which only registers handlers and starts and stops
threads. It leaves out the modules that use threads, sockets and event loops, which the simulator
replaces, and those that only the doctor uses.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import click
import coverage

from tests.house.sources import ROOT

#: Modules that carry out steps with threads and sockets, or belong to these, with the reason.
LEFT_OUT: Final = {
    "engine/driver.py": "threads",
    "engine/running.py": "signals, and the start and stop of threads",
    "engine/duties/loop.py": "a thread",
    "engine/handling/interrupt.py": "an exception thrown into a thread",
    "engine/process/courier.py": "a thread that logs",
    "engine/process/signals.py": "the process's",
    "engine/process/waker.py": "a pipe between threads",
    "store/calls/server.py": "the doctor's",
    "store/calls/tally.py": "the doctor's",
    "store/handshake.py": "sockets",
    "store/packing.py": "bytes on a socket",
    "store/polling.py": "sockets",
    "store/url.py": "which sockets",
}
#: Folders of threads and sockets.
FOLDERS_LEFT_OUT: Final = ("engine/runners", "store/connections")
#: Further modules of a pool, in addition to the folders.
BESIDE: Final = ("core/backoff.py", "core/options.py")
FOLDERS: Final = ("engine", "store")
WANTED_PERCENT: Final = 95.0


def counted() -> list[str]:
    """Return the files that are counted."""
    package = ROOT / "workkit"
    files = [file for folder in FOLDERS for file in (package / folder).rglob("*.py")]
    kept = [
        f
        for f in files
        if (name := str(f.relative_to(package))) not in LEFT_OUT
        and not name.startswith(FOLDERS_LEFT_OUT)
    ]
    return sorted(map(str, [*kept, *(package / name for name in BESIDE)]))


@click.command()
@click.option("--seeds", default=8, show_default=True, help="How many worlds with faults.")
@click.option("--missing", is_flag=True, help="Show the lines that did not run.")
def main(seeds: int, missing: bool) -> None:
    """Play worlds and scenarios, and report the share of the engine's lines that ran."""
    measured = coverage.Coverage(include=counted(), config_file=False, data_file=None)
    measured.start()
    for file in counted():  # one that nobody imports would not be counted
        importlib.import_module(".".join(Path(file).relative_to(ROOT).with_suffix("").parts))
    _play(range(seeds))
    measured.stop()
    total = measured.report(show_missing=missing, skip_empty=True)
    click.echo(f"{total:.1f} % of the lines of {len(counted())} files")
    if total < WANTED_PERCENT:
        sys.exit(1)


def _play(seeds: Iterable[int]) -> None:
    """Import the engine only now, so that the top-level lines of its modules count."""
    from tests.simulation.fleet import SCENARIOS
    from tests.simulation.mishaps import MISHAPS
    from tests.simulation.oddities import ODDITIES
    from tests.simulation.shapes import SHAPES
    from tests.simulation.test_exploring import short
    from workkit.simulation import explore, sweep_crashes

    logging.getLogger("workkit").setLevel(logging.CRITICAL)
    for world in (*ODDITIES, *MISHAPS, *SHAPES):
        world()
    sweep_crashes(short, for_s=4, processes=1)
    for scenario, faults in SCENARIOS.values():
        explore(scenario, seeds, faults=faults, processes=1)


if __name__ == "__main__":
    main()
