"""`workkit retry`, `delete`, `pause` and `unpause`."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import pytest

from tests.tools.cli.shell import Shell, spawn
from workkit import Job, WorkerPool
from workkit.admin.actions import Actions, BulkOutcome, Plan

if TYPE_CHECKING:
    from redis import Redis

pytestmark = pytest.mark.one_server

DIED_AT = 1_700_000_000


@pytest.fixture
def dead(shell: Shell, redis_client: Redis) -> list[str]:
    """Three jobs that died in the same second."""
    ids = ["a" * 24, "b" * 24, "c" * 24]
    for job_id in ids:
        job = {"name": "charge", "id": job_id, "t": 1, "args": None, "fails": 4, "err": "declined"}
        redis_client.zadd(f"{shell.namespace}:dead", {json.dumps(job): DIED_AT})
    return ids


def waiting(shell: Shell) -> list[str]:
    return sorted(entry.job.id for entry in shell.client.iter_queued_jobs("charge"))


def dead_left(shell: Shell) -> list[str]:
    return sorted(entry.job.id for entry in shell.client.iter_dead_jobs())


# Retry


def test_a_dead_job_is_retried_by_its_id_alone(shell: Shell, dead: list[str]) -> None:
    assert shell.run("retry", dead[1]).stdout == f"retried {dead[1]}\n"
    assert waiting(shell) == [dead[1]]
    assert dead_left(shell) == [dead[0], dead[2]]


def test_its_time_saves_the_walk(shell: Shell, dead: list[str]) -> None:
    shell.run("retry", dead[1], "--at", str(DIED_AT))
    assert waiting(shell) == [dead[1]]
    told = shell.complaint("retry", dead[0], "--at", str(DIED_AT + 1), code=1)
    assert told.startswith(f"workkit: the dead set holds no job {dead[0]} at ")


def test_of_several_jobs_one_that_is_not_dead_does_not_hinder_the_others(
    shell: Shell, dead: list[str]
) -> None:
    result = shell.run("retry", dead[0], "nobody", dead[2], code=1)
    assert result.stdout == f"retried {dead[0]}\nretried {dead[2]}\n"
    assert "the dead set holds no job nobody" in result.stderr
    assert waiting(shell) == [dead[0], dead[2]]


@pytest.mark.parametrize("verb", ["retry", "delete"])
def test_json_has_a_record_for_each_id(shell: Shell, dead: list[str], verb: str) -> None:
    result = shell.run(verb, dead[0], "x", "--json", code=1)
    place = {"kind": "dead", "queue": ""}
    (operation,) = shell.client.actions.operations()
    done, missing = json.loads(result.stdout)
    assert done == {
        "job_id": dead[0],
        "done": True,
        "place": place,
        "operation_id": operation.operation_id,
        "reason": None,
    }
    assert (missing["job_id"], missing["done"], missing["operation_id"]) == ("x", False, None)
    assert "no job x" in missing["reason"] or "a job x" in missing["reason"]
    assert result.stderr == ""


def test_a_job_can_be_retried_once(shell: Shell, dead: list[str]) -> None:
    shell.run("retry", dead[0])
    assert "holds no job" in shell.complaint("retry", dead[0], code=1)


def test_all_dead_jobs_are_retried_when_asked_for_with_yes(shell: Shell, dead: list[str]) -> None:
    result = shell.run("retry", "--all", "--yes")
    assert result.stderr.startswith("retrying 3 dead jobs of namespace ")
    assert result.stdout == "retried 3 dead jobs\n"
    assert waiting(shell) == dead


def test_what_cannot_be_retried_is_counted(
    shell: Shell, dead: list[str], redis_client: Redis
) -> None:
    redis_client.zadd(f"{shell.namespace}:dead", {b"{junk": 7})
    assert shell.run("retry", "--all", "--yes").stdout == (
        f"retried {len(dead)} dead jobs; 1 left in place: not a job\n"
    )


# Delete


def test_a_job_is_deleted_wherever_it_is(shell: Shell, dead: list[str]) -> None:
    queued = shell.enqueuer.enqueue("charge")
    scheduled = shell.enqueuer.enqueue_in("charge", 60).job
    printed = shell.run("delete", queued.id, scheduled.id, dead[0]).stdout
    assert printed.splitlines() == [
        f"deleted {queued.id} from queue 'charge'",
        f"deleted {scheduled.id} from the scheduled set",
        f"deleted {dead[0]} from the dead set",
    ]
    assert waiting(shell) == []
    assert shell.client.scheduled_jobs().total == 0
    assert dead_left(shell) == dead[1:]


@pytest.mark.parametrize("place", ["scheduled", "retry", "dead"])
@pytest.mark.parametrize("with_time", [False, True])
def test_a_job_is_deleted_from_the_set_that_is_named(
    shell: Shell, redis_client: Redis, place: str, *, with_time: bool
) -> None:
    for job_id in ("one", "two"):
        job = {"name": "charge", "id": job_id, "t": 1, "args": None, "fails": 1}
        redis_client.zadd(f"{shell.namespace}:{place}", {json.dumps(job): DIED_AT})
    at = ["--at", str(DIED_AT)] if with_time else []
    printed = shell.run("delete", "one", "--from", place, *at).stdout
    assert printed == f"deleted one from the {place} set\n"
    assert redis_client.zcard(f"{shell.namespace}:{place}") == 1


def test_a_job_is_deleted_from_the_queue_that_is_named(shell: Shell) -> None:
    keep, drop = shell.enqueuer.enqueue("charge"), shell.enqueuer.enqueue("charge")
    shell.run("delete", drop.id, "--queue", "charge")
    assert waiting(shell) == [keep.id]


def test_a_deleted_unique_job_leaves_room_for_the_next(shell: Shell) -> None:
    job = shell.enqueuer.enqueue_unique("charge")
    assert job is not None
    shell.run("delete", job.id)
    assert shell.enqueuer.enqueue_unique("charge") is not None


@pytest.mark.parametrize(
    "where", [(), ("--from", "dead"), ("--from", "retry"), ("--queue", "charge")]
)
def test_a_job_that_is_not_there_is_exit_code_1(shell: Shell, where: tuple[str, ...]) -> None:
    told = shell.complaint("delete", "nobody", *where, code=1)
    assert told.startswith("workkit: ")
    assert "nobody" in told


def test_all_dead_jobs_are_deleted_when_asked_for_with_yes(
    shell: Shell, dead: list[str], redis_client: Redis
) -> None:
    redis_client.zadd(f"{shell.namespace}:dead", {b"{junk": 7})
    result = shell.run("delete", "--all", "--from", "dead", "--yes")
    assert result.stdout == f"deleted {len(dead) + 1} dead jobs\n"
    assert redis_client.exists(f"{shell.namespace}:dead") == 0


# Undoing what was done by ids


def offers(stderr: str) -> list[str]:
    """Return the ids of the actions that can be undone."""
    return [line.split()[-1] for line in stderr.splitlines() if line.startswith("to undo it: ")]


@pytest.mark.parametrize("count", [1, 3, 9])
@pytest.mark.parametrize("verb", ["retry", "delete"])
def test_the_jobs_of_one_command_are_one_action(
    shell: Shell, redis_client: Redis, verb: str, count: int
) -> None:
    ids = [f"{n:024}" for n in range(count)]
    for job_id in ids:
        job = {"name": "charge", "id": job_id, "t": 1, "args": None, "fails": 4}
        redis_client.zadd(f"{shell.namespace}:dead", {json.dumps(job): DIED_AT})
    result = shell.run(verb, *ids)
    assert dead_left(shell) == []
    (listed,) = shell.json("undo")
    assert offers(result.stderr) == [listed["operation_id"]]
    assert (listed["verb"], listed["undoable"], listed["planned"]) == (verb, count, count)
    assert "@" in listed["by"]
    shell.run("undo", listed["operation_id"])
    assert dead_left(shell) == ids


def test_jobs_of_several_places_are_an_action_for_each_place(shell: Shell, dead: list[str]) -> None:
    queued = shell.enqueuer.enqueue("charge")
    result = shell.run("delete", dead[2], queued.id, dead[0])
    assert [line.split()[1] for line in result.stdout.splitlines()] == [
        dead[2], queued.id, dead[0],
    ]  # fmt: skip
    for operation in offers(result.stderr):
        shell.run("undo", operation)
    assert len(offers(result.stderr)) == 2
    assert (dead_left(shell), waiting(shell)) == (dead, [queued.id])


def test_an_empty_id_picks_no_malformed_payload(shell: Shell, redis_client: Redis) -> None:
    """It is mostly a variable of the shell that is not set."""
    redis_client.zadd(f"{shell.namespace}:dead", {b"not a job": DIED_AT})
    for command in (
        ("delete", ""), ("delete", "", "--from", "dead"), ("retry", "a", " "), ("stack", ""),
        ("edit", "", "--args", "{}", "--yes"), ("jobs", "find", ""), ("history", "--job", ""),
    ):  # fmt: skip
        told = shell.complaint(*command, code=2)
        assert "a job id may not be empty" in told
    assert redis_client.zcard(f"{shell.namespace}:dead") == 1


def test_a_job_that_is_given_twice_is_acted_on_once(shell: Shell, dead: list[str]) -> None:
    assert shell.run("delete", dead[0], dead[0]).stdout == f"deleted {dead[0]} from the dead set\n"


def test_nothing_is_offered_where_nothing_was_done(shell: Shell, dead: list[str]) -> None:
    assert offers(shell.complaint("retry", "nobody", code=1)) == []
    assert shell.json("undo") == []


def test_a_job_whose_queue_is_broken_is_refused_and_the_others_are_retried(
    shell: Shell, dead: list[str], redis_client: Redis
) -> None:
    stuck = {"name": "broken", "id": "d" * 24, "t": 1, "args": None, "fails": 4}
    redis_client.zadd(f"{shell.namespace}:dead", {json.dumps(stuck): DIED_AT})
    redis_client.set(f"{shell.namespace}:jobs:broken", "no list")
    result = shell.run("retry", "d" * 24, dead[0], code=1)
    assert result.stdout == f"retried {dead[0]}\n"
    assert "the key of queue 'broken' has a wrong type" in result.stderr
    assert dead_left(shell) == [*dead[1:], "d" * 24]


def test_a_job_that_somebody_takes_meanwhile_is_said_to_have_gone(
    shell: Shell, dead: list[str], redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Actions.apply

    def late(actions: Actions, plan: Plan, **options: Any) -> BulkOutcome:
        redis_client.delete(f"{shell.namespace}:dead")
        return whole(actions, plan, **options)

    monkeypatch.setattr(Actions, "apply", late)
    told = shell.complaint("delete", *dead, code=1).splitlines()
    assert told == [f"workkit: the dead set does not hold job {each} any more" for each in dead]


# What is asked before


@contextmanager
def asked(shell: Shell, *args: str) -> Iterator[tuple[subprocess.Popen[str], IO[bytes]]]:
    """Run a command whose input is a terminal, up to its question."""
    master, slave = pty.openpty()
    with (
        os.fdopen(master, "wb", buffering=0) as keyboard,
        spawn(*args, env=shell.env, stdin=slave) as process,
    ):
        os.close(slave)
        assert process.stderr is not None
        question = ""
        while not question.endswith("[y/N]: "):
            character = process.stderr.read(1)
            assert character, question
            question += character
        assert "3 dead jobs of namespace" in question
        yield process, keyboard


@pytest.mark.parametrize("command", [("retry", "--all"), ("delete", "--all", "--from", "dead")])
def test_at_a_terminal_all_jobs_are_touched_only_after_a_yes(
    shell: Shell, dead: list[str], command: tuple[str, ...]
) -> None:
    with asked(shell, *command) as (process, keyboard):
        keyboard.write(b"n\n")
        stdout, stderr = process.communicate(timeout=30)
        assert (process.returncode, stdout) == (1, "")
        assert "nothing was changed" in stderr
    assert dead_left(shell) == dead

    with asked(shell, *command) as (process, keyboard):
        keyboard.write(b"y\n")
        stdout, _ = process.communicate(timeout=30)
        assert process.returncode == 0
        assert "3 dead jobs" in stdout
    assert dead_left(shell) == []


def test_a_question_can_be_left_unanswered(shell: Shell, dead: list[str]) -> None:
    with asked(shell, "delete", "--all", "--from", "dead") as (process, keyboard):
        keyboard.write(b"\x04")  # Ctrl-D
        stdout, stderr = process.communicate(timeout=30)
        assert (process.returncode, stdout, stderr.strip()) == (130, "", "")
    assert dead_left(shell) == dead


@pytest.mark.parametrize("command", [("retry", "--all"), ("delete", "--all", "--from", "dead")])
def test_without_a_terminal_and_without_yes_nothing_is_touched(
    shell: Shell, dead: list[str], command: tuple[str, ...]
) -> None:
    assert "pass --yes" in shell.complaint(*command, code=2)
    assert dead_left(shell) == dead


@pytest.mark.parametrize("command", [("retry", "--all"), ("delete", "--all", "--from", "dead")])
def test_all_of_no_jobs_is_no_question_and_no_error(shell: Shell, command: tuple[str, ...]) -> None:
    assert "is empty on" in shell.complaint(*command, code=0)
    shell.enqueuer.enqueue("charge")
    assert shell.complaint(*command, code=0) == "no jobs are dead\n"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("retry",), "give job ids, --filter or --all"),
        (("retry", "x", "--all"), "--all and --filter cannot be combined with job ids"),
        (("retry", "x", "y", "--at", "7"), "give one job id"),
        (("delete",), "give job ids, --filter or --all"),
        (("delete", "--all"), "need --from or --queue"),
        (("delete", "--filter", "fails:1"), "need --from or --queue"),
        (("retry", "x", "--dry-run"), "job ids cannot be combined with --dry-run"),
        (("retry", "--all", "--max-failures", "5"), "--max-failures needs --per-second"),
        (("delete", "x", "--at", "7"), "--at needs --from"),
        (("delete", "x", "--from", "dead", "--queue", "charge"), "either --from or --queue"),
        (("pause",), "NAME"),
        (("undo", "--forget"), "--forget needs OPERATION"),
    ],
)
def test_what_makes_no_sense_is_refused(shell: Shell, command: tuple[str, ...], why: str) -> None:
    assert why in shell.complaint(*command, code=2)


# Pause


def test_a_queue_is_paused_and_goes_on(shell: Shell) -> None:
    shell.enqueuer.enqueue("charge")
    shell.enqueuer.enqueue("export")
    assert shell.run("pause", "charge", "export").output == "paused charge\npaused export\n"
    assert [queue.paused for queue in shell.client.queues()] == [True, True]
    assert shell.run("unpause", "charge").output == "unpaused charge\n"
    assert [queue.paused for queue in shell.client.queues()] == [False, True]
    assert shell.complaint("unpause", "charge", code=0) == "charge was not paused\n"


def test_json_has_a_record_for_each_name(shell: Shell) -> None:
    shell.enqueuer.enqueue("charge")
    assert json.loads(shell.run("pause", "charge", "--json").stdout) == [
        {"job_name": "charge", "paused": True}
    ]
    assert json.loads(shell.run("unpause", "charge", "charge", "--json").stdout) == [
        {"job_name": "charge", "paused": False, "was_paused": True},
        {"job_name": "charge", "paused": False, "was_paused": False},
    ]


def test_json_has_the_names_that_were_paused_before_an_error(shell: Shell) -> None:
    result = shell.run("pause", "charge", "", "--json", code=2)
    assert json.loads(result.stdout) == [{"job_name": "charge", "paused": True}]


def test_a_name_that_nobody_has_used_is_paused_with_a_warning(shell: Shell) -> None:
    assert "is it the right one?" in shell.run("pause", "charge").stderr
    shell.enqueuer.enqueue("charge")
    result = shell.run("pause", "chrage")
    assert result.stdout == "paused chrage\n"
    assert "no queue 'chrage' is known in namespace" in result.stderr
    assert "did you mean 'charge'? It is paused anyway." in result.stderr
    assert "no queue 'chagre' is known" in shell.complaint("unpause", "chagre", code=0)


# Many jobs at once


def test_only_what_a_filter_picks_is_retried(shell: Shell, dead: list[str]) -> None:
    result = shell.run("retry", "--filter", f"id:{dead[1]}", "--yes")
    assert result.stdout == "retried 1 dead job\n"
    assert waiting(shell) == [dead[1]]


def test_a_dry_run_says_what_would_be_done(shell: Shell, dead: list[str]) -> None:
    assert shell.run("delete", "--all", "--from", "dead", "--dry-run").stdout == (
        "would delete 3 dead jobs\n"
    )
    plan = shell.json("retry", "--filter", "fails:4", "--dry-run")
    assert (plan["verb"], plan["count"], plan["queues"]) == ("retry", 3, {"charge": 3})
    assert plan["sample"] == dead
    assert dead_left(shell) == dead


def test_what_was_deleted_is_undone_by_another_command(shell: Shell, dead: list[str]) -> None:
    result = shell.run("delete", "--filter", "queue:charge", "--from", "dead", "--yes")
    operation = result.stderr.split()[-1]
    assert dead_left(shell) == []
    (listed,) = shell.json("undo")
    assert (listed["operation_id"], listed["undoable"]) == (operation, 3)
    assert listed["query"] == "queue:charge"
    assert operation in shell.lines("undo")[1]
    assert shell.run("undo", operation).stdout == "brought back 3 jobs\n"
    assert dead_left(shell) == dead
    assert "cannot undo" in shell.complaint("undo", operation, code=1)
    assert (
        shell.complaint("undo", code=0)
        == "no action can be undone: nothing was deleted or retried lately\n"
    )


def test_what_was_deleted_can_be_dropped_for_good(shell: Shell, dead: list[str]) -> None:
    (operation,) = offers(shell.run("delete", dead[0], dead[1]).stderr)
    assert shell.run("undo", operation, "--forget").stdout == "dropped 2 jobs for good\n"
    (other,) = offers(shell.run("delete", dead[2]).stderr)
    assert shell.json("undo", other, "--forget") == {"operation_id": other, "dropped": 1}
    assert shell.json("undo") == []
    for command in (("undo", operation, "--forget"), ("undo", operation)):
        assert f"cannot undo '{operation}'" in shell.complaint(*command, code=1)
    assert dead_left(shell) == []


def test_retried_jobs_are_taken_back_and_json_tells_the_outcome(
    shell: Shell, dead: list[str]
) -> None:
    outcome = shell.json("retry", "--all", "--yes")
    assert (outcome["done"], outcome["gone"], outcome["left"]) == (3, 0, 0)
    undone = shell.json("undo", outcome["operation_id"])
    assert undone == {"back": 3, "without_key": 0, "gone_on": 0, "left": 0}
    assert dead_left(shell) == dead


def test_jobs_of_a_queue_are_deleted_by_a_filter(shell: Shell) -> None:
    shell.enqueuer.enqueue_many([("charge", {"n": n}) for n in range(5)])
    shell.run("delete", "--queue", "charge", "--filter", "args.n:>2", "--yes")
    assert len(waiting(shell)) == 3


def test_waiting_jobs_run_now(shell: Shell) -> None:
    shell.enqueuer.enqueue_in("charge", 900)
    assert shell.run("retry", "--all", "--from", "scheduled", "--yes").stdout == (
        "retried 1 scheduled job\n"
    )
    assert len(waiting(shell)) == 1


def test_a_cure_is_tried_on_one_job_first(shell: Shell, dead: list[str]) -> None:
    pool = WorkerPool(shell.namespace, shell.url, concurrency=1)

    @pool.job(max_fails=1)
    def charge(job: Job) -> None:
        raise ValueError("still declined")

    with pool:
        result = shell.run("retry", "--all", "--yes", "--per-second", "50", code=1)
    assert result.stdout == (
        "retried 1 dead job; 2 not reached: 1 of 1 retried job that ended failed\n"
    )
