"""What a spec may say: the grammar of robfig/cron 3.0.1 with optional seconds.

    spec        = [ ("TZ=" | "CRON_TZ=") zone " " ] ( fields | descriptor )
    fields      = [ second ] minute hour day-of-month month day-of-week
    field       = range { "," range }
    range       = ( "*" | "?" | value [ "-" value ] ) [ "/" step ]
    descriptor  = "@yearly" | "@annually" | "@monthly" | "@weekly" | "@daily" | "@midnight"
                | "@hourly" | "@every " duration

Five fields are due at second 0. Months and days of the week may be named by their first three
letters, in any case. ``N/step`` goes from N to the field's end. ``?`` is another ``*``. Sunday is
0, and 7 is refused.

What is less obvious is kept too, since a spec that a Go pool takes must not stop a Python one:
values may carry a plus sign, empty members of a list are skipped (a field of commas alone is never
due), and whatever follows the hyphen in ``*-…`` is ignored.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from workkit.cron.schedule import CalendarSchedule, Fields, IntervalSchedule, Schedule
from workkit.cron.zone import host_zone, named_zone
from workkit.errors import InvalidSpec

if TYPE_CHECKING:
    from datetime import tzinfo

__all__ = ["parse"]

#: What Go takes for white space; `str.split` would split at the separators 0x1c to 0x1f as well.
_SPACES: Final = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_NO_SPACE: Final = re.compile(f"[^{_SPACES}]+")
_NUMBER: Final = re.compile(r"\+?0*([0-9]{1,19})")
#: Go's largest `int` and largest `time.Duration`.
_MAX_INT64: Final = 2**63 - 1


class _Bounds(NamedTuple):
    """The values that a field takes."""

    name: str
    lowest: int
    highest: int
    remedy: str
    names: dict[str, int]


def _numbered(names: str, lowest: int) -> dict[str, int]:
    return {name: number for number, name in enumerate(names.split(), lowest)}


_FIELDS: Final = (
    _Bounds("second", 0, 59, "write 0 to 59", {}),
    _Bounds("minute", 0, 59, "write 0 to 59", {}),
    _Bounds("hour", 0, 23, "write 0 to 23", {}),
    _Bounds("day of month", 1, 31, "write 1 to 31", {}),
    _Bounds(
        "month",
        1,
        12,
        "write 1 to 12, or JAN to DEC",
        _numbered("jan feb mar apr may jun jul aug sep oct nov dec", 1),
    ),
    _Bounds(
        "day of week",
        0,
        6,
        "write 0 to 6 with 0 for Sunday, or SUN to SAT",
        _numbered("sun mon tue wed thu fri sat", 0),
    ),
)

#: Descriptors as the six fields that they stand for.
_DESCRIPTORS: Final = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}
_EVERY: Final = "@every "

_SECOND_NS: Final = 1_000_000_000
_UNITS_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # the micro sign
    "\u03bcs": 1_000,  # the Greek letter
    "ms": 1_000_000,
    "s": _SECOND_NS,
    "m": 60 * _SECOND_NS,
    "h": 3600 * _SECOND_NS,
}
_DURATION_PART: Final = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^.0-9]*)")


def parse(spec: str, *, default_zone: tzinfo | None = None) -> Schedule:
    """Read a spec.

    Args:
        spec: Such as ``0 30 4 * * MON-FRI``, ``*/5 * * * *``, ``@daily`` or ``@every 90s``.
        default_zone: The zone of a spec that names none, or ``TZ=Local``; None means the host's.

    Returns:
        What it means.

    Raises:
        InvalidSpec: The spec is outside the grammar; the message names the field and the remedy.
    """
    if not spec:
        raise InvalidSpec("cron spec '' is empty; write five or six fields, or @daily and its kin")
    zone, rest = default_zone, spec
    if spec.startswith(("TZ=", "CRON_TZ=")):
        zone, rest = _split_zone(spec, default_zone)
    if rest.startswith("@"):
        if rest.startswith(_EVERY):
            return IntervalSchedule(spec, _interval_s(spec, rest.removeprefix(_EVERY)))
        rest = _DESCRIPTORS.get(rest) or _unknown_descriptor(spec, rest)
    fields = _parse_fields(spec, _NO_SPACE.findall(rest))
    return CalendarSchedule(spec, fields, host_zone() if zone is None else zone)


def _refuse(spec: str, complaint: str, remedy: str) -> NoReturn:
    raise InvalidSpec(f"cron spec {spec!r}: {complaint}; {remedy}")


def _unknown_descriptor(spec: str, descriptor: str) -> NoReturn:
    known = ", ".join(_DESCRIPTORS)
    _refuse(spec, f"descriptor {descriptor!r} is unknown", f"write {known} or '@every 90s'")


def _split_zone(spec: str, default_zone: tzinfo | None) -> tuple[tzinfo | None, str]:
    prefix, space, rest = spec.partition(" ")
    name = prefix.partition("=")[2]
    if not space:
        _refuse(spec, f"nothing follows the zone {name!r}", "write a space and the fields after it")
    zone = default_zone if name == "Local" else named_zone(name)
    if zone is None and name != "Local":
        _refuse(
            spec,
            f"zone {name!r} is not known on this host",
            "write an IANA name such as Europe/Berlin, and install tzdata where the host lacks it",
        )
    return zone, rest.strip(_SPACES)


def _parse_fields(spec: str, texts: list[str]) -> Fields:
    if len(texts) == len(_FIELDS) - 1:
        texts = ["0", *texts]
    if len(texts) != len(_FIELDS):
        _refuse(
            spec,
            f"it has {len(texts)} fields",
            "write [second] minute hour day-of-month month day-of-week, parted by spaces",
        )
    sets, stars = [], []
    for text, bounds in zip(texts, _FIELDS, strict=True):
        values, star = 0, False
        for expression in filter(None, text.split(",")):
            range_values, range_star = _Range(spec, expression, bounds).parse()
            values |= range_values
            star |= range_star
        sets.append(values)
        stars.append(star)
    seconds, minutes, hours, days, months, weekdays = sets
    return Fields(seconds, minutes, hours, days, months, weekdays, both_days=stars[3] or stars[5])


class _Range(NamedTuple):
    """One member of a field's list, with what its error messages need."""

    spec: str
    text: str
    bounds: _Bounds

    def parse(self) -> tuple[int, bool]:
        """Return the set of its values, and whether it counts as a star."""
        body, slash, step_text = self.text.partition("/")
        if "/" in step_text:
            self._refuse("has more than one slash", "write one step, as in 0-30/5")
        low_text, hyphen, high_text = body.partition("-")
        star = low_text in {"*", "?"}
        if star:
            low, high = self.bounds.lowest, self.bounds.highest
        else:
            low = high = self._value(low_text)
            if hyphen:
                high = self._value(high_text)
            elif slash:
                high = self.bounds.highest
        step = self._step(step_text) if slash else 1
        self._check(low, high)
        values = 0
        for value in range(low, high + 1, step):
            values |= 1 << value
        return values, star and step == 1

    def _check(self, low: int, high: int) -> None:
        bounds = self.bounds
        if low < bounds.lowest:
            self._refuse(f"is below {bounds.lowest}", bounds.remedy)
        if high > bounds.highest:
            self._refuse(f"is above {bounds.highest}", bounds.remedy)
        if low > high:
            self._refuse(
                "ends before it begins",
                f"write two ranges, as in {low}-{bounds.highest},{bounds.lowest}-{high}",
            )

    def _value(self, text: str) -> int:
        named = self.bounds.names.get(text.lower())
        if named is not None:
            return named
        if "-" in text:
            self._refuse("has more than one hyphen", "write one range, as in 1-5")
        number = _number(text)
        if number is None:
            self._refuse(f"holds {text!r}, which is no value", self.bounds.remedy)
        return number

    def _step(self, text: str) -> int:
        step = _number(text)
        if not step:
            self._refuse(f"has the step {text!r}", "write a step of 1 or more, as in */5")
        return step

    def _refuse(self, complaint: str, remedy: str) -> NoReturn:
        _refuse(self.spec, f"{self.bounds.name} {self.text!r} {complaint}", remedy)


def _number(text: str) -> int | None:
    """Read a non-negative number as Go's ``strconv.Atoi`` does."""
    match = _NUMBER.fullmatch(text)
    number = int(match[1]) if match else _MAX_INT64 + 1
    return number if number <= _MAX_INT64 else None


def _interval_s(spec: str, text: str) -> int:
    duration_ns = _duration_ns(text)
    if duration_ns is None:
        _refuse(spec, f"{text!r} is no duration", "write one such as 90s, 1h30m or 1.5h")
    return max(duration_ns // _SECOND_NS, 1)


def _duration_ns(text: str) -> int | None:
    """Read a duration as Go's ``time.ParseDuration`` does; None where that refuses it."""
    sign, digits = (text[:1], text[1:]) if text[:1] in {"+", "-"} else ("", text)
    if digits == "0":
        return 0
    total, position = 0, 0
    while position < len(digits):
        part = _DURATION_PART.match(digits, position)
        part_ns = _part_ns(*part.groups("")) if part else None
        if part is None or part_ns is None:
            return None
        total += part_ns
        if total > _MAX_INT64 + (sign == "-"):
            return None
        position = part.end()
    if not position:
        return None
    return -total if sign == "-" else total


def _part_ns(whole: str, fraction: str, unit: str) -> int | None:
    unit_ns = _UNITS_NS.get(unit)
    digits = whole.lstrip("0")
    # 19 digits hold every duration; a longer number need not be read to be refused.
    if unit_ns is None or not (whole or fraction) or len(digits) > len(str(_MAX_INT64)):
        return None
    return int(digits or "0") * unit_ns + _fraction_ns(fraction, unit_ns)


def _fraction_ns(digits: str, unit_ns: int) -> int:
    """Read the digits after a point, with Go's rounding: in doubles, of what fits 63 bits."""
    fraction, scale = 0, 1.0
    for digit in digits:
        longer = fraction * 10 + int(digit)
        if fraction > _MAX_INT64 // 10 or longer > _MAX_INT64 + 1:
            break
        fraction, scale = longer, scale * 10
    return int(fraction * (unit_ns / scale))
