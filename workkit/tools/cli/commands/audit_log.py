"""`workkit audit-log`: shows who did what, and verifies that the record is whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Final

import click

from workkit.core.text import clean, counted, pad, stamp
from workkit.tools.cli.common import exits
from workkit.tools.cli.common.nothing import explain
from workkit.tools.cli.common.options import Server, examples, json_option, server_options
from workkit.tools.cli.common.output import (
    TableColumn,
    json_bytes,
    note,
    print_record,
    print_records,
    print_table,
)
from workkit.tools.cli.common.recorded import note_of_lists, reader_or_moment, recording_options
from workkit.tools.cli.common.values import to_count, to_past

if TYPE_CHECKING:
    from workkit.admin.acts.act import Act
    from workkit.admin.acts.verifying import ActsVerdict
    from workkit.client import Client

__all__ = ["audit_log"]

_VERBS: Final = (
    "retry", "delete", "edit", "undo", "forget", "pause", "unpause", "repair", "enqueue",
)  # fmt: skip
_COLUMNS: Final = (
    TableColumn("WHEN"), TableColumn("BY"), TableColumn("ACT"), TableColumn("JOBS", right=True),
    TableColumn("ON"), TableColumn("DETAILS"),
)  # fmt: skip
_EVERY_S: Final = 1.0
#: Each look reads what began this long before the newest act again: acts end later, seconds.
_OVERLAP_S: Final = 60.0


@click.command(
    epilog=examples(
        "workkit audit-log",
        "workkit audit-log --since 7d --by deploy",
        "workkit audit-log --verb delete --limit 200 --json",
        "workkit audit-log --follow",
        "workkit audit-log --verify",
        "WORKKIT_ACTOR=nightly-cleanup workkit delete --all --from dead --yes",
    )
)
@click.option(
    "--since",
    callback=to_past,
    metavar="WHEN",
    help="Began at or after this: 15m, 2h or 1d ago, a time with a zone, epoch seconds.",
)
@click.option("--until", callback=to_past, metavar="WHEN", help="Began before this.")
@click.option("--by", metavar="NAME", help="Only acts of this user: NAME@HOST or NAME.")
@click.option("--verb", type=click.Choice(_VERBS), help="Only acts of this kind.")
@click.option(
    "--limit",
    type=int,
    callback=to_count,
    default=50,
    show_default=True,
    metavar="N",
    help="Only the newest N acts that match.",
)
@click.option("--follow", is_flag=True, help="Go on with new acts, until Ctrl-C.")
@click.option("--verify", is_flag=True, help="Tell whether entries were changed or are missing.")
@recording_options
@server_options
@json_option
def audit_log(
    server: Server,
    *,
    since: float | None,
    until: float | None,
    by: str | None,
    verb: str | None,
    limit: int,
    follow: bool,
    verify: bool,
    recording: str | None,
    at: str | None,
    as_json: bool,
) -> None:
    """Show who did what: retries, deletions, edits, pauses, repairs and their undoing.

    The newest act is the last. The name is that of WORKKIT_ACTOR, or else that of the user of the
    operating system; nobody checks it. Acts of Go programs and of other Redis clients are not in
    it. The newest 10,000 entries are kept, two for most acts. Each entry holds a digest of the one
    before it, so --verify finds entries that were changed or removed; then the exit code is 1. If
    programs have a WORKKIT_AUDIT_KEY, entries are sealed with it, and --verify checks that. With
    --follow, an act appears when it begins and again when it ends, with --json as one object a
    line.
    """
    filters = (since, until, by, verb)
    if verify and (follow or any(each is not None for each in filters)):
        raise click.UsageError("--verify is about all entries; it takes no filter and no --follow")
    if follow and until is not None:
        raise click.UsageError("--follow has no end; leave out --until")
    if recording is not None and (follow or verify):
        raise click.UsageError("a recording has only the newest acts, and no new ones come")
    if verify or follow:
        with closing(server.client()) as client:
            if verify:
                _verify(server, client, as_json=as_json)
            else:
                _print_new(_follow(client, since, by, verb, limit), as_json=as_json)
        return
    from workkit.admin.acts.act import ActsReader

    with reader_or_moment(server, recording, at) as reader:
        assert isinstance(reader, ActsReader)  # noqa: S101 - a client or a moment
        walk = reader.acts(since=since, until=until, by=by, verb=verb)
        found = list(islice(walk, limit))[::-1]
        if as_json:
            print_records(found)
        else:
            print_table(_COLUMNS, [_row(act) for act in found])
        note_of_lists(reader)
        if not found:
            given = any(each is not None for each in filters)
            explain(server, reader, "no act matches" if given else "no act has been recorded")
        elif len(found) == limit and not as_json:
            note(f"showing the newest {limit}; --limit N shows more")


def _print_new(acts: Iterator[Act], *, as_json: bool) -> None:
    for act in acts:
        if as_json:
            print_record(act)
        else:
            click.echo(_line(act))


def _row(act: Act) -> tuple[str, ...]:
    from workkit.admin.acts import words

    return (
        stamp(act.at_ms / 1_000)[:19].replace("T", " "),
        act.by,
        act.verb,
        words.jobs(act),
        words.subject(act),
        words.details(act),
    )


def _line(act: Act) -> str:
    at, by, verb, count, on, details = map(clean, _row(act))
    return f"{at}  {pad(by, 16)}  {pad(verb, 8)}  {pad(count, 6, right=True)}  {on}  {details}"


def _follow(
    client: Client, since: float | None, by: str | None, verb: str | None, limit: int
) -> Iterator[Act]:
    """Yield the newest acts, then each new one, and each that has ended, without end."""
    shown: dict[str, int] = {}
    found = list(islice(client.acts(since=since, by=by, verb=verb), limit))[::-1]
    newest_s, first = 0.0, found[0].number if found else 0
    while True:
        for act in found:
            newest_s = max(newest_s, act.at_ms / 1_000)
            if act.number >= first and shown.get(act.act_id) != act.ended_ms:
                shown[act.act_id] = act.ended_ms
                yield act
        threading.Event().wait(_EVERY_S)
        found = list(client.acts(since=max(newest_s - _OVERLAP_S, 0), by=by, verb=verb))[::-1]


def _verify(server: Server, client: Client, *, as_json: bool) -> None:
    verdict = client.verify_acts()
    if as_json:
        click.echo(json_bytes({**asdict(verdict), "whole": verdict.whole}))
    elif verdict.whole and not verdict.last:
        explain(server, client, "no act has been recorded")
    elif verdict.whole:
        click.echo(f"the record is whole: {_extent(verdict)}")
        if verdict.sealed is not None:
            click.echo(f"{counted(verdict.sealed, 'entry has', 'entries have')} a valid seal")
    else:
        click.echo(f"the record is not whole: {_extent(verdict)}")
        for sentence in verdict.sentences():
            click.echo(clean(sentence))
    if not verdict.whole:
        click.get_current_context().exit(exits.NOT_FOUND)


def _extent(verdict: ActsVerdict) -> str:
    span = f", {verdict.first} to {verdict.last}" if verdict.kept else ""
    trimmed = f"; {counted(verdict.trimmed, 'older one was', 'older ones were')} trimmed"
    kept = counted(verdict.kept, "entry", "entries")
    return f"{kept}{span}{trimmed if verdict.trimmed else ''}"
