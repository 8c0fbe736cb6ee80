"""`python -m tests.system.fuzz`: mangled payloads for the codec and for a server."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import click

from tests.system.fuzz.codec import examine
from tests.system.fuzz.live import bombard
from tests.system.fuzz.payloads import Mutator
from workkit.core.entropy import Entropy
from workkit.embedded import EmbeddedServer


@click.group()
def main() -> None:
    """Throw mangled bytes at workkit."""


@main.command()
@click.option("--count", default=1_000_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
def codec(count: int, seed: int) -> None:
    """Give mangled payloads to the codec."""
    mutator, found = Mutator(Entropy(seed)), Counter[bool]()
    for n in range(count):
        raw = mutator.payload()
        try:
            found[examine(raw)] += 1
        except Exception:
            click.echo(f"payload {n} of seed {seed}: {raw!r}", err=True)
            raise
        if n % 100_000 == 99_999:
            click.echo(f"{n + 1:,} payloads", err=True)
    click.echo(f"{count:,} payloads: {found[True]:,} jobs, {found[False]:,} others, 0 crashes")


@main.command()
@click.option("--seconds", default=60, show_default=True)
def coverage(seconds: int) -> None:
    """Let the lines that are reached lead the way (needs atheris)."""
    command = [sys.executable, "-m", "tests.system.fuzz.coverage", str(seconds)]
    sys.exit(subprocess.run(command, check=False).returncode)


@main.command()
@click.option("--count", default=50_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
def live(count: int, seed: int) -> None:
    """Throw mutations at a server while pools, a client and a console are at work."""
    with EmbeddedServer() as server:
        outcome = bombard(server.url, count, seed, lambda line: click.echo(line, err=True))
    kinds = ", ".join(f"{times:,} {kind}" for kind, times in outcome.thrown.most_common())
    click.echo(f"{count:,} mutations: {kinds}")
    click.echo(
        f"{len(outcome.stored):,} payloads stored: {outcome.ran:,} ran, {outcome.dead:,} dead, "
        f"{outcome.waiting:,} waiting, {len(outcome.missing)} missing; "
        f"{outcome.stuck} stuck, {len(outcome.crashes)} crashes"
    )
    pressed = ", ".join(f"{times:,} {name}" for name, times in outcome.screens.most_common())
    click.echo(f"keys pressed in the console: {pressed}")
    for line in (*outcome.crashes[:5], *map(repr, outcome.missing[:5])):
        click.echo(line, err=True)
    sys.exit(bool(outcome.missing or outcome.stuck or outcome.crashes))


if __name__ == "__main__":
    main()
