"""One enqueuer in many threads, and on both sides of a fork."""

from __future__ import annotations

import gc
import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from redis import Redis

from tests.conftest import WaitUntil
from tests.enqueuer.faces import HeldUp
from tests.parity.gopeer import Scene
from workkit import Enqueuer, Job

THREADS = 8
EACH = 60


def test_threads_share_an_enqueuer_and_each_gets_its_own_answers(
    namespace: str, redis_url: str, scene: Scene, redis_client: Redis
) -> None:
    enqueuer = Enqueuer(namespace, redis_url)
    gate = Barrier(THREADS)

    def enqueue(thread: int) -> tuple[list[Job], list[Job | None]]:
        gate.wait()
        jobs, uniques = [], []
        for n in range(EACH):
            jobs.append(enqueuer.enqueue("mail", {"thread": thread, "n": n}))
            uniques.append(enqueuer.enqueue_unique("once", {"n": n}))
        return jobs, uniques

    with ThreadPoolExecutor(THREADS) as threads:
        answers = list(threads.map(enqueue, range(THREADS)))
    named = [client for client in redis_client.client_list() if client["name"] == "workkit"]
    enqueuer.close()

    for thread, (jobs, _) in enumerate(answers):
        assert [job.args for job in jobs] == [{"thread": thread, "n": n} for n in range(EACH)]
    assert sorted(scene.queue("mail")) == sorted(job.raw for jobs, _ in answers for job in jobs)
    for column in zip(*(uniques for _, uniques in answers), strict=True):
        assert len([job for job in column if job is not None]) == 1
    assert len(scene.queue("once")) == EACH
    assert len(named) <= THREADS


def test_an_interrupted_call_leaves_its_answer_to_nobody(
    held_up: HeldUp, wait_until: WaitUntil
) -> None:
    enqueuer = Enqueuer("n", held_up.url)
    assert enqueuer.enqueue_unique("held") is not None
    links: Any = enqueuer._links
    (link,) = links._exclusive._idle

    def strike() -> None:
        raise KeyboardInterrupt

    held_up.hold()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(link._line, "read", strike)
        with pytest.raises(KeyboardInterrupt):
            enqueuer.enqueue_unique("held")

    with ThreadPoolExecutor(1) as threads:
        # This one is accepted; the answer of the interrupted one is a refusal.
        other = threads.submit(enqueuer.enqueue_unique, "fresh")
        wait_until(lambda: held_up.waiting() == 1)
        held_up.go_on()
        assert other.result() is not None
    assert enqueuer.enqueue_unique("fresh") is None
    enqueuer.close()


def fork_and_enqueue(enqueuer: Enqueuer, count: int) -> None:
    """Let a child process enqueue, and wait for it."""
    child = os.fork()
    if child == 0:
        try:
            for n in range(count):
                assert enqueuer.enqueue("mail", {"child": n}).args == {"child": n}
            assert enqueuer.enqueue_unique("once") is None
            enqueuer.close()
        except BaseException:  # noqa: BLE001 - the parent is told by the status
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_and_its_parent_enqueue_over_connections_of_their_own(
    namespace: str, redis_url: str, scene: Scene
) -> None:
    enqueuer = Enqueuer(namespace, redis_url)
    assert enqueuer.enqueue_unique("once") is not None
    for n in range(3):
        fork_and_enqueue(enqueuer, 10)
        assert enqueuer.enqueue("mail", {"parent": n}).args == {"parent": n}
        assert enqueuer.enqueue_unique("once") is None
    enqueuer.close()
    raws = scene.queue("mail")
    assert len(raws) == 33
    assert len({raw.split(b'"id":"')[1][:24] for raw in raws}) == 33


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_opens_a_connection_of_its_own(
    namespace: str, redis_url: str, redis_client: Redis
) -> None:
    enqueuer = Enqueuer(namespace, redis_url)
    enqueuer.enqueue("mail")
    before = {client["id"] for client in redis_client.client_list()}
    child_says, to_parent = os.pipe()
    from_parent, parent_says = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(parent_says)
        enqueuer.enqueue("mail")
        os.write(to_parent, b"x")
        os.read(from_parent, 1)  # until the parent has looked
        os._exit(0)
    os.close(to_parent)
    assert os.read(child_says, 1) == b"x"
    during = {client["id"] for client in redis_client.client_list()}
    os.close(parent_says)
    os.waitpid(child, 0)
    os.close(child_says)
    os.close(from_parent)
    assert before < during
    assert len(during - before) == 1
    enqueuer.enqueue("mail")
    enqueuer.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_that_dies_without_a_word_takes_no_connection_of_its_parent_along(
    namespace: str, redis_url: str, redis_client: Redis
) -> None:
    enqueuer = Enqueuer(namespace, redis_url)
    enqueuer.enqueue("mail")
    before = {client["id"] for client in redis_client.client_list()}
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    enqueuer.enqueue("mail")
    assert {client["id"] for client in redis_client.client_list()} == before
    enqueuer.close()


def test_a_dropped_enqueuer_closes_its_connections_at_once(
    redis_url: str, redis_client: Redis, namespace: str, wait_until: WaitUntil
) -> None:
    def named() -> int:
        return sum(row["name"] == namespace for row in redis_client.client_list())

    enqueuer = Enqueuer(namespace, Redis.from_url(redis_url, client_name=namespace))
    enqueuer.enqueue("work")
    assert named() == 1
    gc.disable()  # nothing of it may wait for the collector
    try:
        del enqueuer
        wait_until(lambda: named() == 0)
    finally:
        gc.enable()
