"""`workkit enqueue`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.tools.cli.shell import Shell, now_s, publish

if TYPE_CHECKING:
    from redis import Redis

pytestmark = pytest.mark.one_server

USER = '{"user": 7}'


def test_a_job_goes_to_its_queue_and_its_id_is_printed(shell: Shell) -> None:
    printed = shell.run("enqueue", "send_email", '{"n": 123456789012345678901, "f": 1.0}').stdout
    (waiting,) = shell.client.queued_jobs("send_email").jobs
    assert printed == f"enqueued send_email {waiting.job.id}\n"
    assert b'"args":{"f":1,"n":123456789012345678901}' in waiting.job.raw


def test_a_job_needs_no_args(shell: Shell) -> None:
    shell.run("enqueue", "send_email")
    assert shell.client.queued_jobs("send_email").jobs[0].job.args is None


def test_args_can_come_from_standard_input(shell: Shell) -> None:
    shell.run("enqueue", "send_email", "-", stdin=USER)
    assert shell.client.queued_jobs("send_email").jobs[0].job.args == {"user": 7}


def test_standard_input_is_utf8_with_or_without_a_mark_of_that(shell: Shell) -> None:
    shell.run("enqueue", "send_email", "-", stdin='\ufeff{"to": "日"}')
    assert shell.client.queued_jobs("send_email").jobs[0].job.args == {"to": "日"}
    told = shell.run("enqueue", "send_email", "-", stdin=b'{"to":\n"\xff"}', code=2).stderr
    assert "standard input is not UTF-8: line 2 has other bytes" in told


def test_the_job_can_be_had_as_json(shell: Shell) -> None:
    record = shell.json("enqueue", "send_email", USER)
    assert record["args"] == {"user": 7}
    assert record["id"] == shell.client.queued_jobs("send_email").jobs[0].job.id


def test_args_that_do_not_fit_a_typed_task_are_refused_unless_somebody_insists(
    shell: Shell, redis_client: Redis
) -> None:
    publish(shell, redis_client)
    for more in ((), ("--in", "1h"), ("--unique",), ("--count", "3")):
        result = shell.run("enqueue", "import_rows", '{"n": "2"}', *more, code=2)
        assert result.stderr.splitlines()[-1] == (
            "workkit: args.n: expected int, got str (import_rows takes n: int, "
            "tags: list[str] | null = ...); --insist uses them"
        )
    assert shell.client.queues() == []
    assert shell.client.scheduled_jobs().total == 0
    result = shell.run("enqueue", "import_rows", '{"n": "2"}', "--insist")
    assert "warning: args.n: expected int, got str (you insist)" in result.stderr
    assert shell.client.queued_jobs("import_rows").jobs[0].job.args == {"n": "2"}


def test_a_job_can_wait_for_a_while(shell: Shell) -> None:
    before = now_s()
    printed = shell.run("enqueue", "report", "--in", "15m").stdout
    (waiting,) = shell.client.scheduled_jobs().jobs
    assert before + 900 <= waiting.run_at <= now_s() + 901
    assert printed.startswith(f"scheduled report {waiting.job.id}, due in ")


@pytest.mark.parametrize(
    "when", ["2030-01-31T09:00+01:00", "2030-01-31T08:00Z", "1896076800", "1896076799.2"]
)
def test_a_job_can_wait_for_a_time(shell: Shell, when: str) -> None:
    record = shell.json("enqueue", "report", "--at", when)
    assert record["run_at"] == 1_896_076_800
    assert [job.run_at for job in shell.client.scheduled_jobs().jobs] == [1_896_076_800]


def test_a_unique_job_is_refused_while_one_waits(shell: Shell) -> None:
    assert shell.run("enqueue", "sync", USER, "--unique").stdout.startswith("enqueued sync ")
    again = shell.run("enqueue", "sync", USER, "--unique")
    assert again.stdout == ""
    assert again.stderr == "not enqueued: a job with the same name and args is already waiting\n"
    assert shell.json("enqueue", "sync", USER, "--unique") is None
    assert shell.client.queued_jobs("sync").total == 1


def test_a_unique_job_can_stay_unique_until_it_is_done(shell: Shell) -> None:
    assert shell.json("enqueue", "sync", USER, "--unique", "--until", "done")["unique_until"] == (
        "done"
    )


def test_a_unique_job_can_wait_for_a_while_and_for_a_time(shell: Shell) -> None:
    before = now_s()
    assert before + 60 <= shell.json("enqueue", "a", "--unique", "--in", "1m")["run_at"]
    due_at = shell.json("enqueue", "b", "--unique", "--at", "2030-01-31T08:00Z")["run_at"]
    assert 1_896_076_800 <= due_at <= 1_896_076_801
    assert shell.json("enqueue", "b", "--unique", "--at", "2030-01-31T08:00Z") is None


def test_a_unique_job_for_a_time_in_the_past_is_due_at_once(shell: Shell) -> None:
    before = now_s()
    run_at = shell.json("enqueue", "a", "--unique", "--at", "1700000000")["run_at"]
    assert before <= run_at <= now_s() + 1


def test_a_job_with_a_key_hands_its_args_to_the_one_that_waits(
    shell: Shell, redis_client: Redis
) -> None:
    full = '{"user": 7, "full": true}'
    assert shell.json("enqueue", "sync", USER, "--key", USER)["unique"] is True
    result = shell.run("enqueue", "sync", full, "--key", USER)
    assert result.stdout == ""
    assert result.stderr == "not enqueued: the waiting job with this key gets these args\n"
    value = redis_client.get(f'{shell.namespace}:unique:sync:{{"user":7}}\n')
    assert isinstance(value, bytes)
    assert json.loads(value)["args"] == {"user": 7, "full": True}
    assert shell.json("enqueue", "later", full, "--key", USER, "--in", "1h")["run_at"] > now_s()


def test_many_equal_jobs_can_be_enqueued(shell: Shell) -> None:
    printed = shell.run("enqueue", "noop", USER, "--count", "2500").stdout
    assert printed == "enqueued 2,500 jobs noop\n"
    assert shell.client.queued_jobs("noop").total == 2_500
    assert len({job["id"] for job in shell.json("enqueue", "noop", "--count", "3")}) == 3


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--in", "5", "--at", "1896076800"), "either --in or --at"),
        (("--until", "done"), "--until needs --unique"),
        (("--key", USER, "--until", "done"), "cannot be combined with --key"),
        (("--count", "2", "--unique"), "--count cannot be combined with"),
        (("--count", "0"), "--count"),
        (("--in", "soon"), "is not a span of time"),
        (("--in", "99999999999"), "up to a century"),
        (("--at", "2030-01-31T09:00"), "has no time zone"),
        (("--at", "1896076800000"), "epoch seconds"),
        (("--key", "[1]", "--unique"), "JSON object"),
    ],
)
def test_options_that_make_no_sense_are_refused_and_nothing_is_enqueued(
    shell: Shell, options: tuple[str, ...], why: str
) -> None:
    assert why in shell.complaint("enqueue", "sync", USER, *options, code=2)
    assert shell.client.queues() == []


@pytest.mark.parametrize("name", ["", "a,b", "a:lock"])
def test_a_name_that_no_queue_can_have_is_refused(shell: Shell, name: str) -> None:
    assert shell.complaint("enqueue", name, code=2).startswith("workkit: ")
    assert shell.client.queues() == []


def test_args_that_are_no_json_object_are_refused_with_a_hint(shell: Shell) -> None:
    assert "quote it for the shell" in shell.complaint("enqueue", "sync", "{user: 7}", code=2)
    assert "not list" in shell.complaint("enqueue", "sync", "[1]", code=2)


def test_who_has_enqueued_is_recorded(shell: Shell, redis_client: Redis) -> None:
    job_id = shell.json("enqueue", "sync", USER)["id"]
    shell.run("enqueue", "sync", USER, "--unique", "--in", "1h")
    shell.run("enqueue", "sync", USER, "--unique", "--in", "1h")
    many = shell.json("enqueue", "noop", "--count", "70")
    first, later, refused, bulk = list(shell.client.acts())[::-1]
    assert (first.verb, first.place, first.queue, first.done) == ("enqueue", "queued", "sync", 1)
    assert (first.ids, first.planned, first.note) == ((job_id,), 1, "")
    assert first.by == shell.client.actions.logic.log.by
    assert len(first.digest) == 32
    assert (later.place, later.after, later.done) == ("scheduled", "scheduled", 1)
    assert (refused.done, refused.note) == (0, "an equal job is waiting")
    assert (bulk.planned, bulk.done, bulk.digest) == (70, 70, "")
    assert bulk.ids == tuple(job["id"] for job in many[:50])
    assert shell.client.verify_acts().whole


def test_what_cannot_be_recorded_is_not_enqueued(shell: Shell, redis_client: Redis) -> None:
    redis_client.set(f"{shell.namespace}:acts", "no stream")
    told = shell.complaint("enqueue", "sync", USER, code=70)
    assert "nothing was done, since it could not be recorded" in told
    assert shell.client.queues() == []


def test_an_enqueue_that_fails_has_a_note(shell: Shell, redis_client: Redis) -> None:
    redis_client.set(f"{shell.namespace}:jobs:sync", "no list")
    shell.complaint("enqueue", "sync", USER, code=70)
    (act,) = shell.client.acts()
    assert (act.done, act.ids) == (0, ())
    assert act.note.startswith("failed: ")
