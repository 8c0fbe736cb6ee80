"""History through the client: filters, limits, and trimmed records."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.client.stage import ClientStage
from tests.support.steps import START_MS
from workkit import HistoryExtent, InvalidOption, Job, ServerRefused
from workkit.core.history import Record, pack
from workkit.store.calls import pages

START_S = START_MS // 1000


@pytest.fixture
def lived(stage: ClientStage) -> ClientStage:
    """A namespace in which nine jobs ran, one a second; every third failed for good."""

    def handle(job: Job) -> None:
        stage.clock.advance(0.25)
        if job.arg_int("n") % 3 == 0:
            raise ValueError(f"no luck with {job.arg_int('n')}")

    pool = stage.pool(handle, max_fails=1)
    for n in range(1, 10):
        stage.enqueuer.enqueue("mail", {"n": n})
        pool.work()
        stage.clock.advance(0.75)
    return stage


def numbers(stage: ClientStage, **filters: Any) -> list[int]:
    """Return which of the nine executions are in history, by the second in which they ended."""
    return [
        (record.finished_ms - START_MS + 750) // 1000 for record in stage.client.history(**filters)
    ]


def write(stage: ClientStage, entry_id: str, **fields: Any) -> None:
    stage.redis.xadd(f"{stage.namespace}:history", fields, id=entry_id)


def records(count: int, at_ms: int, step_ms: int = 1) -> bytes:
    ends = [at_ms + n * step_ms for n in range(count)]
    return pack([Record(f"x{n}", "mail", 1, at_ms, end, "done") for n, end in enumerate(ends)])


# What is told


def test_what_never_ran_has_no_history(stage: ClientStage) -> None:
    stage.enqueuer.enqueue("mail")
    assert list(stage.client.history()) == []
    assert stage.client.history_extent() == HistoryExtent(0, 0)
    assert stage.client.job_history("x") == []


def test_history_is_told_newest_first(lived: ClientStage) -> None:
    assert numbers(lived) == [9, 8, 7, 6, 5, 4, 3, 2, 1]


def test_a_record_tells_when_where_and_how_a_job_ran(stage: ClientStage) -> None:
    def fail(job: Job) -> None:
        stage.clock.advance(0.25)
        raise ValueError("no user 17")

    pool = stage.pool(fail)
    job = stage.enqueuer.enqueue("mail")
    pool.work()
    (record,) = stage.client.history()
    assert (record.job_id, record.name, record.enqueued_at) == (job.id, "mail", START_S)
    assert (record.started_ms, record.finished_ms) == (START_MS, START_MS + 250)
    assert (record.outcome, record.fails) == ("retry", 1)
    assert record.error == "ValueError: no user 17"
    assert len(record.fingerprint) == 12
    assert record.worker_id in pool.engine.identity.worker_ids
    assert (record.pool_id, record.reason) == (pool.id, "")
    assert record.host


def test_the_history_of_one_job_is_told_from_its_first_try(stage: ClientStage) -> None:
    tries: list[int] = []

    def fail_twice(job: Job) -> None:
        tries.append(job.fails)
        if len(tries) < 3:
            raise ValueError("again")

    pool = stage.pool(fail_twice, backoff=lambda _: 5)
    job = stage.enqueuer.enqueue("mail")
    stage.enqueuer.enqueue("other")
    for _ in range(3):
        pool.duty("requeuer")
        pool.work()
        stage.clock.advance(6)
    history = stage.client.job_history(job.id)
    assert [record.outcome for record in history] == ["retry", "retry", "done"]
    assert [record.fails for record in history] == [1, 2, 2]
    assert all(a.finished_ms < b.finished_ms for a, b in pairwise(history))


# Filters


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        ({}, [9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ({"limit": 0}, []),
        ({"limit": 2}, [9, 8]),
        ({"limit": 100}, [9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ({"outcome": "dead"}, [9, 6, 3]),
        ({"outcome": "dead", "limit": 2}, [9, 6]),
        ({"outcome": "done"}, [8, 7, 5, 4, 2, 1]),
        ({"outcome": "retry"}, []),
        ({"name": "mail", "limit": 1}, [9]),
        ({"name": "letter"}, []),
        ({"since": START_S + 7.25}, [9, 8]),
        ({"since": START_S + 7.251}, [9]),
        ({"since": START_S + 100}, []),
        ({"since": 0}, [9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ({"until": START_S + 2.25}, [2, 1]),
        ({"until": START_S + 2.251}, [3, 2, 1]),
        ({"until": START_S}, []),
        ({"since": START_S + 2.25, "until": START_S + 5.25}, [5, 4, 3]),
        ({"since": START_S + 5, "until": START_S + 2}, []),
        ({"since": START_S + 2.25, "outcome": "dead", "name": "mail", "limit": 1}, [9]),
    ],
)
def test_filters_leave_just_what_was_asked_for(
    lived: ClientStage, filters: dict[str, Any], told: list[int]
) -> None:
    assert numbers(lived, **filters) == told


@pytest.mark.one_server
@pytest.mark.parametrize("filters", [{"outcome": "lost"}, {"limit": -1}])
def test_a_filter_that_makes_no_sense_is_refused_at_once(
    stage: ClientStage, filters: dict[str, Any]
) -> None:
    with pytest.raises(InvalidOption):
        stage.client.history(**filters)


@pytest.mark.one_server
@pytest.mark.parametrize("since", [-1, float("nan"), 1e300])
def test_a_time_before_all_time_is_no_error_of_the_server(stage: ClientStage, since: float) -> None:
    with pytest.raises(InvalidOption):
        list(stage.client.history(since=since))


def test_records_of_one_entry_are_each_held_to_the_filters(stage: ClientStage) -> None:
    write(stage, "9000-3", v=1, pool="p", host="h", n=3, r=records(3, 4_000, 250))
    for since, until, told in (
        (4.25, None, [4_500, 4_250]),
        (None, 4.5, [4_250, 4_000]),
        (4.25, 4.5, [4_250]),
    ):
        found = stage.client.history(since=since, until=until)
        assert [record.finished_ms for record in found] == told


# Much of it


def test_more_entries_than_one_look_takes_are_told_without_a_gap(stage: ClientStage) -> None:
    for n in range(450):
        write(stage, f"{1_000 + n}-{n * 3 + 3}", v=1, pool="p", host="h", n=3, r=records(3, n * 10))
    told = [record.finished_ms for record in stage.client.history()]
    assert told == [n * 10 + k for n in reversed(range(450)) for k in (2, 1, 0)]
    assert len(list(stage.client.history(limit=700))) == 700


def test_entries_of_one_millisecond_are_told_without_a_gap(stage: ClientStage) -> None:
    for n in range(450):
        write(stage, f"1000-{n + 1}", v=1, pool="p", host="h", n=1, r=records(1, n))
    assert [r.finished_ms for r in stage.client.history()] == list(reversed(range(450)))


def test_a_walk_reads_only_as_far_as_it_is_followed(stage: ClientStage) -> None:
    for n in range(450):
        write(stage, f"{1_000 + n}-{n + 1}", v=1, pool="p", host="h", n=1, r=records(1, n))
    walk = stage.client.history()
    assert next(walk).finished_ms == 449
    stage.redis.delete(f"{stage.namespace}:history")
    assert len(list(walk)) == 19  # the rest of the first look


# Extent


def test_the_extent_counts_what_was_written_and_what_is_kept(lived: ClientStage) -> None:
    assert lived.client.history_extent() == HistoryExtent(
        9, 9, START_MS + 250, f"{START_MS + 8_250}-9"
    )


@pytest.mark.parametrize("kept", [8, 3, 1])
def test_after_trimming_the_extent_says_how_many_are_gone(lived: ClientStage, kept: int) -> None:
    lived.redis.xtrim(f"{lived.namespace}:history", maxlen=kept, approximate=False)
    extent = lived.client.history_extent()
    assert (extent.written, extent.kept) == (9, kept)
    assert extent.trimmed == 9 - kept
    assert len(numbers(lived)) == kept


def test_after_trimming_packed_entries_their_records_are_counted(stage: ClientStage) -> None:
    stage.enqueuer.enqueue_many([("mail", None)] * 50)
    pool = stage.pool()
    pool.work()
    stage.enqueuer.enqueue_many([("mail", None)] * 3)
    pool.work()
    entries = stage.redis.xlen(f"{stage.namespace}:history")
    assert entries < 53
    stage.redis.xtrim(f"{stage.namespace}:history", maxlen=1, approximate=False)
    extent = stage.client.history_extent()
    assert extent.written == 53
    assert extent.kept == len(list(stage.client.history())) <= 3


def test_a_stream_that_was_deleted_has_nothing_left(lived: ClientStage) -> None:
    lived.redis.delete(f"{lived.namespace}:history")
    assert lived.client.history_extent() == HistoryExtent(9, 0, 0, f"{START_MS + 8_250}-9")
    lived.redis.delete(f"{lived.namespace}:history:head")
    assert lived.client.history_extent() == HistoryExtent(0, 0)


# Entries of others


@pytest.mark.parametrize(
    "fields",
    [
        {"v": "2", "n": 1, "r": b"of a later version"},
        {"v": "1", "n": 1, "r": b"junk"},
        {"v": "1", "n": 1, "r": b"\xc1"},
        {"v": "1", "n": 1, "r": pack([Record("x", "m", 1, 2, 3, "done")]).replace(b"x", b"\xff")},
        {"somebody": "else's"},
    ],
)
def test_an_entry_that_cannot_be_read_is_passed_over(
    lived: ClientStage, fields: dict[str, Any]
) -> None:
    last = lived.redis.xrevrange(f"{lived.namespace}:history", count=1)[0][0].decode()
    write(lived, f"{last.partition('-')[0]}-{int(last.partition('-')[2]) + 1}", **fields)
    assert numbers(lived) == [9, 8, 7, 6, 5, 4, 3, 2, 1]


def test_a_history_of_a_wrong_type_is_said_to_be_one(stage: ClientStage) -> None:
    stage.redis.set(f"{stage.namespace}:history", "a string")
    with pytest.raises(ServerRefused) as no:
        list(stage.client.history())
    assert no.value.code == "WRONGTYPE"


@pytest.mark.parametrize("newest_first", [True, False])
def test_large_entries_are_read_some_megabytes_at_a_time(
    stage: ClientStage, monkeypatch: pytest.MonkeyPatch, newest_first: bool
) -> None:
    blob = pack([Record("x", "mail", 1, 1, 1, "dead", 1, "x" * 1_000_000)])
    for n in range(1, 61):
        write(stage, f"{START_MS}-{n}", v="1", pool="p", host="h", n=1, r=blob, b=0, ver="")
    asked: list[int] = []
    real = pages.history_entries

    def entries(keys: Any, low: str, high: str, count: int, **options: Any) -> Any:
        asked.append(count)
        return real(keys, low, high, count, **options)

    monkeypatch.setattr(pages, "history_entries", entries)
    if newest_first:
        assert len(list(stage.client.history())) == 60
    else:
        assert sum(len(batch) for batch in stage.client.packed_history()) == 60
    assert asked[0] == 20
    assert set(asked[1:]) == {8}
