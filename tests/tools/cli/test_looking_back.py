"""The place of a job, and history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tools.cli.shell import Shell, busy_pool, now_s, put, run_some

if TYPE_CHECKING:
    from redis import Redis


pytestmark = pytest.mark.one_server


# Finding


def test_a_waiting_job_is_found_and_shown_whole(shell: Shell) -> None:
    job = shell.enqueuer.enqueue_unique("send_email", {"to": "a@example.com"})
    assert job is not None
    text = shell.run("jobs", "find", job.id).stdout
    assert "place     queued\n" in text
    assert "name      send_email\n" in text
    assert 'args      {"to":"a@example.com"}\n' in text
    assert "unique    until start" in text
    record = shell.json("jobs", "find", job.id)
    assert (record["place"], record["at"], record["job"]["id"]) == ("queued", None, job.id)


def test_a_dead_job_is_found_with_its_whole_error(shell: Shell, redis_client: Redis) -> None:
    error = "ValueError: \x1b[2Jrow 7\n\nTraceback (innermost last):\n  File x, line 3"
    died_at = now_s() - 75
    put(
        redis_client,
        shell.namespace,
        "dead",
        died_at,
        id="d",
        fails=4,
        err=error,
        failed_at=died_at,
    )
    text = shell.run("jobs", "find", "d").stdout
    assert "place     dead, died 1m 1" in text
    assert "fails     4, the last one 1m 1" in text
    assert r"error     ValueError: \x1b[2Jrow 7" in text
    assert "            File x, line 3\n" in text


def test_scheduled_and_running_jobs_are_found(shell: Shell, redis_client: Redis) -> None:
    put(redis_client, shell.namespace, "scheduled", now_s() + 3_630, id="s")
    assert "place     scheduled, due in 1h 0m (" in shell.run("jobs", "find", "s").stdout
    with busy_pool(shell) as (pool, job):
        text = shell.run("jobs", "find", job.id).stdout
    assert f"place     running, held by pool {pool.pool_id}\n" in text


def test_a_job_that_is_nowhere_is_exit_code_1(shell: Shell) -> None:
    shell.enqueuer.enqueue("send_email")
    assert shell.complaint("jobs", "find", "nobody", code=1) == (
        f"no job nobody in namespace {shell.namespace!r}\n"
    )
    assert shell.json("jobs", "find", "nobody", code=1) is None


def test_a_job_that_has_ended_is_remembered(shell: Shell) -> None:
    job = run_some(shell, 1)[0]
    told = shell.complaint("jobs", "find", job.id, code=1)
    assert f"no queue or set holds job {job.id}; it ended " in told
    assert "as 'done'" in told
    assert f"workkit history --job {job.id}" in told


# History


def test_history_shows_the_newest_last(shell: Shell) -> None:
    jobs = run_some(shell, 3)
    head, *lines = shell.lines("history")
    assert head.split() == ["AGO", "JOB", "ID", "NAME", "OUTCOME", "TOOK", "ERROR"]
    assert len(lines) == 4
    records = shell.json("history")
    assert [record["finished_ms"] for record in records] == sorted(
        record["finished_ms"] for record in records
    )
    assert {record["job_id"] for record in records} == {job.id for job in jobs}


def test_history_can_be_filtered(shell: Shell) -> None:
    jobs = run_some(shell, 3)
    (dead,) = shell.json("history", "--outcome", "dead")
    assert dead["error"] == "ValueError: declined"
    assert len(shell.json("history", "--name", "send")) == 3
    assert len(shell.json("history", "--name", "send", "--limit", "2")) == 2
    assert [r["job_id"] for r in shell.json("history", "--job", jobs[1].id)] == [jobs[1].id]
    assert len(shell.json("history", "--since", "1h")) == 4
    assert shell.json("history", "--until", "1h") == []
    assert "declined" in shell.run("history", "--outcome", "dead").stdout


def test_history_says_when_there_is_more_or_nothing(shell: Shell) -> None:
    run_some(shell, 3)
    assert (
        shell.run("history", "--limit", "2").stderr
        == "showing the newest 2; --limit N shows more\n"
    )
    assert shell.complaint("history", "--name", "nobody", code=0) == (
        "no match in 4 executions of history\n"
    )


def test_an_outcome_that_does_not_exist_is_refused(shell: Shell) -> None:
    assert "'done', 'retry', 'postponed', 'dead'" in shell.complaint(
        "history", "--outcome", "x", code=2
    )
