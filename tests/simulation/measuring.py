"""How much of the engine runs in simulation alone: `python -m tests.simulation.measuring`.

Counted are the lines of a pool from its registration to its end, its duties, and the package that
knows Redis. Left out are the modules that carry all of this out on threads, sockets and event
loops, which is what the simulator stands in for, and those that only clients use.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Final

import click
import coverage

from tests.house.sources import ROOT

#: What carries steps out with threads and sockets, or serves what no pool does.
LEFT_OUT: Final = {
    "engine/driver.py": "threads",
    "engine/handlers.py": "mostly what it refuses to register",
    "engine/interrupt.py": "an exception thrown into a thread",
    "engine/signals.py": "the process's",
    "engine/waker.py": "a pipe between threads",
    "maintenance/loop.py": "a thread",
    "store/aio.py": "sockets on an event loop",
    "store/cluster.py": "sockets of a cluster",
    "store/inspecting.py": "the doctor's",
    "store/link.py": "sockets",
    "store/surveying.py": "what readers show",
    "store/target.py": "which sockets",
    "store/trash.py": "what operators undo",
}
#: Beside the folders, what of the package itself a pool runs.
BESIDE: Final = ("backoff.py", "options.py")
FOLDERS: Final = ("engine", "maintenance", "store")
WANTED_PERCENT: Final = 95.0


def counted() -> list[str]:
    """Return the files that are counted."""
    package = ROOT / "workkit"
    files = [file for folder in FOLDERS for file in (package / folder).glob("*.py")]
    kept = [f for f in files if str(f.relative_to(package)) not in LEFT_OUT]
    return sorted(map(str, [*kept, *(package / name for name in BESIDE)]))


@click.command()
@click.option("--seeds", default=40, show_default=True, help="How many worlds with faults.")
@click.option("--missing", is_flag=True, help="Show the lines that did not run.")
def main(seeds: int, missing: bool) -> None:
    """Play worlds and scenarios, and say which share of the engine's lines has run."""
    measured = coverage.Coverage(include=counted(), config_file=False, data_file=None)
    measured.start()
    _play(range(seeds))
    measured.stop()
    total = measured.report(show_missing=missing, skip_empty=True)
    click.echo(f"{total:.1f} % of the lines of {len(counted())} files")
    if total < WANTED_PERCENT:
        sys.exit(1)


def _play(seeds: Iterable[int]) -> None:
    """Import the engine only now, so that the lines of its modules themselves count."""
    from tests.simulation.fleet import SCENARIOS
    from tests.simulation.oddities import ODDITIES
    from tests.simulation.test_exploring import short
    from workkit.simulation import explore, sweep_crashes

    logging.getLogger("workkit").setLevel(logging.CRITICAL)
    for oddity in ODDITIES:
        oddity()
    sweep_crashes(short, for_s=4, processes=1)
    for scenario, faults in SCENARIOS.values():
        explore(scenario, seeds, faults=faults, processes=1)


if __name__ == "__main__":
    main()
