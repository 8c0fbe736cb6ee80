"""Integers that Go cannot read block the Go pool that claims their job, so they are refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pytest

from tests.enqueuer.faces import blocking
from tests.enqueuer.test_refusals import METHODS
from tests.parity.gopeer import GoJob, Scene
from tests.support.steps import FakeClock, StepPool
from workkit import AsyncEnqueuer, Enqueuer, InvalidArgs, WorkerPool

#: The smallest integer that rounds to an infinite float, as in Go's parser.
TOO_LARGE: Final = 2**1024 - 2**970


def len_of(number: int) -> str:
    return f"{len(str(number))} characters"


@pytest.mark.parametrize(
    "number",
    [TOO_LARGE, -TOO_LARGE, 10**309, -(10**4000)],
    ids=lambda n: f"{len(str(n))} characters",
)
def test_an_integer_that_would_jam_a_go_pool_is_refused_wherever_it_is(
    enqueuer: Enqueuer, scene: Scene, number: int
) -> None:
    args = {"a": [1, {"b": number}]}
    calls: list[Callable[[], object]] = [
        lambda: enqueuer.enqueue_unique_by_key("mail", {"k": 1}, args),
        lambda: enqueuer.enqueue_unique_in_by_key("mail", 5, {"k": 1}, args),
        *(partial(method, enqueuer, "mail", args) for method in METHODS.values()),
    ]
    for call in calls:
        with pytest.raises(
            InvalidArgs, match=r"\.a\[1\]\.b: Go cannot read an integer of \d+ digits.* string"
        ):
            call()
    assert scene.dump() == {}


def test_a_go_pool_reads_the_largest_integer_that_is_accepted(
    enqueuer: Enqueuer, scene: Scene
) -> None:
    enqueuer.enqueue("mail", {"n": TOO_LARGE - 1})
    ran: list[object] = []
    scene.peer(mail=GoJob(handler=lambda job: ran.append(job.args))).run_all()
    assert ran == [{"n": float(TOO_LARGE - 1)}]


@pytest.mark.parametrize("kind", [Enqueuer, AsyncEnqueuer])
def test_an_enqueuer_of_a_fleet_without_go_may_be_told_to_take_it(
    kind: type[Enqueuer | AsyncEnqueuer], redis_url: str, scene: Scene
) -> None:
    seen: list[object] = []
    pool = WorkerPool(scene.namespace, redis_url)
    pool.job("mail", lambda job: seen.append(job.arg_int("n")))
    stepped = StepPool(pool, redis_url, FakeClock()).start()
    made: Any = kind(scene.namespace, redis_url, allow_huge_integers=True)
    with asyncio.Runner() as runner:
        face = blocking(made, runner) if isinstance(made, AsyncEnqueuer) else made
        face.enqueue("mail", {"n": 10**400})
        stepped.work()
        face.close()
    stepped.close()
    assert seen == [10**400]


def test_an_integer_that_would_jam_a_go_pool_is_refused_as_an_arg_of_a_cron_job() -> None:
    pool = WorkerPool("ns", "redis://localhost")
    with pytest.raises(InvalidArgs, match=r"args\.n: Go cannot read an integer of 401 digits"):
        pool.periodically_enqueue("@hourly", "mail", {"n": 10**400})
