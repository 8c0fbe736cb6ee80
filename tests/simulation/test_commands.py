"""Commands that a user sends through `sim.redis`, and their effects in virtual time."""

from __future__ import annotations

import copy
import sys
from typing import Any

import fakeredis._core
import pytest
import redis
from fakeredis._core import CommandItem

from tests.simulation.busy import busy
from workkit import Job, PoolState
from workkit.simulation import Checker, Simulation, Violation
from workkit.simulation.redis import opening


def test_handlers_send_any_command(sim: Simulation) -> None:
    def work(job: Job) -> None:
        with sim.redis.pipeline() as pipe:
            pipe.incrby("sum", job.arg_int("n"))
            pipe.geoadd("places", (13.4, 52.5, f"berlin-{job.arg_int('n')}"))
            pipe.setbit("bits", job.arg_int("n"), 1)
            pipe.execute()

    sim.pool().job("work", work)
    for number in range(10):
        sim.enqueuer.enqueue("work", {"n": number})
    sim.run_until_idle()
    assert sim.redis.get("sum") == b"45"
    assert sim.redis.bitcount("bits") == 10
    assert (
        len(sim.redis.geosearch("places", longitude=13, latitude=52, radius=200, unit="km")) == 10
    )
    assert sim.redis.eval("return redis.call('GET', KEYS[1])", 1, "sum") == b"45"


@pytest.mark.parametrize(
    "give",
    [
        lambda client: client.set("key", 1, ex=60),
        lambda client: client.execute_command("SETEX", "key", 60, 1),
        lambda client: client.set("key", 1) and client.expire("key", 60),
        lambda client: client.set("key", 1) and client.pexpireat("key", 1_800_000_060_000),
        lambda client: client.hset("key", "f", 1) and client.hexpire("key", 60, "f"),
        lambda client: client.eval("redis.call('SET', KEYS[1], 1, 'EX', 60)", 1, "key"),
        lambda client: client.pipeline().set("key", 1).expire("key", 60).execute(),
        lambda client: client.select(3) and client.set("key", 1, ex=60),
    ],
)  # fmt: skip
def test_keys_of_a_user_live_by_virtual_time(sim: Simulation, give: Any) -> None:
    with sim.redis.client() as client:
        give(client)
        sim.run_for(59)
        assert client.exists("key")
        sim.run_for(2)
        assert not client.exists("key")
        assert not client.hgetall("key")


def test_the_time_that_a_user_asks_for_is_virtual(sim: Simulation) -> None:
    sim.redis.set("key", 1, ex=100)
    sim.run_for(30)
    assert sim.redis.time()[0] == pytest.approx(sim.now_s, abs=1)
    assert sim.redis.ttl("key") == 70
    entry = sim.redis.xadd("stream", {"a": 1})
    assert int(entry.split(b"-")[0]) == pytest.approx(1000 * sim.now_s, abs=1)
    assert sim.redis.expire("key", -1)
    assert not sim.redis.exists("key")


def test_a_key_whose_end_is_taken_away_or_put_off_stays(sim: Simulation) -> None:
    sim.redis.set("kept", 1, ex=60)
    sim.redis.set("longer", 1, ex=60)
    sim.run_for(30)
    sim.redis.persist("kept")
    sim.redis.expire("longer", 60)
    sim.run_for(31)
    assert sim.redis.exists("kept", "longer") == 2
    sim.run_for(30)
    assert sim.redis.exists("kept", "longer") == 1


def test_the_engine_hears_what_a_user_writes(sim: Simulation) -> None:
    sim.pool().job("work", lambda job: None)
    sim.run_for(1)
    sim.redis.set(sim.keys.paused("work"), 1, ex=60)
    sim.enqueuer.enqueue("work")
    sim.run_for(58)
    assert sim.runs("work") == []
    sim.run_for(3)
    sim.assert_ran("work", times=1, at=61)
    job = sim.enqueuer.enqueue("other")
    sim.redis.rename(sim.keys.jobs("other"), sim.keys.jobs("work"))
    sim.run_for(1)
    found = sim.client.find(job.id)
    assert found is not None
    assert found.place == "dead"  # the pool has taken it, and has no handler of its name


def test_heartbeats_that_a_user_reads_are_fresh(sim: Simulation) -> None:
    pool = sim.pool()
    pool.job("work", lambda job: None)
    sim.run_for(hours=1, seconds=17)
    said = sim.redis.hget(sim.keys.pool(pool.pool_id), "heartbeat_at")
    assert sim.now_s - int(said) < 3
    sim.assert_ran("work", times=0)


def test_checkers_see_what_a_user_writes() -> None:
    class NobodyDeletes(Checker):
        rule = "nobody deletes"

        def changed(self, change: Any) -> None:
            if change.command == "DEL" and change.moves:
                self.violated("somebody did")

    with Simulation(checkers=[NobodyDeletes()]) as sim:
        sim.pool()
        sim.enqueuer.enqueue("work")
        sim.redis.delete(sim.keys.jobs("work"))
        with pytest.raises(Violation, match="somebody did"):
            sim.run_for(1)


def test_what_befalls_redis_befalls_a_user(sim: Simulation) -> None:
    sim.redis.set("key", 1)
    sim.stop_redis(10)
    with pytest.raises(redis.ConnectionError, match="simulated Redis"):
        sim.redis.get("key")
    sim.run_for(11)
    assert sim.redis.get("key") == b"1"
    sim.refuse_writes(10, "OOM")
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        sim.redis.set("key", 2)
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        sim.redis.eval("return 1", 0)
    assert sim.redis.delete("nothing") == 0
    sim.refuse_writes(10, "READONLY")
    with pytest.raises(redis.exceptions.ReadOnlyError):
        sim.redis.delete("key")
    assert sim.redis.get("key") == b"1"
    sim.run_for(11)
    sim.wipe_redis()
    assert sim.redis.get("key") is None


def test_an_action_that_redis_does_not_answer_is_in_the_trace(sim: Simulation) -> None:
    sim.stop_redis(10)
    sim.at(5, sim.redis.get, "key")
    sim.at(15, sim.refuse_writes, 10)
    sim.at(16, sim.redis.set, "key", 1)
    sim.run_for(30)
    errors = [event.detail["error"] for event in sim.trace.of(kind="unanswered")]
    assert ["connection refused" in errors[0], "maxmemory" in errors[1]] == [True, True]
    sim.redis.rpush("list", 1)
    sim.at(40, sim.redis.get, "list")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        sim.run_for(60)


def test_a_closed_world_says_so() -> None:
    with Simulation() as sim:
        sim.redis.get("key")
    for ask in (sim.client.queues, lambda: sim.redis.get("key")):
        with pytest.raises(PoolState, match="closed"):
            ask()


@pytest.mark.parametrize(
    "wait",
    [
        lambda client: client.blpop("nothing", timeout=0),
        lambda client: client.xread({"nothing": "$"}, block=0),
        lambda client: client.bzpopmin("nothing"),
        lambda client: client.brpoplpush("nothing", "target"),
        lambda client: client.blmove("nothing", "target", 0),
    ],
)  # fmt: skip
def test_a_command_that_would_wait_is_refused_with_the_remedy(sim: Simulation, wait: Any) -> None:
    with pytest.raises(redis.ResponseError, match=r"does not block.*sim\.sleep"):
        wait(sim.redis)
    sim.redis.rpush("something", "a")
    assert sim.redis.blmove("something", "other", 0) == b"a"
    assert sim.redis.blpop("other") == (b"other", b"a")


def test_what_a_user_leaves_to_chance_comes_from_the_seed() -> None:
    def drawn(seed: int) -> list[Any]:
        with Simulation(seed) as sim:
            sim.redis.sadd("set", *range(100))
            sim.redis.zadd("sorted", {str(n): n for n in range(100)})
            sim.redis.hset("hash", mapping={str(n): n for n in range(100)})
            return [
                sim.redis.spop("set", 3), sim.redis.srandmember("set", -3),
                sim.redis.zrandmember("sorted", 3), sim.redis.hrandfield("hash", -3),
                sim.redis.randomkey(),
            ]  # fmt: skip

    assert drawn(1) == drawn(1) != drawn(2)


def test_a_transaction_fails_when_the_engine_has_written_what_it_watches(sim: Simulation) -> None:
    with sim.redis.pipeline() as pipe:
        pipe.watch(sim.keys.jobs("work"))
        sim.enqueuer.enqueue("work")
        pipe.multi()
        pipe.set("key", 1)
        with pytest.raises(redis.WatchError):
            pipe.execute()


def test_channels_carry_messages(sim: Simulation) -> None:
    with sim.redis.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe("news")
        sim.pool().job("work", lambda job: sim.redis.publish("news", "done"))
        sim.enqueuer.enqueue("work")
        sim.run_until_idle()
        said = [message for _ in range(3) if (message := pubsub.get_message()) is not None]
    assert [message["data"] for message in said] == [b"done"]


def test_a_handler_of_a_crashed_pool_writes_nothing_any_more() -> None:
    written: list[str] = []
    with Simulation() as sim:
        client = sim.redis

        def work(job: Job) -> None:
            try:
                sim.sleep(60)
            finally:
                client.set("key", 1)
                written.append("key")

        pool = sim.pool()
        pool.job("work", work)
        sim.enqueuer.enqueue("work")
        sim.run_for(10)
        sim.crash(pool)
    assert written == []


# Where fakeredis has changed.


def _without_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(fakeredis._core, "CommandItem")


def _with_unheard_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    real = CommandItem.writeback

    def writeback(self: Any, **options: Any) -> None:
        database, self.db = self.db, copy.copy(self.db)
        self.db.notify_watch = lambda key: None
        real(self, **options)
        self.db = database

    monkeypatch.setattr(CommandItem, "writeback", writeback)


def _with_another_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fakeredis.commands_mixins.hash_mixin.current_time", lambda: 0)


@pytest.mark.parametrize("change", [_without_items, _with_unheard_writes, _with_another_clock])
def test_where_fakeredis_has_changed_worlds_are_the_same_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    trace = busy(3)
    change(monkeypatch)
    for name in ("fake", "probing"):
        monkeypatch.delitem(sys.modules, f"workkit.simulation.redis.{name}")
    opening.differs.cache_clear()
    try:
        with pytest.warns(RuntimeWarning, match=r"internals of fakeredis .* real time"):
            assert busy(3) == trace
    finally:
        opening.differs.cache_clear()
