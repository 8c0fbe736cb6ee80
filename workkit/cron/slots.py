"""Cron entries and the names of their slots."""

from __future__ import annotations

import json
from dataclasses import dataclass

from workkit.core import job as wire
from workkit.cron import Schedule

__all__ = ["PeriodicEntry", "slot_id", "slot_prefix", "split_field", "split_slot"]


@dataclass(frozen=True, slots=True)
class PeriodicEntry:
    """A job that is enqueued by the clock.

    Attributes:
        spec: The cron spec as the user wrote it; it is part of the job ids.
        name: The job's name.
        schedule: The parsed spec.
        args_json: The args, encoded.
        catch_up_s: A missed slot up to this old still runs, seconds.
    """

    spec: str
    name: str
    schedule: Schedule
    args_json: bytes
    catch_up_s: int

    @property
    def field(self) -> str:
        """The entry's name in the `periodic` hash."""
        return _field(self.name, self.spec)

    def slot(self, at_s: int) -> tuple[str, int, bytes]:
        """Return the id, the due time and the job of the slot at a time (epoch seconds)."""
        name = slot_id(self.name, self.spec, at_s)
        return name, at_s, wire.encode(self.name, name, at_s, self.args_json)


def slot_id(name: str, spec: str, at_s: int) -> str:
    """Return the id of a slot, which is also the id of its job.

    Args:
        name: The job's name.
        spec: The cron spec as the user wrote it.
        at_s: When it is due, epoch seconds.
    """
    return f"{slot_prefix(name, spec)}{at_s}"


def slot_prefix(name: str, spec: str) -> str:
    """Return the common prefix of the ids of an entry's slots."""
    return f"periodic:{name}:{spec}:"


def split_slot(job_id: str, name: str) -> tuple[str, int]:
    """Return the entry's name in the `periodic` hash and the time (epoch seconds) of a slot's id.

    The name is "" if the id does not end with a time, so that it belongs to no entry.
    """
    spec, _, at_s = job_id.removeprefix(f"periodic:{name}:").rpartition(":")
    return (_field(name, spec), int(at_s)) if at_s.isdecimal() else ("", 0)


def split_field(field: str) -> tuple[str, str] | None:
    """Return job name and spec of an entry in the `periodic` hash; None if it is malformed."""
    try:
        name, spec = json.loads(field)
    except (ValueError, TypeError):
        return None
    return (name, spec) if isinstance(name, str) and isinstance(spec, str) else None


def _field(name: str, spec: str) -> str:
    return json.dumps([name, spec], ensure_ascii=False)
