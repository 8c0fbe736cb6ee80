"""Messages if there is nothing to show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tools.cli.shell import Shell

if TYPE_CHECKING:
    from redis import Redis


pytestmark = pytest.mark.one_server


READING = [
    ("queues",),
    ("pools",),
    ("pools", "--workers"),
    ("jobs", "queued", "send_email"),
    ("jobs", "scheduled"),
    ("jobs", "retry"),
    ("jobs", "dead"),
    ("jobs", "dead", "--all"),
    ("history",),
]


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_an_empty_namespace_is_named_since_it_is_likely_the_wrong_one(
    shell: Shell, command: tuple[str, ...]
) -> None:
    result = shell.run(*command)
    assert result.stdout == ""
    assert result.stderr.startswith(f"namespace {shell.namespace!r} is empty on ")
    assert result.stderr.endswith(": is it the right one?\n")
    assert shell.json(*command) == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("pools",), "no pool is running"),
        (("jobs", "queued", "send_email"), "no jobs wait in queue 'send_email'"),
        (("jobs", "scheduled"), "no jobs are scheduled"),
        (("jobs", "retry"), "no jobs wait to be tried again"),
        (("jobs", "dead"), "no jobs are dead"),
        (("history",), "no job has run yet"),
    ],
)
def test_in_a_namespace_with_queues_it_is_just_said_that_there_is_nothing(
    shell: Shell, redis_client: Redis, command: tuple[str, ...], said: str
) -> None:
    redis_client.sadd(f"{shell.namespace}:known_jobs", "send_email")
    assert shell.complaint(*command, code=0) == f"{said}\n"


def test_a_mistyped_queue_is_told_from_an_empty_one(shell: Shell) -> None:
    shell.enqueuer.enqueue("send_email")
    assert "no queue 'send_emial' is known" in (
        told := shell.complaint("jobs", "queued", "send_emial", code=0)
    )
    assert told.endswith("; did you mean 'send_email'?\n")


def test_a_name_that_only_a_queue_of_go_can_have_is_read_and_not_paused(shell: Shell) -> None:
    assert "is empty" in shell.complaint("jobs", "queued", "a:lock", code=0)
    assert "reserved" in shell.complaint("pause", "a:lock", code=2)
