"""Zones: finds the host's zone, and the offset of its wall clock from UTC.

The host's zone is found as Go finds it, so that a Go and a Python pool on one host agree: from
``TZ`` if it is set (a zone's name or an absolute path, with or without a leading colon), else from
``/etc/localtime``. If that names no zone (a POSIX rule in ``TZ``, a name that the host does not
know, no ``/etc/localtime``, as on Windows), the zone is UTC.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

__all__ = ["WallClock", "host_is_utc", "host_zone", "host_zone_name", "named_zone"]

_LOCALTIME: Final = Path("/etc/localtime")
#: Every system keeps its zone files by name below a directory of this name.
_ZONE_DIRECTORY: Final = "/zoneinfo/"

#: The errors of `ZoneInfo` for an unknown name, a directory, another file, or a malformed name.
_NO_ZONE: Final = (KeyError, OSError, ValueError)

_DAY_S: Final = 86_400
#: The step in which a zone's offset is read. A change and its reversal are further apart: at least
#: four days in the IANA database (Freetown, September 1939).
_PROBE_S: Final = _DAY_S
#: The winters and summers of these years show whether a zone always has UTC's time.
_PROBED_YEARS: Final = range(2000, 2038)


def named_zone(name: str) -> tzinfo | None:
    """Find a zone by its IANA name.

    Args:
        name: Such as ``Europe/Berlin``; empty means UTC.

    Returns:
        The zone, or None if the host does not know the name.
    """
    if name in {"", "UTC"}:
        return UTC
    try:
        return ZoneInfo(name)
    except _NO_ZONE:
        return None


def host_zone() -> tzinfo:
    """Find the host's zone, with its DST rules.

    Returns:
        The zone that ``TZ`` or ``/etc/localtime`` names, or else UTC.
    """
    return _host()[1]


def host_zone_name() -> str:
    """Name the host's zone.

    Returns:
        Its IANA name if it is known; the path of the zone file if that is a copy.
    """
    return _host()[0]


def host_is_utc() -> bool:
    """Tell whether the host's wall clock shows UTC, under any zone name.

    Returns:
        True if the offset from UTC is zero in all winters and summers of the probed years.
    """
    clock = WallClock(host_zone())
    return not any(
        clock.offset_s(int(datetime(year, month, 1, tzinfo=UTC).timestamp()))
        for year in _PROBED_YEARS
        for month in (1, 7)
    )


def _host() -> tuple[str, tzinfo]:
    name = os.environ.get("TZ")
    if name is None:
        zone = _zone_in_file(_LOCALTIME)
        return ("UTC", UTC) if zone is None else (_name_of(_LOCALTIME), zone)
    name = name.removeprefix(":")
    if name.startswith("/"):
        zone = _zone_in_file(Path(name))
        return ("UTC", UTC) if zone is None else (_name_of(Path(name)), zone)
    zone = named_zone(name)
    return ("UTC", UTC) if zone is None else (name or "UTC", zone)


def _zone_in_file(path: Path) -> tzinfo | None:
    try:
        with path.open("rb") as file:
            return ZoneInfo.from_file(file, key=str(path))
    except _NO_ZONE:
        return None


def _name_of(path: Path) -> str:
    _, found, name = str(path.resolve()).rpartition(_ZONE_DIRECTORY)
    return name if found else str(path)


class WallClock:
    """The wall clock of one zone: its offset from UTC, and the changes of that offset.

    Args:
        zone: Any zone; a constant offset is read only once.
    """

    __slots__ = ("_constant_s", "_zone")

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        constant = zone.utcoffset(None)
        self._constant_s = None if constant is None else _seconds(constant)

    def offset_s(self, epoch_s: int) -> int:
        """Return how many seconds the wall clock is ahead of UTC at an instant."""
        if self._constant_s is not None:
            return self._constant_s
        offset = datetime.fromtimestamp(epoch_s, self._zone).utcoffset()
        return 0 if offset is None else _seconds(offset)

    def next_change(self, epoch_s: int, until_s: int) -> int | None:
        """Find when the offset changes.

        Args:
            epoch_s: An instant whose offset is known, epoch seconds.
            until_s: The last instant of interest, epoch seconds.

        Returns:
            The first instant after `epoch_s` with another offset; None if there is none up to
            `until_s`.
        """
        if self._constant_s is not None:
            return None
        offset_s, same_s = self.offset_s(epoch_s), epoch_s
        while same_s < until_s:
            other_s = min(same_s + _PROBE_S, until_s)
            if self.offset_s(other_s) != offset_s:
                while other_s - same_s > 1:
                    middle_s = (same_s + other_s) // 2
                    if self.offset_s(middle_s) == offset_s:
                        same_s = middle_s
                    else:
                        other_s = middle_s
                return other_s
            same_s = other_s
        return None


def _seconds(offset: timedelta) -> int:
    return offset.days * _DAY_S + offset.seconds
