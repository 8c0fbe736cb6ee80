"""Parts of places by rank, and walks over places that change during the walk."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from tests.client.stage import SETS, ClientStage, SetName, raw_job
from workkit import InvalidName, InvalidOption
from workkit.core.records import Batch, Place

#: Ids of which several share a score, so that bytes decide their order.
SCORES = {f"{n:04}": 1_000 + n // 7 for n in range(100)}


def lay(stage: ClientStage, place: SetName) -> None:
    stage.lay(place, {raw_job(job_id): score for job_id, score in SCORES.items()})


def ids(batches: list[Batch[Any]]) -> list[str]:
    return [item.job.id for batch in batches for item in batch.jobs]


@pytest.mark.parametrize("place", SETS)
@pytest.mark.parametrize("reverse", [False, True])
def test_a_part_of_a_set_is_read_by_rank_from_either_end(
    stage: ClientStage, place: SetName, reverse: bool
) -> None:
    lay(stage, place)
    page = stage.client.jobs(Place(place), 30, 25, reverse=reverse)
    order = sorted(SCORES, reverse=reverse)
    assert [item.job.id for item in page.jobs] == order[30:55]
    assert [item.at for item in page.jobs] == [SCORES[job_id] for job_id in order[30:55]]
    assert {item.place for item in page.jobs} == {place}
    assert page.total == 100


@pytest.mark.parametrize("reverse", [False, True])
def test_a_part_of_a_queue_has_the_positions_of_its_jobs(stage: ClientStage, reverse: bool) -> None:
    stage.queue("mail", *(raw_job(f"{n:04}") for n in range(50)))
    page = stage.client.jobs(Place("queued", "mail"), 10, 5, reverse=reverse)
    expected = range(39, 34, -1) if reverse else range(10, 15)
    assert [item.job.id for item in page.jobs] == [f"{n:04}" for n in expected]
    assert [item.position for item in page.jobs] == list(expected)  # type: ignore[union-attr]
    assert page.total == 50


@pytest.mark.parametrize("place", SETS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("size", [1, 7, 33, 1_000])
def test_a_walk_returns_every_job_once_and_its_progress(
    stage: ClientStage, place: SetName, reverse: bool, size: int
) -> None:
    lay(stage, place)
    batches = list(stage.client.walk(Place(place), reverse=reverse, size=size))
    assert ids(batches) == sorted(SCORES, reverse=reverse)
    assert [batch.seen for batch in batches] == list(
        itertools.accumulate(len(batch.jobs) for batch in batches)
    )
    assert {batch.total for batch in batches} == {100}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("gone", ["the last one met", "those already met", "all of its score"])
def test_a_walk_misses_no_job_when_earlier_jobs_leave(
    stage: ClientStage, reverse: bool, gone: str
) -> None:
    lay(stage, "dead")
    met: list[str] = []
    for batch in stage.client.walk(Place("dead"), reverse=reverse, size=10):
        met += [item.job.id for item in batch.jobs]
        if gone == "the last one met":
            going = met[-1:]
        elif gone == "those already met":
            going = met
        else:
            going = [job_id for job_id in met if SCORES[job_id] == SCORES[met[-1]]]
        stage.redis.zrem(stage.keys.dead, *(raw_job(job_id) for job_id in going))
    assert met == sorted(SCORES, reverse=reverse)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_walk_returns_no_job_twice_when_new_jobs_come(stage: ClientStage, reverse: bool) -> None:
    lay(stage, "dead")
    met: list[str] = []
    fresh = (raw_job(f"new-{n}") for n in itertools.count())
    for batch in stage.client.walk(Place("dead"), reverse=reverse, size=9):
        met += [item.job.id for item in batch.jobs]
        stage.lay("dead", {next(fresh): 2_000_000 if reverse else 1 for _ in range(20)})
    assert met == sorted(SCORES, reverse=reverse)


@pytest.mark.parametrize("change", ["pushed", "taken"])
def test_a_walk_from_the_newest_job_of_a_queue_misses_no_job_that_stays(
    stage: ClientStage, change: str
) -> None:
    stage.queue("mail", *(raw_job(f"{n:04}") for n in range(100)))
    fresh = (raw_job(f"new-{n}") for n in itertools.count())
    changes: dict[str, Callable[[], object]] = {
        "pushed": lambda: stage.queue("mail", next(fresh), next(fresh)),
        "taken": lambda: stage.redis.rpop(stage.keys.jobs("mail"), 2),
    }
    met: list[str] = []
    for batch in stage.client.walk(Place("queued", "mail"), reverse=True, size=10):
        met += [item.job.id for item in batch.jobs]
        changes[change]()
    left = [raw for raw in stage.queued() if b"new" not in raw]
    kept = {f"{n:04}" for n in range(100)} & {str(raw)[25:31] for raw in left}
    assert len(met) == len(set(met))
    assert kept <= set(met)


def test_infinite_scores_do_not_stop_a_walk(stage: ClientStage) -> None:
    stage.lay("dead", {b"a": float("-inf"), b"b": float("-inf"), b"c": 1, b"d": float("inf")})
    for reverse in (False, True):
        walk = stage.client.walk(Place("dead"), reverse=reverse, size=1)
        met = [item.job.raw for batch in walk for item in batch.jobs]
        assert met == sorted([b"a", b"b", b"c", b"d"], reverse=reverse)


@pytest.mark.one_server
@pytest.mark.parametrize("name", ["a,b", "nul\0", "mail:lock", "a b", "日"])
def test_queues_are_read_whose_names_only_other_programs_give(
    stage: ClientStage, name: str
) -> None:
    stage.queue(name, raw_job("1", name), raw_job("2", name))
    place = Place("queued", name)
    for jobs in (
        stage.client.jobs(place).jobs,
        [item for batch in stage.client.walk(place) for item in batch.jobs],
        list(stage.client.iter_queued_jobs(name)),
    ):
        assert [item.job.id for item in jobs] == ["1", "2"]
    for refused in ("", "\ud800"):
        with pytest.raises(InvalidName):
            list(stage.client.iter_queued_jobs(refused))


@pytest.mark.one_server
def test_a_walk_over_an_empty_place_is_empty(stage: ClientStage) -> None:
    for place in (*map(Place, SETS), Place("queued", "mail")):
        assert list(stage.client.walk(place)) == []
        assert stage.client.jobs(place).total == 0


@pytest.mark.one_server
def test_an_invalid_part_of_a_place_is_refused(stage: ClientStage) -> None:
    dead = Place("dead")
    with pytest.raises(InvalidOption, match="start must be"):
        stage.client.jobs(dead, -1)
    with pytest.raises(InvalidOption, match="count must be a whole number from 0 to 10000"):
        stage.client.jobs(dead, 0, 10_001)
    with pytest.raises(InvalidOption, match="size must be"):
        stage.client.walk(dead, size=0)
    with pytest.raises(InvalidOption, match="unknown place 'deda'"):
        Place("deda")  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="needs a queue"):
        Place("queued")
    assert str(Place("queued", "mail")) == "queue 'mail'"
    assert str(dead) == "the dead set"


@pytest.mark.parametrize("reverse", [False, True])
def test_a_part_of_zero_jobs_reads_only_their_number(stage: ClientStage, reverse: bool) -> None:
    lay(stage, "dead")
    stage.queue("mail", *(raw_job(f"{n}") for n in range(9)))
    for place, total in ((Place("dead"), 100), (Place("queued", "mail"), 9)):
        page = stage.client.jobs(place, 0, 0, reverse=reverse)
        assert (page.jobs, page.total) == ([], total)
