"""Which node of a cluster has a namespace.

All keys of a namespace share one slot, because its name is in braces. So one node has them all, and
a plain connection to that node is enough. A `Route` knows that node. It asks the first node, and
asks the cluster again when a node moves the slot or does not answer any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final, TypeAlias

from redis import exceptions as redis_errors
from redis.crc import key_slot

from workkit.errors import ServerRefused

__all__ = ["FOLLOWED", "Address", "Route", "SlotMoved", "needs_braces", "shares_a_slot"]

Address: TypeAlias = tuple[str, int]

#: How often one round trip follows a slot that moves.
FOLLOWED: Final = 5


class SlotMoved(ServerRefused):
    """Another node has the slot; the server did nothing.

    Attributes:
        where: ``HOST:PORT``; an empty host means the host of the node that answered.
    """

    def __init__(self, where: str) -> None:
        super().__init__(
            "MOVED",
            f"the server is a node of a cluster, and the namespace is on another one, {where}; "
            "give workkit a URL with host and port, of any node",
        )
        self.where = where


def shares_a_slot(prefix: str) -> bool:
    """Tell whether all keys with a prefix are in one slot: it has a non-empty part in braces."""
    _, opened, rest = prefix.partition("{")
    tag, closed, _ = rest.partition("}")
    return bool(opened and closed and tag)


def needs_braces(namespace: str) -> str:
    """Say why a cluster cannot hold a namespace, and what to do."""
    return (
        f"the server is a cluster, and namespace {namespace!r} would be spread over its nodes; "
        f"write it in braces, {'{' + namespace + '}'!r}, so that all its keys are on one node"
    )


class Route:
    """The node that has a namespace; the route finds it when a caller needs it.

    Args:
        nodes: Nodes to ask first.
        prefix: Prefix of all keys.
        connect: Opens a connection to an address; the caller closes it.
        clustered: Whether this is known to be a cluster; otherwise the first node counts as a plain
            server until it reports a moved slot.

    Attributes:
        asks: Whether callers must call `find` before they open a connection.
    """

    def __init__(
        self,
        nodes: Iterable[Address],
        prefix: str,
        connect: Callable[[Address], Any],
        *,
        clustered: bool = False,
    ) -> None:
        self._nodes = list(nodes)
        self._prefix = prefix
        self._connect = connect
        self._lock = threading.Lock()
        self._address: Address | None = None
        self.asks = clustered

    def moved(self, to: str) -> None:
        """Note that the slot is elsewhere.

        Args:
            to: ``HOST:PORT`` from the node's reply; the host may be empty.

        Raises:
            ServerRefused: The keys of the namespace do not share a slot.
        """
        if not shares_a_slot(self._prefix):
            raise ServerRefused("CROSSSLOT", needs_braces(self._prefix.removesuffix(":")))
        host, _, port = to.rpartition(":")
        with self._lock:
            asked = self._address or self._nodes[0]
            self._remember([(host or asked[0], int(port))])
            self._address, self.asks = None, True

    def lost(self) -> None:
        """Note that the node does not answer: another may have taken over."""
        self._address = None

    def find(self) -> Address:
        """Return the node that has the slot; ask the cluster if the node is not known.

        Raises:
            redis.exceptions.ConnectionError: No node knows it.
        """
        with self._lock:
            if self._address is None:
                self._address = self._ask()
            return self._address

    @property
    def known(self) -> Address | None:
        """The node, if it is known."""
        return self._address

    def _ask(self) -> Address:
        slot = key_slot(self._prefix.encode())
        for node in tuple(self._nodes):
            with suppress(redis_errors.RedisError, OSError):
                ranges = self._slots_of(node)
                owners = [owner for first, last, owner in ranges if first <= slot <= last]
                self._remember([node, *(owner for _, _, owner in ranges)])
                if owners:
                    return owners[0]
        asked = ", ".join(f"{host}:{port}" for host, port in self._nodes)
        raise redis_errors.ConnectionError(f"no node of the cluster has the slot; asked {asked}")

    def _slots_of(self, node: Address) -> list[tuple[int, int, Address]]:
        connection = self._connect(node)
        try:
            connection.send_command("CLUSTER", "SLOTS", check_health=False)
            reply = connection.read_response()
        finally:
            connection.disconnect()
        return [
            (first, last, ((owner[0] or b"").decode() or node[0], int(owner[1])))
            for first, last, owner, *_ in reply
        ]

    def _remember(self, nodes: Iterable[Address]) -> None:
        """Ask these nodes first from now on, then the nodes known before."""
        self._nodes = list(dict.fromkeys([*nodes, *self._nodes]))
