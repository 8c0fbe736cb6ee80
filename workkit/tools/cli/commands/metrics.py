"""`workkit metrics`."""

from __future__ import annotations

from contextlib import ExitStack, closing

import click

from workkit.tools.cli.common.options import HIGHEST_PORT, Server, examples, server_options

__all__ = ["metrics"]


@click.command(
    epilog=examples(
        "workkit metrics",
        "workkit metrics --port 9100 --host 0.0.0.0",
        "workkit metrics --namespace billing --redis redis://cache:6379/1",
        "curl http://127.0.0.1:9464/metrics",
    )
)
@click.option(
    "--port",
    type=click.IntRange(0, HIGHEST_PORT),
    default=9464,
    show_default=True,
    metavar="PORT",
    help="The TCP port to listen on; 0 for any free one.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="The address to listen on; 0.0.0.0 for all.",
)
@server_options
def metrics(server: Server, *, port: int, host: str) -> None:
    """Serve the metrics of a namespace to Prometheus, until SIGTERM or SIGINT.

    Each scrape of /metrics reads the namespace once, in at most three round trips. While Redis does
    not answer, a scrape says "workkit_up 0". It works for Go pools and for pools of workkit. Queues
    are named in the metrics, so think before you listen on more than this machine.

    The exit code is 0 after a signal, and 2 if the address cannot be used.
    """
    from workkit.engine.process.signals import SignalEvent, signals_to
    from workkit.telemetry.exporter import NamespaceCollector
    from workkit.telemetry.server import TelemetryServer
    from workkit.telemetry.systemd import Notifier

    asked = SignalEvent()
    with ExitStack() as stack:
        stack.enter_context(signals_to(lambda _number, _frame: asked.set()))
        client = stack.enter_context(closing(server.client()))
        collector = NamespaceCollector(client.gauges)
        serving = TelemetryServer([collector], collector.health, port, host)
        stack.enter_context(serving)
        if (notifier := Notifier.started(collector.health)) is not None:
            stack.enter_context(closing(notifier))
        click.echo(f"{client.label}: metrics on {serving.url}/metrics", err=True)
        asked.wait()
