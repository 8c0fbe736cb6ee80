"""`workkit worker`."""

from __future__ import annotations

import click

from workkit.cli import exits
from workkit.cli.options import examples
from workkit.cli.values import to_timeout
from workkit.errors import WorkkitError

__all__ = ["worker"]


@click.command(
    epilog=examples(
        "workkit worker tasks:pool",
        "workkit worker shop.tasks:make_pool --timeout 2m",
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
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="What is logged at least. [default: info]",
)
@click.option("--log-json", is_flag=True, help="Log one JSON object a line.")
@click.pass_context
def worker(
    ctx: click.Context, *, target: str, timeout: float | None, log_level: str | None, log_json: bool
) -> None:
    """Process jobs with the pool POOL of module MODULE, until SIGTERM or SIGINT.

    The module is imported with the current directory on the path. POOL is a WorkerPool, or a
    function without arguments that makes one. Server and namespace are the pool's own.

    After a signal, no new job is taken; running ones have --timeout to end, then they go back to
    their queues. A second signal cuts this short. Logs go to stderr, unless the module sets up
    logging itself.

    The exit code is 0 after a signal, 69 if the server cannot be reached at the start, and 75 if
    the process is to be replaced, because too many handlers ran on after their timeouts.
    """
    import logging

    from workkit.cli.loading import load_pool
    from workkit.cli.logs import WorkerLogging

    logs = WorkerLogging(log_level, as_json=log_json)
    pool = load_pool(target)
    logs.application_loaded()
    log = logging.getLogger("workkit")
    names = ", ".join(sorted(pool.spec.registrations)) or "none"
    log.info(
        "starting %s: namespace %r, %d at once, jobs: %s",
        target, pool.spec.namespace, pool.spec.concurrency, names,
    )  # fmt: skip
    try:
        was_told = pool.run(timeout)
    except WorkkitError:
        raise
    except Exception:  # a start hook may raise anything
        log.exception("the pool could not be started")
        ctx.exit(exits.USAGE)
    if not was_told:
        log.error("the pool ended by itself; start the process again")
        ctx.exit(exits.REPLACE)
    log.info("stopped")
