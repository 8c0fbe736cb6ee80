"""Explains an empty result. The most likely reason is a wrong namespace or name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workkit.tools.cli.common.output import note

if TYPE_CHECKING:
    from workkit.admin.reader import Reader
    from workkit.client import Client
    from workkit.tools.cli.common.options import Server

__all__ = ["explain", "unknown"]


def explain(server: Server, reader: Reader, message: str, *, name: str = "") -> None:
    """Write the reason for an empty result to stderr.

    Args:
        server: The server that was asked.
        reader: A client of this server, or a moment of a recording.
        message: The text if the namespace and the name exist.
        name: The queue that the user named, if any.
    """
    from workkit.client import Client

    client = reader if isinstance(reader, Client) else None
    if client is None:
        note(message)
    elif _is_empty(client):
        note(f"namespace {server.namespace!r} is empty on {server.label}: is it the right one?")
    else:
        note((unknown(server, client, name) if name else "") or message)


def _is_empty(client: Client) -> bool:
    return not (
        client.queues()
        or client.worker_pool_heartbeats()
        or client.scheduled_jobs().total
        or client.retry_jobs().total
        or client.dead_jobs().total
        or client.history_extent().written
    )


def unknown(server: Server, client: Client, name: str) -> str:
    """Return a warning that no queue has this name; "" if one has. The name may be mistyped."""
    known = [queue.job_name for queue in client.queues()]
    if name in known:
        return ""
    where = f"namespace {server.namespace!r} on {server.label}"
    if not known:
        return f"no queue is known in {where}: is it the right one?"
    from difflib import get_close_matches

    alike = " or ".join(repr(other) for other in get_close_matches(name, known))
    hint = f"; did you mean {alike}?" if alike else ""
    return f"no queue {name!r} is known in {where}{hint}"
