"""Where commands read history from: a server, or something on disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from workkit.frames.sources import Source

__all__ = ["opened", "source_label"]


@contextmanager
def opened(source: str, namespace: str) -> Iterator[Source]:
    """Open a source of history.

    Args:
        source: The URL of a server; or the path of an archive, a snapshot or an exported file.
        namespace: The namespace on the server.

    Raises:
        click.UsageError: There is no such path.
    """
    if "://" in source:
        from workkit.client import Client

        with closing(Client(namespace, source)) as client:
            yield client
        return
    from pathlib import Path

    if not Path(source).exists():
        raise click.UsageError(
            f"there is no file or directory {source!r}; give an archive, a snapshot, an exported "
            "file, or the URL of a server such as redis://localhost:6379"
        )
    yield source


def source_label(source: str, namespace: str) -> str:
    """Return the name of a source for people; a URL may hold a password."""
    from workkit.core.text import clean

    if "://" not in source:
        return clean(source)
    from workkit.store.connections.target import Target

    return f"{clean(namespace)} at {Target.of(source).label}"
