"""A server that closes connections with large replies; pools then ask for fewer jobs at once."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from tests.conftest import PrivateServer, ServerKind, WaitUntil
from tests.engine.signals import Gate, Notes
from workkit import Client, Enqueuer, WorkerPool
from workkit.engine.dispatch.portion import Portion

LIMIT = {"client-output-buffer-limit": "normal 2mb 0 0"}


def fill(url: str, count: int) -> None:
    with closing(Enqueuer("work", url)) as enqueuer:
        for n in range(count):
            enqueuer.enqueue("large", {"n": n, "x": "x" * 900_000})


def test_large_jobs_run_where_the_server_closes_connections_with_large_replies(
    private_server: PrivateServer, server_kind: ServerKind, wait_until: WaitUntil
) -> None:
    server, ran = private_server(server_kind, config=LIMIT), Notes()
    fill(server.url, 20)
    pool = WorkerPool("work", server.url, concurrency=8)
    pool.job("large", lambda job: ran(job.args["n"]))
    with pool:
        wait_until(lambda: len(ran.items) >= 20, 60)
        assert pool.drain(60).complete
    assert sorted(ran.items) == list(range(20))


def test_a_pool_that_reads_its_lists_in_portions_gives_up_no_job_that_runs(
    private_server: PrivateServer, server_kind: ServerKind, wait_until: WaitUntil
) -> None:
    server, gate = private_server(server_kind, config=LIMIT), Gate()
    fill(server.url, 8)
    pool = WorkerPool("work", server.url, concurrency=8)
    pool.job("large", gate.pass_through)
    with pool, closing(Client("work", server.url)) as client:
        gate.arrived.wait_for(8)
        admin: Any = Redis.from_url(server.url)
        (dispatcher,) = [each["id"] for each in admin.client_list() if "dispatcher" in each["name"]]
        admin.client_kill_filter(_id=dispatcher)
        admin.close()
        with closing(Enqueuer("work", server.url)) as enqueuer:
            enqueuer.enqueue("large", {"n": 8})
        gate.open()
        assert pool.drain(60).complete
        wait_until(lambda: pool.totals.get("done") == 9)
        assert "fenced" not in pool.totals
        assert not client.dead_jobs().total


@given(st.lists(st.integers(0, 2_000), max_size=30))
def test_a_portion_has_at_least_one_job_and_grows_until_it_is_no_limit(lost: list[int]) -> None:
    portion = Portion()
    unlimited = portion.most
    for jobs in lost:
        before = portion.most
        portion.lost(jobs)
        assert 1 <= portion.most <= before
        assert portion.most <= max(jobs // 2, 1) or not jobs
    for _ in range(20_000):
        portion.received(1)
    assert portion.most == unlimited


@pytest.mark.parametrize("losses", [1, 30])
def test_an_outage_slows_a_pool_down_for_a_few_hundred_replies_however_long_it_was(
    losses: int,
) -> None:
    portion = Portion()
    unlimited = portion.most
    for _ in range(losses):
        portion.lost(40)
    for _ in range(300):
        portion.received(1)
    assert portion.most == unlimited


@pytest.mark.parametrize("jobs", [1, 7])
def test_a_portion_that_is_too_large_again_grows_later(jobs: int) -> None:
    portion = Portion()
    counts = []
    for _ in range(2):
        portion.lost(2 * jobs)
        start, count = portion.most, 0
        while portion.most == start:
            portion.received(1)
            count += 1
        counts.append(count)
    assert counts[0] < counts[1]
