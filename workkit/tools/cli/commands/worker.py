"""`workkit worker`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Final

import click
from click.core import ParameterSource

from workkit.engine.process.courier import COURIER
from workkit.errors import LifespanFailed, WorkkitError
from workkit.tools.cli.common import exits
from workkit.tools.cli.common.monitoring import Monitoring, monitoring_options
from workkit.tools.cli.common.options import examples
from workkit.tools.cli.common.values import to_bytes, to_count, to_timeout

if TYPE_CHECKING:
    from workkit.pool import WorkerPool
    from workkit.tools.cli.common.loading import Settings
    from workkit.tools.supervisor.child import Child

__all__ = ["leave", "worker"]

#: A larger number of processes counts as a mistake.
_MOST_PROCESSES: Final = 1_000
#: How long the last log records may take, seconds.
_LAST_LINES_S: Final = 0.5
#: How long the process may take to end after its pool has ended, seconds.
_LEAVING_S: Final = 2.0
_LOOK_S: Final = 0.5


@click.command(
    epilog=examples(
        "workkit worker shop.tasks:tasks",
        "workkit worker shop.tasks:tasks --reload",
        "workkit worker shop.tasks:tasks --import shop.jobs --concurrency 50",
        "workkit worker shop.tasks:tasks --redis redis://cache:6379/1 --namespace shop",
        "workkit worker shop.tasks:tasks --processes 4 --max-rss 500M --timeout 2m",
        "workkit worker shop.tasks:tasks --metrics-port 9464",
        "workkit worker shop.tasks:make_pool --log-level debug --log-json",
    )
)
@click.argument("target", metavar="MODULE:NAME")
@click.option(
    "--import",
    "imports",
    multiple=True,
    metavar="MODULE",
    help="Import this module too, because it registers tasks; of a package, all its modules. "
    "May be repeated.",
)
@click.option(
    "--redis",
    envvar="WORKKIT_REDIS_URL",
    show_envvar=True,
    metavar="URL",
    help="The server of the tasks. [default: that of tasks.connect, else redis://localhost:6379/0]",
)
@click.option(
    "--namespace",
    envvar="WORKKIT_NAMESPACE",
    show_envvar=True,
    metavar="NS",
    help="Prefix of all keys. [default: that of tasks.connect, else work]",
)
@click.option(
    "--concurrency",
    type=int,
    envvar="WORKKIT_CONCURRENCY",
    show_envvar=True,
    metavar="N",
    help="How many handlers run at once. [default: 10]",
)
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
    "--reload",
    is_flag=True,
    help="Load the module again after an edit of a source file of yours. For development.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="The lowest level that is logged. [default: info]",
)
@monitoring_options
@click.option("--log-json", is_flag=True, help="Log one JSON object per line.")
@click.pass_context
def worker(
    ctx: click.Context,
    *,
    target: str,
    imports: tuple[str, ...],
    redis: str | None,
    namespace: str | None,
    concurrency: int | None,
    timeout: float | None,
    processes: int,
    max_jobs: int | None,
    max_rss: int | None,
    reload: bool,
    log_level: str | None,
    log_json: bool,
    metrics_port: int | None,
    metrics_host: str | None,
) -> None:
    """Process jobs with the tasks NAME of module MODULE, until SIGTERM or SIGINT.

    The module is imported with the current directory on the path. NAME is a Tasks registry, a
    WorkerPool, or a function without arguments that makes one. A pool has its own server, namespace
    and concurrency.

    After a signal, the pool claims no more jobs. Running jobs have --timeout to end; then they go
    back to their queues. A second signal returns them at once. Logs go to stderr, unless the module
    sets up logging itself.

    With --processes, --max-jobs or --max-rss, a supervisor runs the pool in child processes. It
    restarts processes that die, passes signals on, and replaces processes while others work. SIGHUP
    replaces all of them, one after another. With --reload, an edit of a source file replaces them.

    The exit code is 0 after a signal, 69 if the server cannot be reached at the start, and 75 if
    the process must be replaced: too many handlers still ran after their timeouts, a part of the
    pool has ended or hangs, or a stop took longer than --timeout and two seconds.
    """
    from workkit.engine.process.signals import signals_to
    from workkit.tools.cli.common.loading import Settings
    from workkit.tools.cli.common.logs import WorkerLogging
    from workkit.tools.supervisor.child import Child

    is_typed = ctx.get_parameter_source("metrics_host") is ParameterSource.COMMANDLINE
    monitoring = Monitoring.chosen(metrics_port, metrics_host, is_typed=is_typed)
    child = Child.adopted(timeout)
    if os.getpid() == 1:
        from workkit.tools.supervisor.init import leave_init_behind

        leave_init_behind()
    COURIER.open()
    early = _Early()
    ctx.with_resource(signals_to(early.take))
    logs = WorkerLogging(log_level, as_json=log_json, process=child.slot if child else None)
    is_limited = (max_jobs, max_rss) != (None, None)
    if child is None and (processes > 1 or is_limited or reload):
        code = _supervise(processes, max_jobs, max_rss, monitoring, reload=reload)
        early.over = True
        ctx.exit(code)
    settings = Settings(namespace, redis, concurrency, _given(ctx))
    pool = _load(target, imports, settings, child if reload else None)
    logs.application_loaded()

    def run() -> bool:
        try:
            _bound(pool, child)
            return _process(pool, child, monitoring, timeout, report=is_limited)
        finally:
            early.over = True
            COURIER.flush(_LAST_LINES_S)  # before an error message, which goes directly to stderr

    _run(ctx, target, pool, run)


def _process(
    pool: WorkerPool,
    child: Child | None,
    monitoring: Monitoring,
    timeout_s: float | None,
    *,
    report: bool,
) -> bool:
    """Run the pool until it is asked to stop; as `WorkerPool.run`."""
    with monitoring.around(pool, supervised=child is not None) as metrics:
        if child is not None:
            return child.run(pool, report=report, metrics=metrics)
        return pool.run(timeout_s)


def _supervise(
    processes: int,
    max_jobs: int | None,
    max_rss_bytes: int | None,
    monitoring: Monitoring,
    *,
    reload: bool,
) -> int:
    from workkit.tools.supervisor.parent import supervise
    from workkit.tools.supervisor.policy import Limits

    explained = frozenset({exits.USAGE, exits.UNAVAILABLE, exits.REFUSED})
    mendable = frozenset({exits.USAGE})
    limits = Limits(processes, max_jobs, max_rss_bytes, explained, mendable)
    with monitoring.around_fleet(processes) as fleet:
        return supervise(limits, reload=reload, fleet=fleet)


def _given(ctx: click.Context) -> tuple[str, ...]:
    """Return the options for registries that were typed, not taken from the environment."""
    return tuple(
        f"--{name}"
        for name in ("redis", "namespace", "concurrency")
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    )


def _load(
    target: str, imports: Sequence[str], settings: Settings, watched: Child | None
) -> WorkerPool:
    """Load the pool; name the loaded files to the supervisor if it watches them."""
    from workkit.tools.cli.common.importing import LoadError
    from workkit.tools.cli.common.loading import load_target, pool_for

    try:
        loaded = load_target(target, imports)
    except LoadError as error:
        if watched is not None:
            watched.watch_loaded(imports, error)
        raise
    if watched is not None:
        watched.watch_loaded(imports)
    return pool_for(loaded, target, settings)


def _run(ctx: click.Context, target: str, pool: WorkerPool, run: Callable[[], bool]) -> None:
    """Run a pool; log its options and how it ends."""
    log = logging.getLogger("workkit")
    names = ", ".join(sorted(pool.spec.registrations)) or "none"
    log.info(
        "starting %s: namespace %r on %s, %d at once, jobs: %s",
        target, pool.spec.namespace, pool.server, pool.spec.concurrency, names,
    )  # fmt: skip
    from workkit.engine.driver import ThreadsRefusedError

    try:
        was_told = run()
    except ThreadsRefusedError as error:
        exits.complain(error)
        ctx.exit(exits.REPLACE)
    except LifespanFailed as error:
        if not pool.pool_id:  # else it ran, and has logged this
            _log_failed_start(error, error.__cause__)
        ctx.exit(exits.REPLACE if pool.ended_itself else exits.USAGE)
    except WorkkitError:
        raise
    except Exception as error:  # noqa: BLE001 - a start hook may raise anything
        _log_failed_start(None, error)
        ctx.exit(exits.USAGE)
    if not was_told:
        log.error("the pool ended by itself; start the process again")
        ctx.exit(exits.REPLACE)
    log.info("stopped")


def _log_failed_start(what: Exception | None, cause: BaseException | None) -> None:
    """Log why a pool could not be started, with the user's part of the traceback.

    Args:
        what: An error of ours that says it; None if only the cause does.
        cause: The error of the user's code, or None.
    """
    from workkit.core.fingerprint import can_be_logged, without_own_frames

    shows = cause is not None and can_be_logged(without_own_frames(cause))
    message = "the pool could not be started" + (f": {what}" if what is not None else "")
    logging.getLogger("workkit").error(message, exc_info=cause if shows else None)


class _Early:
    """Handles signals before the pool runs, such as during the import of its module.

    Attributes:
        over: Whether the pool has ended; later signals have no effect.
    """

    def __init__(self) -> None:
        self.over = False

    def take(self, number: int, _frame: FrameType | None) -> None:
        """End the process at once: nothing has started yet that would need a stop."""
        if not self.over:
            logging.getLogger("workkit").info(
                "stopped by signal %s before the pool was started", signal.Signals(number).name
            )
            COURIER.flush(_LAST_LINES_S)
            os._exit(0)


def _bound(pool: WorkerPool, child: Child | None) -> None:
    """End the process if a stop of the pool hangs."""

    def watch() -> None:
        never = threading.Event()
        while not (pool.overdue or (child is not None and child.overdue)):
            never.wait(_LOOK_S)
        logging.getLogger("workkit").error("the stop hangs; the process ends without it")
        COURIER.flush(_LAST_LINES_S)
        os._exit(exits.REPLACE)

    with suppress(RuntimeError):  # no thread; the pool will be refused threads too, and report it
        threading.Thread(target=watch, name="workkit-bound", daemon=True).start()


def leave(code: int) -> None:
    """Let the process end soon, even if handlers' threads or an unread pipe block it.

    Args:
        code: Its exit code.
    """

    def write() -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # closed, or None
                stream.flush()

    def end() -> None:
        threading.Event().wait(_LEAVING_S)
        os._exit(code)

    COURIER.close(_LAST_LINES_S)
    writing = threading.Thread(target=write, daemon=True)
    try:
        writing.start()
        threading.Thread(target=end, daemon=True).start()
    except RuntimeError:  # the system refuses threads
        return
    writing.join(_LAST_LINES_S)
    if writing.is_alive():  # the interpreter would also write at exit, and hang
        os._exit(code)
