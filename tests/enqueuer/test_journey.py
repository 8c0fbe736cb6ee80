"""Args keep every byte while a job is scheduled, queued, failed, dead and retried."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.parity.gopeer import Scene
from tests.support.steps import FakeClock, StepPool
from workkit import Client, Enqueuer, Job, WorkerPool
from workkit.core import gojson
from workkit.core import job as wire

ALL_ARGS: Final[dict[str, dict[str, Any] | None]] = {
    "none": None,
    "empty": {},
    "empty inside": {"list": [], "object": {}, "lists": [[], [[]]], "objects": [{}, {"a": {}}]},
    "integers": {"n": [0, -1, 2**53, 2**53 + 1, 2**63, 2**64 + 1, -(10**40), 10**308]},
    "floats": {"x": [1.5, 1e21, 1e-7, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, 123456789.125]},
    "whole floats": {"x": [1.0, -3.0, 1e15]},
    "text": {"é\u2028": '\U0001f600 <a href="x">&</a> \\ \b\f\n\t\x00\x7f', "": "", "/": "//"},
    "names of ours": {"id": "x", "fails": 3, "args": {"t": 1}, "unique": True, "err": "no"},
    "nested": {"a": [{"b": [{"c": [1, None, True, False, {"d": []}]}]}]},
}  # fmt: skip


@pytest.mark.parametrize("case", ALL_ARGS)
def test_args_keep_every_byte_from_the_schedule_to_the_second_life(
    enqueuer: Enqueuer, scene: Scene, redis_url: str, clock: FakeClock, case: str
) -> None:
    args, seen = ALL_ARGS[case], []

    def handle(job: Job) -> None:
        seen.append((job.args, job.fails))
        if len(seen) < 3:
            raise RuntimeError("told to fail")

    pool = WorkerPool(scene.namespace, redis_url)
    pool.job("mail", handle, max_fails=2, backoff=lambda job: 10 * job.fails)
    stepped = StepPool(pool, redis_url, clock).start()
    client = Client(scene.namespace, redis_url, clock=clock)
    expected = gojson.encode_args(args)

    def args_in(raws: list[bytes]) -> bytes:
        (raw,) = raws
        return wire.args_json(raw)

    scheduled = enqueuer.enqueue_in("mail", 5, args)
    assert args_in(list(scene.members("scheduled"))) == expected

    clock.advance(6)
    stepped.duty("requeuer")
    assert args_in(scene.queue("mail")) == expected

    stepped.work()
    assert args_in(list(scene.members("retry"))) == expected

    clock.advance(11)
    stepped.duty("requeuer")
    assert args_in(scene.queue("mail")) == expected

    stepped.work()
    (died_at,) = scene.members("dead").values()
    assert args_in(list(scene.members("dead"))) == expected
    assert client.dead_jobs().jobs[0].job.args == args

    client.retry_dead_job(died_at, scheduled.job.id)
    assert args_in(scene.queue("mail")) == expected

    stepped.work()
    assert seen == [(args, 0), (args, 1), (args, 0)]
    assert not scene.queue("mail")
    assert not scene.members("retry")
    assert not scene.members("dead")
    stepped.close()
    client.close()


def types_in(value: Any) -> Any:
    """Return a value's shape with types in the place of leaves."""
    if isinstance(value, dict):
        return {key: types_in(item) for key, item in value.items()}
    if isinstance(value, list):
        return [types_in(item) for item in value]
    return type(value)


#: Go writes 1.0 as 1, and so do we: only equality can be checked.
@pytest.mark.parametrize("case", [case for case in ALL_ARGS if case != "whole floats"])
def test_a_handler_gets_what_was_enqueued_with_its_types(
    enqueuer: Enqueuer, scene: Scene, redis_url: str, clock: FakeClock, case: str
) -> None:
    seen: list[Any] = []
    pool = WorkerPool(scene.namespace, redis_url)
    pool.job("mail", lambda job: seen.append(job.args))
    stepped = StepPool(pool, redis_url, clock).start()
    enqueuer.enqueue("mail", ALL_ARGS[case])
    stepped.work()
    stepped.close()
    assert seen == [ALL_ARGS[case]]
    assert types_in(seen[0]) == types_in(ALL_ARGS[case])
