"""Checks and stores the registrations of a pool."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from workkit.core import gojson
from workkit.core.options import (
    HistoryOptions,
    check_catch_up,
    check_sources,
    check_whole,
    shown,
)
from workkit.cron import host_is_utc, host_zone_name, parse
from workkit.cron.slots import PeriodicEntry
from workkit.engine.handling.handlers import Registration, check_context_function, read_handler
from workkit.engine.handling.job_options import read_options
from workkit.engine.spec import PoolSpec
from workkit.errors import (
    InvalidArgs,
    InvalidHandler,
    InvalidName,
    InvalidOption,
    InvalidSpec,
    PoolState,
)
from workkit.store.keys import check_name

__all__ = ["check_pool", "register_job", "register_periodic", "register_task"]

_log = logging.getLogger("workkit")

_MAX_CONCURRENCY: Final = 10_000
_MAX_RECOVERIES: Final = 1_000
#: The longest wait between two looks at empty queues; an hour in milliseconds.
_MAX_SLEEP_MS: Final = 3_600_000


def check_pool(
    concurrency: object,
    context: object,
    history: object,
    sleep_backoffs: object,
    max_recoveries: object,
    clock: object,
    entropy: object,
) -> None:
    """Check the options of a pool; raises the errors of `WorkerPool`."""
    check_whole("concurrency", concurrency, 1, _MAX_CONCURRENCY)
    check_whole("max_recoveries", max_recoveries, 1, _MAX_RECOVERIES)
    if context is not None:
        try:
            check_context_function(context)
        except InvalidHandler as error:
            raise InvalidOption(str(error)) from None
    if history is not None and not isinstance(history, HistoryOptions):
        raise InvalidOption(
            "history must be HistoryOptions(...), or None for no history, and is on by default; "
            f"not {shown(history)}"
        )
    if not isinstance(sleep_backoffs, Sequence) or isinstance(sleep_backoffs, (str, bytes)):
        raise InvalidOption(
            f"sleep_backoffs must be a list of milliseconds, not {shown(sleep_backoffs)}"
        )
    if not sleep_backoffs:
        raise InvalidOption("sleep_backoffs must be a list of milliseconds; this list is empty")
    for wait_ms in sleep_backoffs:
        check_whole("each of sleep_backoffs, in milliseconds,", wait_ms, 0, _MAX_SLEEP_MS)
    check_sources(clock, entropy)


def register_job(
    spec: PoolSpec, name: str | None, function: object, options: dict[str, Any]
) -> None:
    """Store a handler; raises the errors of `WorkerPool.job`."""
    if name == "<lambda>":
        raise InvalidName("a lambda has no name; write pool.job(name, lambda job: ...)")
    checked = check_name(name)
    job_options = read_options(checked, options)
    if checked in spec.registrations:
        raise PoolState(f"job {checked!r} is registered already")
    handler = read_handler(function, checked, has_context=spec.context is not None)
    spec.registrations[checked] = Registration(checked, handler, job_options)


def register_task(spec: PoolSpec, registration: Registration, *, again: bool) -> None:
    """Store the handler of a task, which its registry has checked.

    Args:
        spec: The pool's registrations.
        registration: The task's name, handler and options.
        again: Whether it replaces the task of that name.

    Raises:
        PoolState: The name is taken.
    """
    if not again and registration.name in spec.registrations:
        raise PoolState(f"job {registration.name!r} is registered already")
    spec.registrations[registration.name] = registration


def register_periodic(
    pool: PoolSpec, spec: str, name: str, args: Mapping[str, Any] | None, catch_up_s: int
) -> None:
    """Store a cron entry; raises the errors of `WorkerPool.periodically_enqueue`."""
    if not isinstance(spec, str):
        raise InvalidSpec(f"a cron spec is a text such as '0 4 * * *', not {shown(spec)}")
    checked = check_name(name)
    check_catch_up(catch_up_s)
    schedule = parse(spec)
    spec = schedule.spec
    args_json = gojson.encode_args(args, allow_huge_integers=False)
    entry = PeriodicEntry(spec, checked, schedule, args_json, catch_up_s)
    size = len(entry.slot(0)[2])
    if size > pool.max_job_bytes:
        raise InvalidArgs(
            f"cron job {shown(name)} takes {size} bytes, more than "
            f"max_job_bytes={pool.max_job_bytes}; "
            "store large data elsewhere and enqueue a reference to it"
        )
    if entry.field in pool.periodic_fields:
        raise PoolState(
            f"cron {spec!r} of {name!r} is registered already; "
            "one slot is one job, so a second entry needs another name or spec"
        )
    for remark in schedule.remarks:
        _log.warning("cron %r of %r: %s", spec, name, remark)
    if not schedule.is_interval and "TZ=" not in spec and not host_is_utc():
        zone = host_zone_name()
        _log.warning(
            "cron %r of %r uses the host's zone %s; write CRON_TZ=%s in front so that all hosts "
            "agree",
            spec,
            name,
            zone,
            zone,
        )
    pool.periodic.append(entry)
    pool.periodic_fields.add(entry.field)
