"""Opens the server that `Simulation(server=...)` names."""

from __future__ import annotations

import warnings
from functools import cache

from workkit.errors import InvalidOption
from workkit.simulation.redis.backend import Backend, LinkBackend, StockFake, require_extra
from workkit.store.connections.target import client_of

__all__ = ["differs", "is_real", "open_backend"]


def open_backend(server: object) -> Backend:
    """Open the server of a simulated world.

    Args:
        server: None for fakeredis; "fakeredis" for fakeredis on its ordinary, slower path; a URL, a
            redis-py client, or an `EmbeddedServer` that runs.

    Raises:
        MissingExtra: An extra is not installed.
        InvalidOption: The argument is not one of these.
    """
    if server is None:
        return _open_fake()
    if server == "fakeredis":
        return StockFake()
    url = getattr(server, "url", server)
    if isinstance(url, str):
        return LinkBackend(client_of(url))
    if hasattr(server, "connection_pool"):
        return LinkBackend(server)
    raise InvalidOption(
        'server must be None, "fakeredis", a URL, a redis-py client or an EmbeddedServer, '
        f"not {type(server).__name__}"
    )


def is_real(backend: Backend) -> bool:
    """Tell whether a server is reached through sockets."""
    return isinstance(backend, LinkBackend) and not isinstance(backend, StockFake)


def _open_fake() -> Backend:
    """Open fakeredis on the short path, or on the ordinary one if the short one does not work."""
    require_extra()
    what = differs()
    if not what:
        from workkit.simulation.redis.fake import FakeBackend

        return FakeBackend()
    import fakeredis

    warnings.warn(
        f"the simulator does not know the internals of fakeredis {fakeredis.__version__} ({what}), "
        "so it uses it in the ordinary way: the same results, but more than twice as slow, and "
        "keys of your own that expire do so in real time. Upgrade workkit, or install an older "
        "fakeredis.",
        RuntimeWarning,
        stacklevel=4,
    )
    return StockFake()


@cache
def differs() -> str:
    """Return where the short path to fakeredis differs from the ordinary one, or ""."""
    try:
        from workkit.simulation.redis.probing import differences

        return differences()
    except Exception as error:  # noqa: BLE001 - any error means that internals have changed
        return f"{type(error).__name__}: {error}"
