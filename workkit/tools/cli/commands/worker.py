"""`workkit worker`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import click

from workkit.errors import WorkkitError
from workkit.tools.cli.common import exits
from workkit.tools.cli.common.options import examples
from workkit.tools.cli.common.values import to_bytes, to_count, to_timeout

if TYPE_CHECKING:
    from workkit.pool import WorkerPool

__all__ = ["worker"]

#: More processes than this are a slip.
_MOST_PROCESSES: Final = 1_000


@click.command(
    epilog=examples(
        "workkit worker tasks:pool",
        "workkit worker shop.tasks:make_pool --timeout 2m",
        "workkit worker tasks:pool --processes 4 --max-rss 500M",
        "workkit worker tasks:pool --log-level debug --log-json",
    )
)
@click.argument("target", metavar="MODULE:POOL")
@click.option(
    "--timeout",
    callback=to_timeout,
    default="25",
    show_default=True,
    metavar="SPAN",
    help="How long running jobs may take after a signal: 90 (seconds), 2m, or none for no limit.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, _MOST_PROCESSES),
    default=1,
    show_default=True,
    metavar="N",
    help="How many processes run the pool, each with its own concurrency.",
)
@click.option(
    "--max-jobs",
    type=int,
    callback=to_count,
    metavar="N",
    help="Replace a process after N jobs and up to a tenth more.",
)
@click.option(
    "--max-rss",
    callback=to_bytes,
    metavar="SIZE",
    help="Replace a process that takes more memory: 500M, 1.5G.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="What is logged at least. [default: info]",
)
@click.option("--log-json", is_flag=True, help="Log one JSON object a line.")
@click.pass_context
def worker(
    ctx: click.Context,
    *,
    target: str,
    timeout: float | None,
    processes: int,
    max_jobs: int | None,
    max_rss: int | None,
    log_level: str | None,
    log_json: bool,
) -> None:
    """Process jobs with the pool POOL of module MODULE, until SIGTERM or SIGINT.

    The module is imported with the current directory on the path. POOL is a WorkerPool, or a
    function without arguments that makes one. Server and namespace are the pool's own.

    After a signal, no new job is taken; running ones have --timeout to end, then they go back to
    their queues. A second signal cuts this short. Logs go to stderr, unless the module sets up
    logging itself.

    With --processes, --max-jobs or --max-rss a supervisor runs the pool in processes of their own:
    it starts again what dies, passes signals on, and replaces processes while others work. SIGHUP
    replaces them all, one after another.

    The exit code is 0 after a signal, 69 if the server cannot be reached at the start, and 75 if
    the process is to be replaced, because too many handlers ran on after their timeouts.
    """
    from workkit.tools.cli.common.logs import WorkerLogging
    from workkit.tools.supervisor.child import Child

    child = Child.adopted(timeout)
    logs = WorkerLogging(log_level, as_json=log_json, process=child.slot if child else None)
    is_limited = max_jobs is not None or max_rss is not None
    if child is None and (processes > 1 or is_limited):
        from workkit.tools.supervisor.parent import supervise
        from workkit.tools.supervisor.policy import Limits

        explained = frozenset({exits.USAGE, exits.UNAVAILABLE, exits.REFUSED})
        ctx.exit(supervise(Limits(processes, max_jobs, max_rss, explained)))
    from workkit.tools.cli.common.loading import load_pool

    pool = load_pool(target)
    logs.application_loaded()

    def run() -> bool:
        return child.run(pool, report=is_limited) if child else pool.run(timeout)

    _run(ctx, target, pool, run)


def _run(ctx: click.Context, target: str, pool: WorkerPool, run: Callable[[], bool]) -> None:
    """Run a pool, saying what it is and how it ends."""
    import logging

    log = logging.getLogger("workkit")
    names = ", ".join(sorted(pool.spec.registrations)) or "none"
    log.info(
        "starting %s: namespace %r on %s, %d at once, jobs: %s",
        target, pool.spec.namespace, pool.server, pool.spec.concurrency, names,
    )  # fmt: skip
    try:
        was_told = run()
    except WorkkitError:
        raise
    except Exception:  # a start hook may raise anything
        log.exception("the pool could not be started")
        ctx.exit(exits.USAGE)
    if not was_told:
        log.error("the pool ended by itself; start the process again")
        ctx.exit(exits.REPLACE)
    log.info("stopped")
