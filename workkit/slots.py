"""Cron entries and the names of their slots."""

from __future__ import annotations

import json
from dataclasses import dataclass

from workkit import job as wire
from workkit.cron import Schedule

__all__ = ["PeriodicEntry", "split_slot"]


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
        """Return id, due time and job of the slot at a time (epoch seconds)."""
        slot_id = f"periodic:{self.name}:{self.spec}:{at_s}"
        return slot_id, at_s, wire.encode(self.name, slot_id, at_s, self.args_json)


def split_slot(slot_id: str, name: str) -> tuple[str, int]:
    """Return the name in the `periodic` hash and the time (epoch seconds) of a slot's id.

    An id that has no time at its end belongs to no entry: then the name is "".
    """
    spec, _, at_s = slot_id.removeprefix(f"periodic:{name}:").rpartition(":")
    return (_field(name, spec), int(at_s)) if at_s.isdecimal() else ("", 0)


def _field(name: str, spec: str) -> str:
    return json.dumps([name, spec], ensure_ascii=False)
