"""The fields of a query, one row each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from workkit.core import fingerprint
from workkit.core.records import Placed

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ALIASES", "BARE", "FIELDS", "Field", "json_text"]

Ask = Callable[[Placed, float], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    Attributes:
        name: Its name in a query.
        kind: "name" must match as a whole, "text" must contain the value, "number" and "span"
            (seconds) are compared by size.
        says: Its meaning, for help.
        example: An example query.
        ask: Returns the field's value for a record at a time (epoch seconds). None matches no
            query value.
    """

    name: str
    kind: Literal["name", "text", "number", "span"]
    says: str
    example: str
    ask: Ask


def json_text(value: Any) -> str:
    """Return the text of an arg for comparing: a string unchanged, other values as JSON."""
    if isinstance(value, str):
        return value
    import json

    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _age(placed: Placed, now_s: float) -> float | None:
    return now_s - placed.job.enqueued_at if placed.job.enqueued_at else None


def _failed(placed: Placed, now_s: float) -> float | None:
    return now_s - placed.job.failed_at if placed.job.failed_at else None


def _died(placed: Placed, now_s: float) -> float | None:
    return now_s - placed.at if placed.place == "dead" and placed.at is not None else None


def _due(placed: Placed, now_s: float) -> float | None:
    return placed.at - now_s if placed.place in {"scheduled", "retry"} and placed.at else None


def _args(placed: Placed, _now_s: float) -> str | None:
    args: Mapping[str, Any] | None = placed.job.args
    return None if args is None else json_text(args)


def _is(placed: Placed, _now_s: float) -> list[str]:
    job = placed.job
    marks = {
        "unique": job.unique,
        "failed": bool(job.fails),
        "cron": job.id.startswith("periodic:"),
        "junk": job.undecodable is not None,
    }
    return [mark for mark, holds in marks.items() if holds]


def _error(placed: Placed, _now_s: float) -> str | None:
    return placed.job.undecodable or placed.job.last_err or None


def _type(placed: Placed, _now_s: float) -> str | None:
    return fingerprint.parts(placed.job.last_err).type or None if placed.job.last_err else None


def _fingerprint(placed: Placed, _now_s: float) -> str | None:
    return fingerprint.fingerprint(placed.job.last_err) or None


FIELDS: Final = {
    field.name: field
    for field in (
        Field(
            "queue",
            "name",
            "the job's name, which is its queue",
            "queue:mail,letter",
            lambda placed, _: placed.job.name,
        ),
        Field("id", "name", "the job's id", "id:6f1c*", lambda placed, _: placed.job.id),
        Field("error", "text", "the last error with its traceback", "error:timeout", _error),
        Field("type", "name", "the exception's type", "type:ValueError", _type),
        Field(
            "fingerprint",
            "name",
            "equal for equal failures",
            "fingerprint:6b0c45fb7f6e",
            _fingerprint,
        ),
        Field(
            "fails", "number", "how often it failed", "fails:>3", lambda placed, _: placed.job.fails
        ),
        Field("age", "span", "time since it was enqueued", "age:<1h", _age),
        Field("failed", "span", "time since it failed last", "failed:<10m", _failed),
        Field("died", "span", "time since it died", "died:1h..2h", _died),
        Field("due", "span", "time until it is due", "due:<5m", _due),
        Field("args", "text", "all args, as JSON", 'args:"acme"', _args),
        Field("is", "name", "unique, failed, cron or junk", "is:unique", _is),
        Field(
            "place",
            "name",
            "queued, running, scheduled, retry or dead",
            "place:queued",
            lambda placed, _: placed.place,
        ),
    )
}
#: Other names of fields.
ALIASES: Final = {"name": "queue", "err": "error", "arg": "args"}
#: The fields that a bare word is searched in.
BARE: Final = ("queue", "id", "error", "args")
