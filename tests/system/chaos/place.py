"""Where the jobs of a run are: a server, Sentinel's master, or a cluster, and a namespace."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.sentinel import Sentinel

__all__ = ["Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """The settings of worker processes and enqueuers.

    Attributes:
        namespace: Prefix of all keys.
        url: The server; "" where Sentinel says which it is.
        sentinels: Ports of the sentinels.
        master: The name of the master that they watch.
    """

    namespace: str
    url: str = ""
    sentinels: tuple[int, ...] = ()
    master: str = "chaos"

    def redis(self) -> Any:
        """Return the value for workkit's `redis` argument."""
        if self.url:
            return self.url
        hosts = [("127.0.0.1", port) for port in self.sentinels]
        connect: Any = Sentinel  # redis-py does not type it
        return connect(hosts, socket_timeout=0.5).master_for(self.master, socket_timeout=1.0)

    def environment(self) -> Mapping[str, str]:
        """Return the place as environment variables."""
        return {
            "CHAOS_NAMESPACE": self.namespace,
            "CHAOS_URL": self.url,
            "CHAOS_SENTINELS": ",".join(map(str, self.sentinels)),
        }

    @classmethod
    def from_environment(cls) -> Place:
        """Read what `environment` has written."""
        ports = os.environ["CHAOS_SENTINELS"]
        return cls(
            os.environ["CHAOS_NAMESPACE"],
            os.environ["CHAOS_URL"],
            tuple(int(port) for port in ports.split(",") if port),
        )
