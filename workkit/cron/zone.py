"""Zones: which one the host is in, and how far its wall clock is from UTC.

The host's zone is found as Go finds it, so that a Go and a Python pool on one host agree: ``TZ`` if
it is set, a zone's name or an absolute path, with or without a leading colon; else
``/etc/localtime``. Where that leads nowhere (a POSIX rule in ``TZ``, a name that the host does not
know, no ``/etc/localtime``, as on Windows) the zone is UTC.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

__all__ = ["WallClock", "host_is_utc", "host_zone", "host_zone_name", "named_zone"]

_LOCALTIME: Final = Path("/etc/localtime")
#: The directory below which every system keeps its zone files, by their names.
_ZONE_DIRECTORY: Final = "/zoneinfo/"

#: What `ZoneInfo` raises for a name that is unknown, a directory, no zone file, or malformed.
_NO_ZONE: Final = (KeyError, OSError, ValueError)

_DAY_S: Final = 86_400
#: How far apart a zone is asked for its offset. A change and its reversal lie further apart: four
#: days in the shortest case that the IANA database knows (Freetown, September 1939).
_PROBE_S: Final = _DAY_S
#: Years whose winters and summers tell whether a zone keeps UTC's time.
_PROBED_YEARS: Final = range(2000, 2038)


def named_zone(name: str) -> tzinfo | None:
    """Find a zone by its IANA name.

    Args:
        name: Such as ``Europe/Berlin``; empty means UTC.

    Returns:
        The zone, or None where the host has none of that name.
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
        Its IANA name where that can be told; the path of the zone file where it is a copy.
    """
    return _host()[0]


def host_is_utc() -> bool:
    """Tell whether the host's wall clock shows UTC, whatever its zone is called.

    Returns:
        True where no winter and no summer of this century is off from UTC.
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
    """The wall clock of one zone: how far it is from UTC, and when that changes.

    Args:
        zone: Any zone; one with a constant offset is asked only once.
    """

    __slots__ = ("_constant_s", "_zone")

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        constant = zone.utcoffset(None)
        self._constant_s = None if constant is None else _seconds(constant)

    def offset_s(self, epoch_s: int) -> int:
        """Return how many seconds the wall clock is ahead of UTC at that instant."""
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
            The first instant after `epoch_s` that has another offset; None where none does up to
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
