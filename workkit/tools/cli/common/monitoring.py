"""What surrounds a worker so that others can watch it: metrics, health checks, systemd."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, TypeVar

import click

from workkit.errors import InvalidOption
from workkit.telemetry.systemd import Notifier
from workkit.tools.cli.common.options import HIGHEST_PORT

if TYPE_CHECKING:
    from workkit.pool import WorkerPool
    from workkit.telemetry.server import TelemetryServer
    from workkit.telemetry.worker import PoolMetrics
    from workkit.tools.supervisor.fleet import Fleet

__all__ = ["DEFAULT_HOST", "Monitoring", "monitoring_options"]

#: Where metrics are served by default: they name queues, so they are not for everybody.
DEFAULT_HOST: Final = "127.0.0.1"

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Where a worker serves its metrics.

    Attributes:
        port: The TCP port; None for no metrics.
        host: The address to listen on.
        announce: Tells where they are served.
    """

    port: int | None
    host: str
    announce: Callable[[str], object] = logging.getLogger("workkit").info

    @classmethod
    def chosen(cls, port: int | None, host: str | None, *, is_typed: bool) -> Self:
        """Return what the options of a command ask for.

        Args:
            port: --metrics-port, or None.
            host: --metrics-host, or None.
            is_typed: Whether the address was typed. One from the environment may be for others.

        Raises:
            InvalidOption: An address was typed, and there is no port.
        """
        if is_typed and port is None:
            raise InvalidOption(
                f"--metrics-host {host} has no effect without a port; add --metrics-port 9465"
            )
        return cls(port, DEFAULT_HOST if host is None else host)

    def counting(self, pool: WorkerPool) -> PoolMetrics | None:
        """Let a pool that has not started count what it does; None without metrics."""
        if self.port is None:
            return None
        from workkit.telemetry.worker import PoolMetrics

        metrics = PoolMetrics()
        pool.observe(metrics)
        return metrics

    @contextmanager
    def around(self, pool: WorkerPool, *, supervised: bool) -> Iterator[PoolMetrics | None]:
        """Watch a pool meanwhile; a supervised one only counts, since its supervisor answers.

        Raises:
            InvalidOption: The address cannot be used.
            MissingExtra: The library of Prometheus is not installed.
        """
        metrics = self.counting(pool)
        with ExitStack() as stack:
            if metrics is not None:
                stack.enter_context(metrics.listening())
            if not supervised:
                if metrics is not None:
                    from workkit.telemetry.families import WorkerCollector
                    from workkit.telemetry.server import TelemetryServer

                    collector = WorkerCollector(metrics.take)
                    server = TelemetryServer(
                        [collector], lambda: pool.health, self.port or 0, self.host
                    )
                    stack.enter_context(server)
                    self._announce(server)
                if (notifier := Notifier.started(lambda: pool.health)) is not None:
                    stack.enter_context(closing(notifier))
            yield metrics

    @contextmanager
    def around_fleet(self, slots: int) -> Iterator[Fleet]:
        """Watch the processes of a supervisor meanwhile.

        Args:
            slots: How many processes there are to be.

        Raises:
            InvalidOption: The address cannot be used.
            MissingExtra: The library of Prometheus is not installed.
        """
        from workkit.core.clock import SystemClock
        from workkit.tools.supervisor.fleet import Fleet

        fleet = Fleet(slots, SystemClock())
        with ExitStack() as stack:
            if self.port is not None:
                from workkit.telemetry.families import WorkerCollector
                from workkit.telemetry.server import TelemetryServer

                collector = WorkerCollector(fleet.take)
                server = TelemetryServer([collector], fleet.health, self.port, self.host)
                stack.enter_context(server)
                self._announce(server)
            if (notifier := Notifier.started(fleet.health)) is not None:
                stack.enter_context(closing(notifier))
            yield fleet

    def _announce(self, server: TelemetryServer) -> None:
        self.announce(f"metrics and health on {server.url}")


def monitoring_options(command: F) -> F:
    """Add --metrics-port and --metrics-host to a command."""
    add_port = click.option(
        "--metrics-port",
        type=click.IntRange(0, HIGHEST_PORT),
        envvar="WORKKIT_METRICS_PORT",
        show_envvar=True,
        metavar="PORT",
        help="Serve /metrics, /livez and /readyz on this TCP port; 0 for any free one.",
    )
    add_host = click.option(
        "--metrics-host",
        envvar="WORKKIT_METRICS_HOST",
        show_envvar=True,
        metavar="ADDRESS",
        help=f"The address of that port; 0.0.0.0 for all. [default: {DEFAULT_HOST}]",
    )
    return add_port(add_host(command))
