"""Several namespaces of one console: from --namespace a,b,c, from a file, or for a browser."""

from __future__ import annotations

import json
import os
import tomllib
from typing import Any, Final, NamedTuple

import click

from workkit.core.served import SERVED_PLACE, SERVED_PLACES
from workkit.core.text import clean
from workkit.errors import WorkkitError
from workkit.tools.cli.common.options import Server

__all__ = ["NamedServer", "in_browser", "places_of", "served_place"]

_EXAMPLE: Final = """write, for each of them: [[place]], redis = "redis://HOST:6379/0", \
namespace = "work" and, if you like, title = "the shop in Paris\""""
_FIELDS: Final = frozenset({"namespace", "redis", "title"})


class NamedServer(NamedTuple):
    """A namespace with a name for people."""

    title: str
    server: Server


def places_of(server: Server, file: str | None) -> list[NamedServer]:
    """Return the namespaces of a command.

    A console in a browser gets those of the server that has started it.

    Args:
        server: The server; its namespace may name several, with commas between them.
        file: A TOML file of places, which counts instead; None for none.

    Returns:
        The places, at least one.

    Raises:
        click.BadParameter: They cannot be read, or are not valid. The message names the place.
    """
    if in_browser() and (served := os.environ.get(SERVED_PLACES)):
        return [NamedServer(title, Server(*where)) for title, *where in json.loads(served)]
    if file is not None:
        return _checked(_from_file(file), "--places")
    names = [name.strip() for name in server.namespace.split(",")]
    if len(names) == 1:
        return [NamedServer(server.namespace, server)]
    found = [NamedServer(name, Server(server.redis, name)) for name in names]
    if "" in names:
        raise click.BadParameter(
            f"{clean(server.namespace)!r} has an empty name between two commas",
            param_hint="'--namespace'",
        )
    return _checked(found, "--namespace")


def in_browser() -> bool:
    """Tell whether this process is the console of a browser."""
    return "WebDriver" in os.environ.get("TEXTUAL_DRIVER", "")


def served_place() -> int | None:
    """Return the index of the place that the browser shows; None if it shows their list."""
    number = os.environ.get(SERVED_PLACE, "") if in_browser() else ""
    return int(number) - 1 if number else None


def _from_file(file: str) -> list[NamedServer]:
    try:
        with open(file, "rb") as opened:  # noqa: PTH123 - the name as the user wrote it
            content: dict[str, Any] = tomllib.load(opened)
    except OSError as error:
        raise _wrong(f"{file} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _wrong(f"{file} is not TOML: {error}") from None
    rows = content.pop("place", None)
    if content or not isinstance(rows, list) or not rows:
        raise _wrong(f"{file} has no list of places; {_EXAMPLE}")
    return [_place(f"place {at} of {file}", row) for at, row in enumerate(rows, 1)]


def _place(where: str, row: Any) -> NamedServer:
    is_table = isinstance(row, dict) and all(isinstance(each, str) for each in row.values())
    if not is_table or not {"redis", "namespace"} <= row.keys():
        raise _wrong(f"{where} needs redis and namespace, both texts; {_EXAMPLE}")
    if unknown := sorted(row.keys() - _FIELDS):
        raise _wrong(f"{where} has {unknown[0]!r}, which is not known; {_EXAMPLE}")
    server = Server(row["redis"], row["namespace"])
    title = row.get("title") or f"{server.namespace} at {_label(where, server)}"
    return NamedServer(title, server)


def _label(where: str, server: Server) -> str:
    try:
        return server.label
    except WorkkitError as error:
        raise _wrong(f"{where}: {error}") from None


def _checked(places: list[NamedServer], option: str) -> list[NamedServer]:
    """Refuse places that are named twice, and invalid namespaces."""
    known: set[NamedServer] = set()
    for place in places:
        if place in known:
            raise click.BadParameter(
                f"{clean(place.title)!r} is there twice", param_hint=f"'{option}'"
            )
        known.add(place)
        try:
            place.server.client().close()
        except WorkkitError as error:
            raise click.BadParameter(
                f"{clean(place.title)}: {error}", param_hint=f"'{option}'"
            ) from None
    return places


def _wrong(message: str) -> click.BadParameter:
    return click.BadParameter(clean(message), param_hint="'--places'")
