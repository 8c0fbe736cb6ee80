"""The values that a snapshot leaves out."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.client.stage import JUNK, SETS, ClientStage, raw_job
from workkit import frames
from workkit.core import job as wire
from workkit.core.fingerprint import fingerprint
from workkit.core.history import PackedHistory, Record, TracedRecord, pack, unpack
from workkit.core.masks import Masks
from workkit.core.records import Place, WorkerObservation
from workkit.core.secrets import may_repeat, without
from workkit.core.undecodable import bury_undecodable
from workkit.snapshot import SECRETS, Redaction, Snapshot, write_snapshot
from workkit_tui.settings import DEFAULT_MASKS

SECRET = "hunter-2-hunter"  # noqa: S105 - the tests' own
KEYS = st.sampled_from(["password", "Api_Token", "user", "n", 'odd"key', "pass\u0077ord"])
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


def args_of(raw: bytes) -> Any:
    return json.loads(wire.args_json(raw))


def hidden(key: str) -> bool:
    return "password" in key.lower() or "token" in key.lower()


def values(value: Any) -> set[str]:
    """Return all values in a value, as texts."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return {text for item in inner for text in values(item)}
    return set() if value is None or isinstance(value, bool) else {str(value)}


def secrets(value: Any) -> set[str]:
    """Return the values of secret keys at any depth."""
    if isinstance(value, list):
        return {text for item in value for text in secrets(item)}
    if not isinstance(value, dict):
        return set()
    return {text for k, v in value.items() for text in (values(v) if hidden(k) else secrets(v))}


def expected(value: Any, gone: set[str]) -> Any:
    if isinstance(value, dict):
        return {
            without(k, gone): "[redacted]" if hidden(k) else expected(v, gone)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [expected(item, gone) for item in value]
    if isinstance(value, str):
        return without(value, gone)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return "[redacted]" if is_number and len(str(value)) >= 4 and str(value) in gone else value


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.booleans())
@example({"password": ["false", "null"], "user": [False, None]}, False)
def test_values_of_secret_keys_are_removed_and_nothing_else(
    args: dict[str, Any], ascii_only: bool
) -> None:
    raw = json.dumps({"name": "a", "id": "x", "t": 1, "args": args}, ensure_ascii=ascii_only)
    assert args_of(Redaction().job(raw.encode())) == expected(args, secrets(args))


def test_other_values_keep_their_bytes() -> None:
    args = b'{"big": 12345678901234567890123 ,"f":1.0,"token":"s"}'
    raw = b'{"name":"a","id":"x","t":1,"args":%b,"own":1.50}' % args
    clean = Redaction().job(raw)
    assert b"12345678901234567890123" in clean
    assert b'"f":1.0' in clean
    assert b'"own":1.50' in clean
    plain = b'{ "name":"a","id":"x", "t":1, "args":{"n":1} }'
    assert Redaction().job(plain) is plain


def test_keys_with_json_escapes_are_found() -> None:
    raw = b'{"name":"a","id":"x","t":1,"args":{"p\\u0061ssword":"hunter2"}}'
    assert args_of(Redaction().job(raw)) == {"password": "[redacted]"}


def test_secret_values_are_removed_from_errors_and_unique_keys() -> None:
    raw = raw_job(
        "x",
        args={"login": {"token": SECRET}, "n": 1},
        unique=True,
        unique_key=f'ns:unique:mail:{{"token":"{SECRET}"}}\n',
        err=f"ValueError: {SECRET} is wrong\n\nTraceback",
        fails=1,
    )
    clean = Redaction().job(raw)
    job = wire.decode(clean)
    assert SECRET.encode() not in clean
    assert job.last_err == "ValueError: [redacted] is wrong\n\nTraceback"
    assert job.unique_key.startswith("redacted:")
    assert job.args == {"login": {"token": "[redacted]"}, "n": 1}


@pytest.mark.parametrize("notation", [repr, json.dumps, quote, lambda s: repr(json.dumps(s))])
def test_escaped_forms_of_a_secret_are_removed_from_errors(notation: Any) -> None:
    secret = 'hunter "22"\n/é'  # noqa: S105 - the test's own
    args = json.dumps({"token": secret})
    job = json.dumps({"name": "a", "id": "x", "t": 1, "args": json.loads(args), "fails": 1,
                      "err": f"no {notation(secret)}", "failed_at": 2})  # fmt: skip
    clean = json.loads(Redaction().job(job.encode()))
    assert clean["err"].replace("%5B", "[").strip("'\"").startswith("no ")
    assert "hunter" not in clean["err"]
    record = Record(
        "x", "mail", 1, 2, 3, "dead", 1, f"no {notation(secret)}", "f", "w", "", args,
        ((1, f"with {notation(secret)}"),),
    )  # fmt: skip
    packed = PackedHistory("1-0", "1", "p", "h", pack([record]), 1, "")
    (found,) = unpack(Redaction().history(packed).blob)
    assert "hunter" not in found.error + found.checkins[0][1]


def test_a_secret_is_removed_wherever_its_job_has_it() -> None:
    args = {"password": SECRET, "url": f"https://me:{SECRET}@db/x", "pin": 83_412, "n": 83_412,
            "list": [SECRET, {SECRET: 1}], "other": 12}  # fmt: skip
    raw = raw_job("x", args=args, baggage=f"who={SECRET}")
    clean = Redaction().job(raw)
    assert SECRET.encode() not in clean
    assert b"83412" not in clean
    assert args_of(clean) == {
        "password": "[redacted]", "url": "https://me:[redacted]@db/x", "pin": "[redacted]",
        "n": "[redacted]", "list": ["[redacted]", {"[redacted]": 1}], "other": 12,
    }  # fmt: skip
    assert json.loads(clean)["baggage"] == "who=[redacted]"


FORMS: Any = [
    {"headers": [["Authorization", f"Bearer {SECRET}"]]},
    {"headers": ["Host", "x", "X-Api-Key", SECRET]},
    {"fields": [{"name": "password", "value": SECRET}]},
    {"fields": [{"key": "token", "values": [SECRET]}]},
    {"argv": ["mysql", "--password", SECRET]},
    {"argv": ["mysql", f"--password={SECRET}"]},
    {"url": f"postgres://app:{SECRET}@db/x"},
    {"url": f"https://db/x?page=1&access_token={SECRET}&n=2"},
    {"text": f"Cookie: session={SECRET}"},
    {"body": json.dumps({"password": SECRET})},
    {"Authorization": f"Bearer {SECRET}"},
]


@pytest.mark.parametrize("args", FORMS, ids=lambda args: json.dumps(args)[:40])
def test_a_secret_is_found_by_its_place_and_form_as_in_the_console(args: Any) -> None:
    coded = base64.b64encode(f"app:{SECRET}".encode()).decode()
    error = f"E: {SECRET}, as {coded}, of {args}"
    clean = Redaction().job(raw_job("x", args=args, err=error, fails=1))
    assert SECRET.encode() not in clean
    assert coded[8:20].encode() not in clean
    assert SECRET not in json.dumps(Masks(SECRETS).hide(args))
    record = Record(
        "x", "mail", 1, 2, 3, "dead", 1, error, "f", "w", "", json.dumps(args), ((1, error),)
    )
    (found,) = unpack(
        Redaction().history(PackedHistory("1-0", "1", "p", "h", pack([record]), 1, "")).blob
    )
    assert SECRET not in f"{found.args}{found.error}{found.checkins}"


def test_a_secret_that_only_an_error_or_a_checkin_shows_is_found_by_its_form() -> None:
    error = f"OperationalError: postgres://app:{SECRET}@db refused"
    clean = json.loads(Redaction().job(raw_job("x", args={"n": 1}, err=error, fails=1)))
    assert clean["err"] == "OperationalError: postgres://app:[redacted]@db refused"
    assert clean["args"] == {"n": 1}
    record = Record("x", "mail", 1, 2, 3, "dead", 1, error, "f", "w", "", None, ((1, error),))
    packed = PackedHistory("1-0", "1", "p", "h", pack([record]), 1, "")
    (found,) = unpack(Redaction().history(packed).blob)
    assert SECRET not in f"{found.error}{found.checkins}"
    worker = WorkerObservation("w", is_busy=True, args_json="{}", checkin=error)
    assert SECRET not in Redaction().worker(worker).checkin


#: Values with and without other notations, and texts that may have parts of them.
GONE = st.sampled_from(["hunter-2", "pässword", 'a"b/c&d', "x y z", "83412", "abc"])
PARTS = st.sampled_from(["...", "…", " ", "hunt", "\\", '"', "é", "\u2028", "-2", "n"]) | GONE


@given(st.sets(GONE), st.lists(PARTS, max_size=4), st.booleans(), st.integers(0, 4))
def test_what_is_left_alone_holds_no_secret_in_any_notation(
    gone: set[str], parts: list[str], ascii_only: bool, coded: int
) -> None:
    text = "".join(parts)
    notations: list[Any] = [
        str, repr, json.dumps, quote, lambda it: base64.b64encode(it.encode()).decode()
    ]  # fmt: skip
    error = f"E: {notations[coded](text)}"
    found = json.dumps([error, {text: error}, 83412], ensure_ascii=ascii_only)
    if not may_repeat(found.encode(), gone):
        assert [without(each, gone) for each in (text, error)] == [text, error]
        assert "83412" not in gone


def test_the_hash_of_a_unique_key_cannot_be_looked_up() -> None:
    raw = raw_job("x", args={"token": SECRET}, unique=True, unique_key="ns:unique:mail:{}")
    one = Redaction()
    hashes = [wire.decode(each.job(raw)).unique_key for each in (one, one, Redaction())]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    "key",
    [
        {"password": SECRET, "n": 1},
        {"user": {"api-token": [SECRET]}},
        {"argv": ["mysql", "--password", SECRET]},
        {"url": f"postgres://app:{SECRET}@db/x"},
    ],
    ids=lambda key: next(iter(key)),
)
def test_a_secret_that_only_the_unique_key_has_is_removed(key: Any) -> None:
    raw = raw_job(
        "x",
        args={"note": f"for {SECRET}"},
        unique=True,
        unique_key=f"{{ns}}:unique:mail:{json.dumps(key)}\n",
    )
    clean = Redaction().job(raw)
    assert SECRET.encode() not in clean
    assert wire.decode(clean).unique_key.startswith("redacted:")
    plain = raw_job("x", args={"n": 1}, unique=True, unique_key='ns:unique:mail:{"n":1}\n')
    assert Redaction().job(plain) == plain


def test_history_loses_what_its_job_loses_also_without_args(
    stage: ClientStage, tmp_path: Path
) -> None:
    text = f"ValueError: no entry with {SECRET}"
    stage.lay("dead", {raw_job("x", args={"password": SECRET}, err=text, fails=1): 1})
    records = pack([Record("x", "mail", 1, 2, 3, "dead", 1, text, "f", "w")])
    fields: dict[Any, Any] = {
        "v": "1", "pool": "p", "host": "h", "n": 1, "r": records, "b": 0, "ver": "",
    }  # fmt: skip
    stage.redis.xadd(f"{stage.namespace}:history", fields, id="5-1")
    write_snapshot(stage.client, tmp_path / "s")
    (found,) = Snapshot(tmp_path / "s").history()
    assert found.error == "ValueError: no entry with [redacted]"


def test_failures_of_history_stay_in_the_groups_of_their_jobs(
    stage: ClientStage, tmp_path: Path
) -> None:
    records = []
    for n, secret in enumerate(("first-hunter", "other-fisher")):
        text = f'ValueError: no entry with {secret}\n\nTraceback\n  File "/a.py", line 1, in f'
        stage.lay("dead", {raw_job(f"x{n}", args={"password": secret}, err=text, fails=1): 1})
        mark = fingerprint(text)
        records.append(
            Record(f"x{n}", "mail", 1, 2, 3, "dead", 1, text.partition("\n")[0], mark, "w")
        )
    fields: dict[Any, Any] = {
        "v": "1", "pool": "p", "host": "h", "n": 2, "r": pack(records), "b": 0, "ver": "",
    }  # fmt: skip
    stage.redis.xadd(f"{stage.namespace}:history", fields, id="5-2")
    write_snapshot(stage.client, tmp_path / "s")
    (group,) = frames.errors(tmp_path / "s").itertuples()
    assert (group.dead, group.failures) == (2, 2)
    assert group.error_message == "no entry with [redacted]"


def test_custom_patterns_replace_the_defaults_and_none_removes_nothing() -> None:
    raw = raw_job("x", args={"Email": "a@example.com", "password": "p"})
    assert args_of(Redaction(["*mail"]).job(raw)) == {"Email": "[redacted]", "password": "p"}
    assert Redaction(()).job(raw) is raw


@pytest.mark.parametrize("raw", JUNK)
def test_malformed_payloads_are_removed_as_a_whole(raw: bytes) -> None:
    assert Redaction().job(raw) == b"[redacted: %d bytes that are not a job]" % len(raw)


def test_malformed_payloads_inside_dead_jobs_are_removed() -> None:
    raw = bury_undecodable(SECRET.encode(), "mail", "no job", "x", 1)
    clean = wire.decode(Redaction().job(raw))
    assert clean.args == {"from": "mail", "workkit_undecodable": "[redacted]"}


def test_the_args_of_running_jobs_are_redacted() -> None:
    found = WorkerObservation(
        "w", is_busy=True, args_json=f'{{"token":"{SECRET}"}}', checkin=f"sent {SECRET}"
    )
    clean = Redaction().worker(found)
    assert clean.args_json == '{"token":"[redacted]"}'
    assert clean.checkin == "sent [redacted]"
    broken = Redaction().worker(WorkerObservation("w", is_busy=True, args_json='{"token'))
    assert broken.args_json == '"[redacted]"'


def test_history_is_redacted() -> None:
    record = Record(
        "x", "mail", 1, 2, 3, "dead", 1, f"ValueError: {SECRET}", "f", "w", "",
        f'{{"token":"{SECRET}"}}', ((1, f"with {SECRET}"),),
    )  # fmt: skip
    plain = TracedRecord("y", "mail", 1, 2, 3, "done")
    entry = PackedHistory("1-1", "1", "p", "h", pack([record, plain]), 2, "")
    clean, same = unpack(Redaction().history(entry).blob)
    assert clean.args == '{"token":"[redacted]"}'
    assert clean.error == "ValueError: [redacted]"
    assert clean.checkins == ((1, "with [redacted]"),)
    assert same == plain
    junk = entry._replace(blob=b'"token":')
    assert Redaction().history(junk).blob == b""


def test_a_snapshot_holds_no_secret_anywhere(stage: ClientStage, tmp_path: Path) -> None:
    for place in SETS:
        stage.lay(place, {raw_job(place, args={"password": SECRET}, err=SECRET, fails=1): 1})
    stage.queue("mail", raw_job("q", args={"list": [{"api_key": SECRET}]}))
    write_snapshot(stage.client, tmp_path / "s")
    snapshot = Snapshot(tmp_path / "s")
    assert "*password*" in snapshot.about.redacted
    for where in (*map(Place, SETS), Place("queued", "mail")):
        (placed,) = snapshot.jobs(where).jobs
        assert SECRET.encode() not in placed.job.raw
        assert b"[redacted]" in placed.job.raw


@pytest.mark.parametrize("name", ["apiKey", "API-KEY", "api_key", "x.api key", "pwd", "jwt", "dsn"])
def test_the_names_of_secrets_are_compared_as_in_the_console(name: str) -> None:
    assert Masks(DEFAULT_MASKS).hide({name: SECRET}) == {name: "•••"}
    assert wire.decode(Redaction().job(raw_job("x", args={name: SECRET}))).args == {
        name: "[redacted]"
    }


def test_the_console_and_snapshots_have_one_list_of_secrets() -> None:
    assert DEFAULT_MASKS is SECRETS


@pytest.mark.parametrize("depth", [50, 250, 400, 700])
def test_no_depth_keeps_a_secret_and_none_is_an_error(depth: int) -> None:
    """Beyond some hundred levels Python has no stack to look for secrets."""
    redaction = Redaction()
    for before, after in (("[", "]"), ('{"a":', "}")):
        args = before * depth + f'{{"password": "{SECRET}"}}' + after * depth
        raw = f'{{"name":"mail","id":"1","t":1,"args":{{"a":{args}}}}}'.encode()
        assert SECRET.encode() not in redaction.job(raw)
        assert SECRET not in str(redaction.args(raw)[0])
        worker = WorkerObservation("w", is_busy=True, args_json=args)
        assert SECRET not in redaction.worker(worker).args_json
