"""The syntax of a spec: the grammar of robfig/cron 3.0.1 with optional seconds.

    spec        = [ ("TZ=" | "CRON_TZ=") zone " " ] ( fields | descriptor )
    fields      = [ second ] minute hour day-of-month month day-of-week
    field       = range { "," range }
    range       = ( "*" | "?" | value [ "-" value ] ) [ "/" step ]
    descriptor  = "@yearly" | "@annually" | "@monthly" | "@weekly" | "@daily" | "@midnight"
                | "@hourly" | "@every " duration

Five fields are due at second 0. Months and days of the week may be named by their first three
letters, in any case. ``N/step`` goes from N to the field's end. ``?`` means ``*``. Sunday is 0, and
7 is refused. A value may carry a plus sign.

A spec that a Go pool runs must not stop a Python pool, so the original's less obvious rules are
kept too: empty members of a list are skipped; a step that leaves its range gives only the first
value; the text after the hyphen in ``*-...`` is ignored; an empty zone means UTC; an interval is
cut to whole seconds, at least one. Such a spec gets a remark, which is logged at registration.

Three kinds of specs are refused although the original accepts them, because they never run or have
no meaning: a field without any value (``,``), days that none of the months has (30 February), and
intervals of zero or less.
"""

from __future__ import annotations

import re
from calendar import monthrange
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from workkit.cron.schedule import CalendarSchedule, Fields, IntervalSchedule, Schedule
from workkit.cron.zone import host_zone, named_zone
from workkit.errors import InvalidSpec

if TYPE_CHECKING:
    from datetime import tzinfo

__all__ = ["parse"]

#: White space as Go defines it; `str.split` would also split at the separators 0x1c to 0x1f.
_SPACES: Final = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_NO_SPACE: Final = re.compile(f"[^{_SPACES}]+")
_NUMBER: Final = re.compile(r"\+?0*([0-9]{1,19})")
#: Go's largest `int` and largest `time.Duration`.
#: A message shows so much of the beginning and of the end of a text, characters.
_SHOWN_CHARS: Final = 200
_MAX_INT64: Final = 2**63 - 1


class _Bounds(NamedTuple):
    """The range of a field."""

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

#: A leap year, in which every month has its greatest length.
_LEAP_YEAR: Final = 2000

#: Descriptors and the six fields that they stand for.
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
#: Fields whose steps an interval can replace, with the units of durations.
_UNITS: Final = {"second": "s", "minute": "m", "hour": "h"}

_YEAR_S: Final = 366 * 86_400
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
        default_zone: The zone for a spec without a zone, or with ``TZ=Local``; None for the host's.

    Returns:
        The schedule.

    Raises:
        InvalidSpec: The spec does not fit the grammar or is never due; the message names the field
            and the remedy.
    """
    spec = _check_text(spec)
    zone, rest = default_zone, spec
    remarks: list[str] = []
    if spec.startswith(("TZ=", "CRON_TZ=")):
        zone, rest = _split_zone(spec, default_zone, remarks)
    if rest.startswith("@"):
        if rest.startswith(_EVERY):
            return _interval(spec, rest.removeprefix(_EVERY))
        rest = _DESCRIPTORS.get(rest) or _unknown_descriptor(spec, rest)
    fields = _parse_fields(spec, _NO_SPACE.findall(rest), remarks)
    zone = host_zone() if zone is None else zone
    return CalendarSchedule(spec, fields, zone, remarks=tuple(remarks))


def _check_text(spec: object) -> str:
    remedy = "write five or six fields, or a descriptor such as @daily"
    if not isinstance(spec, str):
        raise InvalidSpec(f"cron spec {spec!r:.200} is not a string; {remedy}")
    spec = str.__str__(spec)  # the value of an enum member
    if not spec:
        raise InvalidSpec(f"cron spec '' is empty; {remedy}")
    try:
        spec.encode()
    except UnicodeEncodeError:
        _refuse(spec, "it is not valid Unicode text, which job ids need", remedy)
    return spec


def _cut(text: str) -> str:
    """Return a text without its middle if it is long."""
    if len(text) <= 2 * _SHOWN_CHARS:
        return text
    return f"{text[:_SHOWN_CHARS]}...{text[-_SHOWN_CHARS:]}"


def _refuse(spec: str, complaint: str, remedy: str) -> NoReturn:
    raise InvalidSpec(f"cron spec {_cut(repr(spec))}: {_cut(complaint)}; {remedy}")


def _unknown_descriptor(spec: str, descriptor: str) -> NoReturn:
    meant = descriptor.strip(_SPACES).lower()
    if meant in _DESCRIPTORS:
        remedy = f"write {meant!r}, in lower case and without spaces"
    else:
        remedy = f"write {', '.join(_DESCRIPTORS)} or '@every 90s'"
    _refuse(spec, f"descriptor {descriptor!r} is unknown", remedy)


def _split_zone(
    spec: str, default_zone: tzinfo | None, remarks: list[str]
) -> tuple[tzinfo | None, str]:
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
    if not name:
        remarks.append("its zone is empty, which means UTC")
    return zone, rest.strip(_SPACES)


def _parse_fields(spec: str, texts: list[str], remarks: list[str]) -> Fields:
    for text in texts:
        if "tz=" in text.lower():
            _refuse(
                spec,
                f"{text!r} is not at the beginning or not in capitals",
                "write the zone first, once, and in capitals: 'CRON_TZ=Europe/Berlin 0 4 * * *'",
            )
    if len(texts) == len(_FIELDS) - 1:
        texts = ["0", *texts]
    if len(texts) != len(_FIELDS):
        _refuse(
            spec,
            f"it has {len(texts)} field{'' if len(texts) == 1 else 's'}",
            "write [second] minute hour day-of-month month day-of-week, separated by spaces",
        )
    parsed = [
        _parse_field(spec, text, bounds, remarks)
        for text, bounds in zip(texts, _FIELDS, strict=True)
    ]
    values = [tuple(sorted(named)) for named, _ in parsed]
    seconds, minutes, hours, days, months, weekdays = values
    both_days = parsed[3][1] or parsed[5][1]
    longest = max(monthrange(_LEAP_YEAR, month)[1] for month in months)
    if both_days and days[0] > longest:
        _refuse(
            spec,
            f"it is never due: day of month {texts[3]!r} does not come in month {texts[4]!r}",
            f"write a day of month up to {longest}, or another month",
        )
    return Fields(seconds, minutes, hours, days, months, weekdays, both_days)


def _parse_field(
    spec: str, text: str, bounds: _Bounds, remarks: list[str]
) -> tuple[set[int], bool]:
    """Return the values of a field, and whether it counts as a star."""
    values: set[int] = set()
    star = False
    members = text.split(",")
    for expression in filter(None, members):
        range_values, range_star = _Range(spec, expression, bounds, remarks).parse()
        values |= range_values
        star |= range_star
    if not values:
        _refuse(
            spec, f"it is never due: {bounds.name} {text!r} has no value", f"{bounds.remedy}, or *"
        )
    if not all(members):
        remarks.append(f"{bounds.name} {text!r} has empty members, which are skipped")
    return values, star


class _Range(NamedTuple):
    """One member of a field's list, with the context for error messages."""

    spec: str
    text: str
    bounds: _Bounds
    remarks: list[str]

    def parse(self) -> tuple[set[int], bool]:
        """Return its values, and whether it counts as a star."""
        body, slash, step_text = self.text.partition("/")
        if "/" in step_text:
            self._refuse("has more than one slash", "write one step, as in 0-30/5")
        low_text, hyphen, high_text = body.partition("-")
        star = low_text in {"*", "?"}
        if star:
            low, high = self.bounds.lowest, self.bounds.highest
            if hyphen:
                self._remark(f"means {low_text!r}: the text after its hyphen is ignored")
        else:
            low = high = self._value(low_text)
            if hyphen:
                high = self._value(high_text)
            elif slash:
                high = self.bounds.highest
        step = self._step(step_text) if slash else 1
        self._check(low, high)
        if low < high < low + step:
            unit = _UNITS.get(self.bounds.name) if star else None
            self._remark(
                f"means {low} alone, since its step leaves the range {low}-{high}"
                + (f"; for an interval write '@every {step}{unit}'" if unit else "")
            )
        return set(range(low, high + 1, step)), star and step == 1

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
        if not text:
            self._refuse("lacks a value", self.bounds.remedy)
        number = _number(text)
        if number is None:
            self._refuse(f"holds {text!r}, which is not a value", self.bounds.remedy)
        return number

    def _step(self, text: str) -> int:
        step = _number(text)
        if not step:
            self._refuse(f"has the step {text!r}", "write a step of 1 or more, as in */5")
        return step

    def _remark(self, remark: str) -> None:
        self.remarks.append(f"{self.bounds.name} {self.text!r} {remark}")

    def _refuse(self, complaint: str, remedy: str) -> NoReturn:
        _refuse(self.spec, f"{self.bounds.name} {self.text!r} {complaint}", remedy)


def _number(text: str) -> int | None:
    """Read a non-negative number as Go's ``strconv.Atoi`` does."""
    match = _NUMBER.fullmatch(text)
    number = int(match[1]) if match else _MAX_INT64 + 1
    return number if number <= _MAX_INT64 else None


def _interval(spec: str, text: str) -> IntervalSchedule:
    duration_ns = _duration_ns(text)
    if duration_ns is None:
        _refuse(spec, f"{text!r} is not a duration", "write one such as 90s, 1h30m or 1.5h")
    if duration_ns <= 0:
        _refuse(spec, f"interval {text!r} is not above zero", "write one of 1s or more")
    interval_s = max(duration_ns // _SECOND_NS, 1)
    remarks = []
    if interval_s * _SECOND_NS != duration_ns:
        remarks.append(f"interval {text!r} means {interval_s} s: whole seconds, at least 1")
    if interval_s > _YEAR_S:
        remarks.append(
            f"interval {text!r} is longer than a year, and is due at its multiples since 1970"
        )
    return IntervalSchedule(spec, interval_s, remarks=tuple(remarks))


def _duration_ns(text: str) -> int | None:
    """Read a duration as Go's ``time.ParseDuration`` does; None if Go refuses it."""
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
    # 19 digits hold every duration; a longer number is refused without reading it.
    if unit_ns is None or not (whole or fraction) or len(digits) > len(str(_MAX_INT64)):
        return None
    return int(digits or "0") * unit_ns + _fraction_ns(fraction, unit_ns)


def _fraction_ns(digits: str, unit_ns: int) -> int:
    """Read the digits after a point with Go's rounding: in doubles, digits within 63 bits."""
    fraction, scale = 0, 1.0
    for digit in digits:
        longer = fraction * 10 + int(digit)
        if fraction > _MAX_INT64 // 10 or longer > _MAX_INT64 + 1:
            break
        fraction, scale = longer, scale * 10
    return int(fraction * (unit_ns / scale))
