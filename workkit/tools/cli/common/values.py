"""Parses options: spans of time, points in time, sizes, JSON. Each is a click callback."""

from __future__ import annotations

import math
import re
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from workkit.core.text import read_span
from workkit.tools.cli.common.options import now_s

if TYPE_CHECKING:
    import datetime

__all__ = [
    "to_bytes",
    "to_count",
    "to_interval",
    "to_job_id",
    "to_job_ids",
    "to_look_back",
    "to_named",
    "to_object",
    "to_page",
    "to_past",
    "to_seconds",
    "to_time",
    "to_timeout",
    "to_users",
]

_NUMBER: Final = re.compile(r"\d{1,15}(?:\.\d{0,9})?", re.ASCII)
_SIZE: Final = re.compile(r"(\d{1,9}(?:\.\d{0,9})?)([mgt])(?:i?b)?", re.ASCII | re.IGNORECASE)
_UNITS_BYTES: Final = {"m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
#: The bounds of the time between two readings of a console, seconds.
_SHORTEST_S: Final = 0.1
_LONGEST_S: Final = 3_600.0
#: The longest time that a console remembers, seconds.
_LOOK_BACK_S: Final = 86_400.0
#: We treat a larger count as a mistake.
_MOST: Final = 1_000_000_000


def to_count(_ctx: click.Context, _param: click.Parameter, value: int | None) -> int | None:
    """Check that a number is 1 or more."""
    if value is not None and not 1 <= value <= _MOST:
        raise click.BadParameter(f"{value} is not a whole number from 1 to {_MOST}")
    return value


def to_named(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    """Refuse an empty path, which is mostly a variable that is not set."""
    if not value:
        raise click.BadParameter("it is empty; write . for the current directory")
    return value


def to_job_id(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Refuse an empty id, which is mostly a variable that is not set.

    Malformed payloads have an empty id, so it would pick one of them.
    """
    if value is not None and not value.strip():
        raise click.BadParameter("a job id may not be empty")
    return value


def to_job_ids(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse empty ids among several; see `to_job_id`."""
    for each in value:
        to_job_id(ctx, param, each)
    return value


def to_interval(_ctx: click.Context, _param: click.Parameter, value: float) -> float:
    """Check that a number of seconds is one between two readings."""
    if not _SHORTEST_S <= value <= _LONGEST_S:  # NaN is not, either
        raise click.BadParameter(f"{value:g} is not from {_SHORTEST_S:g} to {_LONGEST_S:g} seconds")
    return value


def to_look_back(_ctx: click.Context, _param: click.Parameter, value: str) -> float:
    """Parse how long a console remembers; returns seconds, 0 for "none"."""
    if value == "none":
        return 0.0
    span = read_span(value.strip())
    if span is None or not 0 < span[0] <= _LOOK_BACK_S:
        raise click.BadParameter(
            f"{value!r} is not a span of time up to 24h; write 1h, or none to remember nothing"
        )
    return span[0]


def to_bytes(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    """Parse a size such as 500M or 1.5G; returns bytes."""
    if value is None:
        return None
    match = _SIZE.fullmatch(value.strip())
    size = int(float(match[1]) * _UNITS_BYTES[match[2].lower()]) if match else 0
    if not size:
        raise click.BadParameter(f"{value!r} is not a size; write 500M or 1.5G")
    return size


def to_seconds(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    """Parse a span of time such as 90, 1.5, 15m, 2h or 1d; returns seconds."""
    if value is None:
        return None
    span = read_span(value.strip())
    if span is None:
        raise click.BadParameter(f"{value!r} is not a span of time; write 90, 15m, 2h, 1d or 1w")
    return span[0]


def to_timeout(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Parse a span of time, or "none" for no limit; returns seconds."""
    return None if value == "none" else to_seconds(ctx, param, value)


def to_time(
    _ctx: click.Context, _param: click.Parameter, value: str | None
) -> datetime.datetime | float | None:
    """Parse a point in time: ISO 8601 with a time zone, or epoch seconds."""
    return None if value is None else _time(value.strip())


def to_page(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Check the address of a page."""
    if value is None:
        return None
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(value)
        _ = parts.port  # reads it
        right = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        right = False
    if not right or parts.username or parts.query or parts.fragment:
        raise click.BadParameter(
            f"{value!r} is not the address of a page; write https://HOST or https://HOST/PATH"
        )
    return value


def to_past(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Parse a point in time, or a span with a unit before now; returns epoch seconds.

    Of two options "since" and "until", the first must be earlier.
    """
    if value is None:
        return None
    at_s = _past(value.strip())
    period = {"since": ctx.params.get("since"), "until": ctx.params.get("until")}
    period |= {param.name or "": at_s}
    since, until = period["since"], period["until"]
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must be before --until: 2h ago is before 1h ago", ctx)
    return at_s


def _past(value: str) -> float:
    span = read_span(value)
    if span is not None and span[1]:
        return max(now_s() - span[0], 0.0)
    time = _time(value, ", or a span before now such as 15m, 2h or 1d")
    return time if isinstance(time, float) else max(time.timestamp(), 0.0)


def _time(value: str, more: str = "") -> datetime.datetime | float:
    import datetime

    if _NUMBER.fullmatch(value):
        return float(value)
    try:
        time = datetime.datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not a time; write 2030-01-31T09:00+01:00, 2030-01-31T08:00Z "
            f"or epoch seconds{more}"
        ) from None
    if time.tzinfo is None:
        raise click.BadParameter(
            f"{value!r} has no time zone; add Z for UTC or an offset such as +01:00"
        )
    return time


def to_object(
    _ctx: click.Context, _param: click.Parameter, value: str | None
) -> dict[str, Any] | None:
    """Parse a JSON object. "-" reads it from standard input; null becomes None."""
    if value is None:
        return None
    import json

    try:
        parsed = json.loads(
            _typed_in() if value == "-" else value,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_object,
        )
    except RecursionError:
        raise click.BadParameter("the JSON is nested too deeply") from None
    except ValueError as error:
        raise click.BadParameter(
            f"this is not valid JSON: {error}; quote it for the shell, as in '{{\"id\": 7}}'"
        ) from None
    if parsed is not None and not isinstance(parsed, dict):
        raise click.BadParameter(
            f'args must be a JSON object such as {{"id": 7}}, not {type(parsed).__name__}'
        )
    return parsed


def _typed_in() -> str:
    """Read standard input as UTF-8, whatever the locale says; some editors begin it with a BOM."""
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise click.BadParameter(
            f"standard input is not UTF-8: line {line} has other bytes"
        ) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    from workkit.admin.actions.new_args import named_twice

    twice = named_twice(pairs)
    if twice is not None:
        raise click.BadParameter(f"the JSON has the name {twice!r:.200} twice in one object")
    return dict(pairs)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"JSON has no {name}")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits:.40} is too large")
    return number


def to_users(
    _ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]
) -> dict[str, str]:
    """Read pairs NAME=TOKEN; returns token -> name. Messages show no token."""
    users: dict[str, str] = {}
    for pair in value:
        name, sign, token = pair.partition("=")
        if not sign or not name.strip():
            raise click.BadParameter("a user is written as NAME=TOKEN, such as ann=s3cret")
        if not token:
            raise click.BadParameter(f"the token of {name.strip()!r} is empty")
        if token in users:
            raise click.BadParameter(
                f"{users[token]!r} and {name.strip()!r} have the same token; give each its own"
            )
        users[token] = name.strip()
    return users
