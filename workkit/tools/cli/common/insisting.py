"""Args that do not fit the signature of a typed task: refused, unless somebody insists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import click

from workkit.errors import ArgsMismatch
from workkit.tools.cli.common.output import note

__all__ = ["insist_option", "naming_insist", "tell_doubts"]

insist_option = click.option(
    "--insist", is_flag=True, help="Use args that do not fit the signature of the typed task."
)


@contextmanager
def naming_insist() -> Iterator[None]:
    """Name the option in the complaint about args that do not fit."""
    try:
        yield
    except ArgsMismatch as error:
        raise ArgsMismatch(f"{error}; --insist uses them") from None


def tell_doubts(doubts: Iterable[str]) -> None:
    """Write why args may not fit to stderr."""
    for doubt in doubts:
        note(f"warning: {doubt}")
