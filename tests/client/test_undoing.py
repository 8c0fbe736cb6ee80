"""Each deletion and each retry by a client can be undone, of one job or of all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any, Final

import pytest
from redis import Redis

from tests.client.stage import SETS, ClientStage, raw_job
from tests.conftest import PrivateServer
from workkit import Client, Enqueuer, NotDeleted, NotRetried, Place, ServerRefused

AT: Final = 17
#: The call, its verb, and the place of the job.
ACTS: Final[dict[str, tuple[Callable[[Client], object], str, Place]]] = {
    "delete_queued_job": (
        lambda client: client.delete_queued_job("mail", "x"), "delete", Place("queued", "mail"),
    ),
    "delete_scheduled_job": (
        lambda client: client.delete_scheduled_job(AT, "x"), "delete", Place("scheduled"),
    ),
    "delete_retry_job": (
        lambda client: client.delete_retry_job(AT, "x"), "delete", Place("retry"),
    ),
    "delete_dead_job": (
        lambda client: client.delete_dead_job(AT, "x"), "delete", Place("dead"),
    ),
    "retry_dead_job": (lambda client: client.retry_dead_job(AT, "x"), "retry", Place("dead")),
    "delete_all_dead_jobs": (Client.delete_all_dead_jobs, "delete", Place("dead")),
    "retry_all_dead_jobs": (Client.retry_all_dead_jobs, "retry", Place("dead")),
}  # fmt: skip


@pytest.fixture(params=ACTS)
def act(request: Any) -> tuple[Callable[[Client], object], str, Place]:
    return ACTS[request.param]


def dump(stage: ClientStage) -> dict[str, Any]:
    """Return the jobs of all places."""
    places = [Place("queued", "mail"), *(Place(kind) for kind in SETS)]
    return {
        str(place): [(each.at, each.job.raw) for each in stage.client.jobs(place).jobs]
        for place in places
    }


def test_what_was_done_is_noted_and_undone(
    stage: ClientStage, act: tuple[Callable[[Client], object], str, Place]
) -> None:
    do, verb, place = act
    stage.queue("mail", raw_job("x"))
    for name in SETS:
        stage.lay(name, {raw_job("x", fails=1): AT})
    before = dump(stage)
    do(stage.client)
    assert dump(stage) != before
    (operation,) = stage.client.actions.operations()
    assert (operation.verb, operation.place, operation.undoable) == (verb, place, 1)
    assert stage.client.actions.undo(operation.operation_id).back == 1
    assert dump(stage) == before
    assert stage.client.actions.operations() == []


@pytest.mark.parametrize("name", ACTS)
def test_what_did_nothing_leaves_no_trace(stage: ClientStage, name: str) -> None:
    try:
        ACTS[name][0](stage.client)
    except (NotDeleted, NotRetried):
        assert not name.endswith("jobs")
    assert list(stage.redis.scan_iter(f"{stage.namespace}*")) == []


def test_a_job_that_came_back_has_its_unique_key_again(stage: ClientStage) -> None:
    job = stage.enqueuer.enqueue_unique("mail", {"k": 1})
    assert job is not None
    stage.client.delete_queued_job("mail", job.id)
    assert stage.held(stage.unique_key()) is None
    (operation,) = stage.client.actions.operations()
    stage.client.actions.undo(operation.operation_id)
    assert stage.held(stage.unique_key()) is not None
    assert stage.enqueuer.enqueue_unique("mail", {"k": 1}) is None


def test_a_full_server_lets_jobs_be_deleted(private_server: PrivateServer) -> None:
    server = private_server(config={"maxmemory-policy": "noeviction"})
    with (
        closing(Client("work", server.url)) as client,
        closing(Enqueuer("work", server.url)) as enqueuer,
        closing(Redis.from_url(server.url)) as redis,
    ):
        job = enqueuer.enqueue("mail")
        redis.config_set("maxmemory", "1")
        with pytest.raises(ServerRefused, match="memory"):
            enqueuer.enqueue("mail")
        client.delete_queued_job("mail", job.id)
        (operation,) = client.actions.operations()
        assert operation.undoable == 1
