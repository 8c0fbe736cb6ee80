"""A job's bytes: valid and malformed payloads, and changes of single fields."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.parity.gopeer import GoJobRecord
from workkit.core import gojson
from workkit.core import job as wire
from workkit.core.undecodable import UNDECODABLE, bury_undecodable, restore_undecodable
from workkit.errors import Undecodable

ID: Final = "0123456789abcdef01234567"
NOW_S: Final = 1_800_000_000
GOOD: Final = b'{"name":"mail","id":"x","t":17,"args":{"n":1},"fails":2,"err":"e","failed_at":18}'
SPACES: Final = st.sampled_from([b"", b"", b" ", b"\n", b"\t ", b"\r\n  "])
NUMBERS: Final = st.integers(-(10**300), 10**300).map(str) | st.sampled_from(
    ["-0", "0.0", "1E5", "1e-400", "1.50", "-0.0e0", "123456789012345678901234567890.0"]
)
#: Fields that a later version or another program may add.
UNKNOWN: Final = st.text(min_size=1, max_size=6).filter(
    lambda name: name not in wire.Payload.__struct_encode_fields__
)


@st.composite
def values(draw: st.DrawFn, numbers: st.SearchStrategy[str] = NUMBERS) -> bytes:
    """JSON of another program: any whitespace, any notation of numbers, any order of keys."""
    plain = st.text(max_size=4).map(json.dumps) | st.sampled_from(["null", "true", "[]", "{}"])
    text = draw(numbers | plain)
    for _ in range(draw(st.integers(0, 3))):
        key = json.dumps(draw(st.text(max_size=3)))
        before, after = draw(SPACES).decode(), draw(SPACES).decode()
        text = draw(
            st.sampled_from(
                [
                    f"[{before}{text}{after},1]",
                    f"{{{before}{key}{after}:{before}{text}}}",
                    f"[{text}]",
                ]
            )
        )
    return text.encode()


@st.composite
def members(draw: st.DrawFn) -> dict[str, bytes]:
    """The fields of a job in any order, each with its bytes."""
    fields: dict[str, bytes] = {
        "name": json.dumps(draw(st.text(min_size=1, max_size=5))).encode(),
        "id": b'"x"',
        "t": str(draw(st.integers(-(10**30), 10**30))).encode(),
    }
    if draw(st.booleans()):
        inner = draw(values())
        fields["args"] = b'{"a":%b,"b": %b }' % (inner, inner)
    if draw(st.booleans()):
        fields |= {"unique": b"true", "unique_key": b'"k\\u003c"'}
    if draw(st.booleans()):
        fields |= {"fails": b"3", "err": b'"old \\u0026 \\u00e9"', "failed_at": b"5"}
    unknown = draw(st.dictionaries(UNKNOWN, values(st.just("1e400") | NUMBERS), max_size=3))
    return {key: (fields | unknown)[key] for key in draw(st.permutations([*fields, *unknown]))}


@st.composite
def laid_out(draw: st.DrawFn) -> tuple[dict[str, bytes], bytes]:
    """The fields of a job, and the job with any whitespace around them."""
    fields = draw(members())
    parts = [
        b"%b%b%b:%b%b%b"
        % (draw(SPACES), json.dumps(key).encode(), draw(SPACES), draw(SPACES), raw, draw(SPACES))
        for key, raw in fields.items()
    ]
    return fields, b"%b{%b}%b" % (draw(SPACES), b",".join(parts), draw(SPACES))


def joined(fields: dict[str, bytes]) -> bytes:
    """A job whose values have exactly these bytes."""
    parts = (
        b"%b:%b" % (json.dumps(key, ensure_ascii=False).encode(), raw)
        for key, raw in fields.items()
    )
    return b"{%b}" % b",".join(parts)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A job with any fields of its life."""
    raw = draw(laid_out().map(lambda pair: pair[1]) | st.just(GOOD))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(raw)))
        until = draw(st.integers(at, min(at + 8, len(raw))))
        raw = raw[:at] + draw(st.binary(max_size=3)) + raw[until:]
    return raw


# Reading


@given(laid_out())
def test_a_job_is_read_however_it_is_laid_out(pair: tuple[dict[str, bytes], bytes]) -> None:
    fields, raw = pair
    known = {key: json.loads(value) for key, value in fields.items() if key in _PLAIN}
    job = wire.decode(raw)
    assert job.raw == raw
    assert {key: getattr(job, _PLAIN[key]) for key in known} == known
    assert job.args == json.loads(fields.get("args", b"null"))


_PLAIN: Final = {
    "name": "name",
    "id": "id",
    "t": "enqueued_at",
    "unique": "unique",
    "unique_key": "unique_key",
    "fails": "fails",
    "err": "last_err",
    "failed_at": "failed_at",
}


@given(st.integers(-(10**4000), 10**4000))
def test_an_integer_of_any_size_is_read_exactly(number: int) -> None:
    raw = wire.encode("n", ID, 1, gojson.encode_args({"v": number}))
    job = wire.decode(raw)
    assert job.arg_int("v") == number
    assert type(job.arg_int("v")) is int


@given(st.binary() | damaged())
@example(b"")
@example(b"null")
@example(b"[" * 100_000)
@example(b'{"name":"a","id":"b","t":1,"args":%b}' % (b'{"a":' * 50_000 + b"1" + b"}" * 50_000))
@example(b'{"name":"a","id":"b","t":1,"args":{"n":%b}}' % (b"9" * 5_000))
@example(b'{"name":"\xff","id":"b","t":1}')
@example(b'{"name":"\\ud800","id":"b","t":1}')
def test_reading_any_bytes_returns_a_job_or_raises_undecodable(raw: bytes) -> None:
    try:
        job = wire.decode(raw)
    except Undecodable as refusal:
        assert refusal.raw == raw  # noqa: PT017 - a part of the examples is read
        assert str(refusal)  # noqa: PT017
    else:
        assert job.name
        assert isinstance(job.enqueued_at, int)
        assert job.args is None or isinstance(job.args, dict)


@pytest.mark.parametrize("field", ["name", "id", "t", "args", "unique", "fails", "err"])
@pytest.mark.parametrize("junk", [b"1.5", b"[]", b"{}", b"[1]", b"1e3", b'"1"', b"-"])
def test_a_field_of_the_wrong_type_makes_a_payload_malformed(field: str, junk: bytes) -> None:
    right = {"name": b'"1"', "id": b'"1"', "err": b'"1"', "args": b"{}"}
    if right.get(field) == junk:
        return
    fields = {"name": b'"a"', "id": b'"b"', "t": b"1", field: junk}
    with pytest.raises(Undecodable, match=r"^not a job: "):
        wire.decode(joined(fields))


@pytest.mark.parametrize("missing", ["name", "id", "t"])
def test_a_missing_first_field_makes_a_payload_malformed(missing: str) -> None:
    with pytest.raises(Undecodable):
        wire.decode(wire.splice(GOOD, **{missing: None}))


def test_an_empty_name_makes_a_payload_malformed() -> None:
    with pytest.raises(Undecodable, match="no name"):
        wire.decode(wire.splice(GOOD, name=""))


@pytest.mark.parametrize(
    "raw", [GOOD + b"x", GOOD + GOOD, GOOD[:-1], b" " + GOOD[1:], b"[%b]" % GOOD]
)
def test_bytes_that_are_almost_a_job_are_malformed(raw: bytes) -> None:
    with pytest.raises(Undecodable):
        wire.decode(raw)


@example("a", '"<', b"")
@given(st.text(min_size=1, max_size=5), st.text(max_size=5), st.sampled_from([b"", b"{}"]))
def test_an_id_tells_a_payload_from_that_of_every_other_job(
    name: str, job_id: str, args: bytes
) -> None:
    raw = wire.encode(name, job_id, 1, args or b"null", unique_key="k", unique_until="done")
    assert f'"id":"{wire.id_text(wire.decode(raw))}"'.encode() in raw
    for payload in (raw, wire.failed(raw, 1, "e", 2), json.dumps(json.loads(raw)).encode()):
        assert wire.is_payload_of(payload, job_id)
    args_of_another = b'{"id":%b}' % json.dumps(job_id).encode()
    for other in (b"1", b"", wire.encode(name, job_id + "0", 1, args_of_another)):
        assert not wire.is_payload_of(other, job_id)


# Changing


@given(laid_out(), st.integers(1, 10**9), st.text(max_size=9), st.integers(0, 2**40))
def test_a_failure_changes_its_three_fields_and_no_other_byte_of_a_value(
    pair: tuple[dict[str, bytes], bytes], fails: int, error: str, failed_at: int
) -> None:
    fields, raw = pair
    expected = fields | {
        "fails": b"%d" % fails,
        "err": gojson.encode_text(error),
        "failed_at": b"%d" % failed_at,
    }
    assert wire.failed(raw, fails, error, failed_at) == joined(expected)


@given(laid_out(), st.data())
def test_splicing_changes_only_the_named_fields(
    pair: tuple[dict[str, bytes], bytes], data: st.DataObject
) -> None:
    fields, raw = pair
    names = st.sampled_from([*fields, "fails", "err", "failed_at", "unique", "fresh"])
    new = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=5)
    changes = data.draw(st.dictionaries(names.filter(lambda name: name != "raw"), new, max_size=4))
    expected = dict(fields)
    for name, value in changes.items():
        if value is None:
            expected.pop(name, None)
        else:
            text = (
                gojson.encode_text(value) if isinstance(value, str) else json.dumps(value).encode()
            )
            expected[name] = text
    assert wire.splice(raw, **changes) == joined(expected)


@given(laid_out())
def test_splicing_without_changes_is_idempotent(
    pair: tuple[dict[str, bytes], bytes],
) -> None:
    once = wire.splice(pair[1])
    assert once == joined(pair[0])
    assert wire.splice(once) == once


@given(laid_out())
def test_the_args_of_a_job_keep_their_bytes_through_every_failure(
    pair: tuple[dict[str, bytes], bytes],
) -> None:
    fields, raw = pair
    for fails in range(1, 4):
        raw = wire.failed(raw, fails, "error", NOW_S)
    assert wire.args_json(raw) == fields.get("args", b"null")


@given(damaged())
@example(GOOD[:-1] + b',"\xff":1}')
def test_any_job_that_was_read_can_be_changed_and_read_again(raw: bytes) -> None:
    try:
        wire.decode(raw)
    except Undecodable:
        return
    assert wire.decode(wire.failed(raw, 7, "error", NOW_S)).fails == 7


def test_a_text_that_utf8_cannot_encode_still_makes_a_readable_job() -> None:
    raw = wire.failed(GOOD, 1, "broken \ud800 text", NOW_S)
    assert "broken" in wire.decode(raw).last_err
    assert "broken" in GoJobRecord.decode(raw).err


# Long errors


@given(st.text(max_size=50), st.integers(0, 3_000), st.text(max_size=50))
def test_a_long_error_keeps_its_head_and_tail_within_its_bound(
    head: str, repeats: int, tail: str
) -> None:
    error = head + "frame é\U0001f600 " * repeats + tail
    bounded = wire.bounded_error(error)
    if len(error.encode()) <= wire.MAX_ERROR_BYTES:
        assert bounded == error
        return
    assert len(bounded.encode()) <= wire.MAX_ERROR_BYTES + 50
    assert bounded.startswith(head)
    assert bounded.endswith(tail)
    assert "bytes left out" in bounded
    kept = bounded.partition("\n... ")[0] + bounded.rpartition(" ...\n")[2]
    assert "\ufffd" not in kept.replace(head, "").replace(tail, "")


@pytest.mark.parametrize("size", [4_096, 4_097, 16_384, 16_385, 100_000])
def test_an_error_is_cut_only_beyond_its_bound(size: int) -> None:
    bounded = wire.bounded_error("x" * size)
    assert ("left out" in bounded) is (size > wire.MAX_ERROR_BYTES)
    assert wire.decode(wire.failed(GOOD, 1, "x" * size, NOW_S)).last_err == bounded


# Malformed payloads


@given(st.binary(max_size=60), st.text(min_size=1, max_size=6), st.text(max_size=20))
def test_a_malformed_payload_is_wrapped_in_a_readable_job_and_restored(
    raw: bytes, origin: str, reason: str
) -> None:
    buried = bury_undecodable(raw, origin, reason, ID, NOW_S)
    job = wire.decode(buried)
    assert (job.name, job.id, job.fails, job.failed_at) == (origin, ID, 1, NOW_S)
    assert job.last_err == f"undecodable payload: {reason}"
    assert restore_undecodable(job) == raw
    go = GoJobRecord.decode(buried)
    assert (go.name, go.id, go.enqueued_at, go.fails) == (origin, ID, NOW_S, 1)


@pytest.mark.parametrize(
    "args",
    [
        None,
        {},
        {"from": "a"},
        {UNDECODABLE: 5},
        {UNDECODABLE: "no base64!"},
        {UNDECODABLE: "é"},
    ],
)
def test_a_plain_job_restores_no_malformed_payload(args: dict[str, Any] | None) -> None:
    job = wire.decode(wire.encode("a", ID, 1, gojson.encode_args(args)))
    assert restore_undecodable(job) is None
