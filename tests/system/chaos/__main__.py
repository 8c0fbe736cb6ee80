"""`make chaos`: every scenario at full size, and the table."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import click

from tests.system.chaos.scenarios import SCENARIOS
from tests.system.chaos.stage import LONG, SHORT
from tests.system.chaos.verdict import Verdict, table


@click.command()
@click.argument("names", metavar="[SCENARIO]...", nargs=-1, type=click.Choice(list(SCENARIOS)))
@click.option("--short", is_flag=True, help="As the tests run them, in a few minutes.")
@click.option("--jobs", type=int, help="How many jobs there are at the start.")
@click.option("--replicas", type=int, help="How many of two each enqueue waits for (Sentinel).")
@click.option("--work-ms", type=float, help="How long a handler takes.")
def main(names: tuple[str, ...], *, short: bool, **given: float | None) -> None:
    """Break processes, servers and networks under load, and count what is lost.

    Runs the given scenarios, or all. The exit code is 1 if a job was lost, if more were run twice
    than were held at the faults, or if half the slots were idle at the faults.
    """
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    scale = replace(SHORT if short else LONG, **changes)
    verdicts: list[Verdict] = []
    for name in names or SCENARIOS:
        click.echo(f"{name} ...", err=True)
        found = SCENARIOS[name](scale, lambda line: click.echo(f"  {line}", err=True))
        verdicts.append(found)
        for line in (*found.notes, *found.unmended):
            click.echo(f"  {line}", err=True)
    click.echo(table(verdicts))
    failed = [v for v in verdicts if is_bad(v)]
    sys.exit(1 if failed else 0)


def is_bad(verdict: Verdict) -> bool:
    """Tell whether a promise was broken, or the run does not count."""
    too_many = verdict.duplicates > verdict.duplicates_at_most
    return bool(verdict.lost or too_many or verdict.unmended or not verdict.counts)


if __name__ == "__main__":
    main()
