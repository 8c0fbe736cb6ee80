"""The output of commands: tables for people, JSON for programs."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from tests.tools.cli.shell import Shell, busy_pool, now_s, put

if TYPE_CHECKING:
    from redis import Redis

    from tests.conftest import WaitUntil


pytestmark = pytest.mark.one_server

JUNK = b"{not json \xff"


# Queues


def test_queues_are_shown_with_their_state(shell: Shell, redis_client: Redis) -> None:
    shell.enqueuer.enqueue_many([("send_email", None)] * 3 + [("export", None)])
    shell.client.pause("export")
    redis_client.set(f"{shell.namespace}:jobs:export:max_concurrency", 2)
    redis_client.sadd(f"{shell.namespace}:known_jobs", "odd")
    redis_client.set(f"{shell.namespace}:jobs:odd", "no list")

    head, export, odd, send_email = shell.lines("queues")

    assert head.split() == ["QUEUE", "WAITING", "OLDEST", "RUNNING", "LIMIT", "STATE"]
    assert export.split()[:2] == ["export", "1"]
    assert export.split()[-3:] == ["0", "2", "paused"]
    assert odd.split() == ["odd", "0", "-", "0", "-", "broken"]
    assert send_email.split()[:2] == ["send_email", "3"]
    assert {len(line[: head.index("STATE")].rstrip()) for line in (head, export, odd)} == {
        head.index("STATE") - 2
    }


def test_queues_as_json_have_the_fields_of_the_record(shell: Shell) -> None:
    shell.enqueuer.enqueue("send_email")
    assert [record | {"latency": 0} for record in shell.json("queues")] == [
        {
            "job_name": "send_email",
            "count": 1,
            "latency": 0,
            "paused": False,
            "running": 0,
            "max_concurrency": 0,
            "broken": False,
        }
    ]


def test_a_name_that_would_paint_the_terminal_is_shown_harmless(shell: Shell) -> None:
    shell.enqueuer.enqueue("evil\x1b[2J")
    assert r"evil\x1b[2J" in shell.run("queues").stdout
    assert [record["job_name"] for record in shell.json("queues")] == ["evil\x1b[2J"]


# Pools


def test_pools_and_what_their_workers_run(shell: Shell, wait_until: WaitUntil) -> None:
    with busy_pool(shell) as (pool, _):
        wait_until(lambda: any(worker.checkin for worker in shell.client.worker_observations()))
        wait_until(lambda: shell.client.worker_pool_heartbeats()[0].totals.get("busy") == 1)

        head, line = shell.lines("pools")
        assert head.split() == ["POOL", "HOST:PID", "BEAT", "UP", "BUSY", "JOBS"]
        assert line.split()[0] == pool.pool_id
        assert line.split()[-2:] == ["1/2", "hold"]

        workers = shell.run("pools", "--workers")
        assert "page 12 of 40 (" in workers.stdout
        assert '{"n":7}' in workers.stdout
        assert len(workers.stdout.splitlines()) == 2
        assert workers.stderr == "1 of 2 workers busy\n"

        (record,) = shell.json("pools")
        assert record["worker_pool_id"] == pool.pool_id
        assert record["totals"]["busy"] == 1
        observations = shell.json("pools", "--workers")
        assert sorted(o["is_busy"] for o in observations) == [False, True]
        assert {"worker_id", "job_name", "job_id", "args_json", "checkin"} < set(observations[0])


def test_a_pool_without_heartbeat_is_shown_as_such(shell: Shell, redis_client: Redis) -> None:
    redis_client.sadd(f"{shell.namespace}:worker_pools", "lost")
    _, line = shell.lines("pools")
    assert line.split() == ["lost", "-", "missing", "-", "-/0"]


# Jobs


def test_queued_jobs_come_in_the_order_in_which_they_run(shell: Shell) -> None:
    jobs = shell.enqueuer.enqueue_many([("send_email", {"n": n}) for n in range(3)])
    head, *lines = shell.lines("jobs", "queued", "send_email")
    assert head.split() == ["#", "JOB", "ID", "WAITED", "ARGS"]
    assert [line.split()[:2] for line in lines] == [[f"{n}", jobs[n].id] for n in range(3)]
    assert lines[1].endswith('{"n":1}')


def test_pages_limits_and_everything(shell: Shell) -> None:
    shell.enqueuer.enqueue_many([("send_email", {"n": n}) for n in range(45)])

    def shown(*options: str) -> list[int]:
        records = shell.json("jobs", "queued", "send_email", *options)
        return [record["job"]["args"]["n"] for record in records]

    assert shown() == list(range(20))
    assert shown("--page", "3") == list(range(40, 45))
    assert shown("--page", "4") == []
    assert shown("--limit", "3") == [0, 1, 2]
    assert shown("--all") == list(range(45))


def test_under_a_page_stands_where_one_is(shell: Shell) -> None:
    shell.enqueuer.enqueue_many([("send_email", None)] * 45)
    notes = [
        shell.run("jobs", "queued", "send_email", "--page", page).stderr for page in ("1", "3", "9")
    ]
    assert notes == [
        "page 1 of 3, 45 jobs in all; next: --page 2\n",
        "page 3 of 3, 45 jobs in all\n",
        "page 9 of 3, 45 jobs in all\n",
    ]
    assert shell.run("jobs", "queued", "send_email", "--all").stderr == ""


@pytest.mark.parametrize(
    "options",
    [("--all", "--page", "2"), ("--limit", "3", "--page", "2"), ("--all", "--limit", "1")],
)
def test_only_one_extent_can_be_asked_for(shell: Shell, options: tuple[str, ...]) -> None:
    assert "only one of" in shell.complaint("jobs", "dead", *options, code=2)


@pytest.mark.parametrize(
    "options", [("--page", "0"), ("--page", "x"), ("--limit", "-1"), ("--limit", "9" * 30)]
)
def test_pages_and_limits_are_counts(shell: Shell, options: tuple[str, ...]) -> None:
    assert options[0] in shell.complaint("jobs", "dead", *options, code=2)


def test_a_large_set_is_one_table_and_one_document(shell: Shell) -> None:
    shell.enqueuer.enqueue_many([("send_email", {"n": "x" * (n % 7)}) for n in range(1_203)])
    head, *lines = shell.lines("jobs", "queued", "send_email", "--all")
    assert len(lines) == 1_203
    assert sum("JOB ID" in line for line in (head, *lines)) == 1
    assert len(shell.json("jobs", "queued", "send_email", "--all")) == 1_203


def test_jobs_that_wait_for_their_time(shell: Shell, redis_client: Redis) -> None:
    early = put(redis_client, shell.namespace, "scheduled", now_s() - 90, id="early")
    late = put(redis_client, shell.namespace, "scheduled", now_s() + 7_230, id="late")
    head, first, second = shell.lines("jobs", "scheduled")
    assert head.split() == ["DUE", "JOB", "ID", "NAME", "ARGS"]
    assert first.split()[:2] == ["1m", "30s"] or first.split()[:2] == ["1m", "31s"]
    assert "late" in first
    assert early in first
    assert second.lstrip().startswith("in 2h 0m")
    assert late in second
    assert [r["job"]["id"] for r in shell.json("jobs", "scheduled")] == ["early", "late"]


def test_jobs_that_will_be_tried_again(shell: Shell, redis_client: Redis) -> None:
    put(
        redis_client,
        shell.namespace,
        "retry",
        now_s() + 30,
        fails=2,
        err="ValueError: row 7\n\nTraceback",
    )
    head, line = shell.lines("jobs", "retry")
    assert head.split() == ["DUE", "JOB", "ID", "NAME", "FAILS", "ERROR"]
    assert line.split()[-4:] == ["2", "ValueError:", "row", "7"]


def test_dead_jobs_the_longest_dead_first(shell: Shell, redis_client: Redis) -> None:
    put(redis_client, shell.namespace, "dead", now_s() - 5, id="b", fails=4, err="late")
    put(redis_client, shell.namespace, "dead", now_s() - 9_000, id="a", fails=4, err="early")
    head, first, second = shell.lines("jobs", "dead")
    assert head.split() == ["AGO", "JOB", "ID", "NAME", "ERROR"]
    assert first.split() == ["2h", "30m", "a", "import_rows", "early"]
    assert second.split()[1:] == ["b", "import_rows", "late"]


def test_args_are_shown_as_they_stand_in_redis(shell: Shell, redis_client: Redis) -> None:
    args = '{"n":123456789012345678901,"f":1e2,"e":[],"s":"é"}'
    raw = f'{{"name":"x","id":"1","t":1,"args":{args}}}'
    redis_client.zadd(f"{shell.namespace}:dead", {raw: 7})
    assert f'"args":{args}' in shell.run("jobs", "dead", "--json").stdout


@pytest.mark.parametrize("place", ["scheduled", "retry", "dead"])
def test_bytes_that_are_no_job_are_shown_with_the_reason(
    shell: Shell, redis_client: Redis, place: str
) -> None:
    redis_client.zadd(f"{shell.namespace}:{place}", {JUNK: now_s() - 9})
    put(redis_client, shell.namespace, place, now_s(), id="good")

    _, junk, good = shell.lines("jobs", place)
    assert "(no job)" in junk
    assert "not a job: " in junk
    assert "good" in good

    bad, fine = shell.json("jobs", place)
    assert base64.b64decode(bad["job"]["raw_base64"]) == JUNK
    assert bad["job"]["undecodable"].startswith("not a job: ")
    assert fine["job"]["undecodable"] is None
    assert fine["job"]["raw_base64"] is None
    assert bad["job"].keys() == fine["job"].keys()


def test_junk_in_a_queue_is_shown_in_its_place(shell: Shell, redis_client: Redis) -> None:
    shell.enqueuer.enqueue("send_email")
    redis_client.lpush(f"{shell.namespace}:jobs:send_email", JUNK)
    _, _, junk = shell.lines("jobs", "queued", "send_email")
    assert junk.lstrip().startswith("1 ")
    assert "not a job: " in junk
