"""Plans: the jobs that they pin, and the effects that they describe."""

from __future__ import annotations

from collections import Counter
from threading import Event
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.stage import SETS, ClientStage, SetName, raw_job
from workkit import DeadJob, InvalidOption, InvalidQuery, Job, Place
from workkit.admin.actions import BulkProgress, Plan
from workkit.admin.actions.plan import Pins, digest

DEAD = Place("dead")


def planned(plan: Plan | None) -> Plan:
    assert plan is not None
    return plan


def test_a_plan_counts_what_a_query_picks_and_shows_the_first_of_them(stage: ClientStage) -> None:
    raws = {raw_job(f"{n:03}", "mail" if n % 3 else "letter", fails=n % 2): n for n in range(90)}
    stage.lay("dead", raws)
    plan = planned(stage.client.actions.plan("delete", DEAD, "fails:1"))
    assert plan.count == 45
    assert dict(plan.queues) == {"mail": 30, "letter": 15}
    assert [record.job.id for record in plan.sample] == ["001", "003", "005", "007", "009"]
    assert (plan.verb, plan.place, plan.query) == ("delete", DEAD, "fails:1")
    assert plan.made_at == stage.clock.now_s
    assert plan.effects() == []


def test_making_a_plan_changes_nothing(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job(f"{n}"): n for n in range(30)})
    before = set(stage.redis.scan_iter(f"{stage.namespace}*"))
    stage.client.actions.plan("delete", DEAD)
    assert len(stage.members("dead")) == 30
    assert set(stage.redis.scan_iter(f"{stage.namespace}*")) == before


def test_a_plan_is_made_batch_by_batch_and_can_be_stopped(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job(f"{n:05}"): n for n in range(2_500)})
    told: list[BulkProgress] = []
    stage.client.actions.plan("delete", DEAD, "id:0000*", report=told.append)
    assert [(p.done, p.total, p.found) for p in told] == [
        (done, 2_500, 10) for done in (500, 1_000, 1_500, 2_000, 2_500)
    ]
    stop = Event()
    assert stage.client.actions.plan("delete", DEAD, report=lambda _: stop.set(), stop=stop) is None


def test_marked_jobs_are_pinned_in_any_order(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job(f"{n}"): n for n in range(9)})
    marked = stage.client.jobs(DEAD, 2, 5).jobs[::-1]
    plan = stage.client.actions.plan_for("delete", DEAD, marked)
    assert plan.count == 5
    stage.client.actions.apply(plan)
    assert stage.members("dead") == [raw_job(f"{n}") for n in (0, 1, 7, 8)]


@pytest.mark.one_server
def test_an_impossible_action_is_refused(stage: ClientStage) -> None:
    actions: Any = stage.client.actions
    with pytest.raises(InvalidOption, match="unknown action 'bury'"):
        actions.plan("bury", DEAD)
    with pytest.raises(InvalidOption, match="only jobs of a set can be retried"):
        actions.plan("retry", Place("queued", "mail"))
    with pytest.raises(InvalidQuery):
        actions.plan("delete", DEAD, "erorr:x")


# Effects on unique keys


def test_a_plan_to_delete_says_how_many_keys_it_frees(stage: ClientStage) -> None:
    for n in range(3):
        stage.enqueuer.enqueue_unique_in("mail", 60, {"n": n})
    stage.enqueuer.enqueue_in("mail", 60)
    plan = planned(stage.client.actions.plan("delete", Place("scheduled")))
    assert (plan.count, plan.unique, plan.contested) == (4, 3, 0)
    assert plan.effects() == ["frees 3 unique keys, so that these jobs can be enqueued again"]


def test_a_plan_to_retry_says_how_many_jobs_will_not_be_unique(stage: ClientStage) -> None:
    for n in range(3):
        key = stage.unique_key(f'{{"n":{n}}}')
        raw = raw_job(f"{n}", args={"n": n}, unique=True, unique_key=key, fails=4)
        stage.lay("dead", {raw: n})
    stage.hold(stage.unique_key('{"n":1}'))
    plan = planned(stage.client.actions.plan("retry", DEAD))
    assert (plan.unique, plan.contested) == (3, 1)
    assert plan.effects() == [
        "takes 2 unique keys again",
        "runs 1 without being unique: a newer job holds the key",
    ]
    leaving = planned(stage.client.actions.plan("delete", DEAD))
    assert leaving.effects() == ["does not free 1 unique key: another job holds it"]


def test_malformed_payloads_are_counted(stage: ClientStage) -> None:
    stage.lay("dead", {b"junk": 1, raw_job("x"): 2})
    plan = planned(stage.client.actions.plan("retry", DEAD))
    assert (plan.count, plan.junk) == (2, 1)
    assert plan.effects() == ["does not change 1 malformed payload"]
    assert planned(stage.client.actions.plan("delete", DEAD, "is:junk")).count == 1


# Pins


@given(st.lists(st.integers(-5, 5), max_size=60), st.integers(1, 10))
def test_runs_of_pins_cover_all_pins_and_share_no_score(scores: list[int], size: int) -> None:
    pins = Pins()
    raws = {score: [] for score in scores}  # type: dict[int, list[bytes]]
    for at, score in enumerate(sorted(scores)):
        raw = b"%d" % at
        pins.add(DeadJob(score, Job("a", "x", 1, None, raw=raw)))
        raws[score].append(digest(raw))
    spans = list(pins.spans(size))
    covered = [score for low, high, _ in spans for score in (low, high)]
    assert covered == sorted(covered)
    assert len({high for _, high, _ in spans} & {low for low, _, _ in spans[1:]}) == 0 or all(
        spans[at][1] < spans[at + 1][0] for at in range(len(spans) - 1)
    )
    for low, high, digests in spans:
        inside = {d for score, ds in raws.items() if low <= score <= high for d in ds}
        assert digests == inside
    assert sum(len(digests) for _, _, digests in spans) == len(pins) == len(scores)
    assert pins.all() == Counter(d for ds in raws.values() for d in ds)


@pytest.mark.parametrize("place", SETS)
def test_a_plan_of_an_empty_place_is_empty(stage: ClientStage, place: SetName) -> None:
    plan = planned(stage.client.actions.plan("delete", Place(place)))
    assert (plan.count, list(plan.sample), dict(plan.queues)) == (0, [], {})
    outcome = stage.client.actions.apply(plan)
    assert (outcome.done, outcome.operation_id) == (0, "")
    assert stage.client.actions.operations() == []
