"""`manage.py workkit_worker`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from workkit.contrib.django.api import InvalidTaskBackend
from workkit.contrib.django.worker import make_pool
from workkit.errors import WorkkitError

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
            "--drain", action="store_true", help="End when no task is left that can run now."
        )

    def handle(self, **options: Any) -> None:
        """Run the pool.

        Raises:
            CommandError: An option is not valid, or the server refuses.
        """
        try:
            pool = make_pool(
                options["backend"],
                queues=options["queues"],
                imports=options["imports"],
                concurrency=options["concurrency"],
            )
            names = ", ".join(sorted(pool.spec.registrations)) or "no tasks"
            self.stdout.write(f"{pool.server}, namespace {pool.spec.namespace}: {names}")
            if not options["drain"]:
                if not pool.run(options["timeout"]):
                    sys.exit(_START_AGAIN)
                return
            pool.start()
            try:
                pool.drain()
            finally:
                pool.stop(options["timeout"])
        except (InvalidTaskBackend, ImportError, WorkkitError) as error:
            raise CommandError(str(error)) from error
