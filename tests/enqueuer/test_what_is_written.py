"""Which keys, members and scores each method writes, to the byte."""

from __future__ import annotations

import datetime
import inspect
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

from tests.parity.gopeer import Scene
from tests.support.steps import FakeClock
from workkit import AsyncEnqueuer, Enqueuer, Entropy, Job, ScheduledJob
from workkit.core import job as wire

DAY_S: Final = 86_400
#: The server's own clock runs on between the write and the look.
TTL_SLACK_S: Final = 60
FIELDS: Final = (
    "name", "id", "enqueued_at", "args", "raw", "unique", "unique_key", "unique_until", "fails",
    "last_err", "failed_at", "undecodable",
)  # fmt: skip
ARGS: Final = {"b": [1.0, {}], "a": "<é>"}
ARGS_JSON: Final = r'{"a":"\u003cé\u003e","b":[1,{}]}'


def contents(scene: Scene) -> dict[str, Any]:
    """Read the namespace without expiries; the keys are without its name."""
    return {
        key.removeprefix(f"{scene.namespace}:"): entry["value"]
        for key, entry in scene.dump().items()
    }


def expiry(scene: Scene, key: str) -> int:
    ttl_s: int = scene.dump()[f"{scene.namespace}:{key}"]["ttl_s"]
    return ttl_s


def assert_same(one: Job, other: Job) -> None:
    for field in FIELDS:
        assert getattr(one, field) == getattr(other, field), field


def plain(
    ids: Entropy, clock: FakeClock, args_json: str = ARGS_JSON, *, tail: str = "", now: bool = True
) -> str:
    """Write a job as the original does; one that enters its queue now has our `t_ms` too."""
    stamp = f',"t_ms":{clock.epoch_ms}' if now else ""
    return (
        f'{{"name":"mail","id":"{ids.identifier()}","t":{clock.now_s},"args":{args_json}'
        f"{tail}{stamp}}}"
    )


def unique(
    scene: Scene,
    ids: Entropy,
    clock: FakeClock,
    key_json: str = ARGS_JSON,
    tail: str = "",
    *,
    now: bool = True,
) -> str:
    escaped = key_json.replace("\\", "\\\\").replace('"', '\\"')
    key = f"{scene.namespace}:unique:mail:{escaped}\\n"
    return plain(ids, clock, tail=f',"unique":true,"unique_key":"{key}"{tail}', now=now)


# At once


def test_a_job_goes_to_its_queue_and_its_name_to_the_known_ones(
    enqueuer: Enqueuer, scene: Scene, ids: Entropy, clock: FakeClock
) -> None:
    job = enqueuer.enqueue("mail", ARGS)
    raw = plain(ids, clock)
    assert contents(scene) == {"known_jobs": {"mail"}, "jobs:mail": [raw]}
    assert_same(job, wire.decode(raw.encode()))


@pytest.mark.parametrize(("args", "args_json"), [(None, "null"), ({}, "{}")])
def test_absent_args_and_empty_args_are_told_apart(
    enqueuer: Enqueuer, scene: Scene, ids: Entropy, clock: FakeClock, args: Any, args_json: str
) -> None:
    job = enqueuer.enqueue("mail", args)
    assert contents(scene)["jobs:mail"] == [plain(ids, clock, args_json)]
    assert job.args == args


def test_the_oldest_job_lies_at_the_end_from_which_pools_take(
    enqueuer: Enqueuer, scene: Scene
) -> None:
    enqueued = [enqueuer.enqueue("mail", {"n": n}).raw for n in range(3)]
    assert scene.queue("mail") == enqueued[::-1]


def test_the_args_of_the_job_are_a_copy(enqueuer: Enqueuer) -> None:
    args = {"a": 1}
    job = enqueuer.enqueue("mail", args)
    args["a"] = 2
    assert job.args == {"a": 1}


# Later


@pytest.mark.parametrize(
    ("seconds", "due_s"),
    [(0, 1), (0.1, 1), (0.7, 1), (0.71, 2), (1, 2), (300, 301), (10**9, 10**9 + 1)],
)
def test_a_job_is_scheduled_for_the_next_whole_second(
    enqueuer: Enqueuer, scene: Scene, ids: Entropy, clock: FakeClock, seconds: float, due_s: int
) -> None:
    clock.advance(0.3)
    scheduled = enqueuer.enqueue_in("mail", seconds, ARGS)
    raw = plain(ids, clock, now=False)
    run_at = clock.now_s + due_s
    assert contents(scene) == {"known_jobs": {"mail"}, "scheduled": {raw: run_at}}
    assert scheduled.run_at == run_at
    assert_same(scheduled.job, wire.decode(raw.encode()))


@pytest.mark.parametrize(
    ("when", "run_at"),
    [
        (1_800_000_100, 1_800_000_100),
        (1_800_000_100.01, 1_800_000_101),
        (17, 17),
        (0, 0),
        (datetime.datetime(2027, 1, 15, 8, 1, 40, tzinfo=datetime.UTC), 1_800_000_100),
        (datetime.datetime(2027, 1, 15, 8, 1, 39, 1, tzinfo=datetime.UTC), 1_800_000_100),
        (datetime.datetime(2027, 1, 15, 9, 1, 40, tzinfo=ZoneInfo("Europe/Berlin")), 1_800_000_100),
        (datetime.datetime(2001, 9, 9, 1, 46, 40, tzinfo=datetime.UTC), 1_000_000_000),
    ],
)
def test_a_job_is_scheduled_for_a_point_in_time(
    enqueuer: Enqueuer, scene: Scene, ids: Entropy, clock: FakeClock, when: Any, run_at: int
) -> None:
    scheduled = enqueuer.enqueue_at("mail", when, ARGS)
    raw = plain(ids, clock, now=False)
    assert contents(scene) == {"known_jobs": {"mail"}, "scheduled": {raw: run_at}}
    assert scheduled.run_at == run_at


def test_scores_are_written_as_whole_numbers_which_go_can_read(
    enqueuer: Enqueuer, scene: Scene
) -> None:
    scheduled = enqueuer.enqueue_in("mail", 0.5)
    (seen,) = scene.peer().scheduled_jobs().jobs
    assert (seen.run_at, seen.job.id) == (scheduled.run_at, scheduled.job.id)


# Unique


def test_a_unique_job_holds_the_key_of_its_args_for_a_day(
    enqueuer: Enqueuer, scene: Scene, ids: Entropy, clock: FakeClock
) -> None:
    job = enqueuer.enqueue_unique("mail", ARGS)
    raw, key = unique(scene, ids, clock), f"unique:mail:{ARGS_JSON}\n"
    assert contents(scene) == {"known_jobs": {"mail"}, "jobs:mail": [raw], key: "1"}
    assert expiry(scene, key) == pytest.approx(DAY_S, abs=TTL_SLACK_S)
    assert job is not None
    assert_same(job, wire.decode(raw.encode()))


def test_a_unique_job_without_args_has_a_key_without_any(enqueuer: Enqueuer, scene: Scene) -> None:
    enqueuer.enqueue_unique("mail")
    assert contents(scene)["unique:mail:"] == "1"


def test_a_unique_job_until_done_says_so_and_its_key_names_it(
    enqueuer: Enqueuer, scene: Scene, ids: Entropy, clock: FakeClock
) -> None:
    job = enqueuer.enqueue_unique("mail", ARGS, until="done")
    raw, key = (
        unique(scene, ids, clock, tail=',"unique_until":"done"'),
        f"unique:mail:{ARGS_JSON}\n",
    )
    assert contents(scene) == {"known_jobs": {"mail"}, "jobs:mail": [raw], key: raw}
    assert job is not None
    assert job.unique_until == "done"


def test_a_scheduled_unique_job_holds_its_key_a_day_longer_than_its_delay(
    enqueuer: Enqueuer, scene: Scene, ids: Entropy, clock: FakeClock
) -> None:
    scheduled = enqueuer.enqueue_unique_in("mail", 3 * DAY_S, ARGS)
    raw, key = unique(scene, ids, clock, now=False), f"unique:mail:{ARGS_JSON}\n"
    run_at = clock.now_s + 3 * DAY_S
    assert contents(scene) == {"known_jobs": {"mail"}, "scheduled": {raw: run_at}, key: "1"}
    assert expiry(scene, key) == pytest.approx(4 * DAY_S, abs=TTL_SLACK_S)
    assert scheduled is not None
    assert scheduled == ScheduledJob(run_at, scheduled.job)
    assert_same(scheduled.job, wire.decode(raw.encode()))


def test_a_job_by_key_holds_the_key_that_was_given_with_itself_as_the_value(
    enqueuer: Enqueuer, scene: Scene, ids: Entropy, clock: FakeClock
) -> None:
    job = enqueuer.enqueue_unique_by_key("mail", ARGS, {"user": 7.0})
    raw = unique(scene, ids, clock, '{"user":7}')
    key = 'unique:mail:{"user":7}\n'
    assert contents(scene) == {"known_jobs": {"mail"}, "jobs:mail": [raw], key: raw}
    assert expiry(scene, key) == pytest.approx(DAY_S, abs=TTL_SLACK_S)
    assert job is not None
    assert job.args == ARGS


def test_a_scheduled_job_by_key_is_written_the_same_way(
    enqueuer: Enqueuer, scene: Scene, ids: Entropy, clock: FakeClock
) -> None:
    scheduled = enqueuer.enqueue_unique_in_by_key("mail", DAY_S, ARGS, None)
    key_tail = f',"unique":true,"unique_key":"{scene.namespace}:unique:mail:"'
    raw = plain(ids, clock, tail=key_tail, now=False)
    run_at = clock.now_s + DAY_S
    assert contents(scene) == {
        "known_jobs": {"mail"}, "scheduled": {raw: run_at}, "unique:mail:": raw,
    }  # fmt: skip
    assert expiry(scene, "unique:mail:") == pytest.approx(2 * DAY_S, abs=TTL_SLACK_S)
    assert scheduled is not None


# Both enqueuers, and the namespace


@pytest.mark.parametrize("namespace_form", ["{}", "{}:"])
def test_a_colon_at_the_end_of_the_namespace_makes_no_difference(
    redis_url: str, namespace: str, scene: Scene, namespace_form: str
) -> None:
    enqueuer = Enqueuer(namespace_form.format(namespace), redis_url)
    enqueuer.enqueue("mail")
    enqueuer.close()
    assert set(contents(scene)) == {"known_jobs", "jobs:mail"}


def test_both_enqueuers_have_the_same_methods_with_the_same_arguments() -> None:
    def methods(kind: type) -> dict[str, tuple[inspect.Signature, bool]]:
        found = inspect.getmembers(kind, inspect.isfunction)
        return {
            name: (inspect.signature(method), inspect.iscoroutinefunction(method))
            for name, method in found
            if not name.startswith("_")
        }

    threaded, asynchronous = methods(Enqueuer), methods(AsyncEnqueuer)
    assert {name: signature for name, (signature, _) in threaded.items()} == {
        name: signature for name, (signature, _) in asynchronous.items()
    }
    assert not any(is_async for _, is_async in threaded.values())
    assert {name for name, (_, is_async) in asynchronous.items() if not is_async} == {"durably"}
