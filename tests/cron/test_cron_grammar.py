"""Valid specs, refused specs with their messages, and the zones of specs."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workkit.cron import Schedule, host_is_utc, host_zone, host_zone_name, parse, zone
from workkit.cron.schedule import IntervalSchedule
from workkit.errors import InvalidSpec

if TYPE_CHECKING:
    from pathlib import Path

#: 24 November 2016, 00:22:00 UTC, a Thursday.
START_S: Final = 1479946920


def first_due(schedule: Schedule, count: int) -> list[int]:
    return list(islice(schedule.upcoming(START_S, 2**62), count))


@pytest.mark.parametrize(
    ("spec", "plain"),
    [
        ("5 4 * * *", "0 5 4 * * *"),
        ("0 0 0 ? ? ?", "0 0 0 * * *"),
        ("0 0 0 * jan-MAR Sun", "0 0 0 * 1,2,3 0"),
        ("10/20 * * * * *", "10,30,50 * * * * *"),
        ("1-9/4 * * * * *", "1,5,9 * * * * *"),
        ("*/100 * * * * *", "0 * * * * *"),
        ("*/9223372036854775807 * * * * *", "0 * * * * *"),
        ("*-5 * * * * *", "* * * * * *"),
        ("?-x/2 * * * * *", "*/2 * * * * *"),
        ("+5 * * * * *", "5 * * * * *"),
        (",,1,, * * * * *", "1 * * * * *"),
        ("00 000 0 * * *", "0 0 0 * * *"),
        ("  0\t0\u30000\u00a0* * *  ", "0 0 0 * * *"),
        ("0 0 0 */1 * 1", "0 0 0 * * 1"),
        ("0 0 0 5,* * 1", "0 0 0 * * 1"),
        ("0 0 0 */2 * 1", "0 0 0 1/2 * 1"),
        ("@yearly", "0 0 0 1 1 *"),
        ("@annually", "0 0 0 1 1 *"),
        ("@monthly", "0 0 0 1 * *"),
        ("@weekly", "0 0 0 * * 0"),
        ("@daily", "0 0 0 * * *"),
        ("@midnight", "0 0 0 * * *"),
        ("@hourly", "0 0 * * * *"),
        ("TZ=UTC   @daily ", "0 0 0 * * *"),
        ("TZ= 0 0 0 * * *", "0 0 0 * * *"),
        ("CRON_TZ=Local @daily", "0 0 0 * * *"),
    ],
)
def test_a_spec_means_what_its_plain_form_means(spec: str, plain: str) -> None:
    schedule, plain_schedule = parse(spec, default_zone=UTC), parse(plain, default_zone=UTC)
    assert first_due(schedule, 20) == first_due(plain_schedule, 20)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("0 0 30 2 *", "day of month '30' does not come in month '2'"),
        ("0 0 31 4,6,9,11 *", "day of month '31' does not come in month '4,6,9,11'"),
        ("0 0 0 31 2 *", "day of month '31' does not come in month '2'"),
        ("0 0 30,31 FEB ?", "day of month '30,31' does not come in month 'FEB'"),
        ("0 0 31 FEB,APR 0-6,*", "day of month '31' does not come in month 'FEB,APR'"),
        ("TZ=Asia/Tokyo 0 0 31/2 6 *", "day of month '31/2' does not come in month '6'"),
        (", * * * *", "minute ',' has no value"),
        (", * * * * *", "second ',' has no value"),
        ("0 ,, * * *", "hour ',,' has no value"),
        ("0 0 , * *", "day of month ',' has no value"),
        ("0 0 0 , * 1", "day of month ',' has no value"),
        ("0 0 1 , *", "month ',' has no value"),
        ("0 0 1 * ,", "day of week ',' has no value"),
    ],
)
def test_a_spec_that_is_never_due_is_refused_with_the_reason(spec: str, reason: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse(spec, default_zone=ZoneInfo("Europe/Berlin"))
    assert str(caught.value).startswith(f"cron spec {spec!r}: it is never due: {reason}; write ")


@pytest.mark.parametrize(
    ("spec", "days"),
    [
        ("0 0 29 2 *", ["2020-02-29", "2024-02-29", "2028-02-29"]),
        ("0 0 30 2,3 *", ["2017-03-30", "2018-03-30", "2019-03-30"]),
        ("0 0 31 2 MON", ["2017-02-06", "2017-02-13", "2017-02-20"]),
        ("0 0 30 2 0-6", ["2017-02-01", "2017-02-02", "2017-02-03"]),
        ("0 0 31 * *", ["2016-12-31", "2017-01-31", "2017-03-31"]),
        ("0 0 29,30 2 *", ["2020-02-29", "2024-02-29", "2028-02-29"]),
        ("0 0 1-31 * 1", ["2016-11-25", "2016-11-26", "2016-11-27"]),
    ],
)
def test_a_rare_day_is_not_one_that_never_comes(spec: str, days: list[str]) -> None:
    due = first_due(parse(spec, default_zone=UTC), 3)
    assert [datetime.fromtimestamp(at_s, UTC).date().isoformat() for at_s in due] == days


@pytest.mark.parametrize(
    ("spec", "remark"),
    [
        ("*/90 * * * *", "minute '*/90' means 0 alone, since its step leaves the range 0-59"),
        ("*/90 * * * *", "; for an interval write '@every 90m'"),
        ("0 */25 * * *", "hour '*/25' means 0 alone, since its step leaves the range 0-23"),
        ("0 */25 * * *", "; for an interval write '@every 25h'"),
        ("0 0 1-31/31 * *", "day of month '1-31/31' means 1 alone"),
        ("50/15 * * * *", "minute '50/15' means 50 alone, since its step leaves the range 50-59"),
        ("*-5 * * * *", "minute '*-5' means '*': the text after its hyphen is ignored"),
        ("0,,5 * * * *", "minute '0,,5' has empty members, which are skipped"),
        ("0 4, * * *", "hour '4,' has empty members, which are skipped"),
        ("CRON_TZ= 0 4 * * *", "its zone is empty, which means UTC"),
        ("@every 500ms", "interval '500ms' means 1 s: whole seconds, at least 1"),
        ("@every 1ns", "interval '1ns' means 1 s"),
        ("@every 90.5s", "interval '90.5s' means 90 s"),
        ("@every 100000h", "longer than a year, and is due at its multiples since 1970"),
    ],
)
def test_a_spec_that_does_something_else_than_it_seems_to_say_has_a_remark(
    spec: str, remark: str
) -> None:
    assert remark in "".join(parse(spec, default_zone=UTC).remarks)


@pytest.mark.parametrize(
    "spec",
    [
        "* * * * *",
        "*/15 0-23/6 1-31/10 jan-dec/3 MON-FRI",
        "5-5/9 * * * *",
        "59/1 +4 ? * 0,6",
        "@daily",
        "@every 1h30m",
        "TZ=Europe/Berlin @weekly",
        "  0\t4 * * *\n",
    ],
)
def test_a_spec_that_does_what_it_says_has_no_remark(spec: str) -> None:
    assert parse(spec, default_zone=UTC).remarks == ()


@pytest.mark.parametrize(
    ("spec", "interval_s"),
    [
        ("@every 1h30m", 5400),
        ("@every 90s", 90),
        ("@every 1h1h", 7200),
        ("@every .5m", 30),
        ("@every 1.m", 60),
        ("@every 0.3h", 1080),
        ("@every +2m", 120),
        ("@every 500ms", 1),
        ("@every 1.9999999999s", 1),
        ("@every 3.9999999999999999999999s", 4),
        ("@every 59.999999999999999999m", 3599),
        ("@every 1000000us", 1),
        ("@every 3000000\u00b5s", 3),
        ("@every 3000000\u03bcs", 3),
        ("@every 5000000000ns", 5),
        ("@every 2562047h47m16.854775807s", 9223372036),
        ("TZ=Asia/Tokyo @every 90s", 90),
    ],
)
def test_an_interval_is_a_go_duration_in_whole_seconds(spec: str, interval_s: int) -> None:
    schedule = parse(spec)
    assert isinstance(schedule, IntervalSchedule)
    assert schedule.is_interval
    assert schedule.interval_s == interval_s


@pytest.mark.parametrize(
    ("spec", "complaint", "remedy"),
    [
        ("", "empty", "write five or six fields"),
        ("   ", "0 fields", "separated by spaces"),
        ("* * * * * * *", "7 fields", "minute hour"),
        (" @daily", "1 field", "minute hour"),
        ("TZ=UTC TZ=UTC @daily", "'TZ=UTC' is not at the beginning", "the zone first, once"),
        (" TZ=UTC 0 0 * * *", "'TZ=UTC' is not at the beginning", "the zone first"),
        (
            "cron_tz=UTC 0 0 * * *",
            "'cron_tz=UTC' is not at the beginning or not in cap",
            "capitals",
        ),
        ("0 0 * * * TZ=UTC", "'TZ=UTC' is not at the beginning", "the zone first"),
        ("TZ=UTC\t0 0 * * *", r"zone 'UTC\t0' is not known", "Europe/Berlin"),
        ("@Daily", "descriptor '@Daily' is unknown", "'@daily', in lower case"),
        ("@daily ", "descriptor '@daily ' is unknown", "'@daily', in lower case and without"),
        ("@DAILY\t", r"descriptor '@DAILY\t' is unknown", "'@daily', in lower case and without"),
        ("@reboot", "descriptor '@reboot' is unknown", "@hourly or '@every 90s'"),
        ("@EVERY 5m", "descriptor '@EVERY 5m' is unknown", "'@every 90s'"),
        ("@every 0", "interval '0' is not above zero", "1s or more"),
        ("@every 0s", "interval '0s' is not above zero", "1s or more"),
        ("@every -1ns", "interval '-1ns' is not above zero", "1s or more"),
        ("@every -1.5h", "interval '-1.5h' is not above zero", "1s or more"),
        ("@every -9223372036854775808ns", "is not above zero", "1s or more"),
        ("*-\ud800 * * * *", "not valid Unicode", "five or six fields"),
        ("0 0 * * 0-7", "day of week '0-7' is above 6", "0 for Sunday"),
        ("0 0 * * * 2030", "day of week '2030' is above 6", "0 for Sunday"),
        ("0 4 * * * root", "day of week 'root' holds 'root'", "SUN to SAT"),
        ("@every", "descriptor '@every' is unknown", "'@every 90s'"),
        ("TZ=UTC", "nothing follows the zone 'UTC'", "write a space"),
        ("TZ=Nowhere/At_All @daily", "zone 'Nowhere/At_All' is not known", "tzdata"),
        ("TZ=../UTC @daily", "zone '../UTC' is not known", "Europe/Berlin"),
        ("TZ=/usr/share/zoneinfo/UTC @daily", "is not known", "Europe/Berlin"),
        ("TZ=America @daily", "zone 'America' is not known", "Europe/Berlin"),
        ("60 * * * * *", "second '60' is above 59", "0 to 59"),
        ("0 60 * * * *", "minute '60' is above 59", "0 to 59"),
        ("0 0 24 * * *", "hour '24' is above 23", "0 to 23"),
        ("0 0 0 0 * *", "day of month '0' is below 1", "1 to 31"),
        ("0 0 0 32 * *", "day of month '32' is above 31", "1 to 31"),
        ("0 0 0 * 0 *", "month '0' is below 1", "JAN to DEC"),
        ("0 0 0 * JANUARY *", "month 'JANUARY' holds 'JANUARY'", "JAN to DEC"),
        ("0 0 0 JAN * *", "day of month 'JAN' holds 'JAN'", "1 to 31"),
        ("0 0 0 * * 7", "day of week '7' is above 6", "0 for Sunday"),
        ("0 0 0 * * FRI-MON", "day of week 'FRI-MON' ends before", "5-6,0-1"),
        ("0 0 0 L * *", "day of month 'L' holds 'L'", "1 to 31"),
        ("0 0 0 * * 5#2", "day of week '5#2' holds '5#2'", "SUN to SAT"),
        ("-1 * * * * *", "second '-1' lacks a value", "0 to 59"),
        ("1- * * * * *", "second '1-' lacks a value", "0 to 59"),
        ("/5 * * * * *", "second '/5' lacks a value", "0 to 59"),
        ("1-2-3 * * * * *", "second '1-2-3' has more than one hyphen", "1-5"),
        ("1/2/3 * * * * *", "second '1/2/3' has more than one slash", "0-30/5"),
        ("*/0 * * * * *", "second '*/0' has the step '0'", "1 or more"),
        ("*/-5 * * * * *", "second '*/-5' has the step '-5'", "1 or more"),
        ("*/9223372036854775808 * * * * *", "has the step", "1 or more"),
        ("0 0 0 * */JAN *", "month '*/JAN' has the step 'JAN'", "1 or more"),
        ("*,60 * * * * *", "second '60' is above 59", "0 to 59"),
        ("\u0663 * * * * *", "second '\u0663' holds", "0 to 59"),
        ("1_0 * * * * *", "second '1_0' holds", "0 to 59"),
        ("0\x1c0 0 * * * *", r"second '0\x1c0' holds", "0 to 59"),
        *(
            (f"@every {text}", f"{text!r} is not a duration", "such as 90s")
            for text in ["", "x", " 1s", "1", "1d", "1s ", ".s", "1.s1", "--1s", "-", "1s-1s"]
        ),
        ("@every 9223372036.854775808s", "is not a duration", "such as 90s"),
        (f"@every {'9' * 5000}s", "is not a duration", "such as 90s"),
    ],
)
def test_a_refusal_names_the_spec_the_field_and_the_remedy(
    spec: str, complaint: str, remedy: str
) -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse(spec, default_zone=UTC)
    message = str(caught.value)
    assert message.startswith(f"cron spec {spec!r}"[:200])
    assert complaint in message
    assert remedy in message.rpartition(";")[2]


@pytest.mark.parametrize("spec", [None, 5, b"* * * * *", ["*"] * 5])
def test_a_spec_that_is_not_a_string_is_refused(spec: Any) -> None:
    with pytest.raises(InvalidSpec, match="is not a string; write five or six fields"):
        parse(spec)


def test_a_member_of_an_enum_is_taken_by_its_value() -> None:
    class Spec(str, Enum):  # noqa: UP042 - it prints its name, not its value
        NIGHTLY = "0 4 * * *"

    assert (type(parse(Spec.NIGHTLY).spec), parse(Spec.NIGHTLY).spec) == (str, "0 4 * * *")


@given(st.text("0123456789*/?-,+.@ =:\tTZUCsmhMON", max_size=30) | st.text(max_size=30))
def test_any_text_is_a_schedule_or_an_invalid_spec(spec: str) -> None:
    try:
        schedule = parse(spec, default_zone=UTC)
    except InvalidSpec:
        return
    assert schedule.spec == spec
    due_s = schedule.next_after(START_S)
    assert due_s is not None
    assert due_s > START_S


# The host's zone


def tzif(offset_s: int) -> bytes:
    """A zone file with one constant offset."""
    counts = struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    return b"TZif" + bytes(16) + counts + struct.pack(">lbb", offset_s, 0, 0) + b"XXX\0"


@pytest.mark.parametrize(
    ("tz", "name", "offset_s"),
    [
        ("Europe/Berlin", "Europe/Berlin", 7200),
        (":Europe/Berlin", "Europe/Berlin", 7200),
        ("Asia/Tokyo", "Asia/Tokyo", 32_400),
        ("Africa/Abidjan", "Africa/Abidjan", 0),
        ("Etc/UTC", "Etc/UTC", 0),
        ("UTC", "UTC", 0),
        ("", "UTC", 0),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "UTC", 0),
        ("Nowhere/At_All", "UTC", 0),
        ("/nowhere/at/all", "UTC", 0),
    ],
)
def test_tz_names_the_hosts_zone(
    monkeypatch: pytest.MonkeyPatch, tz: str, name: str, offset_s: int
) -> None:
    monkeypatch.setenv("TZ", tz)
    in_july = datetime(2024, 7, 1, 12, tzinfo=host_zone())
    assert host_zone_name() == name
    assert in_july.timestamp() == datetime(2024, 7, 1, 12, tzinfo=UTC).timestamp() - offset_s
    assert host_is_utc() == (offset_s == 0)


def test_a_host_in_greenwich_is_not_on_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/London")
    assert not host_is_utc()


def test_tz_may_be_the_path_of_a_zone_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "base"
    file.write_bytes(tzif(2220))
    monkeypatch.setenv("TZ", str(file))
    assert host_zone_name() == str(file)
    assert host_zone().utcoffset(None) == timedelta(minutes=37)


def test_without_tz_the_zone_is_that_of_etc_localtime(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    target = tmp_path / "zoneinfo" / "Mars" / "Base"
    target.parent.mkdir(parents=True)
    target.write_bytes(tzif(2220))
    (tmp_path / "localtime").symlink_to(target)
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(zone, "_LOCALTIME", tmp_path / "localtime")
    assert host_zone_name() == "Mars/Base"
    assert not host_is_utc()
    assert parse("@daily").next_after(START_S) == START_S - START_S % 86_400 + 86_400 - 2220


@pytest.mark.parametrize("content", [None, b"no zone"])
def test_without_a_zone_file_the_host_is_on_utc(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "localtime"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(zone, "_LOCALTIME", file)
    assert (host_zone_name(), host_zone(), host_is_utc()) == ("UTC", UTC, True)


def test_a_zone_in_the_spec_wins_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    noon = "0 0 12 * * *"
    tokyo = parse(f"TZ=Asia/Tokyo {noon}", default_zone=UTC).next_after(START_S)
    host = parse(noon).next_after(START_S)
    assert tokyo == parse(noon, default_zone=ZoneInfo("Asia/Tokyo")).next_after(START_S)
    assert host == parse(f"CRON_TZ=America/New_York {noon}").next_after(START_S)
    assert host == parse(f"TZ=Local {noon}").next_after(START_S)
    assert tokyo != host
