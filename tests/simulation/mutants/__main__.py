"""Plants every mutant and looks for it: `python -m tests.simulation.mutants [NAME...]`."""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path

import click

from tests.simulation.mutants.planting import FOLDER, Kill, Mutant, hunt, mutants, plant

_CHUNK = 40


@click.command()
@click.argument("names", nargs=-1)
@click.option("--seeds", default=1_000, show_default=True, help="How many worlds to try.")
@click.option("--processes", default=2, show_default=True, help="How many at once.")
@click.option("--update", is_flag=True, help="Write the seed that killed into the mutant's file.")
def main(names: tuple[str, ...], seeds: int, processes: int, update: bool) -> None:
    """Plant every mutant, or some, in a copy of the engine, and let the simulator find it."""
    known = mutants()
    unknown = set(names) - {mutant.name for mutant in known}
    if unknown:
        raise click.UsageError(f"no mutant {', '.join(sorted(unknown))}")
    survivors = []
    for mutant in known:
        if names and mutant.name not in names:
            continue
        started = time.perf_counter()
        played, kill = _kill(mutant, seeds, processes)
        took = f"{time.perf_counter() - started:.0f} s"
        if kill is None:
            survivors.append(mutant.name)
            click.echo(f"{mutant.name:<32} SURVIVED {played} worlds, {took}")
            continue
        click.echo(
            f"{mutant.name:<32} killed by {_named(kill)}, world {played}, {took}: {kill.rule}"
        )
        if update:
            _write(mutant, kill)
    if survivors:
        click.echo(f"{len(survivors)} mutants survived: {', '.join(survivors)}", err=True)
        sys.exit(1)


def _kill(mutant: Mutant, seeds: int, processes: int) -> tuple[int, Kill | None]:
    with tempfile.TemporaryDirectory() as folder:
        plant(mutant, Path(folder))
        played = 0
        first = list(mutant.seeds)
        rest = [seed for seed in range(seeds) if seed not in first]
        for chunk in [first, *(rest[at : at + _CHUNK] for at in range(0, len(rest), _CHUNK))]:
            if chunk:
                tried, kill = hunt(Path(folder), mutant.scenario, chunk, min(processes, len(chunk)))
                played += tried
                if kill is not None:
                    return played, kill
        return played, None


def _write(mutant: Mutant, kill: Kill) -> None:
    file = FOLDER / f"{mutant.name}.toml"
    text = re.sub(r"(?m)^(seeds|rule) = .*\n", "", file.read_text())
    file.write_text(f"{text}seeds = {list(kill.seeds)}\nrule = {_quoted(kill.rule)}\n")


def _named(kill: Kill) -> str:
    first, *others = kill.seeds
    return f"{1 + len(others)} worlds together" if others else f"seed {first}"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


if __name__ == "__main__":
    main()
