"""A snapshot shows what its server showed."""

from __future__ import annotations

import sqlite3
import stat
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.client.stage import JUNK, SETS, ClientStage, SetName, raw_job
from workkit import InvalidOption, ServerError
from workkit.admin.explain import why
from workkit.admin.reader import Reader
from workkit.core.history import FORMAT, Record, pack
from workkit.core.records import Place
from workkit.snapshot import Redaction, Snapshot, write_snapshot
from workkit.snapshot import format as snapshot_format

NOTHING = Redaction(())


def taken(stage: ClientStage, path: Path) -> Snapshot:
    write_snapshot(stage.client, path / "snapshot", redaction=NOTHING)
    return Snapshot(path / "snapshot")


def test_a_snapshot_is_a_reader_that_is_not_live(past: ClientStage, tmp_path: Path) -> None:
    snapshot = taken(past, tmp_path)
    reader: Reader = snapshot
    assert isinstance(snapshot, Reader)
    assert not reader.live
    assert reader.label == f"{past.client.label}, in snapshot"
    assert reader.now_s() == past.clock.epoch_ms / 1_000
    assert snapshot.about.from_s == snapshot.about.until_s == reader.now_s()
    assert snapshot.about.redacted == ()


def test_a_snapshot_has_the_servers_queues_pools_workers_and_cron(
    past: ClientStage, tmp_path: Path
) -> None:
    snapshot = taken(past, tmp_path)
    assert snapshot.overview() == past.client.overview()
    assert snapshot.queues() == past.client.queues()
    assert snapshot.worker_pool_heartbeats() == past.client.worker_pool_heartbeats()
    seen = past.client.worker_observations()
    assert snapshot.worker_observations() == seen
    assert snapshot.worker_observations([seen[0].worker_id]) == seen[:1]
    assert snapshot.worker_observations(["nobody"]) == []
    assert snapshot.cron() == past.client.cron()


def test_a_snapshot_has_the_servers_history(past: ClientStage, tmp_path: Path) -> None:
    snapshot = taken(past, tmp_path)
    history = list(past.client.history())
    assert list(snapshot.history()) == history
    since = history[4].finished_ms / 1_000
    for filters in ({"since": since}, {"until": since}, {"limit": 3}, {"limit": 0}):
        assert list(snapshot.history(**filters)) == list(past.client.history(**filters))
    assert list(snapshot.history(outcome="dead")) == [r for r in history if r.outcome == "dead"]
    assert snapshot.history_extent() == past.client.history_extent()
    assert snapshot.job_history(history[0].job_id) == [history[0]]
    packed = [entry for batch in past.client.packed_history() for entry in batch]
    assert [entry for batch in snapshot.packed_history() for entry in batch] == packed
    later = [e for b in snapshot.packed_history(after=packed[3].entry_id) for e in b]
    assert later == packed[4:]
    assert [e for b in snapshot.packed_history(since=since) for e in b] == [
        e for b in past.client.packed_history(since=since) for e in b
    ]


def places(stage: ClientStage) -> list[Place]:
    return [
        *map(Place, SETS),
        *(Place("queued", queue.job_name) for queue in stage.client.queues()),
    ]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_snapshot_has_the_servers_jobs(
    past: ClientStage, tmp_path: Path, *, reverse: bool
) -> None:
    snapshot = taken(past, tmp_path)
    for place in places(past):
        for start, count in ((0, 20), (1, 2), (99, 5)):
            shown = snapshot.jobs(place, start, count, reverse=reverse)
            live = past.client.jobs(place, start, count, reverse=reverse)
            assert shown.total == live.total
            assert [(j.at, j.job.raw) for j in shown.jobs] == [(j.at, j.job.raw) for j in live.jobs]
    assert snapshot.jobs(Place("queued", "unknown")).total == 0


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("place", [Place("dead"), Place("queued", "mail")])
def test_any_part_of_a_long_place_can_be_read(
    stage: ClientStage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: Place,
    *,
    reverse: bool,
) -> None:
    monkeypatch.setattr("workkit.snapshot.writer._BLOCK", 7)
    raws = [raw_job(str(n)) for n in range(40)]
    stage.lay("dead", {raw: n for n, raw in enumerate(raws)})
    stage.queue("mail", *raws)
    snapshot = taken(stage, tmp_path)
    for start in (0, 6, 7, 8, 33, 39, 40):
        for count in (1, 7, 50):
            shown = snapshot.jobs(place, start, count, reverse=reverse).jobs
            live = stage.client.jobs(place, start, count, reverse=reverse).jobs
            assert [(j.at, j.job.raw, getattr(j, "position", 0)) for j in shown] == [
                (j.at, j.job.raw, getattr(j, "position", 0)) for j in live
            ]
    batches = list(snapshot.walk(place, reverse=reverse, size=9))
    assert [len(batch.jobs) for batch in batches] == [9, 9, 9, 9, 4]
    assert [(batch.seen, batch.total) for batch in batches][-1] == (40, 40)
    ids = [placed.job.id for batch in batches for placed in batch.jobs]
    assert ids == [str(n) for n in range(40)][:: -1 if reverse else 1]


@pytest.mark.parametrize("place", SETS)
def test_junk_is_shown_with_its_reason(stage: ClientStage, tmp_path: Path, place: SetName) -> None:
    stage.lay(place, {raw: at for at, raw in enumerate(JUNK)})
    shown = taken(stage, tmp_path).jobs(Place(place)).jobs
    live = stage.client.jobs(Place(place)).jobs
    assert [(j.job.raw, j.job.undecodable) for j in shown] == [
        (j.job.raw, j.job.undecodable) for j in live
    ]


@pytest.mark.parametrize("score", [1e300, -1e300, float("-inf")])
def test_a_time_that_no_file_holds_does_not_stop_a_snapshot(
    stage: ClientStage, tmp_path: Path, score: float
) -> None:
    job = raw_job("far", "mail")
    stage.redis.zadd(f"{stage.namespace}:scheduled", {job: score})
    snapshot = taken(stage, tmp_path)
    assert [placed.job.id for placed in snapshot.jobs(Place("scheduled")).jobs] == ["far"]
    assert snapshot.overview().scheduled == 1


def test_a_job_is_found_wherever_it_is(past: ClientStage, tmp_path: Path) -> None:
    snapshot = taken(past, tmp_path)
    for place in places(past):
        for placed in past.client.jobs(place).jobs:
            if not placed.job.undecodable:
                found = snapshot.find(placed.job.id)
                assert found is not None
                assert (found.place, found.at) == (placed.place, placed.at)
    running = next(worker for worker in snapshot.worker_observations() if worker.is_busy)
    found = snapshot.find(running.job_id)
    assert found is not None
    assert (found.place, found.pool_id) == (
        "running",
        past.client.worker_pool_heartbeats()[0].worker_pool_id,
    )
    assert snapshot.find("nowhere") is None


def test_a_snapshot_explains_why_a_job_does_not_run(past: ClientStage, tmp_path: Path) -> None:
    snapshot = taken(past, tmp_path)
    (waiting, _) = snapshot.jobs(Place("queued", "sync")).jobs
    assert why(waiting, snapshot.circumstances(waiting)) == ["queue 'sync' is paused"]


def test_writing_a_snapshot_reports_its_progress(
    stage: ClientStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workkit.snapshot.writer._BLOCK", 10)
    stage.lay("dead", {raw_job(str(n)): n for n in range(25)})
    fields = {"v": FORMAT, "n": 1, "r": pack([Record("x", "m", 1, 2, 3, "done")])}
    stage.redis.xadd(f"{stage.namespace}:history", fields, id="1000-1")
    told: list[tuple[str, int, int]] = []
    write_snapshot(stage.client, tmp_path / "s", told=lambda *news: told.append(news))
    assert told == [
        ("the dead set", 10, 25),
        ("the dead set", 20, 25),
        ("the dead set", 25, 25),
        ("history", 1, 1),
    ]


def test_only_its_owner_can_read_a_snapshot(stage: ClientStage, tmp_path: Path) -> None:
    write_snapshot(stage.client, tmp_path / "s")
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600


def test_an_existing_file_is_replaced_only_on_request(stage: ClientStage, tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(InvalidOption, match="exists; --force replaces it"):
        write_snapshot(stage.client, path)
    wrong: Any = "no"
    with pytest.raises(InvalidOption, match="replace must be True or False, not 'no'"):
        write_snapshot(stage.client, path, replace=wrong)
    assert path.read_text() == "precious"
    write_snapshot(stage.client, path, replace=True)
    assert Snapshot(path).overview().dead == 0


def test_when_reading_fails_no_file_is_left(stage: ClientStage, tmp_path: Path) -> None:
    stage.redis.set(f"{stage.namespace}:history", "a string")
    with pytest.raises(ServerError):
        write_snapshot(stage.client, tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.one_server
def test_a_path_that_cannot_be_written_is_refused(stage: ClientStage, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="cannot be written: No such file"):
        write_snapshot(stage.client, tmp_path / "no" / "folder")


@pytest.mark.one_server
def test_a_file_that_is_not_a_snapshot_is_refused(stage: ClientStage, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a text that is longer than the head of a database")
    sqlite3.connect(tmp_path / "other").execute("CREATE TABLE t (x)").connection.close()
    write_snapshot(stage.client, tmp_path / "cut")
    whole = (tmp_path / "cut").read_bytes()
    (tmp_path / "cut").write_bytes(whole[:100])
    write_snapshot(stage.client, tmp_path / "hollow")
    with sqlite3.connect(tmp_path / "hollow") as database:
        database.execute("DELETE FROM state")
    database.close()
    for name in ("nothing", "text", "other", "cut", "hollow"):
        with pytest.raises(InvalidOption, match=f"{name} is not a snapshot"):
            Snapshot(tmp_path / name)


@pytest.mark.parametrize("table", ["about", "state", "blocks", "history"])
def test_a_block_that_would_take_much_memory_is_refused_before_it_takes_it(
    past: ClientStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    taken(past, tmp_path).close()
    bomb = zlib.compress(b"\xc4" * 50_000_000, 9)
    with sqlite3.connect(tmp_path / "snapshot") as database:
        database.execute(f"UPDATE {table} SET data = ?", (bomb,))  # noqa: S608 - our own names
    database.close()
    monkeypatch.setattr(snapshot_format, "MOST_BYTES", 1_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidOption, match="more than 1,000,000 bytes"):
            look_at_all(Snapshot(tmp_path / "snapshot"))
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def look_at_all(snapshot: Snapshot) -> None:
    try:
        list(snapshot.walk(Place("dead")))
        list(snapshot.history())
    finally:
        snapshot.close()


def test_what_does_not_fit_into_a_block_is_refused_and_leaves_no_file(
    past: ClientStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_format, "MOST_BYTES", 10)
    with pytest.raises(InvalidOption, match="cannot be written: a block takes .* at most 10 fit"):
        write_snapshot(past.client, tmp_path / "snapshot")
    assert list(tmp_path.iterdir()) == []
