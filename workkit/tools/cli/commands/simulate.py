"""The command `workkit simulate`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from workkit.core.text import counted
from workkit.tools.cli.common.exploring import explore, play_again
from workkit.tools.cli.common.options import examples, json_option, namespace_option
from workkit.tools.cli.common.output import print_record
from workkit.tools.cli.common.replaying import Request, play_history
from workkit.tools.cli.common.showing import show_progress
from workkit.tools.cli.common.values import to_past, to_seconds
from workkit.tools.cli.common.views import Views

if TYPE_CHECKING:
    from workkit.simulation.exploration.files import ScenarioFile
    from workkit.simulation.simulation import Simulation

__all__ = ["simulate"]

#: A rule was broken.
_BROKEN: Final = 1
_SLICES: Final = 200


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
        "workkit simulate simulations/dead_pool.py --check-determinism",
        "workkit simulate --from /var/lib/workkit/history --what-if concurrency=40",
        "workkit simulate --from redis://localhost:6379 --namespace work --since 1d",
        " --what-if processes=3 --what-if outage=3h+10m",
    )
)
@click.argument("file", required=False)
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
    "--check-determinism",
    is_flag=True,
    help="Play it in two processes with two hash seeds, and show the first event that differs.",
)
@click.option(
    "--trace",
    type=click.File("w", encoding="utf-8"),
    metavar="FILE",
    help="Write the events to a file, one JSON line each; - is standard output.",
)
@click.option(
    "--html",
    type=click.File("w", encoding="utf-8"),
    metavar="FILE",
    help="Write a page with a timeline: pools as lanes, jobs as bars, faults as marks.",
)
@click.option(
    "--perfetto",
    type=click.File("w", encoding="utf-8"),
    metavar="FILE",
    help="Write a timeline for https://ui.perfetto.dev.",
)
@click.option("--timeline", is_flag=True, help="Show the events, one line each.")
@click.option("--plot", is_flag=True, help="Plot the events over time, one row per kind.")
@click.option(
    "--processes",
    type=click.IntRange(1),
    metavar="N",
    help="How many worlds are played at once; by default one per core.",
)
@click.option(
    "--from",
    "source",
    metavar="SOURCE",
    help="Instead of FILE, play recorded history again: the directory of an archive, a snapshot, "
    "an exported file, or the URL of a server.",
)
@click.option(
    "--what-if",
    multiple=True,
    metavar="CHANGE",
    help="Change the fleet of --from: concurrency=N, processes=N, limits.NAME=N, "
    "priorities.NAME=N, backoff=SPAN, outage=TIME+SPAN, deploy=TIME. May be repeated.",
)
@click.option("--since", callback=to_past, metavar="WHEN", help="With --from: ended at or after.")
@click.option("--before", callback=to_past, metavar="WHEN", help="With --from: ended before.")
@namespace_option("With --from: prefix of all keys on a server.")
@click.option(
    "--out",
    metavar="FILE",
    help="With --from: write the predicted history to a file (.parquet, .csv, .jsonl, .arrow).",
)
@json_option
@click.pass_context
def simulate(
    ctx: click.Context,
    /,
    file: str | None,
    seed: tuple[int, ...],
    until_s: float | None,
    seeds: int | None,
    faults: tuple[int, ...] | str | None,
    check_determinism: bool,
    processes: int | None,
    source: str | None,
    what_if: tuple[str, ...],
    since: float | None,
    before: float | None,
    namespace: str,
    out: str | None,
    as_json: bool,
    **shows: Any,
) -> None:
    """Run a scenario in virtual time, with the real engine.

    FILE is a Python file with a function scenario(sim) that builds a world. It may have a function
    report(sim) that describes the result. Rules are checked throughout: no job is lost, no job is
    in two places, locks are true, and so on.

    With --seeds, many worlds are played in which pools crash, freeze and lose replies. The first
    world that breaks a rule is shown with as few faults as possible, and as a page to look at.

    With --from, the jobs of a history run again: they arrive, run and fail as recorded. The waits
    are compared with those of the recorded fleet.

    Exits with 1 if a rule is broken or an event differs, 2 if the file is not a scenario.
    """
    _quieten()
    views = Views(**shows, as_json=as_json)
    only_file = {
        "--seeds": seeds, "--faults": faults, "--until": until_s, "--processes": processes,
        "--check-determinism": check_determinism or None,
    }  # fmt: skip
    only_from = {"--what-if": what_if, "--since": since, "--before": before, "--out": out}
    _check_form(file, source, only_file, only_from)
    first = _first(seed, faults)
    if source is not None:
        request = Request(source, namespace, what_if, since, before, first)
        play_history(request, views, out)
        return
    assert file is not None  # noqa: S101 - the form was checked
    if seeds is not None and (faults is not None or views.any):
        raise click.UsageError(
            "--seeds plays many worlds; --faults, --trace, --timeline and "
            "--plot show one world: choose it with --seed instead"
        )
    if check_determinism and (seeds or faults is not None or views.any):
        raise click.UsageError(
            "--check-determinism compares the events of one world; it goes together with --seed, "
            "--until and --json"
        )
    loaded = _load(file)
    if check_determinism:
        ctx.exit(_check_determinism(loaded, first, until_s, as_json=as_json))
    if seeds is not None:
        settings = (
            loaded.settings() if until_s is None else replace(loaded.settings(), trouble_s=until_s)
        )
        ctx.exit(explore(loaded, settings, range(first, first + seeds), processes, views))
    if faults is not None:
        only = None if isinstance(faults, str) else faults
        ctx.exit(play_again(loaded, seed, only, views))
    ctx.exit(_show(loaded, first, until_s, views))


def _first(seed: tuple[int, ...], faults: tuple[int, ...] | str | None) -> int:
    """Return a seed without its variants; they need --faults."""
    if len(seed) > 1 and faults is None:
        raise click.UsageError(
            f"--seed {'.'.join(map(str, seed))} is a variant, which has other faults than its "
            "seed; add --faults all"
        )
    return seed[0]


def _check_form(
    file: str | None,
    source: str | None,
    only_file: Mapping[str, object],
    only_from: Mapping[str, object],
) -> None:
    """Refuse options that do not fit together."""
    if (file is None) == (source is None):
        raise click.UsageError("give either FILE, a scenario, or --from SOURCE, a history")
    others = only_from if source is None else only_file
    wrong = [name for name, value in others.items() if value not in (None, ())]
    if wrong:
        what = "needs --from" if source is None else "plays a scenario and does not go with --from"
        raise click.UsageError(f"{wrong[0]} {what}")


def _load(file: str) -> ScenarioFile:
    from workkit.simulation.exploration.files import load_scenario

    with _mistakes_in(file):
        return load_scenario(file)


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


def _show(loaded: ScenarioFile, seed: int, until_s: float | None, views: Views) -> int:
    from workkit.simulation.checkers import Violation

    until_s = until_s or loaded.until_s
    with _mistakes_in(str(loaded.file)):
        sim = loaded.world(seed)
    with sim, _mistakes_in(str(loaded.file)):
        broken: Violation | None = None
        try:
            _run(sim, until_s)
        except Violation as violation:
            broken = violation
        note = "" if broken is None else f"{broken.rule}: {broken.what}"
        views.write(sim.trace, f"{loaded.title} (seed {seed})", note)
        if views.as_json:
            print_record(_result(loaded, seed, sim, broken))
        else:
            sections = [loaded.title]
            if loaded.report is not None and broken is None:
                sections.append(loaded.report(sim))
            sections += [*views.sections(sim), _sum(seed, sim)]
            if not views.on_stdout:
                click.echo("\n\n".join(sections))
        if broken is not None:
            click.echo(f"\n{broken}", err=True)
        sim.asked_what_ran = True  # the summary counts the handlers
        return _BROKEN if broken is not None else 0


def _run(sim: Simulation, until_s: float) -> None:
    """Run the world in slices, and show the progress."""
    with show_progress(range(1, _SLICES + 1), _SLICES, "virtual time") as slices:
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


def _check_determinism(
    loaded: ScenarioFile, seed: int, until_s: float | None, *, as_json: bool
) -> int:
    from workkit.simulation.exploration.comparing import NotPlayed, compare
    from workkit.tools.cli.common.importing import LoadError

    command = [sys.executable, "-m", "workkit", "simulate", str(loaded.file), "--seed", str(seed)]
    if until_s is not None:
        command += ["--until", f"{until_s:g}"]
    try:
        compared = compare([*command, "--trace", "{trace}"])
    except NotPlayed as error:
        raise LoadError(str(error)) from None
    if as_json:
        print_record(
            {
                "file": str(loaded.file),
                "seed": seed,
                "same_events": compared.events,
                "differs": compared.differs,
            }
        )
    else:
        click.echo(f"{loaded.title}\n\nseed {seed}: {compared.text}")
    return _BROKEN if compared.differs is not None else 0
