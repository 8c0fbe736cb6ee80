"""D10, D10b: all dead jobs can be retried, with any other members in the dead set."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.parity.defects.fleet import Fleet, member, script_names
from tests.parity.gopeer import GoJob, GoReplyError
from tests.parity.gopeer.errors import GoDecodeError
from tests.support.handlers import boom
from workkit import Client
from workkit.errors import NotDeleted, ServerRefused
from workkit.store.calls.pages import SetName

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from workkit import Job

#: How many the original looks at in one call.
BATCH = 1000
#: Members of one second, more than two pages of what workkit reads at once.
CROWD = 1200
PAGE = 500
DIED_AT = 1_700_000_000
JUNK = b"no job at all"
TOO_DEEP = member("a", "deep", f'{{"v":{"[" * 100_000}{"]" * 100_000}}}')


@pytest.fixture
def fleet(redis_client: Redis, redis_url: str, namespace: str) -> Iterator[Fleet]:
    with Fleet(redis_client, redis_url, namespace) as fleet:
        yield fleet


def dead(name: str, job_id: str) -> bytes:
    return member(name, job_id, fails=4, err="its own error", failed_at=DIED_AT)


def bury(fleet: Fleet, *raws: bytes, at_s: int = DIED_AT) -> None:
    fleet.redis.zadd(fleet.go_keys.dead, dict.fromkeys(raws, at_s))


def queued_ids(fleet: Fleet, name: str) -> set[str]:
    return {json.loads(raw)["id"] for raw in fleet.queue(name)}


# D10: all at once.


def test_d10_jobs_of_unknown_names_do_not_keep_the_others_dead(fleet: Fleet) -> None:
    go = fleet.go(a=GoJob())
    strays = [dead("elsewhere", f"s{i}") for i in range(BATCH)]
    bury(fleet, *strays)
    bury(fleet, dead("a", "good"), at_s=DIED_AT + 1)
    go.retry_all_dead_jobs()
    assert fleet.queue("a") == []
    assert {job["err"] for job in fleet.jobs("dead") if job["name"] == "elsewhere"} == {
        "unknown job when requeueing"
    }

    fleet.redis.delete(go.keys.dead)
    bury(fleet, *strays)
    bury(fleet, *[dead("a", f"good{i}") for i in range(5)], at_s=DIED_AT + 1)
    assert fleet.client.retry_all_dead_jobs() == BATCH + 5

    assert queued_ids(fleet, "a") == {f"good{i}" for i in range(5)}
    assert queued_ids(fleet, "elsewhere") == {f"s{i}" for i in range(BATCH)}
    assert fleet.members("dead") == {}
    assert {queue.job_name for queue in fleet.client.queues()} == {"a", "elsewhere"}


@pytest.mark.parametrize("junk", [JUNK, TOO_DEEP, member("", "nameless")])
def test_d10_junk_stays_where_it_is_and_all_others_come_back(fleet: Fleet, junk: bytes) -> None:
    fleet.go(a=GoJob())
    bury(fleet, dead("a", "first"), at_s=DIED_AT)
    bury(fleet, junk, at_s=DIED_AT + 1)
    bury(fleet, dead("a", "last"), at_s=DIED_AT + 2)

    assert fleet.client.retry_all_dead_jobs() == 2
    assert fleet.client.retry_all_dead_jobs() == 0

    assert queued_ids(fleet, "a") == {"first", "last"}
    assert fleet.members("dead") == {junk: DIED_AT + 1}


def test_d10_the_original_stops_at_the_first_junk(fleet: Fleet) -> None:
    go = fleet.go(a=GoJob())
    bury(fleet, dead("a", "first"), at_s=DIED_AT)
    bury(fleet, TOO_DEEP, at_s=DIED_AT + 1)
    bury(fleet, dead("a", "last"), at_s=DIED_AT + 2)
    for _ in range(2):
        with pytest.raises(Exception, match="nest"):
            go.retry_all_dead_jobs()
    assert queued_ids(fleet, "a") == {"first"}
    assert len(fleet.members("dead")) == 2


def test_d10_a_queue_that_cannot_be_used_keeps_only_its_own_jobs_dead(fleet: Fleet) -> None:
    fleet.redis.set(fleet.go_keys.queue("broken"), "no list")
    lost = dead("broken", "x")
    bury(fleet, lost, dead("a", "y"))

    assert fleet.client.retry_all_dead_jobs() == 1

    assert queued_ids(fleet, "a") == {"y"}
    assert list(fleet.members("dead")) == [lost]


def test_d10_a_queue_that_go_cannot_show_keeps_none_of_the_dead_from_coming_back(
    fleet: Fleet,
) -> None:
    go = fleet.go(a=GoJob())
    fleet.redis.rpush(go.keys.queue("a"), JUNK)
    bury(fleet, dead("a", "x"))
    with pytest.raises(GoDecodeError):
        go.retry_all_dead_jobs()

    assert fleet.client.retry_all_dead_jobs() == 1


def test_d10_a_unique_job_takes_its_key_again(fleet: Fleet) -> None:
    go = fleet.go(a=GoJob(max_fails=1, handler=boom))
    go.enqueue_unique("a", {"v": 1})
    go.run_all()
    fleet.advance(1)
    go.retry_all_dead_jobs()
    assert go.enqueue_unique("a", {"v": 1}) is not None
    go.run_all()
    fleet.redis.delete(go.keys.unique("a", {"v": 1}), go.keys.dead)

    pool = fleet.pool({"a": boom}, max_fails=1)
    fleet.enqueuer.enqueue_unique("a", {"v": 1})
    pool.work()
    assert fleet.client.retry_all_dead_jobs() == 1

    assert fleet.enqueuer.enqueue_unique("a", {"v": 1}) is None


def test_d10_a_cron_job_that_died_runs_again_when_it_is_retried(fleet: Fleet) -> None:
    ran: list[str] = []

    def run(job: Job) -> None:
        ran.append(job.id)
        if len(ran) == 1:
            boom(job)

    pool = fleet.pool({"a": run}, cron=[("@every 60s", "a")], max_fails=1)
    pool.duty("periodic")
    fleet.advance(60)
    pool.duty("requeuer")
    pool.work()

    assert fleet.client.retry_all_dead_jobs() == 1
    pool.work()

    assert len(ran) == 2
    assert len(set(ran)) == 1


# D10b: one among thousands of the same second.


@pytest.mark.parametrize("which", ["dead", "retry", "scheduled"])
def test_d10b_one_of_many_is_deleted_by_pages_and_not_by_decoding_inside_redis(
    fleet: Fleet, which: SetName
) -> None:
    link = fleet.pool({"a": boom}).link
    client = Client(fleet.namespace, fleet.url, clock=fleet.clock)
    client._links = link
    crowd = {dead("a", f"{i:04}"): DIED_AT for i in range(CROWD)}
    fleet.redis.zadd(f"{fleet.namespace}:{which}", crowd)
    link.sent.clear()

    match which:
        case "dead":
            client.delete_dead_job(DIED_AT, f"{CROWD - 1:04}")
        case "retry":
            client.delete_retry_job(DIED_AT, f"{CROWD - 1:04}")
        case "scheduled":
            client.delete_scheduled_job(DIED_AT, f"{CROWD - 1:04}")

    commands = [command for sent in link.sent for command in sent]
    pages = -(-CROWD // PAGE)
    reads = ["span", *["page_after"] * (pages - 1)]
    assert script_names(commands) == [*reads, "note", "remove", "act"]
    assert all(PAGE in command for command in commands[:pages])
    (remove,) = [command for command in commands if script_names([command]) == ["remove"]]
    assert sum(isinstance(word, bytes) and word in crowd for word in remove) == 1
    assert len(fleet.members(which)) == CROWD - 1


def test_d10b_a_neighbour_that_redis_cannot_decode_does_not_matter(fleet: Fleet) -> None:
    go = fleet.go(a=GoJob())
    bury(fleet, TOO_DEEP, JUNK, dead("a", "x"), dead("a", "y"))
    with pytest.raises(GoReplyError):
        go.delete_dead_job(DIED_AT, "x")

    fleet.client.delete_dead_job(DIED_AT, "x")
    fleet.client.retry_dead_job(DIED_AT, "y")

    assert set(fleet.members("dead")) == {TOO_DEEP, JUNK}
    assert queued_ids(fleet, "a") == {"y"}


def test_d10b_an_error_of_the_server_is_told_and_not_taken_for_a_missing_job(fleet: Fleet) -> None:
    fleet.redis.set(fleet.go_keys.dead, "no sorted set")
    with pytest.raises(GoReplyError, match="wanted two values"):
        fleet.go().delete_dead_job(DIED_AT, "x")
    for call in (fleet.client.delete_dead_job, fleet.client.retry_dead_job):
        with pytest.raises(ServerRefused) as refusal:
            call(DIED_AT, "x")
        assert refusal.value.code == "WRONGTYPE"

    fleet.redis.delete(fleet.go_keys.dead)
    with pytest.raises(NotDeleted):
        fleet.client.delete_dead_job(DIED_AT, "x")
