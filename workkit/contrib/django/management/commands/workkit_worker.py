"""`manage.py workkit_worker`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import replace
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from workkit.contrib.django.api import InvalidTaskBackend
from workkit.contrib.django.worker import make_pool
from workkit.errors import WorkkitError
from workkit.pool import WorkerPool
from workkit.tools.cli.common.monitoring import DEFAULT_HOST, Monitoring
from workkit.tools.cli.common.options import HIGHEST_PORT

__all__ = ["Command"]

#: What a supervisor is to start again, as for `WorkerPool.run`.
_START_AGAIN: Final = 75


class Command(BaseCommand):
    """Run the tasks of a backend until SIGTERM or SIGINT, or until none is left."""

    help = (
        "Run the tasks of a workkit backend, until SIGTERM or SIGINT. It knows the tasks in the "
        "modules `tasks` of all apps, and in every module that is imported."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--backend", default="default", help="The backend, a key of TASKS.")
        parser.add_argument(
            "--queue", action="append", default=[], dest="queues", metavar="NAME",
            help="Run only this queue of QUEUES. May be repeated.",
        )  # fmt: skip
        parser.add_argument(
            "--import", action="append", default=[], dest="imports", metavar="MODULE",
            help="Import this module too, because it has tasks. May be repeated.",
        )  # fmt: skip
        parser.add_argument(
            "--concurrency", type=int, default=10, metavar="N",
            help="How many tasks run at once. Default: 10.",
        )  # fmt: skip
        parser.add_argument(
            "--timeout", type=float, default=25.0, metavar="SECONDS",
            help="How long running tasks may take after a signal. Default: 25.",
        )  # fmt: skip
        parser.add_argument(
            "--metrics-port", type=_port, metavar="PORT",
            help="Serve /metrics, /livez and /readyz on this TCP port; 0 for any free one.",
        )  # fmt: skip
        parser.add_argument(
            "--metrics-host", metavar="ADDRESS",
            help=f"The address of that port; 0.0.0.0 for all. Default: {DEFAULT_HOST}.",
        )  # fmt: skip
        parser.add_argument(
            "--drain", action="store_true", help="End when no task is left that can run now."
        )

    def handle(self, **options: Any) -> None:
        """Run the pool.

        Raises:
            CommandError: An option is not valid, or the server refuses.
        """
        host = options["metrics_host"]
        try:
            monitoring = replace(
                Monitoring.chosen(options["metrics_port"], host, is_typed=host is not None),
                announce=self.stdout.write,
            )
            pool = make_pool(
                options["backend"],
                queues=options["queues"],
                imports=options["imports"],
                concurrency=options["concurrency"],
            )
            names = ", ".join(sorted(pool.spec.registrations)) or "no tasks"
            self.stdout.write(f"{pool.server}, namespace {pool.spec.namespace}: {names}")
            with monitoring.around(pool, supervised=False):
                was_told = _run(pool, options["timeout"], drain=options["drain"])
        except (InvalidTaskBackend, ImportError, WorkkitError) as error:
            raise CommandError(str(error)) from error
        if not was_told:
            sys.exit(_START_AGAIN)


def _run(pool: WorkerPool, timeout_s: float, *, drain: bool) -> bool:
    """Run a pool; return False if it has ended by itself."""
    if not drain:
        return pool.run(timeout_s)
    pool.start()
    try:
        pool.drain()
    finally:
        pool.stop(timeout_s)
    return True


def _port(text: str) -> int:
    """Return a TCP port.

    Raises:
        ArgumentTypeError: The text is none.
    """
    if not text.isdecimal() or int(text) > HIGHEST_PORT:
        raise ArgumentTypeError(f"{text!r} is not a port from 0 to {HIGHEST_PORT}")
    return int(text)
