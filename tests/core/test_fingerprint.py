"""Fingerprints are equal for equal failures, and depend only on the error text."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any, Final, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workkit.core.fingerprint import (
    _without_path,
    error_text,
    fingerprint,
    parts,
    traceback_of,
    without_own_frames,
)
from workkit.core.job import Job
from workkit.core.options import check_wait
from workkit.errors import InvalidOption

DIGITS: Final = st.integers(0, 10**9)
WORDS: Final = st.text("abcdefghijklmnopqrstuvwxyz _.", max_size=12)

TRACE: Final = """{headline}

Traceback (innermost last):
  File "/app/{home}/jobs.py", line {line}, in send_email
    deliver(address)
  File "/app/{home}/mail.py", line {line}, in {function}
    raise Broken
  File "/usr/lib/python3.12/site-packages/smtp/client.py", line {line}, in connect
    sock.connect()"""


def traced(headline: str, *, line: int = 7, home: str = "v1", function: str = "deliver") -> str:
    return TRACE.format(headline=headline, line=line, home=home, function=function)


def raised(error: BaseException) -> BaseException:
    """Return an error that was raised."""
    try:
        throw(error)
    except BaseException as caught:  # noqa: BLE001 - any error is the matter here
        return caught


def throw(error: BaseException) -> NoReturn:
    raise error


# Paths


@given(st.text("ab_.-/ '1", max_size=40))
def test_a_run_of_path_characters_with_a_slash_becomes_a_path(text: str) -> None:
    expected = re.sub(r"(?:[\w.-]*/)+[\w.-]+", "<path>", text)  # equal, but in quadratic time
    assert re.sub(r"[\w./-]+", lambda run: _without_path(run[0]), text) == expected


@pytest.mark.parametrize("unit", ["a", "a.", "/", "a/", "0xa_", "a1b2", "-", "'", '"', "1.", "\t"])
def test_a_pattern_runs_in_linear_time_on_unbroken_text(unit: str) -> None:
    # Not timed: a pattern that tries a long run again from each of its characters takes
    # hours for this text, and the test's own time limit ends it.
    assert fingerprint("E: " + unit * 1_000_000)


# The same failure


@given(DIGITS, DIGITS, st.uuids(), st.uuids())
def test_numbers_ids_and_quoted_texts_make_no_difference(
    a: int, b: int, one: uuid.UUID, two: uuid.UUID
) -> None:
    text = "OrderError: order {} of user '{}' ({}) failed at 0x{:x} after {}.{} s"
    first = text.format(a, a, one, a, a, b)
    second = text.format(b, f"name {b}", two, b, b, a)
    assert fingerprint(first) == fingerprint(second)


@given(st.binary(min_size=12, max_size=12), st.binary(min_size=12, max_size=12))
def test_job_ids_make_no_difference(one: bytes, two: bytes) -> None:
    texts = [f"LookupError: no job {'0' + data.hex()} here" for data in (one, two)]
    assert fingerprint(texts[0]) == fingerprint(texts[1])


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("OSError: cannot open /tmp/a/b.txt", "OSError: cannot open /var/lib/x-1/c.dat"),
        ("E: took 1.5 s", "E: took 22.75 s"),
        ("E: version 1.2.3 is gone", "E: version 2.0.17 is gone"),
        ('E: no column "a b"', 'E: no column "c"'),
        ("E: a  message   with spaces", "E: a message with spaces"),
        ("E: 10.0.0.1 refused", "E: 192.168.1.254 refused"),
        ("E: HTTP 500 from shard 3", "E: HTTP 503 from shard 12"),
    ],
)
def test_parts_that_vary_between_runs_make_no_difference(one: str, two: str) -> None:
    assert fingerprint(one) == fingerprint(two)


@given(st.integers(1, 9_999), WORDS)
def test_a_moved_line_and_another_directory_make_no_difference(line: int, home: str) -> None:
    assert fingerprint(traced("E: x")) == fingerprint(traced("E: x", line=line, home=home))


def test_frames_of_libraries_make_no_difference() -> None:
    without = traced("E: x").rpartition("  File")[0]
    assert fingerprint(traced("E: x")) == fingerprint(without)
    assert parts(traced("E: x")).frame == "mail.py:deliver"


# Another failure


@given(st.from_regex(r"[A-Z][a-z]{1,8}Error", fullmatch=True), WORDS)
def test_another_type_of_error_is_another_failure(kind: str, message: str) -> None:
    assert fingerprint(f"{kind}: {message}") != fingerprint(f"Other{kind}: {message}")
    assert parts(f"{kind}: {message}").type == kind


def test_another_message_or_another_place_is_another_failure() -> None:
    texts = [
        "ValueError: no such user",
        "ValueError: no such order",
        "ValueError",
        traced("ValueError: no such user"),
        traced("ValueError: no such user", function="render"),
    ]
    assert len(set(map(fingerprint, texts))) == len(texts)


# Any text


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("dial tcp 10.0.0.1:6379: refused", "", "dial tcp <n>:<n>: refused"),
        ("context deadline exceeded", "", "context deadline exceeded"),
        ("stray job: no handler", "", "stray job: no handler"),
        ("boom", "boom", ""),
        ("runtime error: index 3 of 2", "", "runtime error: index <n> of <n>"),
        ("pkg.Error: x", "pkg.Error", "x"),
    ],
)
def test_an_error_of_a_go_pool_is_used_unchanged(text: str, kind: str, message: str) -> None:
    assert parts(text) == (kind, message, "")
    assert fingerprint(text) == fingerprint(text.replace("3", "44").replace("10.0.0.1", "10.0.0.2"))
    assert fingerprint(text) != fingerprint(f"{text} again")


@given(st.text() | st.text(alphabet=st.characters(categories=["Cs", "Lu", "Nd"])))
def test_any_text_has_a_fingerprint_of_twelve_hex_digits(text: str) -> None:
    found = fingerprint(text)
    assert re.fullmatch(r"[0-9a-f]{12}", found) if text else found == ""
    assert fingerprint(text) == found


# Error texts


def test_an_error_text_begins_with_type_and_message_and_ends_in_its_innermost_frame() -> None:
    text = error_text(raised(ValueError("no such user")))
    headline, blank, *trace = text.splitlines()
    assert headline == "ValueError: no such user"
    assert blank == ""
    assert trace[0] == "Traceback (innermost last):"
    assert "test_fingerprint.py" in trace[-3] + trace[-2]
    assert parts(text).frame == "test_fingerprint.py:throw"


@pytest.mark.parametrize(
    ("error", "headline"),
    [
        (KeyError("k"), "KeyError: 'k'"),
        (ValueError(), "ValueError"),
        (SystemExit(3), "SystemExit: 3"),
        (RuntimeError("two\nlines"), "RuntimeError: two\nlines"),
    ],
)
def test_the_text_of_an_error_that_was_never_raised_is_its_headline(
    error: BaseException, headline: str
) -> None:
    assert error_text(error) == headline


def test_an_error_whose_str_raises_still_has_a_text() -> None:
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    headline = error_text(raised(BrokenError())).partition("\n")[0]
    assert headline == "BrokenError: (its message cannot be shown: ZeroDivisionError)"


def test_an_error_text_is_written_without_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    monkeypatch.setattr("ast.parse", parsed.append)
    with pytest.raises(ZeroDivisionError) as caught:
        assert [1 // number for number in (1, 0)]
    assert "[1 // number" in error_text(caught.value)
    assert not parsed


def test_a_huge_message_and_a_deep_traceback_are_bounded() -> None:
    def dig(depth: int) -> None:
        if depth == 0:
            raise ValueError("x" * 100_000)
        dig(depth - 1)

    with pytest.raises(ValueError, match="x") as caught:
        dig(200)
    text = error_text(caught.value)
    assert len(text.partition("\n")[0]) <= 2_000
    assert text.count('  File "') <= 20
    assert parts(text).frame == "test_fingerprint.py:dig"


def test_frames_of_workkit_itself_are_left_out_of_an_error_text() -> None:
    def call(receive: Any) -> BaseException:
        job = Job("a", "b", 1, {"k": 1})
        job.on_checkin(receive)
        try:
            job.checkin("half")
        except ZeroDivisionError as error:
            return error
        raise AssertionError

    error = call(lambda message: 1 / len(message[:0]))
    assert "job.py" not in error_text(error)
    assert "<lambda>" in error_text(error)
    assert without_own_frames(error) is error


@given(st.text(max_size=30))
def test_an_error_text_keeps_its_fingerprint_through_json(message: str) -> None:
    text = error_text(raised(ValueError(message)))
    assert fingerprint(json.loads(json.dumps(text))) == fingerprint(text)


def test_an_error_that_workkit_itself_raises_is_stored_as_its_message() -> None:
    with pytest.raises(InvalidOption) as caught:
        check_wait("timeout", "soon")
    trace = traceback_of(caught.value)
    assert trace is not None
    error = caught.value.with_traceback(trace.tb_next)  # without the frame of this test
    assert error_text(error) == f"InvalidOption: {error}"
