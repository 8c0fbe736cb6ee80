"""What a call of a script packs, its reader gives back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workkit.store.calls import enqueue, exchange, move, plan_slots, reap, remove, revive
from workkit.store.calls.exchange import HistoryBlob, Settled, Settlement
from workkit.store.calls.layout import head, keys_and_args, rows
from workkit.store.keys import Keys
from workkit.store.round_trip import Command, RoundTrip

KEYS = Keys("{test}")
NAMES = st.sampled_from(["mail", "resize", "import"])
RAWS = st.binary(max_size=4)
WORDS = st.sampled_from(["", "one", "two"])
TIMES = st.integers(0, 2**33)


def command_of(round_trip: RoundTrip[Any]) -> Command:
    (command,) = round_trip.commands
    return command


def at(given_keys: tuple[bytes, ...], place: int) -> bytes:
    """Return the key at an index from 1 on; b"" for 0."""
    return given_keys[place - 1] if place else b""


@given(st.dictionaries(NAMES, st.lists(RAWS, max_size=3)), NAMES, RAWS)
def test_jobs_to_enqueue(batches: dict[str, list[bytes]], name: str, raw: bytes) -> None:
    command = command_of(enqueue.enqueue(KEYS, batches))
    assert dict(enqueue.read_enqueue(command)) == batches
    assert enqueue.read_enqueue(command_of(enqueue.enqueue_one(KEYS, name, raw))) == [(name, [raw])]


@given(NAMES, RAWS, TIMES)
def test_a_scheduled_job(name: str, raw: bytes, run_at_s: int) -> None:
    _, args = keys_and_args(command_of(enqueue.schedule(KEYS, name, run_at_s, raw)))
    assert enqueue.ScheduleArgs._make(args) == (name, run_at_s, raw)


@given(name=NAMES, raw=RAWS, run_at_s=st.none() | TIMES, replaces=st.booleans())
def test_a_unique_job(name: str, raw: bytes, run_at_s: int | None, *, replaces: bool) -> None:
    call = enqueue.enqueue_unique(
        KEYS, name, raw, unique_key=b"key", value=b"1", replaces=replaces, lives_s=7,
        run_at_s=run_at_s,
    )  # fmt: skip
    sent = enqueue.UniqueArgs._make(keys_and_args(command_of(call))[1])
    due = "" if run_at_s is None else run_at_s
    assert sent == (name, raw, b"1", 7, due, int(replaces))


@given(NAMES, st.lists(st.tuples(WORDS, TIMES, RAWS), max_size=3), TIMES)
def test_cron_slots(name: str, slots: list[tuple[str, int, bytes]], now_s: int) -> None:
    call = plan_slots.plan_slots(
        KEYS, name=name, field="entry", slots=slots, until_s=now_s + 1, now_s=now_s
    )
    sent_keys, args = keys_and_args(command_of(call))
    plan, jobs = head(plan_slots.PlanArgs, args)
    fixed, slot_keys = head(plan_slots.PlanKeys, sent_keys)
    assert plan[:4] == (name, "entry", now_s + 1, now_s)
    assert list(jobs) == [part for _, due_s, raw in slots for part in (due_s, raw)]
    assert list(slot_keys) == [KEYS.slot(slot) for slot, _, _ in slots]
    assert fixed.written_always == (
        KEYS.periodic, KEYS.last_periodic_enqueue, KEYS.periodic_seen, KEYS.periodic_peer,
    )  # fmt: skip


@given(st.lists(st.builds(move.Due, RAWS, RAWS, st.just("") | NAMES, WORDS, WORDS), max_size=5))
def test_due_jobs(jobs: list[move.Due]) -> None:
    command = command_of(move.move(KEYS, KEYS.retry, jobs, 5))
    queues = tuple(dict.fromkeys(job.queue for job in jobs if job.queue))
    slots = keys_and_args(command)[0][5 + len(queues) :]
    read = [
        (row.raw, row.new, queues[row.queue_at - 1] if row.queue_at else "", at(slots, row.slot_at))
        for row in move.read_move(command)
    ]
    assert read == [
        (job.raw, job.new, job.queue, KEYS.slot(job.slot) if job.slot else b"") for job in jobs
    ]
    assert [bool(row.retired) for row in move.read_move(command)] == [
        bool(job.retired) for job in jobs
    ]


@given(st.lists(st.builds(reap.Recoverable, RAWS, WORDS, RAWS, WORDS, WORDS, WORDS), max_size=5))
def test_jobs_of_a_dead_pool(jobs: list[reap.Recoverable]) -> None:
    command = command_of(
        reap.reap(KEYS, "pool", "mail", jobs, heartbeat_at="9", now_s=5, max_recoveries=3)
    )
    named = keys_and_args(command)[0][8:]
    assert [
        (row.raw, row.job_id, row.dead, at(named, row.slot_at),
         at(named, row.unique_at), row.own_id)
        for row in reap.read_reap(command)
    ] == [
        (job.raw, job.job_id, job.dead, KEYS.slot(job.slot) if job.slot else b"",
         job.unique_key.encode(), job.own_id)
        for job in jobs
    ]  # fmt: skip


@given(
    st.lists(
        st.builds(remove.Removal, RAWS, WORDS, WORDS, st.sampled_from(["free", "own"]), WORDS),
        max_size=5,
    )
)
def test_jobs_to_delete(jobs: list[remove.Removal]) -> None:
    command = command_of(remove.remove(KEYS, KEYS.dead, "zset", jobs))
    named = keys_and_args(command)[0][4:]
    assert [
        (row.raw, row.job_id, at(named, row.unique_at).decode(), row.rule, row.mark)
        for row in remove.read_remove(command)
    ] == jobs


@given(
    st.lists(
        st.builds(
            revive.Revival, RAWS, RAWS, RAWS, st.just("") | NAMES, st.sampled_from([b"a", b"b"]),
            WORDS, RAWS, WORDS,
        ),
        max_size=5,
    )
)  # fmt: skip
def test_jobs_to_revive(jobs: list[revive.Revival]) -> None:
    command = command_of(revive.revive(KEYS, KEYS.dead, jobs, 5))
    named = keys_and_args(command)[0][4:]
    targets = len({(job.target, job.queue) for job in jobs})
    assert [
        (row.raw, row.new, row.plain, named[row.target_at - 1],
         at(named[targets:], row.unique_at).decode(), row.value, row.job_id)
        for row in revive.read_revive(command)
    ] == [
        (job.raw, job.new, job.plain, job.target, job.unique_key, job.value, job.job_id)
        for job in jobs
    ]  # fmt: skip


EFFECTS = st.lists(
    st.builds(exchange.Effect, st.just("release"), st.sampled_from([b"", b"key"]), WORDS),
    max_size=2,
).map(tuple)
SETTLEMENTS = st.builds(
    Settlement, NAMES, RAWS, st.sampled_from([b"d", b"r", b"x", b"b"]), TIMES, RAWS, EFFECTS,
    st.sampled_from(["", "id"]),
)  # fmt: skip


@given(
    st.lists(SETTLEMENTS, max_size=8),
    st.dictionaries(NAMES, st.integers(0, 5)),
    st.builds(HistoryBlob, TIMES, TIMES, RAWS, WORDS, TIMES, WORDS),
    st.data(),
)
def test_what_an_exchange_settles(
    settlements: list[Settlement], claims: dict[str, int], history: HistoryBlob, data: st.DataObject
) -> None:
    round_trip = exchange.exchange(KEYS, "pool", 3, 5, settlements, claims, history)
    call = exchange.read_exchange(command_of(round_trip))
    queues = list(dict.fromkeys([*claims, *(each.queue for each in settlements)]))
    assert call.keys == exchange.ExchangeKeys(
        KEYS.pool("pool"), KEYS.retry, KEYS.dead, KEYS.history, KEYS.history_head,
        KEYS.recoveries, KEYS.begun,
    )  # fmt: skip
    assert [part.keys for part in call.parts] == [KEYS.queue(name, "pool") for name in queues]
    for name, part in zip(queues, call.parts, strict=True):
        assert sorted(part.settled) == sorted(
            Settled(each.fate, each.raw, each.score if each.fate in {b"r", b"x"} else 0)
            for each in settlements
            if each.queue == name
        )
    assert list(call.effect_keys) == [
        effect.key
        for part, name in zip(call.parts, queues, strict=True)
        for effect in _in_order(settlements, name, part.settled)
        if effect.key
    ]

    bits = data.draw(st.lists(st.sampled_from("01"), min_size=len(settlements),
                              max_size=len(settlements)))  # fmt: skip
    reply = [b"ok", "".join(bits).encode(), b"0", *([b"empty", b"raw"] for _ in queues)]
    assert call.reply(reply).applied == [bit == "1" for bit in bits]
    assert [claimed.raws for claimed in call.reply(reply).claimed] == [[b"raw"]] * len(queues)


def _in_order(
    settlements: list[Settlement], name: str, settled: list[Settled]
) -> list[exchange.Effect]:
    """Return the effects of a queue in the order in which the call names its jobs."""
    mine = [each for each in settlements if each.queue == name]
    order = [each for each in mine if each.fate == b"d" and not each.begun]
    order += [each for each in mine if each.fate == b"d" and each.begun]
    order += [each for each in mine if each.fate != b"d"]
    assert [each.raw for each in order] == [each.raw for each in settled]
    return [effect for each in order for effect in each.effects]


def test_an_incomplete_row_is_refused() -> None:
    with pytest.raises(TypeError, match="got 1"):
        rows(remove.RemoveRow, [b"raw", "id", 0, "free", "mark", b"another"])
