"""Thousands of jobs in one call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.parity.gopeer import Scene
from workkit import Enqueuer
from workkit.core import job as wire
from workkit.store.calls import enqueue
from workkit.store.keys import Keys
from workkit.store.round_trip import Command, Step
from workkit.store.scripts import Script

if TYPE_CHECKING:
    from redis import Redis


def numbers(raws: list[bytes]) -> list[int]:
    return [json.loads(raw)["args"]["n"] for raw in raws]


def test_thousands_of_jobs_lie_in_their_queue_in_the_order_they_were_given(
    enqueuer: Enqueuer, scene: Scene
) -> None:
    jobs = enqueuer.enqueue_many(("mail", {"n": n}) for n in range(3_500))
    raws = scene.queue("mail")[::-1]
    assert numbers(raws) == list(range(3_500))
    assert [job.raw for job in jobs] == raws
    assert len({job.id for job in jobs}) == 3_500


def test_jobs_of_several_names_keep_the_order_within_their_queues(
    enqueuer: Enqueuer, scene: Scene, redis_client: Redis
) -> None:
    given = [(f"name{n % 7}", {"n": n}) for n in range(2_100)]
    jobs = enqueuer.enqueue_many(given)
    assert [(job.name, job.args) for job in jobs] == given
    for at in range(7):
        assert numbers(scene.queue(f"name{at}")[::-1]) == list(range(at, 2_100, 7))
    known: Any = redis_client.smembers(f"{scene.namespace}:known_jobs")
    assert known == {f"name{at}".encode() for at in range(7)}


def test_many_jobs_are_written_behind_those_that_wait_already(
    enqueuer: Enqueuer, scene: Scene
) -> None:
    first = enqueuer.enqueue("mail", {"n": -1})
    enqueuer.enqueue_many([("mail", {"n": 0}), ("mail", {"n": 1})])
    assert numbers(scene.queue("mail")[::-1]) == [-1, 0, 1]
    assert scene.queue("mail")[-1] == first.raw


def test_no_jobs_at_all_write_nothing(enqueuer: Enqueuer, scene: Scene) -> None:
    assert enqueuer.enqueue_many([]) == []
    assert enqueuer.enqueue_many(iter(())) == []
    assert scene.dump() == {}


def test_any_iterable_of_pairs_is_taken_and_walked_once(enqueuer: Enqueuer, scene: Scene) -> None:
    walked = []

    def pairs() -> Iterator[tuple[str, dict[str, Any]]]:
        for n in range(3):
            walked.append(n)
            yield "mail", {"n": n}

    enqueuer.enqueue_many(pairs())
    enqueuer.enqueue_many([["mail", {"n": 3}]])  # type: ignore[list-item]
    assert walked == [0, 1, 2]
    assert numbers(scene.queue("mail")[::-1]) == [0, 1, 2, 3]


def sent_by(step: Step[Any]) -> list[list[Command]]:
    """Carry out a step on a server that accepts everything, and return the commands."""
    sent: list[list[Command]] = []
    try:
        exchange = next(step)
        while True:
            sent.append(list(exchange.commands))
            exchange = step.send([1] * len(exchange.commands))
    except StopIteration:
        return sent


def test_a_round_trip_carries_at_most_a_thousand_jobs(monkeypatch: Any) -> None:
    enqueuer = Enqueuer("work", "redis://nowhere.invalid")
    sent: list[list[Command]] = []
    monkeypatch.setattr(enqueuer._links, "carry", lambda step: sent.extend(sent_by(step)))
    enqueuer.enqueue_many([(f"name{n % 3}", None) for n in range(2_500)])
    carried = [
        [
            sum(word[:1] == b"{" for word in command if isinstance(word, bytes))
            for command in commands
        ]
        for commands in sent
    ]
    assert carried == [[1000], [1000], [500]]
    assert all(isinstance(commands[0][0], Script) for commands in sent)


@pytest.mark.parametrize("names", [1, 7, 1_000])
def test_the_jobs_of_one_round_trip_fit_into_one_script(
    redis_client: Redis, scene: Scene, names: int
) -> None:
    batches: dict[str, list[bytes]] = {}
    for n in range(enqueue.MAX_BATCH):
        name = f"name{n % names}"
        batches.setdefault(name, []).append(wire.encode(name, f"{n:024x}", 1, b"null"))
    script, count, *rest = enqueue.enqueue(Keys(scene.namespace), batches).commands[0]
    redis_client.eval(script.source, count, *rest)
    for name, raws in batches.items():
        assert scene.queue(name) == raws[::-1]
