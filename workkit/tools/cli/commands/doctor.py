"""`workkit doctor`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import click

from workkit.core.text import clean, counted
from workkit.tools.cli.common import exits
from workkit.tools.cli.common.options import Server, examples, json_option, server_options
from workkit.tools.cli.common.output import note, print_records

if TYPE_CHECKING:
    from workkit.doctor import Doctor, Finding

__all__ = ["doctor"]

_COLORS: Final = {"broken": "red", "risk": "yellow", "note": "cyan"}


@click.command(
    epilog=examples(
        "workkit doctor",
        "workkit doctor --json",
        "workkit doctor --repair",
        "workkit doctor --repair --yes",
    )
)
@click.option("--repair", is_flag=True, help="Repair the findings, after a confirmation.")
@click.option("--yes", is_flag=True, help="With --repair: do not ask for confirmation.")
@json_option
@server_options
def doctor(server: Server, *, repair: bool, yes: bool, as_json: bool) -> None:
    """Find faults in a namespace, and risks for its jobs.

    The doctor compares locks with the jobs in progress. It finds jobs of dead pools and of unknown
    pools, jobs without a handler, unique keys without a job, keys of a wrong type, clocks that
    differ, and server settings that can lose jobs. It watches a silent pool for 13 s. Without
    --repair it changes nothing.

    The exit code is 0 if there is no fault or risk, or if all of them were repaired; else 1.
    """
    from workkit.doctor import Doctor

    if yes and not repair:
        raise click.UsageError("--yes needs --repair")
    with closing(Doctor(server.namespace, server.redis)) as physician:
        findings = physician.examine(note)
        if not as_json:
            _show(server, findings)
        done: dict[Finding, str] = {}
        plan = [finding for finding in findings if finding.repairable]
        if repair and plan and _goes_ahead(server, plan, yes=yes):
            done = _mend(physician, plan, quiet=as_json)
        if as_json:
            print_records({**asdict(found), "repaired": done.get(found)} for found in findings)
        left = [f for f in findings if f.severity != "note" and f not in done]
        if left:
            click.get_current_context().exit(exits.NOT_FOUND)


def _show(server: Server, findings: Sequence[Finding]) -> None:
    if not findings:
        note(f"no findings in namespace {server.namespace!r} on {server.label}")
    for finding in findings:
        head = click.style(finding.severity, fg=_COLORS[finding.severity], bold=True)
        verb = "repair" if finding.repairable else "to do"
        click.echo(f"{head} {finding.check}: {clean(finding.says)}")
        click.echo(f"  {verb}: {clean(finding.remedy)}")
    repairable = sum(finding.repairable for finding in findings)
    if findings:
        note(
            f"{counted(len(findings), 'finding')}, {repairable} of them can be repaired"
            + (" with --repair" if repairable else "")
        )


def _goes_ahead(server: Server, plan: Sequence[Finding], *, yes: bool) -> bool:
    where = f"{counted(len(plan), 'finding')} in namespace {server.namespace!r} on {server.label}"
    if yes:
        return True
    if not sys.stdin.isatty():
        raise click.UsageError(f"stdin is not a terminal; pass --yes to repair {where}")
    if click.confirm(f"Repair {where}?", err=True):
        return True
    note("nothing was changed")
    return False


def _mend(physician: Doctor, plan: Sequence[Finding], *, quiet: bool) -> dict[Finding, str]:
    done = {}
    for finding in plan:
        done[finding] = physician.repair(finding)
        if not quiet:
            click.echo(f"{finding.check} {clean(finding.subject)}: {clean(done[finding])}")
    return done
