"""Plays recorded history again, for `workkit simulate --from`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from workkit.core.text import age, clean, counted, took
from workkit.tools.cli.common.output import TableColumn, note, print_record, print_table
from workkit.tools.cli.common.progress import ProgressLine
from workkit.tools.cli.common.sources import opened, source_label

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workkit.simulation.simulation import Simulation
    from workkit.tools.cli.common.views import Views

__all__ = ["Request", "play_history"]

_QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "max": 1.0}
_COLUMNS: Final = (
    TableColumn("NAME"),
    TableColumn("RUNS"),
    TableColumn("COUNT", right=True),
    TableColumn("WAIT P50", right=True),
    TableColumn("P95", right=True),
    TableColumn("MAX", right=True),
    TableColumn("RUN P50", right=True),
    TableColumn("P95", right=True),
)


@dataclass(frozen=True, slots=True)
class Request:
    """What to play again.

    Attributes:
        source: The URL of a server, or a path.
        namespace: The namespace on the server.
        what_if: The changes, such as "concurrency=40".
        since: Only executions that ended then or later, epoch seconds.
        before: Only executions that ended before, epoch seconds.
        seed: The seed of all random choices.
    """

    source: str
    namespace: str
    what_if: Sequence[str]
    since: float | None
    before: float | None
    seed: int


def _play_again(request: Request) -> tuple[Simulation, Any]:
    """Play a history again, with progress on standard error.

    Returns:
        The world, which the caller closes, and its history.

    Raises:
        click.UsageError: The source does not exist.
        InvalidOption: The source has no history, or a change is not valid.
        MissingExtra: An extra is not installed.
    """
    from workkit.simulation import Simulation
    from workkit.simulation.replay.what_if import read_what_if

    changes = {
        name: value
        for name, value in vars(read_what_if(request.what_if)).items()
        if value not in (None, ())
    }
    with opened(request.source, request.namespace) as source:
        sim = Simulation.from_history(
            source, seed=request.seed, since=request.since, until=request.before, **changes
        )
    try:
        with ProgressLine() as progress:
            return sim, sim.replay(told=lambda done, of: progress.tell("playing runs", done, of))
    except BaseException:
        sim.close()
        raise


def _summary(request: Request, sim: Simulation, predicted: Any) -> dict[str, Any]:
    """Return the result as a document for JSON: what was recorded, and what is predicted."""
    frames = {"recorded": sim.recorded, "predicted": predicted}
    return {
        "source": source_label(request.source, request.namespace),
        "seed": request.seed,
        "what_if": list(request.what_if),
        "pools": [asdict(_Pool(pool.name, pool.spec.concurrency)) for pool in sim.pools],
        "virtual_s": round(sim.now, 3),
        "unfinished": predicted.attrs["unfinished"],
        "left_out": predicted.attrs["left_out"],
        **{which: dict(_by_name(frame)) for which, frame in frames.items()},
    }


def play_history(request: Request, views: Views, out: str | None) -> None:
    """Play a history again, and show what came of it.

    Args:
        request: What to play.
        views: What to show beside the waits.
        out: The file for the predicted history, or None.

    Raises:
        click.UsageError: The source does not exist, or the file cannot be written.
        InvalidOption: The source has no history, or a change is not valid.
        MissingExtra: An extra is not installed.
    """
    from workkit.frames.files import format_of, write

    if out is not None:
        format_of(out)  # refused before the work, not after it
    sim, predicted = _play_again(request)
    with sim:
        if out is not None:
            try:
                write(predicted, out, "history")
            except OSError as error:
                raise click.UsageError(f"{out} cannot be written: {error.strerror}") from None
        document = _summary(request, sim, predicted)
        changes = ", ".join(request.what_if)
        views.write(sim.trace, f"{document['source']} again", changes and f"what if: {changes}")
        if views.as_json:
            print_record(document)
        elif not views.on_stdout:
            _print_summary(document)
            for section in views.sections(sim):
                click.echo(f"\n{section}")


@dataclass(frozen=True, slots=True)
class _Pool:
    name: str
    concurrency: int


def _by_name(frame: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield counts and quantiles of each name, and of all; times in seconds."""
    ran = frame[frame["started_at"].notna()]
    names = sorted(ran["name"].dropna().unique())
    parts = [(name, ran[ran["name"] == name]) for name in names]
    for name, part in [*parts, *([("", ran)] if len(names) > 1 else [])]:
        found: dict[str, Any] = {"runs": len(part)}
        for span in ("wait", "run"):
            for label, quantile in _QUANTILES.items():
                value = part[span].quantile(quantile)
                known = value == value  # noqa: PLR0124 - NaT differs from itself
                found[f"{span}_{label}_s"] = round(value.total_seconds(), 3) if known else None
        yield str(name), found


def _print_summary(document: dict[str, Any]) -> None:
    """Print the result as a table for people."""
    pools = document["pools"]
    fleet = counted(len(pools), "pool")
    workers = counted(sum(pool["concurrency"] for pool in pools), "worker")
    click.echo(f"{document['source']}: {fleet} with {workers}, {age(document['virtual_s'])}")
    changes = ", ".join(map(clean, document["what_if"])) or "nothing is changed"
    click.echo(f"what if: {changes}\n")
    print_table(_COLUMNS, _rows(document))
    if document["unfinished"]:
        left = counted(document["unfinished"], "run")
        note(f"{left} did not end within two days of the last recorded one: the fleet is too small")
    if document["left_out"]:
        left = counted(document["left_out"], "record")
        note(f"left out {left} of executions that no handler ran to its end")


def _rows(document: dict[str, Any]) -> Iterator[list[str]]:
    for name in document["recorded"]:
        for which in ("recorded", "predicted"):
            found = document[which].get(name)
            if found is not None:
                spans = [
                    _took(found[f"{span}_{label}_s"])
                    for span, labels in (("wait", ("p50", "p95", "max")), ("run", ("p50", "p95")))
                    for label in labels
                ]
                title = name or "(all)"
                yield [title if which == "recorded" else "", which, f"{found['runs']:,}", *spans]


def _took(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return took(round(seconds * 1_000)) if seconds < 60 else age(seconds)  # noqa: PLR2004 - a minute
