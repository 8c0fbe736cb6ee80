"""`--filter`: the query language on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tools.cli.shell import Shell, now_s, put

if TYPE_CHECKING:
    from redis import Redis

pytestmark = pytest.mark.one_server


@pytest.fixture
def dead(shell: Shell, redis_client: Redis) -> Shell:
    """A hundred dead jobs: every second a letter, every fifth without a failure."""
    for n in range(100):
        job = {"name": "mail" if n % 2 else "letter", "id": f"{n:03}", "fails": n % 5}
        put(redis_client, shell.namespace, "dead", now_s() - n, **job, err=f"Timeout: {n} s")
    return shell


def test_only_jobs_that_match_are_shown(dead: Shell) -> None:
    found = dead.json("jobs", "dead", "--all", "--filter", "queue:mail fails:>3")
    assert {record["job"]["id"] for record in found} == {f"{n:03}" for n in range(9, 100, 10)}


def test_matches_are_paged_and_what_more_there_is_is_said(dead: Shell) -> None:
    first = dead.run("jobs", "dead", "--filter", "queue:mail")
    assert len(first.stdout.splitlines()) == 21
    assert first.stderr == "more match; next: --page 2\n"
    last = dead.run("jobs", "dead", "--filter", "queue:mail", "--page", "3")
    assert (len(last.stdout.splitlines()), last.stderr) == (11, "")
    some = dead.run("jobs", "dead", "--filter", "queue:mail", "--limit", "3")
    assert len(some.stdout.splitlines()) == 4


def test_nothing_that_matches_is_said(dead: Shell) -> None:
    told = dead.run("jobs", "dead", "--filter", "error:refused").stderr
    assert told == "no jobs are dead that match 'error:refused'\n"


def test_a_filter_that_cannot_be_read_is_refused_with_the_place(shell: Shell) -> None:
    told = shell.complaint("jobs", "dead", "--filter", "queue:a erorr:x", code=2).splitlines()
    assert told[0].startswith("workkit: unknown field 'erorr'; did you mean error?")
    assert told[1:] == ["  queue:a erorr:x", "          ^"]


@pytest.mark.parametrize("query", ["", "  "])
def test_an_empty_filter_deletes_and_retries_nothing(dead: Shell, query: str) -> None:
    for verb in (("delete", "--from", "dead"), ("retry",)):
        told = dead.complaint(*verb, "--filter", query, "--yes", code=2)
        assert "the query is empty; --all takes all jobs" in told
    assert dead.client.dead_jobs().total == 100


def test_queues_and_the_other_sets_are_filtered_too(shell: Shell, redis_client: Redis) -> None:
    shell.enqueuer.enqueue_many([("mail", {"n": n}) for n in range(5)])
    for place in ("retry", "scheduled"):
        put(redis_client, shell.namespace, place, now_s() + 60, name="mail", args={"n": 3})
    for words in (("queued", "mail"), ("retry",), ("scheduled",)):
        assert len(shell.json("jobs", *words, "--filter", "args.n:3")) == 1, words
        assert shell.json("jobs", *words, "--filter", "args.n:7") == []
