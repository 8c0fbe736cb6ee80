"""Repeated overviews are correct and read only the changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.client.stage import ClientStage, raw_job
from tests.conftest import WaitUntil
from workkit import Overview
from workkit.admin.watch import LiveWatch
from workkit.store.round_trip import Command

Change = Callable[[ClientStage], object]


class Counted:
    """A watch whose commands are counted."""

    def __init__(self, stage: ClientStage) -> None:
        watch = stage.client.watch()
        assert isinstance(watch, LiveWatch)
        self.watch = watch
        self.commands: list[Command] = []
        send = watch._link.send

        def counted(commands: Any, meanwhile: Any = None) -> Any:
            self.commands += commands
            return send(commands, meanwhile)

        watch._link.send = counted  # type: ignore[method-assign]

    def overview(self) -> tuple[Overview, int]:
        """Read an overview, and count its commands."""
        before = len(self.commands)
        return self.watch.overview(), len(self.commands) - before


@pytest.fixture
def watch(stage: ClientStage) -> Iterator[Counted]:
    stage.queue("mail", raw_job("1"), raw_job("2"))
    stage.queue("letter", raw_job("3", "letter"))
    stage.lay("dead", {raw_job("4"): 1})
    counted = Counted(stage)
    yield counted
    counted.watch.close()


CHANGES: dict[str, Change] = {
    "a job comes": lambda stage: stage.enqueuer.enqueue("mail"),
    "a job of a new name comes": lambda stage: stage.enqueuer.enqueue("parcel"),
    "a job is taken": lambda stage: stage.redis.rpop(stage.keys.jobs("mail")),
    "a queue is emptied": lambda stage: stage.redis.delete(stage.keys.jobs("letter")),
    "a queue is paused": lambda stage: stage.client.pause("mail"),
    "a limit is set": lambda stage: stage.redis.set(
        stage.keys.queue("mail", "").max_concurrency, 3
    ),
    "a job is held": lambda stage: stage.redis.set(stage.keys.queue("mail", "").lock, 2),
    "a job dies": lambda stage: stage.lay("dead", {raw_job("9"): 9}),
    "a job is scheduled": lambda stage: stage.enqueuer.enqueue_in("mail", 60),
    "a job is to be tried again": lambda stage: stage.lay("retry", {raw_job("9"): 9}),
    "a pool comes": lambda stage: stage.pool(),
    "everything goes": lambda stage: stage.redis.delete(
        *stage.redis.scan_iter(f"{stage.namespace}*")
    ),
    "time passes": lambda stage: stage.clock.advance(90),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_watch_returns_changes(
    stage: ClientStage, watch: Counted, change: str, wait_until: WaitUntil
) -> None:
    assert watch.watch.overview() == stage.client.overview()
    CHANGES[change](stage)
    wait_until(lambda: watch.watch.overview() == stage.client.overview())
    stage.clock.advance(5)
    wait_until(lambda: watch.watch.overview() == stage.client.overview())


def test_an_unchanged_overview_costs_no_round_trip(stage: ClientStage, watch: Counted) -> None:
    watch.overview()
    for _ in range(5):
        stage.clock.advance(10)
        assert watch.overview()[1] == 0


def test_only_the_queue_that_has_changed_is_read(
    stage: ClientStage, watch: Counted, wait_until: WaitUntil
) -> None:
    watch.overview()
    watch.overview()
    stage.redis.rpop(stage.keys.jobs("mail"))
    costs = wait_until(lambda: watch.overview()[1])
    assert costs == 5


def test_a_pool_that_sends_heartbeats_is_not_read_each_time(
    stage: ClientStage, watch: Counted, wait_until: WaitUntil
) -> None:
    pool = stage.pool()
    watch.overview()
    watch.overview()
    costs = 0
    for _ in range(10):
        stage.clock.advance(4)
        pool.duty("heartbeat")

        def beaten() -> bool:
            nonlocal costs
            seen, cost = watch.overview()
            costs += cost
            return seen.pools[0].heartbeat_at >= stage.clock.now_s - 4

        wait_until(beaten)
    assert costs <= 6
    for _ in range(6):
        stage.clock.advance(4)
    seen, _ = watch.overview()
    assert seen.pools[0].heartbeat_at <= stage.clock.now_s - 20, "a silent pool is not kept alive"


def test_after_a_cut_connection_no_change_is_missed(
    stage: ClientStage, watch: Counted, wait_until: WaitUntil
) -> None:
    watch.overview()
    (client,) = (c for c in stage.redis.client_list() if c["name"] == "workkit-top")
    stage.enqueuer.enqueue("mail")
    stage.redis.client_kill_filter(_id=client["id"])
    wait_until(lambda: watch.watch.overview() == stage.client.overview())
    watch.overview()
    assert watch.overview()[1] == 0


def test_without_announced_changes_everything_is_read_each_time(
    stage: ClientStage, watch: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workkit.store.connections.watching.WatchLink.watches", lambda _: False)
    assert watch.watch.overview() == stage.client.overview()
    assert watch.overview()[1] > 5
