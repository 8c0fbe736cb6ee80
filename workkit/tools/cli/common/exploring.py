"""Explores scenarios, and shows the world that breaks a rule, for `workkit simulate`."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import click

from workkit.core.text import counted
from workkit.core.whole_file import whole_file
from workkit.errors import InvalidOption
from workkit.tools.cli.common.output import note, print_record
from workkit.tools.cli.common.showing import show_progress
from workkit.tools.cli.common.views import Views

if TYPE_CHECKING:
    from workkit.simulation.exploration.files import ScenarioFile
    from workkit.simulation.exploration.playing import Failure, PlayResult, PlaySettings, WorldCase
    from workkit.simulation.trace import Trace

__all__ = ["explore", "play_again"]

#: A rule was broken.
_BROKEN: Final = 1
#: How many lines report the progress of an exploration, if standard error is not a terminal.
_LINES: Final = 10


def explore(
    loaded: ScenarioFile, settings: PlaySettings, seeds: range, processes: int | None, views: Views
) -> int:
    """Play many worlds, on all cores, until one breaks a rule; show that one.

    Returns:
        The exit code: 1 if a rule is broken.
    """
    from workkit.simulation.exploration.coverage import Coverage, Seed
    from workkit.simulation.exploration.exploring import Explored, play_guided
    from workkit.simulation.exploration.shrinking import shrink

    explored, coverage = Explored(), Coverage()
    failure: Failure | None = None
    chosen = [Seed(seed) for seed in seeds]
    outcomes = play_guided(settings, chosen, coverage, processes=processes)
    with show_progress(outcomes, len(seeds), "worlds", lines=_LINES) as played:
        for outcome in played:
            explored = explored.plus(outcome)
            if outcome.failure is not None:
                failure = outcome.failure
                break
    explored = explored.covering(coverage)
    if failure is not None and failure.worlds == 1:
        click.echo(f"seed {failure.case.name} fails; leaving faults out ...", err=True)
        failure = shrink(settings, failure)
    page = ""
    if failure is not None and failure.worlds == 1:
        page = _show_failure(loaded, settings, failure, views)
    return _conclude(loaded, explored, failure, page, as_json=views.as_json)


def play_again(
    loaded: ScenarioFile, seed: tuple[int, ...], only: tuple[int, ...] | None, views: Views
) -> int:
    """Play one world of an exploration again.

    Args:
        loaded: The scenario.
        seed: The seed of the world, and the numbers of the variants behind it.
        only: The faults that happen, by their indexes; None for all.
        views: What to show.

    Returns:
        The exit code: 1 if a rule is broken.
    """
    from workkit.simulation.exploration.exploring import Explored
    from workkit.simulation.exploration.playing import WorldCase, play

    kept: list[Trace] = []
    case = WorldCase(seed[0], only=only, variants=seed[1:])
    outcome: PlayResult = play(loaded.settings(), case, kept.append)
    failure = outcome.failure
    page = _write_page(loaded, kept[0], case.name, failure, views)
    return _conclude(loaded, Explored().plus(outcome), failure, page, as_json=views.as_json)


def _show_failure(
    loaded: ScenarioFile, settings: PlaySettings, failure: Failure, views: Views
) -> str:
    """Play a failing world again for its timeline; return the name of the page."""
    from workkit.simulation.exploration.playing import play

    kept: list[Trace] = []
    play(settings, failure.case, kept.append)
    return _write_page(loaded, kept[0], failure.case.name, failure, views)


def _write_page(
    loaded: ScenarioFile, trace: Trace, seed: str, failure: Failure | None, views: Views
) -> str:
    """Write the files of a world. A world that fails always gets a page; return its name."""
    title = f"{loaded.title} (seed {seed})"
    note = "" if failure is None else f"{failure.rule}: {failure.what}"
    views.write(trace, title, note)
    if failure is None or views.html is not None:
        return views.html.name if views.html is not None else ""
    page = f"{loaded.file.stem}.seed-{seed}.html"
    try:
        with whole_file(page) as file:
            file.write(trace.html(title, note=note).encode())
    except InvalidOption as error:
        click.echo(f"the timeline: {error}; use --html", err=True)
        return ""
    return page


def _conclude(
    loaded: ScenarioFile, explored: Any, failure: Failure | None, page: str, *, as_json: bool
) -> int:
    from workkit.simulation.exploration.exploring import report

    if as_json:
        found = None
        if failure is not None:
            found = {
                "seed": failure.case.name if failure.case.variants else failure.case.seed,
                "rule": failure.rule,
                "what": failure.what,
                "worlds": failure.worlds,
                "job_id": failure.job_id,
                "faults": [{"index": at, **fault.record()} for at, fault in failure.faults],
                "page": page,
            }
        print_record({"file": str(loaded.file), **asdict(explored), "failure": found})
    elif failure is not None:
        if page:
            note(f"wrote its timeline to {page}")
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
