"""Groups of equal failures."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.client.stage import ClientStage, raw_job
from workkit import DeadJob, Job, Query, RetryJob
from workkit.admin.grouping import ErrorGroups, group_errors
from workkit.core.fingerprint import fingerprint

NOW = 1_800_000_000


def dead(error: str, at: int = NOW - 60, **fields: Any) -> DeadJob:
    settings: dict[str, Any] = {"name": "mail", "id": "x", "enqueued_at": 1, "args": None}
    return DeadJob(at, Job(**(settings | {"last_err": error, "fails": 1} | fields)))


def groups_of(*records: Any) -> ErrorGroups:
    groups = ErrorGroups(NOW)
    groups.add(records)
    return groups


def test_failures_that_differ_in_numbers_ids_and_paths_are_one_group() -> None:
    groups = groups_of(
        dead("Timeout: read of /a/b took 30 s", NOW - 300),
        dead("Timeout: read of /c/d took 7 s", NOW - 100, name="letter"),
        dead("Timeout: read of /c/d took 8 s", NOW - 200),
        dead("ValueError: no"),
    )
    first, second = groups.groups()
    assert (first.type, first.count, first.message) == ("Timeout", 3, "read of <path> took <n> s")
    assert (first.first_at, first.last_at) == (NOW - 300, NOW - 100)
    assert dict(first.queues) == {"mail": 2, "letter": 1}
    assert first.sample.job.name == "letter"
    assert first.fingerprint == fingerprint("Timeout: read of /a/b took 30 s")
    assert (second.type, second.count) == ("ValueError", 1)
    assert groups.count == 4


def test_dead_and_retrying_jobs_are_counted_apart() -> None:
    job = Job("mail", "x", 1, None, last_err="E: x", fails=1, failed_at=NOW - 5)
    (group,) = groups_of(dead("E: x"), RetryJob(NOW + 99, job)).groups()
    assert dict(group.places) == {"dead": 1, "retry": 1}
    assert group.last_at == NOW - 5


def test_jobs_without_an_error_and_malformed_payloads_have_groups() -> None:
    plain, junk = groups_of(dead(""), dead("", undecodable="not a job: junk")).groups()
    assert (plain.fingerprint, plain.message) == ("", "no error is recorded")
    assert junk.message == "not a job: junk"


@given(st.lists(st.integers(0, 100_000), max_size=30), st.sampled_from([60, 3_600, 86_400]))
def test_a_trend_counts_each_failure_of_its_span_once(ages: list[int], span_s: int) -> None:
    groups = groups_of(*(dead("E: x", NOW - age) for age in ages))
    for group in groups.groups():
        trend = group.trend(NOW, 24, span_s)
        assert len(trend) == 24
        surely = sum(age < span_s - 120 for age in ages)
        at_most = sum(age < span_s + 120 for age in ages)
        assert surely <= sum(trend) <= at_most


def test_the_newest_failures_are_at_the_end_of_a_trend() -> None:
    (group,) = groups_of(dead("E: 1", NOW), dead("E: 2", NOW - 3_500)).groups()
    trend = group.trend(NOW, 24, 3_600)
    assert (trend[0], trend[-1], sum(trend)) == (1, 1, 2)


def test_a_namespace_is_grouped_batch_by_batch(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job(f"{n:05}", err=f"E{n % 3}: x"): 1_000 + n for n in range(2_200)})
    stage.lay("retry", {raw_job(f"r{n}", err="E0: x"): 1_000 + n for n in range(50)})
    told = [(found.seen, found.total) for found in group_errors(stage.client)]
    assert told == [(1_000, 2_250), (2_000, 2_250), (2_200, 2_250), (2_250, 2_250), (2_250, 2_250)]
    *_, last = group_errors(stage.client)
    assert [group.count for group in last.groups.groups()] == [784, 733, 733]
    *_, some = group_errors(stage.client, Query("place:retry"))
    assert some.groups.count == 50
