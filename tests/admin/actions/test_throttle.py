"""Throttled retries: one job, then ten, then a given rate, unless too many fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.client.stage import ClientStage, raw_job
from tests.support.steps import StepPool
from workkit import InvalidOption, Job, Place
from workkit.admin.actions import BulkOutcome, BulkProgress, Throttle


class Meanwhile:
    """A stop that is never set; while it waits, time passes and something happens."""

    def __init__(self, stage: ClientStage, happens: Callable[[], object]) -> None:
        self._stage = stage
        self._happens = happens
        self.waits: list[float] = []

    def is_set(self) -> bool:
        return False

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0)
        self._stage.clock.advance(timeout or 0)
        self._happens()
        return False


def retry(
    stage: ClientStage, throttle: Throttle, happens: Callable[[], object], told: list[BulkProgress]
) -> BulkOutcome:
    plan = stage.client.actions.plan("retry", Place("dead"))
    assert plan is not None
    return stage.client.actions.apply(
        plan, throttle=throttle, report=told.append, stop=Meanwhile(stage, happens)
    )


def lay(stage: ClientStage, count: int) -> None:
    stage.lay("dead", {raw_job(f"{n:05}", fails=4): n for n in range(count)})


def failing(share: float) -> Callable[[Job], Any]:
    def handler(job: Job) -> None:
        if int(job.id) % 100 < share * 100:
            raise RuntimeError("still broken")

    return handler


def pool(stage: ClientStage, share: float) -> StepPool:
    return stage.pool(failing(share), max_fails=1)


def test_successful_retries_go_from_one_to_ten_to_the_full_rate(stage: ClientStage) -> None:
    lay(stage, 200)
    told: list[BulkProgress] = []
    outcome = retry(stage, Throttle(per_s=50), pool(stage, 0).work, told)
    assert (outcome.done, outcome.left, outcome.stopped) == (200, 0, "")
    reached = sorted({progress.done for progress in told})
    assert reached == [1, 11, 61, 111, 161, 200]
    assert any(progress.note == "waiting for the outcome of 1" for progress in told)


def test_if_the_first_retry_fails_no_other_job_is_retried(stage: ClientStage) -> None:
    lay(stage, 200)
    outcome = retry(stage, Throttle(), pool(stage, 1).work, [])
    assert (outcome.done, outcome.left) == (1, 199)
    assert outcome.stopped == "1 of 1 retried job that ended failed"


@pytest.mark.parametrize("mended", [True, False])
def test_the_failure_by_which_a_job_has_died_is_not_the_outcome_of_its_retry(
    stage: ClientStage, *, mended: bool
) -> None:
    broken = True

    def handler(job: Job) -> None:
        if broken:
            raise RuntimeError("broken")

    works = stage.pool(handler, max_fails=1)
    stage.enqueuer.enqueue_many([("mail", {"n": n}) for n in range(3)])
    works.work()
    broken = not mended
    stage.clock.advance(1.2)  # history is asked again from seconds before the retry
    outcome = retry(stage, Throttle(), works.work, [])
    assert (outcome.done, outcome.stopped) == (
        (3, "") if mended else (1, "1 of 1 retried job that ended failed")
    )


def test_it_stops_above_the_maximum_failure_rate(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job(f"{(n + 50) % 100:05}", fails=4): n for n in range(100)})
    stage.lay("dead", {raw_job(f"{n + 100:05}", fails=4): n + 100 for n in range(100)})
    outcome = retry(stage, Throttle(per_s=20, max_failure_rate=0.1), pool(stage, 0.5).work, [])
    assert 50 < outcome.done < 100
    assert outcome.left == 200 - outcome.done
    assert "that ended" in outcome.stopped


def test_it_goes_on_below_the_maximum_failure_rate(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job(f"{(n + 50) % 100:05}", fails=4): n for n in range(100)})
    outcome = retry(stage, Throttle(max_failure_rate=0.3), pool(stage, 0.1).work, [])
    assert (outcome.done, outcome.stopped) == (100, "")


def test_it_waits_for_the_first_job_only_as_long_as_its_patience(stage: ClientStage) -> None:
    lay(stage, 20)
    outcome = retry(stage, Throttle(patience_s=30), lambda: None, [])
    assert (outcome.done, outcome.left) == (1, 19)
    assert outcome.stopped == "1 job of the first stage did not end in time"


def test_slow_rates_retry_one_job_at_a_time(stage: ClientStage) -> None:
    lay(stage, 14)
    told: list[BulkProgress] = []
    began = stage.clock.now_s
    retry(stage, Throttle(per_s=0.1), pool(stage, 0).work, told)
    assert [p.done for p in told if p.done > 11] == sorted(p.done for p in told if p.done > 11)
    assert stage.clock.now_s - began >= 20


@pytest.mark.one_server
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"per_s": 0}, "per_s must be above 0"),
        ({"max_failure_rate": 1.1}, "max_failure_rate must be from 0 to 1"),
        ({"patience_s": 0}, "patience_s must be above 0"),
    ],
)
def test_a_throttle_with_values_out_of_range_is_refused(
    options: dict[str, float], said: str
) -> None:
    with pytest.raises(InvalidOption, match=said):
        Throttle(**options)
