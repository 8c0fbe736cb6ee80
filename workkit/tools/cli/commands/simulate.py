"""The command `workkit simulate`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

import click

from workkit.core.text import counted
from workkit.tools.cli.common.options import examples, json_option
from workkit.tools.cli.common.values import to_seconds

if TYPE_CHECKING:
    from workkit.simulation.exploration.files import ScenarioFile
    from workkit.simulation.exploration.playing import Failure, PlayResult, PlaySettings, WorldCase
    from workkit.simulation.simulation import Simulation

__all__ = ["simulate"]

#: A rule was broken.
_BROKEN: Final = 1
_SLICES: Final = 200
#: How many lines report the progress of an exploration, if standard error is not a terminal.
_LINES: Final = 10
#: If no line was printed for this long, one more is printed, seconds.
_SILENT_S: Final = 30.0


def _to_faults(
    _ctx: click.Context, _param: click.Parameter, value: str | None
) -> tuple[int, ...] | str | None:
    """Parse a list of faults: "all", "none", or indexes such as 3,8."""
    if value is None or value in {"all", "none"}:
        return () if value == "none" else value
    try:
        return tuple(int(each) for each in value.split(","))
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not valid; write all, none, or indexes such as 3,8"
        ) from None


def _to_seed(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[int, ...]:
    """Parse a seed, and the numbers of the variants behind it."""
    parts = value.split(".")
    if not all(part.isdecimal() for part in parts):
        raise click.BadParameter(
            f"{value!r} is not valid; write a number from 0 on, or a variant such as 41.3"
        )
    return tuple(map(int, parts))


@click.command(
    epilog=examples(
        "workkit simulate simulations/retry_ladder.py",
        "workkit simulate simulations/dead_pool.py --seed 7 --until 1h --plot",
        "workkit simulate simulations/dead_pool.py --seeds 1000",
        "workkit simulate simulations/dead_pool.py --seed 13 --faults 3,8",
    )
)
@click.argument("file")
@click.option(
    "--seed",
    callback=_to_seed,
    default="0",
    show_default=True,
    metavar="N",
    help="The seed of all random choices: the same seed gives the same world. With --faults also a "
    "variant that an exploration has named, such as 41.3.",
)
@click.option(
    "--until",
    "until_s",
    callback=to_seconds,
    metavar="SPAN",
    help="How much virtual time passes, such as 90, 15m or 24h; by default UNTIL of the file.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    metavar="N",
    help="Explore: play N worlds with faults, from --seed on.",
)
@click.option(
    "--faults",
    callback=_to_faults,
    metavar="LIST",
    help="Reproduce one world of an exploration, with all of its faults, with none, or with the "
    "faults that have these indexes.",
)
@click.option(
    "--trace",
    type=click.File("w", encoding="utf-8"),
    metavar="FILE",
    help="Write the events to a file, one JSON line each; - is standard output.",
)
@click.option("--timeline", is_flag=True, help="Show the events, one line each.")
@click.option("--plot", is_flag=True, help="Plot the events over time, one row per kind.")
@click.option(
    "--processes",
    type=click.IntRange(1),
    metavar="N",
    help="How many worlds are played at once; by default one per core.",
)
@json_option
@click.pass_context
def simulate(
    ctx: click.Context,
    file: str,
    seed: tuple[int, ...],
    until_s: float | None,
    seeds: int | None,
    faults: tuple[int, ...] | str | None,
    trace: Any,
    timeline: bool,
    plot: bool,
    processes: int | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Run a scenario in virtual time, with the real engine.

    FILE is a Python file with a function scenario(sim) that builds a world. It may have a function
    report(sim) that describes the result. Rules are checked throughout: no job is lost, no job is
    in two places, locks are true, and so on.

    With --seeds, many worlds are played in which pools crash, freeze and lose replies. The first
    world that breaks a rule is shown with as few faults as possible.

    Exits with 1 if a rule is broken, 2 if the file is not a scenario.
    """
    from workkit.simulation.exploration.files import load_scenario

    _quieten()
    if seeds is not None and (faults is not None or trace or timeline or plot):
        raise click.UsageError(
            "--seeds plays many worlds; --faults, --trace, --timeline and "
            "--plot show one world: choose it with --seed instead"
        )
    first, *variants = seed
    if variants and faults is None:
        raise click.UsageError(
            f"--seed {'.'.join(map(str, seed))} is a variant, which has other faults than its "
            "seed; add --faults all"
        )
    with _mistakes_in(file):
        loaded = load_scenario(file)
    if seeds is not None:
        settings = (
            loaded.settings() if until_s is None else replace(loaded.settings(), trouble_s=until_s)
        )
        ctx.exit(_explore(loaded, settings, range(first, first + seeds), processes, as_json))
    if faults is not None:
        only = None if isinstance(faults, str) else faults
        ctx.exit(_play_again(loaded, seed, only, as_json))
    ctx.exit(_show(loaded, first, until_s, trace, timeline, plot, as_json))


@contextmanager
def _mistakes_in(file: str) -> Iterator[None]:
    """Show an error that the user's code raises, with its place.

    Raises:
        LoadError: The user's code has raised an error.
    """
    from workkit.simulation.exploration.files import NoScenario
    from workkit.tools.cli.common.importing import LoadError, failure_text

    try:
        yield
    except (click.exceptions.Exit, click.ClickException):
        raise
    except NoScenario:
        raise
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything
        raise LoadError(failure_text(f"{file!r} failed", error)) from None


def _quieten() -> None:
    """Silence the engine's log: in a simulation faults are intended."""
    import logging

    logging.getLogger("workkit").setLevel(logging.CRITICAL)


# One world.


def _show(
    loaded: ScenarioFile,
    seed: int,
    until_s: float | None,
    trace: Any,
    timeline: bool,
    plot: bool,
    as_json: bool,
) -> int:
    from workkit.simulation.checkers import Violation
    from workkit.simulation.plots import plot as plotted

    until_s = until_s or loaded.until_s
    with _mistakes_in(str(loaded.file)):
        sim = loaded.world(seed)
    with sim, _mistakes_in(str(loaded.file)):
        broken: Violation | None = None
        try:
            _run(sim, until_s)
        except Violation as violation:
            broken = violation
        if trace is not None:
            trace.write(sim.trace.json_lines())
        if as_json:
            _print_json(_result(loaded, seed, sim, broken))
        else:
            sections = [loaded.title]
            if loaded.report is not None and broken is None:
                sections.append(loaded.report(sim))
            if plot:
                sections.append(plotted(sim.trace, max(sim.now, 1)))
            if timeline:
                sections.append(sim.trace.timeline())
            sections.append(_sum(seed, sim))
            if trace is None or trace is not sys.stdout:
                click.echo("\n\n".join(sections))
        if broken is not None:
            click.echo(f"\n{broken}", err=True)
        return _BROKEN if broken is not None else 0


def _run(sim: Simulation, until_s: float) -> None:
    """Run the world in slices, and show the progress."""
    with _progress(range(1, _SLICES + 1), _SLICES, "virtual time") as slices:
        for at in slices:
            sim.run_until(until_s * at / _SLICES)


def _sum(seed: int, sim: Simulation) -> str:
    from workkit.simulation.trace import duration

    started, faults = (len(sim.trace.of(kind=kind)) for kind in ("started", "fault"))
    return (
        f"seed {seed}: {duration(sim.world.now_us).partition('.')[0]} of virtual time, "
        f"{counted(started, 'handler')} started, {counted(faults, 'fault')}"
    )


def _result(loaded: ScenarioFile, seed: int, sim: Simulation, broken: Any) -> dict[str, Any]:
    from collections import Counter

    return {
        "file": str(loaded.file),
        "seed": seed,
        "virtual_s": sim.now,
        "events": dict(Counter(event.kind for event in sim.trace)),
        "broken": None if broken is None else {"rule": broken.rule, "what": broken.what},
    }


# Many worlds.


def _explore(
    loaded: ScenarioFile, settings: PlaySettings, seeds: range, processes: int | None, as_json: bool
) -> int:
    from workkit.simulation.exploration.coverage import Coverage, Seed
    from workkit.simulation.exploration.exploring import Explored, play_guided
    from workkit.simulation.exploration.shrinking import shrink

    explored, coverage = Explored(), Coverage()
    failure: Failure | None = None
    chosen = [Seed(seed) for seed in seeds]
    outcomes = play_guided(settings, chosen, coverage, processes=processes)
    with _progress(outcomes, len(seeds), "worlds", lines=_LINES) as played:
        for outcome in played:
            explored = explored.plus(outcome)
            if outcome.failure is not None:
                failure = outcome.failure
                break
    explored = explored.covering(coverage)
    if failure is not None:
        click.echo(f"seed {failure.case.name} fails; leaving faults out ...", err=True)
        failure = shrink(settings, failure)
    return _conclude(loaded, explored, failure, as_json)


def _play_again(
    loaded: ScenarioFile, seed: tuple[int, ...], only: tuple[int, ...] | None, as_json: bool
) -> int:
    from workkit.simulation.exploration.exploring import Explored
    from workkit.simulation.exploration.playing import WorldCase, play

    case = WorldCase(seed[0], only=only, variants=seed[1:])
    outcome: PlayResult = play(loaded.settings(), case)
    return _conclude(loaded, Explored().plus(outcome), outcome.failure, as_json)


def _conclude(loaded: ScenarioFile, explored: Any, failure: Failure | None, as_json: bool) -> int:
    from workkit.simulation.exploration.exploring import report

    if as_json:
        found = None
        if failure is not None:
            found = {
                "seed": failure.case.name if failure.case.variants else failure.case.seed,
                "rule": failure.rule,
                "what": failure.what,
                "job_id": failure.job_id,
                "faults": [{"index": at, **fault.record()} for at, fault in failure.faults],
            }
        _print_json({"file": str(loaded.file), **asdict(explored), "failure": found})
    elif failure is not None:
        click.echo(report(failure, _again(loaded, failure.case)))
    else:
        click.echo(
            f"{loaded.title}\n\n{counted(explored.worlds, 'world')}, "
            f"{counted(explored.jobs, 'handler')} started, {counted(explored.faults, 'fault')}, "
            f"{explored.virtual_s / 3600:,.1f} h of virtual time: all rules hold"
            + (f"\n{explored.coverage()}" if explored.states else "")
        )
    return _BROKEN if failure is not None else 0


def _again(loaded: ScenarioFile, case: WorldCase) -> str:
    only = "all" if case.only is None else ",".join(map(str, case.only)) or "none"
    return f"workkit simulate {shlex.quote(_short(loaded))} --seed {case.name} --faults {only}"


def _short(loaded: ScenarioFile) -> str:
    from pathlib import Path

    here = Path.cwd()
    return str(loaded.file.relative_to(here) if loaded.file.is_relative_to(here) else loaded.file)


@contextmanager
def _progress(
    items: Iterable[Any], length: int, label: str, *, lines: int = 0
) -> Iterator[Iterable[Any]]:
    """Show the progress of a loop on standard error: a bar on a terminal, lines elsewhere.

    Args:
        items: The items of the loop.
        length: How many items there are.
        label: A name for the items.
        lines: How many evenly spaced lines to print; one more follows each silent half minute.
    """
    if not sys.stderr.isatty():
        yield _said(items, length, label, lines)
        return
    with click.progressbar(
        items, length=length, label=label, file=sys.stderr, show_pos=True
    ) as shown:
        yield shown


def _said(items: Iterable[Any], length: int, label: str, lines: int) -> Iterator[Any]:
    from workkit.core.clock import SystemClock

    clock = SystemClock()
    said, said_at_s = 0, clock.read().monotonic_s
    for done, item in enumerate(items, 1):
        yield item
        now_s = clock.read().monotonic_s
        due = lines and done * lines // length > said * lines // length
        if done < length and (due or now_s - said_at_s >= _SILENT_S):
            click.echo(f"{label}: {done:,} of {length:,} ({done / length:.0%})", err=True)
            said, said_at_s = done, now_s


def _print_json(document: dict[str, Any]) -> None:
    import json

    click.echo(json.dumps(document, ensure_ascii=False))
