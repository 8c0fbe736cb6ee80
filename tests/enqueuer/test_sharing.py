"""Calls at once share few connections, and each has an answer or an error of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import PrivateServer, WaitUntil
from tests.enqueuer.faces import HeldUp
from workkit import AsyncEnqueuer, Enqueuer, InvalidOption, Job, ServerRefused, ServerUnavailable

TASKS = 2_000

pytestmark = pytest.mark.one_server


def named(held_up: HeldUp) -> list[dict[str, str]]:
    """Return the connections of enqueuers."""
    return [each for each in held_up.redis.client_list() if each["name"] == "workkit"]


def all_sent(held_up: HeldUp, enqueuer: Enqueuer, calls: int) -> bool:
    """Tell whether calls of threads wait for their replies: some alone, the others together."""
    links: Any = enqueuer._links
    alone = links._exclusive._made - len(links._exclusive._idle)
    together = sum(len(line.talk.unanswered) for line in links._lines)
    busy = sum(bool(line.talk.unanswered) for line in links._lines)
    return bool(alone + together == calls and held_up.waiting() == alone + busy)


async def until(condition: Callable[[], bool]) -> None:
    """Wait on an event loop for what no signal tells."""
    while not condition():  # noqa: ASYNC110 - nothing signals it
        await asyncio.sleep(0)


async def all_at_once(calls: list[Any]) -> list[Any]:
    return await asyncio.gather(*calls, return_exceptions=True)


# How many connections


@pytest.mark.slow
def test_two_thousand_tasks_open_at_most_four_connections(held_up: HeldUp) -> None:
    async def enqueue() -> list[Any]:
        enqueuer = AsyncEnqueuer("n", held_up.url)
        safely = enqueuer.durably(replicas=1, timeout=0.001)
        answers = await all_at_once(
            [
                *(enqueuer.enqueue("mail", {"n": n}) for n in range(TASKS)),
                *(enqueuer.enqueue_unique("once", {"n": n % 100}) for n in range(TASKS)),
                *(safely.enqueue("mail", {"n": n}) for n in range(10)),
            ]
        )
        assert 1 <= len(named(held_up)) <= 4
        await enqueuer.close()
        await until(lambda: not named(held_up))
        return answers

    answers = asyncio.run(enqueue())
    assert [job.args["n"] for job in answers[:TASKS]] == list(range(TASKS))
    uniques = [job for job in answers[TASKS : 2 * TASKS] if job is not None]
    assert sorted(job.args["n"] for job in uniques) == list(range(100))
    assert all("0 of 1 replicas" in str(error) for error in answers[2 * TASKS :])
    assert held_up.redis.llen("n:jobs:mail") == TASKS + 10


@pytest.mark.parametrize("most", [1, 2, 3])
def test_threads_open_no_more_than_they_may(
    held_up: HeldUp, wait_until: WaitUntil, most: int
) -> None:
    enqueuer = Enqueuer("n", held_up.url, max_connections=most)
    with ThreadPoolExecutor(20) as threads:
        jobs = list(threads.map(lambda n: enqueuer.enqueue("mail", {"n": n}), range(400)))
        assert 1 <= len(named(held_up)) <= most
    assert [job.args for job in jobs] == [{"n": n} for n in range(400)]
    enqueuer.close()
    wait_until(lambda: not named(held_up))
    enqueuer.enqueue("mail")
    enqueuer.close()


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "4", 10**6])
@pytest.mark.parametrize("kind", [Enqueuer, AsyncEnqueuer])
def test_what_is_no_number_of_connections_is_refused(kind: Any, wrong: object) -> None:
    with pytest.raises(InvalidOption, match="max_connections"):
        kind("n", "redis://localhost", max_connections=wrong)


# Together, and yet not one behind the other


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_a_call_is_sent_while_the_reply_to_another_is_awaited(
    held_up: HeldUp, kind: str, wait_until: WaitUntil
) -> None:
    def unread() -> int:
        return sum(int(each["qbuf"]) for each in named(held_up))

    if kind == "threads":
        enqueuer = Enqueuer("n", held_up.url, max_connections=1)
        enqueuer.enqueue("mail")
        with ThreadPoolExecutor(2) as threads:
            held_up.hold()
            first = threads.submit(enqueuer.enqueue, "mail", {"n": 1})
            wait_until(lambda: held_up.waiting() == 1)
            before = unread()
            second = threads.submit(enqueuer.enqueue, "mail", {"n": 2})
            wait_until(lambda: unread() > before)
            held_up.go_on()
            assert (first.result().args, second.result().args) == ({"n": 1}, {"n": 2})
        enqueuer.close()
        return

    async def scenario() -> None:
        enqueuer = AsyncEnqueuer("n", held_up.url, max_connections=1)
        await enqueuer.enqueue("mail")
        held_up.hold()
        first = asyncio.create_task(enqueuer.enqueue("mail", {"n": 1}))
        await until(lambda: held_up.waiting() == 1)
        before = unread()
        second = asyncio.create_task(enqueuer.enqueue("mail", {"n": 2}))
        await until(lambda: unread() > before)
        held_up.go_on()
        assert ((await first).args, (await second).args) == ({"n": 1}, {"n": 2})
        await enqueuer.close()

    asyncio.run(scenario())


def test_calls_that_wait_for_the_disk_share_a_wait(private_server: PrivateServer) -> None:
    held_up = HeldUp(private_server(config={"appendonly": "yes"}))

    async def enqueue() -> list[Job]:
        enqueuer = AsyncEnqueuer("n", held_up.url).durably(replicas=0, fsync=True)
        jobs = await asyncio.gather(*(enqueuer.enqueue("mail", {"n": n}) for n in range(200)))
        await enqueuer.close()
        return jobs

    jobs = asyncio.run(enqueue())
    assert [job.args for job in jobs] == [{"n": n} for n in range(200)]
    threaded = Enqueuer("n", held_up.url).durably(replicas=0, fsync=True)
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda n: threaded.enqueue("mail", {"n": n}), range(200)))
    assert len(named(held_up)) <= 4
    threaded.close()
    waits = held_up.redis.info("commandstats")["cmdstat_waitaof"]["calls"]
    assert waits < 300
    assert held_up.redis.llen("n:jobs:mail") == 400
    held_up.redis.close()


# Errors


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_a_refused_call_and_a_forgotten_script_disturb_no_neighbours(
    held_up: HeldUp, kind: str
) -> None:
    held_up.redis.set("n:jobs:bad", "x")
    names = [("bad" if n % 10 == 0 else "mail") for n in range(100)]

    def check(answers: list[Any]) -> None:
        for name, answer in zip(names, answers, strict=True):
            assert isinstance(answer, ServerRefused if name == "bad" else Job)
        refused = [answer for answer in answers if isinstance(answer, ServerRefused)]
        assert len(set(map(id, refused))) == 10

    if kind == "asyncio":

        async def enqueue() -> None:
            enqueuer = AsyncEnqueuer("n", held_up.url)
            for _ in range(2):
                held_up.redis.script_flush()
                check(await all_at_once([enqueuer.enqueue(name) for name in names]))
            await enqueuer.close()

        asyncio.run(enqueue())
    else:
        enqueuer = Enqueuer("n", held_up.url)

        def attempt(name: str) -> Any:
            try:
                return enqueuer.enqueue(name)
            except ServerRefused as error:
                return error

        for _ in range(2):
            held_up.redis.script_flush()
            with ThreadPoolExecutor(16) as threads:
                check(list(threads.map(attempt, names)))
        enqueuer.close()
    assert held_up.redis.llen("n:jobs:mail") == 180


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_each_call_on_a_broken_connection_is_told_and_the_next_one_succeeds(
    held_up: HeldUp, kind: str, wait_until: WaitUntil
) -> None:
    def kill() -> None:
        for each in named(held_up):
            held_up.redis.client_kill_filter(_id=each["id"])

    def check(answers: list[Any]) -> None:
        assert all(isinstance(answer, ServerUnavailable) for answer in answers)
        assert all("no answer from Redis at unix://" in str(answer) for answer in answers)
        assert len(set(map(id, answers))) == len(answers)

    if kind == "asyncio":

        async def scenario() -> None:
            enqueuer = AsyncEnqueuer("n", held_up.url)
            await enqueuer.enqueue("mail")
            held_up.hold()
            tasks = [asyncio.create_task(enqueuer.enqueue("mail")) for _ in range(50)]
            await until(lambda: held_up.waiting() == 1)
            kill()
            check(await asyncio.gather(*tasks, return_exceptions=True))
            held_up.go_on()
            await enqueuer.enqueue("mail")
            kill()
            await enqueuer.enqueue("mail")  # an idle connection that has ended is noticed before
            await enqueuer.close()

        asyncio.run(scenario())
        return
    enqueuer = Enqueuer("n", held_up.url)
    enqueuer.enqueue("mail")

    def attempt(_: int) -> Any:
        try:
            return enqueuer.enqueue("mail")
        except ServerUnavailable as error:
            return error

    with ThreadPoolExecutor(12) as threads:
        held_up.hold()
        answers = [threads.submit(attempt, n) for n in range(12)]
        wait_until(lambda: all_sent(held_up, enqueuer, 12))
        kill()
        check([answer.result() for answer in answers])
    held_up.go_on()
    enqueuer.enqueue("mail")
    kill()
    enqueuer.enqueue("mail")
    enqueuer.close()


@pytest.mark.parametrize(("most", "lines"), [(1, 1), (2, 1), (4, 2)])
def test_tasks_that_try_again_at_once_after_a_loss_go_to_a_new_connection(
    held_up: HeldUp, most: int, lines: int
) -> None:
    def kill() -> None:
        for each in named(held_up):
            held_up.redis.client_kill_filter(_id=each["id"])

    async def scenario() -> None:
        enqueuer = AsyncEnqueuer("n", held_up.url, max_connections=most)

        async def attempt() -> bool:
            try:
                await enqueuer.enqueue("mail", {"text": "x" * 3_000})
            except ServerUnavailable:
                # Before the loop has closed the connection, which counts among those it may open.
                await enqueuer.enqueue("mail")
                return True
            return False

        held_up.hold()
        tasks = [asyncio.create_task(attempt()) for _ in range(50)]
        await until(lambda: held_up.waiting() == lines)
        kill()
        held_up.go_on()
        assert all(await asyncio.wait_for(asyncio.gather(*tasks), 30))
        kill()  # of idle connections, whose end is found by the next calls
        calls = [enqueuer.enqueue("mail") for _ in range(50)]
        await asyncio.wait_for(asyncio.gather(*calls), 30)
        await enqueuer.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("leaving", [1, 49, 50])
def test_tasks_that_are_cancelled_leave_their_answers_to_nobody(
    held_up: HeldUp, leaving: int
) -> None:
    async def scenario() -> None:
        enqueuer = AsyncEnqueuer("n", held_up.url)
        assert await enqueuer.enqueue_unique("held") is not None
        held_up.hold()
        calls = [
            enqueuer.enqueue_unique("held") if n % 2 else enqueuer.enqueue("mail", {"n": n})
            for n in range(50)
        ]
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(call) for call in calls]
        await until(lambda: held_up.waiting() == 1)
        for task in tasks[:leaving]:
            task.cancel()
        await asyncio.sleep(0)
        later = [asyncio.create_task(enqueuer.enqueue_unique("new", {"n": n})) for n in range(20)]
        await until(lambda: held_up.waiting() == 1)
        held_up.go_on()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        for n, answer in enumerate(answers):
            if n < leaving:
                assert isinstance(answer, asyncio.CancelledError)
            elif n % 2:
                assert answer is None
            else:
                assert answer.args == {"n": n}
        assert [job and job.args for job in await asyncio.gather(*later)] == [
            {"n": n} for n in range(20)
        ]
        await enqueuer.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_large_jobs_wait_until_there_is_room(held_up: HeldUp, kind: str) -> None:
    text = "x" * 300_000
    if kind == "asyncio":

        async def enqueue() -> None:
            enqueuer = AsyncEnqueuer("n", held_up.url)
            calls = [enqueuer.enqueue("mail", {"n": n, "text": text}) for n in range(60)]
            tasks = [asyncio.create_task(call) for call in calls]
            await asyncio.sleep(0)
            links: Any = enqueuer._links
            assert sum(line.talk.load for line in links._on.lines) <= 2 * 1024 * 1024
            assert links._on._waiting
            tasks[-1].cancel()  # while it waits
            jobs: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)
            assert [job.args["n"] for job in jobs[:-1]] == list(range(59))
            await enqueuer.close()

        asyncio.run(enqueue())
    else:
        enqueuer = Enqueuer("n", held_up.url)
        with ThreadPoolExecutor(30) as threads:
            sent = threads.map(lambda n: enqueuer.enqueue("mail", {"n": n, "t": text}), range(59))
            assert [job.args and job.args["n"] for job in sent] == list(range(59))
        enqueuer.close()
    assert held_up.redis.llen("n:jobs:mail") == 59


# Ends


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_that_is_forked_during_calls_uses_none_of_their_connections(
    held_up: HeldUp, wait_until: WaitUntil
) -> None:
    enqueuer = Enqueuer("n", held_up.url)
    enqueuer.enqueue("mail")
    with ThreadPoolExecutor(8) as threads:
        held_up.hold()
        calls = [threads.submit(enqueuer.enqueue_unique, "once", {"n": n}) for n in range(8)]
        wait_until(lambda: all_sent(held_up, enqueuer, 8))
        before = held_up.waiting()
        child = os.fork()
        if child == 0:
            try:
                assert enqueuer.enqueue("child", {"n": 1}).args == {"n": 1}
                enqueuer.close()
            except BaseException:  # noqa: BLE001 - the parent is told by the status
                os._exit(1)
            os._exit(0)
        wait_until(lambda: held_up.waiting() == before + 1)  # the child has its own connection
        held_up.go_on()
        assert os.waitpid(child, 0)[1] == 0
        assert [call.result().args for call in calls] == [{"n": n} for n in range(8)]  # type: ignore[union-attr]
    enqueuer.close()


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_calls_that_are_under_way_when_it_is_closed_get_their_answers(
    held_up: HeldUp, kind: str, wait_until: WaitUntil
) -> None:
    if kind == "threads":
        enqueuer = Enqueuer("n", held_up.url)
        enqueuer.enqueue("mail")  # a script that the server does not know is sent again
        with ThreadPoolExecutor(8) as threads:
            held_up.hold()
            calls = [threads.submit(enqueuer.enqueue, "mail", {"n": n}) for n in range(8)]
            wait_until(lambda: all_sent(held_up, enqueuer, 8))
            closing = threading.Thread(target=enqueuer.close)
            closing.start()
            held_up.go_on()
            assert [call.result().args for call in calls] == [{"n": n} for n in range(8)]
            closing.join()
        wait_until(lambda: not named(held_up))
        return

    async def scenario() -> None:
        enqueuer = AsyncEnqueuer("n", held_up.url)
        held_up.hold()
        tasks = [asyncio.create_task(enqueuer.enqueue("mail", {"n": n})) for n in range(8)]
        await until(lambda: held_up.waiting() == 1)
        closing = asyncio.create_task(enqueuer.close())
        await asyncio.sleep(0)
        held_up.go_on()
        await closing
        await until(lambda: not named(held_up))
        assert [job.args for job in await asyncio.gather(*tasks)] == [{"n": n} for n in range(8)]

    asyncio.run(scenario())
