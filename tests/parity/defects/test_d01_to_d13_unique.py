"""D6, D6b, D6c: a unique job runs with its newest args, once, and leaves nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.parity.defects.fleet import Fleet
from tests.parity.gopeer import GoJob, GoJobRecord
from tests.support.handlers import boom
from workkit.core import job as wire
from workkit.core.undecodable import restore_undecodable
from workkit.errors import ServerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

    from workkit import Job

KEY = {"k": 1}
DAY_S = 86_400


@pytest.fixture
def fleet(redis_client: Redis, redis_url: str, namespace: str) -> Iterator[Fleet]:
    with Fleet(redis_client, redis_url, namespace) as fleet:
        yield fleet


class Runs:
    """A handler that remembers the `v` of each job, and fails a given number of times."""

    def __init__(self, fails: int = 0) -> None:
        self.seen: list[object] = []
        self._fails = fails

    def __call__(self, job: Job | GoJobRecord) -> None:
        self.seen.append((job.args or {})["v"])
        if len(self.seen) <= self._fails:
            boom(job)


def retry_now(fleet: Fleet, requeue: Callable[[], object]) -> None:
    """Let the retries that wait become due, and be requeued."""
    fleet.advance(DAY_S / 2)
    requeue()


def is_clean(fleet: Fleet) -> bool:
    """Tell whether nothing is left of a queue but, perhaps, the dead."""
    left: tuple[Any, ...] = (fleet.queue("a"), fleet.held("a"), fleet.lock("a"))
    return left == ([], [], 0) and fleet.members("retry") == fleet.members("scheduled") == {}


# D6: the payload that runs is not the one that was fetched.


def test_d6_the_original_leaves_a_ghost_in_progress(fleet: Fleet) -> None:
    go = fleet.go(a=GoJob())
    go.enqueue_unique_in_by_key("a", 0, {"v": 1}, KEY)
    go.requeue_step()
    assert go.run_all() == 1
    assert len(fleet.held("a")) == 1


def test_d6_a_scheduled_job_by_key_leaves_no_ghost(fleet: Fleet) -> None:
    runs = Runs()
    pool = fleet.pool({"a": runs})
    fleet.enqueuer.enqueue_unique_in_by_key("a", 0, {"v": 1}, KEY)
    fleet.advance(1)
    pool.duty("requeuer")

    pool.work()

    assert runs.seen == [1]
    assert is_clean(fleet)


@pytest.mark.parametrize("fails", [0, 1, 2])
def test_d6_an_updated_job_runs_with_its_newest_args_and_leaves_no_ghost(
    fleet: Fleet, fails: int
) -> None:
    runs = Runs(fails)
    pool = fleet.pool({"a": runs})
    assert fleet.enqueuer.enqueue_unique_by_key("a", {"v": 1}, KEY) is not None
    assert fleet.enqueuer.enqueue_unique_by_key("a", {"v": 2}, KEY) is None
    pool.work()
    for _ in range(fails):
        retry_now(fleet, lambda: pool.duty("requeuer"))
        pool.work()

    assert runs.seen == [2] * (1 + fails)
    assert is_clean(fleet)


@pytest.mark.parametrize("updates", [0, 1])
def test_d6_jobs_by_key_from_a_go_fleet_leave_no_ghost(fleet: Fleet, updates: int) -> None:
    runs = Runs()
    go = fleet.go(a=GoJob())
    pool = fleet.pool({"a": runs})
    go.enqueue_unique_in_by_key("a", 0, {"v": 1}, KEY)
    for _ in range(updates):
        go.enqueue_unique_in_by_key("a", 0, {"v": 2}, KEY)
    go.requeue_step()

    pool.work()

    assert runs.seen == [1 + updates]
    assert is_clean(fleet)


def test_d6_a_job_by_key_that_was_swapped_survives_a_crash_once(fleet: Fleet) -> None:
    runs = Runs()
    dead, pool = fleet.pool({"a": runs}), fleet.pool({"a": runs})
    fleet.enqueuer.enqueue_unique_by_key("a", {"v": 1}, KEY)
    fleet.enqueuer.enqueue_unique_by_key("a", {"v": 2}, KEY)
    dead.claim()
    dead.crash()

    fleet.watch(pool, pool)
    pool.work()

    assert runs.seen == [2]
    assert is_clean(fleet)


# D6b: a retry and a newer job with the same key.


def test_d6b_the_original_s_retry_becomes_the_next_job(fleet: Fleet) -> None:
    runs = Runs(fails=1)
    go = fleet.go(a=GoJob(handler=runs))
    go.enqueue_unique_by_key("a", {"v": "A"}, KEY)
    go.run_all()
    retry_now(fleet, go.requeue_step)
    go.enqueue_unique_by_key("a", {"v": "B"}, KEY)
    go.run_all()
    assert runs.seen == ["A", "B", "B"]


@pytest.mark.parametrize("enqueuer_is_go", [False, True])
@pytest.mark.parametrize("requeuer_is_go", [False, True])
def test_d6b_a_retry_runs_with_its_own_args_beside_a_newer_job(
    fleet: Fleet, enqueuer_is_go: bool, requeuer_is_go: bool
) -> None:
    runs = Runs(fails=1)
    pool, go = fleet.pool({"a": runs}, max_fails=2), fleet.go(a=GoJob())
    enqueuer: Any = go if enqueuer_is_go else fleet.enqueuer
    enqueuer.enqueue_unique_by_key("a", {"v": "A"}, KEY)
    pool.work()

    requeue = go.requeue_step if requeuer_is_go else lambda: pool.duty("requeuer")
    retry_now(fleet, requeue)
    assert enqueuer.enqueue_unique_by_key("a", {"v": "B"}, KEY) is not None
    pool.work()

    assert runs.seen == ["A", "A", "B"]
    assert is_clean(fleet)


def test_d6b_a_retry_after_a_failure_in_go_runs_with_its_own_args(fleet: Fleet) -> None:
    runs = Runs()
    go, pool = fleet.go(a=GoJob(handler=boom)), fleet.pool({"a": runs})
    go.enqueue_unique_by_key("a", {"v": "A"}, KEY)
    go.run_all()

    retry_now(fleet, lambda: pool.duty("requeuer"))
    go.enqueue_unique_by_key("a", {"v": "B"}, KEY)
    pool.work()

    assert runs.seen == ["A", "B"]
    assert is_clean(fleet)


def test_d6b_a_retry_does_not_free_the_key_of_the_job_that_waits(fleet: Fleet) -> None:
    go = fleet.go(a=GoJob(handler=boom))
    go.enqueue_unique("a", {"v": 1})
    go.run_all()
    retry_now(fleet, go.requeue_step)
    assert go.enqueue_unique("a", {"v": 1}) is not None
    claim = go.fetch()
    assert claim is not None
    go.begin(claim)
    assert go.enqueue_unique("a", {"v": 1}) is not None
    go.settle(claim)
    go.stop()
    fleet.redis.delete(go.keys.queue("a"), go.keys.unique("a", {"v": 1}))

    pool = fleet.pool({"a": Runs(fails=1)}, concurrency=1)
    fleet.enqueuer.enqueue_unique("a", {"v": 1})
    pool.work()
    retry_now(fleet, lambda: pool.duty("requeuer"))
    assert fleet.enqueuer.enqueue_unique("a", {"v": 1}) is not None
    (retry,) = pool.claim()
    assert retry.job.fails == 1
    assert fleet.enqueuer.enqueue_unique("a", {"v": 1}) is None


def test_d6b_a_dead_job_takes_its_key_again(fleet: Fleet) -> None:
    runs = Runs(fails=1)
    pool = fleet.pool({"a": runs}, max_fails=1)
    fleet.enqueuer.enqueue_unique_by_key("a", {"v": "A"}, KEY)
    pool.work()

    assert fleet.client.retry_all_dead_jobs() == 1

    assert fleet.enqueuer.enqueue_unique_by_key("a", {"v": "B"}, KEY) is None
    pool.work()
    assert len(runs.seen) == 2
    assert is_clean(fleet)
    assert fleet.enqueuer.enqueue_unique_by_key("a", {"v": "C"}, KEY) is not None


def test_d6b_a_dead_job_whose_key_is_taken_comes_back_as_a_plain_one(fleet: Fleet) -> None:
    runs = Runs(fails=1)
    pool = fleet.pool({"a": runs}, max_fails=1)
    fleet.enqueuer.enqueue_unique_by_key("a", {"v": "A"}, KEY)
    pool.work()
    fleet.enqueuer.enqueue_unique_in_by_key("a", 60, {"v": "B"}, KEY)
    (dead,) = fleet.client.dead_jobs().jobs

    fleet.client.retry_dead_job(dead.died_at, dead.job.id)
    pool.work()

    assert runs.seen == ["A", "A"]
    assert fleet.enqueuer.enqueue_unique_by_key("a", {"v": "C"}, KEY) is None
    fleet.advance(60)
    pool.duty("requeuer")
    pool.work()
    assert runs.seen == ["A", "A", "C"]
    assert is_clean(fleet)


# D6c: an update between two steps.


def test_d6c_the_original_destroys_an_update_that_it_has_promised_to_run(fleet: Fleet) -> None:
    go = fleet.go(a=GoJob())
    go.enqueue_unique_by_key("a", {"v": 1}, KEY)
    claim = go.fetch()
    assert claim is not None
    update = go.read_update(claim)
    assert go.enqueue_unique_by_key("a", {"v": 2}, KEY) is None
    go.take_update(claim, update)
    assert claim.job.args == {"v": 1.0}
    assert fleet.redis.exists(claim.job.unique_key) == 0


def test_d6c_an_update_before_the_beginning_is_what_runs(fleet: Fleet) -> None:
    runs = Runs()
    pool = fleet.pool({"a": runs})
    fleet.enqueuer.enqueue_unique_by_key("a", {"v": 1}, KEY)
    answers: list[object] = []

    def update() -> None:
        answers.append(fleet.enqueuer.enqueue_unique_by_key("a", {"v": 2}, KEY))

    pool.link.before("begin", update)
    pool.work()

    assert (answers, runs.seen) == ([None], [2])
    assert is_clean(fleet)


def test_d6c_an_update_after_the_beginning_is_a_job_of_its_own(fleet: Fleet) -> None:
    runs = Runs()
    pool = fleet.pool({"a": runs}, concurrency=1)
    fleet.enqueuer.enqueue_unique_by_key("a", {"v": 1}, KEY)
    pool.claim()
    running = pool.runner.begin()

    assert fleet.enqueuer.enqueue_unique_by_key("a", {"v": 2}, KEY) is not None
    pool.runner.run(running)
    pool.work()

    assert runs.seen == [1, 2]
    assert is_clean(fleet)


@pytest.mark.parametrize("fault", ["drop", "lose_reply"])
def test_d6c_a_beginning_without_an_answer_neither_loses_nor_repeats_an_update(
    fleet: Fleet, fault: str
) -> None:
    runs = Runs()
    pool = fleet.pool({"a": runs}, concurrency=1)
    fleet.enqueuer.enqueue_unique_by_key("a", {"v": 1}, KEY)
    fleet.enqueuer.enqueue_unique_by_key("a", {"v": 2}, KEY)
    pool.link.before("begin", getattr(pool.link, fault))
    with pytest.raises(ServerUnavailable):
        pool.work()

    pool.work()

    assert runs.seen == [2]
    assert is_clean(fleet)


def test_d6c_a_crash_after_the_beginning_runs_the_update_and_spares_a_newer_job(
    fleet: Fleet,
) -> None:
    runs = Runs()
    dead, pool = fleet.pool({"a": runs}), fleet.pool({"a": runs}, concurrency=1)
    fleet.enqueuer.enqueue_unique_by_key("a", {"v": 1}, KEY)
    fleet.enqueuer.enqueue_unique_by_key("a", {"v": 2}, KEY)
    dead.claim()
    dead.runner.begin()
    dead.crash()
    assert fleet.enqueuer.enqueue_unique_by_key("a", {"v": 3}, KEY) is not None

    fleet.watch(pool, pool)
    pool.claim()
    assert fleet.enqueuer.enqueue_unique_by_key("a", {"v": 4}, KEY) is None
    pool.work()

    assert runs.seen == [2, 4]
    assert is_clean(fleet)


@pytest.mark.parametrize(
    "junk",
    [b"{", b'{"a":' * 300, b'{"name":"a","id":"x","t":1,"args":{"v":2', b'{"name":"a","id":"x"}'],
)
def test_d6c_an_update_that_is_no_job_is_buried_and_the_job_runs_as_it_was(
    fleet: Fleet, junk: bytes
) -> None:
    runs = Runs()
    pool = fleet.pool({"a": runs})
    job = fleet.enqueuer.enqueue_unique_by_key("a", {"v": 1}, KEY)
    assert job is not None
    fleet.redis.set(job.unique_key, junk)

    pool.work()

    assert runs.seen == [1]
    (buried,) = fleet.members("dead")
    assert restore_undecodable(wire.decode(buried)) == junk
    assert is_clean(fleet)
    assert fleet.redis.exists(job.unique_key) == 0
