"""What a replay changes: its fleet, the rules of its jobs, an outage, a deploy."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from workkit.core.options import check_whole, near_match, shown
from workkit.core.text import age, read_span
from workkit.errors import InvalidOption

__all__ = ["Moment", "WhatIf", "check_comes", "read_what_if"]

#: Seconds since the replay began, a datetime with a time zone, or either as text: "3h",
#: "2026-11-25T02:00Z".
Moment: TypeAlias = "float | datetime.datetime | str"
BackoffIf: TypeAlias = "Callable[..., float] | float | Literal['default'] | None"

_MOST_WORKERS: Final = 10_000
_MOST_POOLS: Final = 1_000
_MOST_LIMIT: Final = 2**31
_MOST_PRIORITY: Final = 100_000


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """The changes of a replay. Without any, everything is as history shows it.

    Attributes:
        concurrency: How many handlers each pool runs at once.
        processes: How many pools there are.
        limits: Name -> `max_concurrency`: how many of its jobs run at once in all pools; 0 for no
            limit. History does not record limits: None for those of its source, if it has some.
        priorities: Name -> the weight of its queue. History does not record priorities.
        backoff: Seconds until the next try: a number, or a function of the job (and the error) as
            `JobOptions` takes it; "default" for the engine's own. Delays that a handler chose
            itself stay.
        outage: Times when Redis is away, each with its duration in seconds or as "10m". Enqueuers
            try again every second until it answers.
        deploy: Times when all pools are started again, one after the other. Each gets 30 s for the
            jobs that run.

    Raises:
        InvalidOption: A value is out of its range; the message names it.
    """

    concurrency: int | None = None
    processes: int | None = None
    limits: Mapping[str, int] | None = None
    priorities: Mapping[str, int] = field(default_factory=dict)
    backoff: BackoffIf = None
    outage: Sequence[tuple[Moment, float | str]] = ()
    deploy: Sequence[Moment] = ()

    def __post_init__(self) -> None:
        if self.concurrency is not None:
            check_whole("concurrency", self.concurrency, 1, _MOST_WORKERS)
        if self.processes is not None:
            check_whole("processes", self.processes, 1, _MOST_POOLS)
        for name, low, most in (("limits", 0, _MOST_LIMIT), ("priorities", 1, _MOST_PRIORITY)):
            values = getattr(self, name)
            if values is None and name == "limits":
                continue
            if not isinstance(values, Mapping):
                raise InvalidOption(
                    f'{name} must be a mapping from names to numbers, such as {{"mail": 2}}, '
                    f"not {shown(values)}"
                )
            for job, value in values.items():
                check_whole(f"{name} of {job!r}", value, low, most)
        self._check_backoff()

    def _check_backoff(self) -> None:
        backoff = self.backoff
        number = isinstance(backoff, (int, float)) and not isinstance(backoff, bool)
        if number and not 0 <= backoff < math.inf:  # type: ignore[operator]
            number = False
        if not (backoff is None or backoff == "default" or number or callable(backoff)):
            raise InvalidOption(
                'backoff must be a number of seconds, a function of the job, or "default", '
                f"not {shown(backoff)}"
            )

    def check_names(self, known: frozenset[str]) -> None:
        """Refuse limits and priorities of jobs that history does not have."""
        for what in ("limits", "priorities"):
            for name in getattr(self, what) or ():
                if name not in known:
                    raise InvalidOption(
                        f"{what} names {name!r}, and history has no such job"
                        f"{near_match(str(name), known)}"
                    )

    def outages(self, start_s: float) -> list[tuple[float, float]]:
        """Return when Redis goes away and for how long, seconds since the replay began."""
        found = _listed(self.outage)
        try:
            pairs = [(at, for_s) for at, for_s in found]
        except (TypeError, ValueError):
            raise InvalidOption(
                f'outage must be pairs of a time and a duration, such as ("3h", "10m"), '
                f"not {shown(self.outage)}"
            ) from None
        return [
            (_moment("outage", at, start_s), _seconds("the duration of outage", for_s))
            for at, for_s in pairs
        ]

    def deploys(self, start_s: float) -> list[float]:
        """Return when the pools are started again, seconds since the replay began."""
        deploy: Any = self.deploy
        found = [deploy] if isinstance(deploy, (str, float, int, datetime.datetime)) else deploy
        return [_moment("deploy", at, start_s) for at in found]


def check_comes(what: str, times_s: Sequence[float], lasts_s: float) -> None:
    """Refuse times after the end of history, at which nothing would change.

    Raises:
        InvalidOption: The message says how long history lasts.
    """
    for at_s in times_s:
        if at_s > lasts_s:
            raise InvalidOption(
                f"the time of {what}, {age(at_s)} after the beginning, is too late: this history "
                f"lasts {age(lasts_s)}"
            )


def _listed(outage: Any) -> Any:
    """Take one pair for a list of pairs."""
    if isinstance(outage, (tuple, list)) and len(outage) == 2:  # noqa: PLR2004 - a pair
        first = outage[0]
        if isinstance(first, (str, float, int, datetime.datetime)):
            return [outage]
    return outage


def _moment(what: str, value: Any, start_s: float) -> float:
    """Return a time as seconds since the replay began."""
    at_s = value
    if isinstance(value, str):
        span = read_span(value.strip())
        if span is not None:
            at_s = span[0]
        else:
            try:
                at_s = datetime.datetime.fromisoformat(value.strip())
            except ValueError:
                raise InvalidOption(
                    f"the time of {what} must be like 3h (since the replay began) or "
                    f"2026-11-25T02:00Z, not {shown(value)}"
                ) from None
    if isinstance(at_s, datetime.datetime):
        if at_s.tzinfo is None:
            raise InvalidOption(
                f"the time of {what}, {value!s}, has no time zone; add Z for UTC, or an offset"
            )
        at_s = at_s.timestamp() - start_s
    number = isinstance(at_s, (int, float)) and not isinstance(at_s, bool)
    if not number or not 0 <= at_s < math.inf:
        raise InvalidOption(
            f"the time of {what} must be at or after the beginning of the replay, "
            f"not {shown(value)}"
        )
    return float(at_s)


def _seconds(what: str, value: Any) -> float:
    if isinstance(value, str):
        span = read_span(value.strip())
        value = span[0] if span is not None else value
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        raise InvalidOption(f"{what} must be seconds above 0, or like 10m, not {shown(value)}")
    return float(value)


_READ: Final = ("concurrency", "processes", "limits.NAME", "priorities.NAME", "backoff", "outage",
                "deploy")  # fmt: skip


def read_what_if(texts: Sequence[str]) -> WhatIf:
    """Read changes from text, as the command line takes them.

    Args:
        texts: Such as ``concurrency=40``, ``limits.send_email=2``, ``backoff=60``,
            ``outage=3h+10m`` (at 3 h, for 10 minutes) or ``deploy=6h``. The last two may come more
            than once.

    Raises:
        InvalidOption: A text has another form; the message names it and shows the forms.
    """
    changes: dict[str, Any] = {"priorities": {}, "outage": [], "deploy": []}
    for text in texts:
        # A job's name may hold "=", and no value does.
        what, equals, value = text.rpartition("=")
        if not equals:
            raise InvalidOption(f"{text!r} must be NAME=VALUE; there are {', '.join(_READ)}")
        _read_one(changes, what.strip(), value.strip())
    return WhatIf(**changes)


def _read_one(changes: dict[str, Any], what: str, value: str) -> None:
    kind, _, job = what.partition(".")
    if kind in {"concurrency", "processes"} and not job:
        changes[kind] = _whole(what, value)
    elif kind in {"limits", "priorities"} and job:
        changes.setdefault(kind, {})[job] = _whole(what, value)
    elif kind == "backoff" and not job:
        changes[kind] = value if value == "default" else _seconds("backoff", value)
    elif kind == "outage" and not job:
        # The offset of a zone also has a "+"; the duration is behind the last.
        at, plus, for_s = value.rpartition("+")
        if not plus:
            raise InvalidOption(f"outage={value} must be TIME+DURATION, such as outage=3h+10m")
        changes[kind].append((at, for_s))
    elif kind == "deploy" and not job:
        changes[kind].append(value)
    elif kind in {"limits", "priorities"}:
        raise InvalidOption(f"{kind} needs the name of a job, such as {kind}.mail={value}")
    else:
        forms = [each.partition(".")[0] for each in _READ]
        raise InvalidOption(
            f"a replay cannot change {what!r}{near_match(kind, forms)}; it can change "
            f"{', '.join(_READ)}"
        )


def _whole(what: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise InvalidOption(f"{what} must be a whole number, not {value!r}") from None
