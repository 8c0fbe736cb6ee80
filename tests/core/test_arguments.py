"""Arguments of a wrong type or value are refused by name, also those that seldom go wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import pytest

from workkit import AsyncEnqueuer, Client, Enqueuer, InvalidOption, WorkerPool
from workkit.errors import InvalidArgs, InvalidName, InvalidSpec

URL: Final = "redis://localhost:6379"
FACES: Final[list[Callable[..., Any]]] = [Enqueuer, AsyncEnqueuer, Client, WorkerPool]


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("option", ["clock", "entropy"])
@pytest.mark.parametrize("value", [0, 5, "", "now", True, [], object()])
def test_a_source_of_times_or_ids_that_is_none_is_refused(
    face: Callable[..., Any], option: str, value: Any
) -> None:
    with pytest.raises(InvalidOption, match=f"^{option} must "):
        face("work", URL, **{option: value})


@pytest.mark.parametrize("face", [Enqueuer, AsyncEnqueuer])
@pytest.mark.parametrize("value", [None, 1, "yes"])
def test_a_flag_of_an_enqueuer_is_true_or_false(face: Callable[..., Any], value: Any) -> None:
    with pytest.raises(InvalidOption, match="^allow_huge_integers must be True or False"):
        face("work", URL, allow_huge_integers=value)
    with pytest.raises(InvalidOption, match="^fsync must be True or False"):
        face("work", URL).durably(fsync=value)


@pytest.mark.parametrize("timeout", [True, math.nan, "1", [], None])
def test_a_timeout_of_a_durable_enqueuer_is_a_number(timeout: Any) -> None:
    with pytest.raises(InvalidOption, match="^timeout must be "):
        Enqueuer("work", URL).durably(timeout=timeout)


@pytest.mark.parametrize("until", [[], {}, None, 5, "x" * 10_000])
def test_an_until_of_any_type_is_refused_in_a_few_words(until: Any) -> None:
    with pytest.raises(InvalidOption, match='^until must be "start" or "done"') as refusal:
        Enqueuer("work", URL).enqueue_unique("mail", {}, until=until)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("jobs", [None, 5, "", "mail", b"mail", {}, {"mail": None}])
def test_what_is_no_iterable_of_pairs_is_refused(jobs: Any) -> None:
    with pytest.raises(InvalidArgs, match="^enqueue_many takes an iterable of pairs"):
        Enqueuer("work", URL).enqueue_many(jobs)


@pytest.mark.parametrize("timeout", [math.nan, "5", True, b"5", [], object()])
def test_a_wait_that_is_no_number_is_refused_before_it_begins(timeout: Any) -> None:
    pool = WorkerPool("work", URL)
    pool.job("mail", lambda job: None)
    waits: list[Callable[[Any], object]] = [pool.stop, pool.run]
    for wait in waits:
        with pytest.raises(InvalidOption, match="^timeout must be a number of seconds, or None"):
            wait(timeout)


@pytest.mark.parametrize("place", ["dead", None, 5, ("dead", "")])
def test_a_place_that_is_none_is_refused_with_the_way_to_write_one(place: Any) -> None:
    client = Client("work", URL)
    looks: list[Callable[[Any], object]] = [client.jobs, client.walk]
    for look in looks:
        with pytest.raises(InvalidOption, match=r'^a place is Place\("dead"\)'):
            look(place)


@pytest.mark.parametrize("at", ["", "5", b"5", [], math.nan, True])
def test_a_time_of_a_job_that_is_no_number_is_refused(at: Any) -> None:
    client = Client("work", URL)
    for act in (client.retry_dead_job, client.delete_dead_job, client.delete_scheduled_job):
        with pytest.raises(InvalidOption, match="^the time of a job must be epoch seconds"):
            act(at, "id")
    for filters in ({"since": at}, {"until": at}):
        with pytest.raises(InvalidOption, match=r"^(since|until) must be epoch seconds"):
            client.history(**filters)


@pytest.mark.parametrize("job_id", [None, 5, [], b"id"])
def test_an_id_of_a_job_that_is_no_text_is_refused(job_id: Any) -> None:
    with pytest.raises(InvalidOption, match="^a job's id is a string"):
        Client("work", URL).delete_queued_job("mail", job_id)


def test_a_refusal_is_short_however_long_is_what_it_refuses() -> None:
    long = "x" * 100_000
    pool, enqueuer = WorkerPool("work", URL, max_job_bytes=1_000), Enqueuer("work", URL)
    with pytest.raises(InvalidName) as name:
        pool.job(f"{long},", lambda job: None)
    with pytest.raises(InvalidSpec) as spec:
        pool.periodically_enqueue(f"TZ={long} * * * * *", "mail")
    with pytest.raises(InvalidArgs) as cron:
        pool.periodically_enqueue("@daily", long)
    with pytest.raises(InvalidArgs) as many:
        enqueuer.enqueue_many([long])  # type: ignore[list-item]
    with pytest.raises(InvalidArgs) as large:
        enqueuer.enqueue(long * 11)
    for refusal in (name, spec, cron, many, large):
        assert len(str(refusal.value)) < 1_500
