"""What happens to jobs when the processes that run them are killed, frozen or told to stop."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from contextlib import ExitStack
from functools import partial

import pytest
from redis import Redis

from tests.conftest import WaitUntil
from tests.system.survival.workers import worker_process
from workkit import Client, Enqueuer

pytestmark = pytest.mark.slow


def ran(client: Redis, namespace: str) -> Counter[int]:
    return Counter(int(n) for n in client.lrange(f"{namespace}:ran", 0, -1))


def in_progress(client: Redis, namespace: str) -> int:
    keys = client.keys(f"{namespace}:jobs:*:inprogress")
    return sum(client.llen(key) for key in keys)


def test_after_kill_9_in_the_middle_of_2000_jobs_all_have_run_and_few_twice(
    redis_url: str, redis_client: Redis, namespace: str, wait_until: WaitUntil
) -> None:
    with Enqueuer(namespace, redis_url) as enqueuer:
        enqueuer.enqueue_many([("note", {"n": n}) for n in range(2_000)])

    with worker_process(redis_url, namespace) as first:
        wait_until(lambda: len(ran(redis_client, namespace)) > 600, 30)
        first.kill()
        first.wait()
    held = in_progress(redis_client, namespace)

    with worker_process(redis_url, namespace) as second:
        # All that the first one held may have run: then nothing is missing before it is found dead.
        wait_until(lambda: len(ran(redis_client, namespace)) == 2_000, 60)
        wait_until(lambda: not in_progress(redis_client, namespace), 60)
        second.terminate()
        assert second.wait(30) == 0

    counts = ran(redis_client, namespace)
    assert held > 0
    assert counts.total() - len(counts) <= held
    assert in_progress(redis_client, namespace) == 0


@pytest.mark.one_server
def test_a_poison_job_among_200_kills_three_processes_and_alone_ends_dead(
    redis_url: str, redis_client: Redis, namespace: str, wait_until: WaitUntil
) -> None:
    with Enqueuer(namespace, redis_url) as enqueuer:
        enqueuer.enqueue_many([("note", {"n": n}) for n in range(100)])
        poison = enqueuer.enqueue("poison")
        enqueuer.enqueue_many([("note", {"n": n}) for n in range(100, 200)])
    client = Client(namespace, redis_url)

    def over(process: subprocess.Popen[bytes]) -> bool:
        settled = client.dead_jobs().total and len(ran(redis_client, namespace)) == 200
        return process.poll() is not None or bool(settled)

    deaths = 0
    with ExitStack() as stack:
        process: subprocess.Popen[bytes] | None = None
        while not client.dead_jobs().total or len(ran(redis_client, namespace)) < 200:
            if process is None or process.poll() is not None:
                deaths += process is not None
                assert deaths <= 3
                process = stack.enter_context(worker_process(redis_url, namespace))
            wait_until(partial(over, process), 60)

    dead = client.dead_jobs()
    assert [job.job.id for job in dead.jobs] == [poison.id]
    client.close()
    assert "died 3 times" in dead.jobs[0].job.last_err
    assert len(ran(redis_client, namespace)) == 200


def test_a_frozen_process_is_recovered_and_what_it_finishes_later_does_not_count_twice(
    redis_url: str, redis_client: Redis, namespace: str, wait_until: WaitUntil
) -> None:
    with Enqueuer(namespace, redis_url) as enqueuer:
        enqueuer.enqueue("hold", {"n": 1})

    with worker_process(redis_url, namespace) as frozen:
        wait_until(lambda: redis_client.llen(f"{namespace}:holding") == 1, 30)
        frozen.send_signal(signal.SIGSTOP)
        with worker_process(redis_url, namespace) as other:
            wait_until(lambda: redis_client.llen(f"{namespace}:holding") == 2, 40)
            frozen.send_signal(signal.SIGCONT)
            with Client(namespace, redis_url) as client:
                pools = client.worker_pool_heartbeats
                wait_until(
                    lambda: len(pools()) == 2 and all(pool.heartbeat_at for pool in pools()), 20
                )
            redis_client.rpush(f"{namespace}:release", 1, 1)
            wait_until(lambda: ran(redis_client, namespace)[1] == 2, 20)
            wait_until(lambda: in_progress(redis_client, namespace) == 0, 20)
            for process in (frozen, other):
                process.terminate()
                assert process.wait(30) == 0

    with Client(namespace, redis_url) as client:
        outcomes = Counter(record.outcome for record in client.history())
    assert outcomes == {"done": 1, "fenced": 1, "recovered": 1}
    assert redis_client.get(f"{namespace}:jobs:hold:lock") == b"0"


def test_sigterm_lets_running_jobs_end(
    redis_url: str, redis_client: Redis, namespace: str, wait_until: WaitUntil
) -> None:
    with Enqueuer(namespace, redis_url) as enqueuer:
        enqueuer.enqueue_many([("hold", {"n": n}) for n in range(3)])

    with worker_process(redis_url, namespace, TEST_CONCURRENCY="2") as process:
        wait_until(lambda: redis_client.llen(f"{namespace}:holding") == 2, 30)
        process.terminate()
        redis_client.rpush(f"{namespace}:release", 1, 1)
        assert process.wait(30) == 0

    assert ran(redis_client, namespace).total() == 2
    assert redis_client.llen(f"{namespace}:jobs:hold") == 1


def test_a_second_signal_returns_unfinished_jobs_to_their_queue_at_once(
    redis_url: str, redis_client: Redis, namespace: str, wait_until: WaitUntil
) -> None:
    with Enqueuer(namespace, redis_url) as enqueuer:
        enqueuer.enqueue_many([("hold", {"n": n}) for n in range(3)])

    with worker_process(redis_url, namespace, TEST_CONCURRENCY="2", TEST_TIMEOUT="600") as process:
        wait_until(lambda: redis_client.llen(f"{namespace}:holding") == 2, 30)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0

    assert redis_client.llen(f"{namespace}:jobs:hold") == 3
    assert in_progress(redis_client, namespace) == 0
    with Client(namespace, redis_url) as client:
        assert not client.worker_pool_heartbeats()
