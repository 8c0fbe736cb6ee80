"""Checking and entering what a user registers with a pool."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from workkit.core import gojson
from workkit.core.options import JobOptions, check_whole
from workkit.cron import host_is_utc, host_zone_name, parse
from workkit.cron.slots import PeriodicEntry
from workkit.engine.engine import PoolSpec
from workkit.engine.handling.handlers import Registration, read_handler
from workkit.errors import InvalidOption, PoolState
from workkit.store.keys import check_name

__all__ = ["register_job", "register_periodic"]

_log = logging.getLogger("workkit")

_MAX_CATCH_UP_S: Final = 86_400


def register_job(
    spec: PoolSpec, name: str | None, function: object, options: dict[str, Any]
) -> None:
    """Enter a handler; the errors are those of `WorkerPool.job`."""
    checked = check_name(name)
    try:
        job_options = JobOptions(**options)
    except TypeError:
        known = JobOptions.__dataclass_fields__
        unknown = ", ".join(sorted(set(options) - set(known)))
        raise InvalidOption(
            f"job {checked!r}: no option {unknown}; there are {', '.join(known)}"
        ) from None
    except InvalidOption as error:
        raise InvalidOption(f"job {checked!r}: {error}") from None
    if checked in spec.registrations:
        raise PoolState(f"job {checked!r} is registered already")
    handler = read_handler(function, checked, has_context=spec.context is not None)
    spec.registrations[checked] = Registration(checked, handler, job_options)


def register_periodic(
    pool: PoolSpec, spec: str, name: str, args: Mapping[str, Any] | None, catch_up_s: int
) -> None:
    """Enter a cron job; the errors are those of `WorkerPool.periodically_enqueue`."""
    checked = check_name(name)
    check_whole("catch_up_s", catch_up_s, 0, _MAX_CATCH_UP_S)
    schedule = parse(spec)
    spec = schedule.spec
    args_json = gojson.encode_args(args, allow_huge_integers=False)
    entry = PeriodicEntry(spec, checked, schedule, args_json, catch_up_s)
    if any(known.field == entry.field for known in pool.periodic):
        raise PoolState(
            f"cron {spec!r} of {name!r} is registered already; "
            "one slot is one job, so a second needs another name or spec"
        )
    for remark in schedule.remarks:
        _log.warning("cron %r of %r: %s", spec, name, remark)
    if not schedule.is_interval and "TZ=" not in spec and not host_is_utc():
        zone = host_zone_name()
        _log.warning(
            "cron %r of %r goes by the host's zone %s; write CRON_TZ=%s in front so that every "
            "host agrees",
            spec,
            name,
            zone,
            zone,
        )
    pool.periodic.append(entry)
