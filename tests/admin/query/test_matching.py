"""Which jobs a query picks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workkit import DeadJob, Found, Job, Query, QueuedJob, RetryJob, ScheduledJob
from workkit.core.fingerprint import fingerprint

NOW = 1_800_000_000
TRACE = (
    'Timeout: read took 30 s\n\nTraceback (innermost last):\n  File "/app/mail.py", line 3, in send'
)


def dead(**fields: Any) -> DeadJob:
    settings: dict[str, Any] = {
        "name": "mail",
        "id": "6f1c0a6e",
        "enqueued_at": NOW - 7_200,
        "args": {"tenant": "acme", "n": 7, "deep": {"list": [1, {"x": "y"}]}, "ok": True},
        "fails": 4,
        "last_err": TRACE,
        "failed_at": NOW - 60,
    } | fields
    died_at = settings.pop("died_at", NOW - 60)
    return DeadJob(died_at, Job(**settings))


@pytest.mark.parametrize(
    "query",
    [
        "",
        "queue:mail",
        "name:mail",
        "queue:letter,mail",
        "queue:m*l",
        "queue:*",
        'queue:"mail"',
        "queue:=mail",
        "id:6f1c*",
        "error:timeout",
        "error:TIMEOUT",
        "error:mail.py",
        "error:read*30",
        'error:"read took"',
        "err:timeout",
        "type:Timeout",
        f"fingerprint:{fingerprint(TRACE)}",
        "fails:4",
        "fails:>3",
        "fails:>=4",
        "fails:<=4",
        "fails:<5",
        "fails:3..5",
        "fails:1,4",
        "fails:=4",
        "age:2h",
        "age:>1h",
        "age:1h..1d",
        "failed:<10m",
        "died:60",
        "args:acme",
        'args:"\\"n\\":7"',
        "args.tenant:acme",
        "args.tenant:a*",
        "args.n:7",
        "args.n:>6",
        "args.n:5..9",
        "args.ok:true",
        "args.deep.list.0:1",
        "args.deep.list.1.x:y",
        "is:failed",
        "place:dead",
        "PLACE:dead",
        "timeout",
        "acme",
        "6f1c",
        "mail and timeout",
        "not queue:letter",
        "-queue:letter",
        "queue:letter or fails:4",
        "(queue:letter or queue:mail) -error:refused",
        "queue:mail error:Timeout fails:>3 age:<3h not args.tenant:other",
    ],
)
def test_a_query_picks_a_job(query: str) -> None:
    assert Query(query).matches(dead(), NOW)


@pytest.mark.parametrize(
    "query",
    [
        "queue:mai",
        "queue:Mail",
        "queue:a*l",
        "queue:ma*il*x",
        "queue:mailm*l",
        'queue:"m*l"',
        "error:refused",
        "error:30*read",
        "type:Time",
        "fails:>4",
        "fails:5..9",
        "age:<1h",
        "died:>1h",
        "due:<1h",
        "args.tenant:acm",
        "args.n:>7",
        "args.tenant:>1",
        "args.ok:>0",
        "args.missing:x",
        "args.deep.list.7:1",
        "is:unique",
        "is:junk",
        "is:cron",
        "place:retry",
        "not queue:mail",
        "queue:mail fails:1",
        "letter",
    ],
)
def test_a_query_leaves_out_a_job(query: str) -> None:
    assert not Query(query).matches(dead(), NOW)


def test_a_field_that_a_job_does_not_have_matches_nothing() -> None:
    bare = QueuedJob(0, Job("mail", "x", 0, None))
    for query in ("error:x", "type:x", "age:>0", "failed:>0", "died:>0", "due:>-9w", "args:x"):
        assert not Query(query).matches(bare, NOW), query
    assert Query("place:queued fails:0").matches(bare, NOW)


def test_due_is_the_time_until_a_job_is_due() -> None:
    job = Job("mail", "x", NOW, None)
    for record in (ScheduledJob(NOW + 90, job), RetryJob(NOW + 90, job)):
        assert Query("due:<2m").matches(record, NOW)
        assert not Query("due:<1m").matches(record, NOW)
        assert Query("due:<0").matches(record, NOW + 100)
        assert Query("due:-10").matches(record, NOW + 100)


def test_is_picks_unique_jobs_cron_jobs_and_malformed_payloads() -> None:
    assert Query("is:unique").matches(QueuedJob(0, Job("a", "x", 1, None, unique=True)), NOW)
    assert Query("is:cron").matches(QueuedJob(0, Job("a", "periodic:a:@every 1s:9", 1, None)), NOW)
    junk = QueuedJob(0, Job("a", "", 0, None, raw=b"?", undecodable="not a job"))
    assert Query("is:junk error:job").matches(junk, NOW)
    assert Query("place:running").matches(Found("running", Job("a", "x", 1, None)), NOW)


def test_picking_keeps_the_order() -> None:
    records = [dead(fails=n) for n in range(6)]
    assert [r.job.fails for r in Query("fails:>3").pick(records, NOW)] == [4, 5]


names = st.text("ab*", min_size=1, max_size=6)


@given(names, st.text("ab", max_size=8))
def test_a_wildcard_matches_anything(pattern: str, text: str) -> None:
    from fnmatch import fnmatchcase

    job = QueuedJob(0, Job(text, "x", 1, None))
    assert Query(f"queue:{pattern}").matches(job, NOW) == fnmatchcase(text, pattern)


@given(st.integers(-50, 50), st.integers(-50, 50))
def test_signs_compare_as_numbers_do(fails: int, bound: int) -> None:
    record = dead(fails=fails)
    for sign, holds in (
        (">", fails > bound),
        (">=", fails >= bound),
        ("<", fails < bound),
        ("<=", fails <= bound),
        ("=", fails == bound),
        ("", fails == bound),
    ):
        assert Query(f"fails:{sign}{bound}").matches(record, NOW) is holds


@given(st.booleans(), st.booleans(), st.booleans())
def test_and_or_and_not_follow_boolean_logic(a: bool, b: bool, c: bool) -> None:
    words = {True: "queue:mail", False: "queue:letter"}
    text = f"{words[a]} or {words[b]} not {words[c]}"
    assert Query(text).matches(dead(), NOW) == (a or (b and not c))
