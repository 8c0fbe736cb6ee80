"""Unique jobs: which jobs are accepted, how long others are refused, and whose args run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.parity.gopeer import GoJob, Scene
from tests.support.steps import FakeClock, StepPool
from workkit import Enqueuer, Job, WorkerPool

if TYPE_CHECKING:
    from redis import Redis

DAY_S: Final = 86_400
TTL_SLACK_S: Final = 60
ARGS: Final = {"user": 7}
FORMS: Final[dict[str, Callable[[Enqueuer], object]]] = {
    "now": lambda e: e.enqueue_unique("mail", ARGS),
    "later": lambda e: e.enqueue_unique_in("mail", 300, ARGS),
    "until done": lambda e: e.enqueue_unique("mail", ARGS, until="done"),
    "later until done": lambda e: e.enqueue_unique_in("mail", 300, ARGS, until="done"),
    "by key": lambda e: e.enqueue_unique_by_key("mail", {"n": 1}, ARGS),
    "later by key": lambda e: e.enqueue_unique_in_by_key("mail", 300, {"n": 1}, ARGS),
}


class Line:
    """Runs jobs one at a time; a test says which of them fail."""

    def __init__(self, namespace: str, url: str, clock: FakeClock) -> None:
        self.ran: list[dict[str, Any] | None] = []
        self.failures = 0
        self.during: Callable[[Job], object] = lambda job: None
        pool = WorkerPool(namespace, url, concurrency=1)
        pool.job("mail", self._handle, max_fails=3, backoff=lambda job: 10)
        self.pool = StepPool(pool, url, clock).start()
        self._clock = clock

    def _handle(self, job: Job) -> None:
        self.ran.append(job.args)
        self.during(job)
        if self.failures:
            self.failures -= 1
            raise RuntimeError("told to fail")

    def work(self, after_s: float = 0) -> None:
        """Let time pass and run what is due."""
        self._clock.advance(after_s)
        self.pool.duty("requeuer")
        self.pool.work()


@pytest.fixture
def line(namespace: str, redis_url: str, clock: FakeClock) -> Iterator[Line]:
    made = Line(namespace, redis_url, clock)
    yield made
    made.pool.close()


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Callable[[Enqueuer], object]:
    return FORMS[request.param]


def unique_key(scene: Scene) -> str:
    return f'{scene.namespace}:unique:mail:{{"user":7}}\n'


def waiting(scene: Scene) -> int:
    return len(scene.queue("mail")) + len(scene.members("scheduled"))


# Duplicates


@pytest.mark.parametrize("second", FORMS)
def test_while_one_waits_no_second_one_gets_in(
    enqueuer: Enqueuer, scene: Scene, form: Callable[[Enqueuer], object], second: str
) -> None:
    assert form(enqueuer) is not None
    assert FORMS[second](enqueuer) is None
    assert waiting(scene) == 1


def test_other_args_and_another_name_are_other_jobs(enqueuer: Enqueuer, scene: Scene) -> None:
    assert enqueuer.enqueue_unique("mail", {"user": 7})
    assert enqueuer.enqueue_unique("mail", {"user": 8})
    assert enqueuer.enqueue_unique("mail", {"user": "7"})
    assert enqueuer.enqueue_unique("mail", {})
    assert enqueuer.enqueue_unique("mail")
    assert enqueuer.enqueue_unique("letter", {"user": 7})
    assert len(scene.queue("mail")) == 5


def test_the_same_args_in_another_order_and_notation_are_the_same_job(enqueuer: Enqueuer) -> None:
    assert enqueuer.enqueue_unique("mail", {"a": 1, "b": [2.0]})
    assert enqueuer.enqueue_unique("mail", {"b": (2,), "a": 1.0}) is None


def test_a_go_service_and_ours_keep_each_others_duplicates_out(
    enqueuer: Enqueuer, scene: Scene
) -> None:
    go = scene.peer(mail=GoJob())
    assert enqueuer.enqueue_unique("mail", {"n": 1.5, "url": "a&b"})
    assert go.enqueue_unique("mail", {"url": "a&b", "n": 1.5}) is None
    assert go.enqueue_unique("mail", {"n": 2.0})
    assert enqueuer.enqueue_unique("mail", {"n": 2}) is None


# How long the door is shut


def test_a_refused_duplicate_neither_prolongs_nor_shortens_the_key(
    enqueuer: Enqueuer,
    scene: Scene,
    redis_client: Redis,
    form: Callable[[Enqueuer], object],
) -> None:
    form(enqueuer)
    for left_s in (100, 2 * DAY_S):
        redis_client.expire(unique_key(scene), left_s)
        for duplicate in FORMS.values():
            duplicate(enqueuer)
        assert redis_client.ttl(unique_key(scene)) == pytest.approx(left_s, abs=TTL_SLACK_S)


def test_once_the_key_has_expired_the_next_one_gets_in(
    enqueuer: Enqueuer, scene: Scene, redis_client: Redis, form: Callable[[Enqueuer], object]
) -> None:
    form(enqueuer)
    redis_client.delete(unique_key(scene))
    assert form(enqueuer) is not None
    assert waiting(scene) == 2


@pytest.mark.parametrize("name", ["now", "by key", "later"])
def test_the_next_one_gets_in_as_soon_as_the_job_begins(
    enqueuer: Enqueuer, scene: Scene, line: Line, name: str
) -> None:
    let_in: list[object] = []
    FORMS[name](enqueuer)
    line.during = lambda job: let_in.append(enqueuer.enqueue_unique_in("mail", 3_600, ARGS))
    line.work(after_s=301)
    assert len(line.ran) == 1
    assert let_in != [None]
    assert len(scene.members("scheduled")) == 1


def test_until_done_nobody_gets_in_before_the_job_has_succeeded(
    enqueuer: Enqueuer, line: Line, redis_client: Redis, scene: Scene
) -> None:
    enqueuer.enqueue_unique("mail", ARGS, until="done")
    line.failures = 1
    let_in: list[object] = []
    line.during = lambda job: let_in.append(enqueuer.enqueue_unique("mail", ARGS))
    line.work()
    let_in.append(enqueuer.enqueue_unique("mail", ARGS))
    line.work(after_s=11)
    assert let_in == [None] * 3
    assert line.ran == [ARGS, ARGS]
    assert not redis_client.exists(unique_key(scene))
    assert enqueuer.enqueue_unique("mail", ARGS) is not None


def test_until_done_nobody_gets_in_before_the_job_has_died(enqueuer: Enqueuer, line: Line) -> None:
    enqueuer.enqueue_unique("mail", ARGS, until="done")
    line.failures = 3
    for _ in range(2):
        line.work(after_s=11)
        assert enqueuer.enqueue_unique("mail", ARGS) is None
    line.work(after_s=11)
    assert len(line.ran) == 3
    assert enqueuer.enqueue_unique("mail", ARGS) is not None


@pytest.mark.parametrize("newer", ["later", "later until done", "later by key"])
def test_a_job_until_done_whose_key_expired_leaves_the_newer_one_its_own(
    enqueuer: Enqueuer, line: Line, redis_client: Redis, scene: Scene, newer: str
) -> None:
    enqueuer.enqueue_unique("mail", ARGS, until="done")
    line.during = lambda job: [
        redis_client.delete(unique_key(scene)),
        FORMS[newer](enqueuer),
    ]
    line.work()
    assert line.ran == [ARGS]
    assert redis_client.exists(unique_key(scene))
    assert FORMS[newer](enqueuer) is None


# Whose args run


@pytest.mark.parametrize("later", [False, True])
def test_the_newest_args_under_a_key_are_those_that_run(
    enqueuer: Enqueuer, line: Line, redis_client: Redis, scene: Scene, later: bool
) -> None:
    def enqueue(n: int) -> object:
        if later:
            return enqueuer.enqueue_unique_in_by_key("mail", 5, {"n": n}, ARGS)
        return enqueuer.enqueue_unique_by_key("mail", {"n": n}, ARGS)

    assert [enqueue(n) is not None for n in range(3)] == [True, False, False]
    line.work(after_s=6)
    assert line.ran == [{"n": 2}]
    assert not redis_client.exists(unique_key(scene))
    assert enqueue(3) is not None
    line.work(after_s=6)
    assert line.ran == [{"n": 2}, {"n": 3}]


def test_an_update_leaves_the_waiting_job_at_its_place_and_its_time(
    enqueuer: Enqueuer, scene: Scene, clock: FakeClock
) -> None:
    first = enqueuer.enqueue_unique_in_by_key("mail", 5, {"n": 1}, ARGS)
    assert first is not None
    clock.advance(1)
    enqueuer.enqueue_unique_in_by_key("mail", 500, {"n": 2}, ARGS)
    enqueuer.enqueue_unique_by_key("mail", {"n": 3}, ARGS)
    assert scene.members("scheduled") == {first.job.raw: first.run_at}
    assert scene.queue("mail") == []


@pytest.mark.parametrize("name", ["now", "until done"])
def test_a_plain_duplicate_does_not_replace_the_args_under_a_key(
    enqueuer: Enqueuer, line: Line, name: str
) -> None:
    enqueuer.enqueue_unique_by_key("mail", {"n": 1}, ARGS)
    FORMS[name](enqueuer)
    line.work()
    assert line.ran == [{"n": 1}]


def test_a_job_until_done_keeps_its_args_and_its_key_is_freed_when_it_is_done(
    enqueuer: Enqueuer, line: Line, redis_client: Redis, scene: Scene
) -> None:
    enqueuer.enqueue_unique("mail", ARGS, until="done")
    assert enqueuer.enqueue_unique_by_key("mail", {"n": 2}, ARGS) is None
    line.work()
    assert not redis_client.exists(unique_key(scene))
    assert line.ran == [ARGS]


def test_an_update_from_a_go_service_is_what_runs_here(
    enqueuer: Enqueuer, line: Line, scene: Scene
) -> None:
    go = scene.peer("go", letter=GoJob())
    enqueuer.enqueue_unique_by_key("mail", {"n": 1}, ARGS)
    assert go.enqueue_unique_by_key("mail", {"n": 2}, {"user": 7.0}) is None
    line.work()
    assert line.ran == [{"n": 2}]


def test_our_update_is_what_runs_in_a_go_service(enqueuer: Enqueuer, scene: Scene) -> None:
    ran: list[Any] = []
    go = scene.peer(mail=GoJob(handler=lambda job: ran.append(job.args)))
    go.enqueue_unique_by_key("mail", {"n": 1.0}, {"user": 7.0})
    assert enqueuer.enqueue_unique_by_key("mail", {"n": 2}, ARGS) is None
    go.run_all()
    assert ran == [{"n": 2.0}]


def test_a_failed_job_runs_again_with_its_own_args_beside_a_newer_one(
    enqueuer: Enqueuer, line: Line
) -> None:
    enqueuer.enqueue_unique_by_key("mail", {"n": 1}, ARGS)
    line.failures = 1
    line.work()
    enqueuer.enqueue_unique_in_by_key("mail", 60, {"n": 2}, ARGS)
    line.work(after_s=11)
    assert line.ran == [{"n": 1}, {"n": 1}]
    line.work(after_s=60)
    assert line.ran[2:] == [{"n": 2}]
