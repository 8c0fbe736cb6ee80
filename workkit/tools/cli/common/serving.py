"""Serves the console to browsers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from workkit.core.text import clean
from workkit.errors import MissingExtra, ServerError
from workkit.tools.cli.common import exits
from workkit.tools.cli.common.places import NamedServer
from workkit.tools.cli.common.recorded import opened_reader

__all__ = ["ServedFile", "serve_console"]


class ServedFile(NamedTuple):
    """The file that browsers see instead of a server, if there is one.

    Attributes:
        snapshot: That of a snapshot.
        recording: That of a recording.
        at: The time of the recording with which a browser begins, as it was written.
    """

    snapshot: str | None = None
    recording: str | None = None
    at: str | None = None

    @property
    def arguments(self) -> list[str]:
        """The arguments of the command that opens it."""
        names = {"--snapshot": self.snapshot, "--recording": self.recording}
        words = [
            word
            for name, path in names.items()
            if path is not None
            for word in (name, str(Path(path).absolute()))
        ]
        return [*words, f"--at={self.at}"] if self.at is not None else words


_NO_FILE: Final = ServedFile()
#: Linux allows a variable of the environment 128 KiB.
_MOST_BYTES: Final = 100_000


def serve_console(
    places: Sequence[NamedServer],
    options: dict[str, Any],
    host: str,
    port: int,
    token: str | None,
    public_url: str | None = None,
    users: dict[str, str] | None = None,
    file: ServedFile = _NO_FILE,
) -> None:
    """Serve the console to browsers until a signal.

    Raises:
        MissingExtra: textual-serve is not installed.
    """
    from ipaddress import ip_address

    try:
        local = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        local = False
    harmless = options["read_only"] or file.arguments
    if not local and not harmless and not token and not users:
        raise click.UsageError(
            f"everybody who can reach {host} could delete jobs; add --read-only, --token SECRET "
            "or --user NAME=SECRET"
        )
    try:
        from workkit_tui.serving import ConsoleServer, ServedPlace
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in {
            "aiohttp", "aiohttp_jinja2", "jinja2", "textual", "textual_serve", "workkit_tui",
        }:  # fmt: skip
            raise
        raise MissingExtra("workkit top --serve", "serve") from None
    served = [ServedPlace(each.title, each.server.redis, each.server.namespace) for each in places]
    if sum(len(repr(each)) for each in served) > _MOST_BYTES:
        raise click.UsageError(f"{len(places):,} places are too many for browsers; name fewer")
    _look(places, file)
    from workkit_tui.settings import Settings

    Settings(**options)  # checks them here, not in each browser
    try:
        ConsoleServer(
            served,
            options,
            host,
            port,
            token,
            public_url,
            users,
            file.arguments,
        ).serve()
    except (OSError, UnicodeError) as error:
        why = "no such address"  # of a name that no host can have
        if isinstance(error, OSError):
            why = error.strerror or str(error)
        exits.complain(f"cannot listen on {clean(host)}:{port}: {why}")
        click.get_current_context().exit(exits.USAGE)


def _look(places: Sequence[NamedServer], file: ServedFile) -> None:
    """Report what is wrong here, not in each browser. Of several places, some may be away.

    Raises:
        ServerError: No place can be read.
    """
    gone = 0
    for place in places:
        try:
            with opened_reader(place.server, *file) as reader:
                reader.overview()
        except ServerError as error:
            gone += 1
            if gone == len(places):
                raise
            exits.complain(f"{clean(place.title)}: {clean(str(error))}")
