"""A moment shows what the server showed at that time, and says what was not recorded."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.client.stage import JUNK, SETS, ClientStage, raw_job
from tests.recording.made import MASKS, NOW_S, Nobody, overview, pool, record, recorder, writer
from workkit import InvalidOption, Place, ServerRefused
from workkit.admin.explain import why
from workkit.admin.reader import Reader
from workkit.admin.steps.history import HistoryRecord
from workkit.admin.trends import Trends
from workkit.core.history import Record, pack
from workkit.core.records import Found
from workkit.recording import Observer, Recorder, Recording, RecordingWriter
from workkit.recording.details import EXECUTIONS, QUEUE_JOBS, SET_JOBS, SPREADS, Executed
from workkit.recording.file import DETAILS, OVERVIEWS
from workkit.recording.moment import NOT_RECORDED, Moment

pytestmark = pytest.mark.one_server
DEAD = Place("dead")


@pytest.fixture
def recorded(stage: ClientStage, tmp_path: Path) -> Callable[[], Recording]:
    """Record the stage once more, and read the file."""
    writer = RecordingWriter(
        tmp_path / "r", stage.client.label, every_s=2, keep_s=86_400, most_bytes=50_000_000
    )
    made, observer = Recorder(stage.client, writer, MASKS), Observer(stage.client)
    stage.on_close(made.close)
    stage.on_close(observer.close)

    def once_more() -> Recording:
        made.record(*observer.read())
        recording = Recording(tmp_path / "r")
        stage.on_close(recording.close)
        return recording

    return once_more


def now(recording: Recording) -> Moment:
    assert recording.span is not None
    return recording.moment(recording.span[1])


def test_a_moment_is_a_reader_with_what_the_server_had(
    past: ClientStage, recorded: Callable[[], Recording]
) -> None:
    moment, live = now(recorded()), past.client
    reader: Reader = moment
    assert isinstance(moment, Reader)
    assert not moment.live
    assert reader.label == f"{live.label}, recorded in r"
    assert moment.overview() == live.overview()
    assert moment.watch().overview() == live.overview()
    assert moment.queues() == live.queues()
    assert moment.worker_pool_heartbeats() == live.worker_pool_heartbeats()
    assert moment.now_s() == past.clock.epoch_ms / 1_000
    assert moment.cron() == live.cron()
    busy = [each for each in live.worker_observations() if each.is_busy]
    assert moment.worker_observations() == busy
    assert moment.operations() == live.actions.operations()
    assert moment.history_extent().written == live.history_extent().written
    assert not list(moment.packed_history())
    ended = [(each.job_id, each.finished_ms, each.outcome) for each in live.recent_history()]
    recorded_ended = [
        (each.job_id, each.finished_ms, each.outcome) for each in moment.recent_history()
    ]
    assert sorted(recorded_ended) == sorted(ended)
    assert {"done", "retry", "dead"} <= {outcome for _, _, outcome in recorded_ended}
    one = live.recent_history()[0].job_id
    known = [(each.finished_ms, each.outcome) for each in moment.job_history(one)]
    assert known == [(each.finished_ms, each.outcome) for each in live.job_history(one)]


def test_a_moment_has_the_percentiles_of_each_queue(
    past: ClientStage, recorded: Callable[[], Recording]
) -> None:
    moment, trends = now(recorded()), Trends()
    trends.add(past.client.overview(), past.client.recent_history())
    names = {record.name for record in past.client.recent_history()}
    assert names
    for name in names:
        spread = moment.trends.spread(name)
        assert spread is not None
        assert spread == trends.spread(name)
    assert moment.trends.spread("nobody") is None


def test_executions_of_the_minutes_before_add_up_within_their_bounds() -> None:
    executed = Executed()
    executed.add([execution(f"j{n}", f"name{n % 400}", n) for n in range(500)][::-1])
    spreads, latest = executed.take()
    assert (len(spreads), len(latest)) == (SPREADS, EXECUTIONS)
    assert [each.job_id for each in latest[:2]] == ["j499", "j498"]
    executed.add([execution("j500", "name0", 1_000)])
    spreads, latest = executed.take()
    assert ([each.job_id for each in latest], len(spreads)) == (["j500"], SPREADS)
    assert spreads["name0"].executions == 3
    assert executed.take()[1] == []


def execution(job_id: str, name: str, ran_ms: int) -> HistoryRecord:
    return HistoryRecord(
        job_id, name, NOW_S, NOW_S * 1_000, NOW_S * 1_000 + ran_ms, "done", 0, "", "", "w", "",
        "p", "h",
    )  # fmt: skip


def test_a_moment_has_the_jobs_of_each_place_in_their_order(
    past: ClientStage, recorded: Callable[[], Recording]
) -> None:
    past.lay("dead", {raw_job(f"{n:024x}"): past.clock.now_s - n % 3 for n in range(9)})
    past.queue("mail", *(raw_job(f"{n + 50:024x}") for n in range(5)))
    moment, live = now(recorded()), past.client
    places = [*(Place(kind) for kind in SETS), Place("queued", "mail")]
    for place in places:
        assert live.jobs(place).total
        for reverse in (False, True):
            for start in (0, 2):
                want = live.jobs(place, start, 4, reverse=reverse)
                got = moment.jobs(place, start, 4, reverse=reverse)
                assert [job_of(each) for each in got.jobs] == [job_of(each) for each in want.jobs]
                assert got.total == want.total
            walked = [each for batch in moment.walk(place, reverse=reverse) for each in batch.jobs]
            known = [each for batch in live.walk(place, reverse=reverse) for each in batch.jobs]
            assert [job_of(each) for each in walked] == [job_of(each) for each in known]
    first = live.jobs(DEAD, 0, 1).jobs[0]
    found = moment.find(first.job.id)
    assert found is not None
    assert found == Found("dead", found.job, first.at)
    assert moment.find("nobody") is None
    assert why(first, moment.circumstances(first)) == why(first, live.circumstances(first))


def job_of(placed: Any) -> tuple[Any, ...]:
    return placed.at, placed.job.id, None if placed.job.undecodable else placed.job.raw


def test_jobs_beyond_those_that_were_recorded_say_so(
    stage: ClientStage, recorded: Callable[[], Recording]
) -> None:
    stage.lay("dead", {raw_job(f"{n:024x}"): NOW_S + n for n in range(SET_JOBS + 50)})
    stage.queue("mail", *(raw_job(f"{n:024x}") for n in range(QUEUE_JOBS + 5)))
    moment = now(recorded())
    page = moment.jobs(DEAD, SET_JOBS - 1, 3, reverse=True)
    assert page.total == SET_JOBS + 50
    assert [each.job.undecodable for each in page.jobs] == [None, NOT_RECORDED, NOT_RECORDED]
    oldest = moment.jobs(DEAD, 0, 1).jobs[0]
    assert oldest.job.undecodable == NOT_RECORDED
    waiting = moment.jobs(Place("queued", "mail"), QUEUE_JOBS - 1, 2).jobs
    assert [each.job.undecodable for each in waiting] == [None, NOT_RECORDED]
    assert sum(len(batch.jobs) for batch in moment.walk(DEAD)) == SET_JOBS
    assert next(iter(moment.walk(DEAD))).total == SET_JOBS + 50


def test_no_secret_reaches_the_file(
    stage: ClientStage, recorded: Callable[[], Recording], tmp_path: Path
) -> None:
    secret = "sk-4f1c9ab3d2e88"  # noqa: S105 - it is to be looked for
    args = {"api_token": secret, "note": f"uses {secret}", "url": f"redis://:{secret}@db"}
    fields: dict[str, Any] = {
        "args": args, "err": f"Refused: password={secret}\n  at {secret}", "unique": True,
        "unique_key": f'work:unique:mail:{{"api_token":"{secret}"}}', "fails": 2,
    }  # fmt: skip
    for at, kind in enumerate(SETS):
        stage.lay(kind, {raw_job(f"{at:024x}", **fields): NOW_S})
        stage.lay(kind, {f'{{"token": "{secret}", junk'.encode(): NOW_S})
    stage.queue("mail", raw_job("d" * 24, **fields), b"token=" + secret.encode())
    worker = f"{1:024x}"
    stage.redis.sadd(stage.keys.worker_pools, "p" * 24)
    stage.redis.hset(
        stage.keys.pool("p" * 24),
        mapping={"heartbeat_at": stage.clock.now_s, "worker_ids": worker, "concurrency": 1},
    )
    row = {"job_name": "mail", "job_id": "e" * 24, "started_at": 1, "args": json.dumps(args)}
    stage.redis.hset(
        stage.keys.worker(worker), mapping=row | {"checkin": f"sends {secret}", "checkin_at": 2}
    )
    ms = stage.clock.epoch_ms
    ran = Record(
        "f" * 24, "mail", 17, ms - 9, ms - 1, "dead", 2, f"Refused: password={secret}",
        args=json.dumps(args), checkins=((1, f"token={secret}"),),
    )  # fmt: skip
    entry: Any = {"v": "1", "pool": "p", "host": "h", "n": 1, "r": pack([ran])}
    stage.redis.xadd(stage.keys.history, entry, id=f"{ms}-1")
    stage.redis.set(stage.keys.history_head, f"{ms} 1")
    plan = stage.client.actions.plan("delete", DEAD, f"error:password={secret}")
    assert plan is not None
    stage.client.actions.apply(plan, by="ann")
    recording = recorded()
    moment = now(recording)
    assert len(moment.worker_observations()) == len(moment.trends.failures) == 1
    assert moment.jobs(Place("retry")).total == 2
    assert moment.operations()
    stage.close()
    read = Recording(tmp_path / "r")
    parts = [part for track in (OVERVIEWS, DETAILS) for part in read._parts(track, 0, 10**15)]
    read.close()
    found = repr(parts)
    assert "•••" in found
    assert secret not in found
    assert secret.encode() not in (tmp_path / "r").read_bytes()


def test_a_job_that_is_large_or_no_job_is_recorded_without_its_content(
    stage: ClientStage, recorded: Callable[[], Recording]
) -> None:
    raw = raw_job("a" * 24, args={"text": "x" * 50_000})
    stage.lay("retry", {raw: NOW_S})
    stage.lay("dead", {junk: NOW_S + at for at, junk in enumerate(JUNK)})
    moment = now(recorded())
    (large,) = moment.jobs(Place("retry")).jobs
    assert large.job.args == {"not recorded": f"a payload of {len(raw):,} bytes"}
    assert large.job.id == "a" * 24
    found = moment.jobs(DEAD).jobs
    assert len(found) == len(JUNK)
    assert all(each.job.undecodable for each in found)


def test_jobs_with_equal_bytes_are_all_there(
    stage: ClientStage, recorded: Callable[[], Recording]
) -> None:
    stage.queue("mail", *[raw_job("a" * 24)] * 3)
    assert len(now(recorded()).jobs(Place("queued", "mail")).jobs) == 3


def test_details_are_read_more_often_when_something_has_changed(tmp_path: Path) -> None:
    with recorder(tmp_path / "r") as made:
        reader: Any = made._reader
        record(made, *(overview(NOW_S + 2.0 * n) for n in range(20)))
        assert reader.reads == 1
        record(made, *(overview(NOW_S + 40 + 2.0 * n) for n in range(11)))
        assert reader.reads == 2
        record(made, *(overview(NOW_S + 100 + 2.0 * n, count=n) for n in range(20)))
        assert reader.reads == 6


def test_details_that_take_too_many_bytes_are_recorded_less_often(
    stage: ClientStage, tmp_path: Path
) -> None:
    writer = RecordingWriter(
        tmp_path / "r", stage.client.label, every_s=10, keep_s=86_400, most_bytes=5_000_000
    )
    made, observer = Recorder(stage.client, writer, MASKS), Observer(stage.client)
    stage.on_close(made.close)
    stage.on_close(observer.close)
    read = 0
    for n in range(100):
        stage.redis.delete(stage.keys.dead)
        text = stage.enqueuer.enqueue("mail").id * 30
        stage.lay("dead", {raw_job(f"{n:012x}{k:012x}", args={"t": f"{k}{text}"}): NOW_S + n
                           for k in range(SET_JOBS)})  # fmt: skip
        stage.clock.advance(60)
        made.record(*observer.read())
        moment = now(made.recording)
        read += moment.details_at_s == moment.now_s()
    assert 5 < read < 95
    assert (tmp_path / "r").stat().st_size < 5_000_000
    # A jump plays one segment of details, so each is small.
    rows = made.recording._all("SELECT data FROM segments WHERE track = ?", DETAILS)
    assert len(rows) > 1
    assert max(len(zlib.decompress(data)) for (data,) in rows) < 3_000_000


# Times that were not recorded.


def test_a_time_that_was_not_recorded_is_named(tmp_path: Path) -> None:
    with recorder(tmp_path / "r") as made:
        record(made, overview(NOW_S), overview(NOW_S + 2), overview(NOW_S + 100, dead=9))
        recording = made.recording
        assert recording.moment(NOW_S + 1).gap is None
        for at_s in (NOW_S + 10, NOW_S + 99):
            moment = recording.moment(at_s)
            assert moment.gap == (NOW_S + 2, NOW_S + 100)
            assert moment.overview().dead == 3
        assert recording.moment(NOW_S + 100).gap is None
        assert recording.moment(NOW_S + 101).gap is None
        assert recording.moment(NOW_S + 500).gap == (NOW_S + 100, None)
        assert recording.moment(NOW_S - 500).overview() == overview(NOW_S)


def test_a_console_that_reads_less_often_while_nothing_changes_leaves_no_gap(
    tmp_path: Path,
) -> None:
    with recorder(tmp_path / "r") as made:
        record(made, *(overview(NOW_S + 10.2 * n) for n in range(60)))
        assert [made.recording.moment(NOW_S + 7.0 * n).gap for n in range(80)] == [None] * 80
        points = made.recording.points(NOW_S, NOW_S + 600, 60)
    assert all(point.recorded_s > 0 for point in points)
    assert sum(point.recorded_s for point in points) == pytest.approx(600, rel=0.02)


def test_a_recording_that_goes_on_more_slowly_has_no_gaps_by_that(tmp_path: Path) -> None:
    with recorder(tmp_path / "r", every_s=2.0) as made:
        record(made, overview(NOW_S), overview(NOW_S + 2))
    with recorder(tmp_path / "r", every_s=60.0) as made:
        record(made, *(overview(NOW_S + 60.0 * n) for n in range(1, 9)))
        assert made.recording.moment(NOW_S + 110).gap is None
    recording = Recording(tmp_path / "r")
    assert recording.about.every_s == 60
    assert recording.moment(NOW_S + 110).gap is None
    recording.close()


def test_a_user_who_may_not_read_jobs_gets_a_recording_without_them(tmp_path: Path) -> None:
    with recorder(tmp_path / "r") as made:
        reader: Any = made._reader

        def refuse(place: Any, start: int, count: int, *, reverse: bool = False) -> Any:
            raise ServerRefused("NOPERM", "no permission for zrange")

        reader.jobs = refuse
        record(made, *(overview(NOW_S + 2.0 * n, count=n + 1) for n in range(20)))
        marks = [mark.text for mark in made.recording.marks(0, 10**11)]
        moment = made.recording.moment(NOW_S + 38)
    assert sorted(marks) == [
        "jobs and workers are not recorded: no permission for zrange",
        "recording begins",
    ]
    assert moment.overview() == overview(NOW_S + 38, count=20)
    assert moment.details_at_s is None
    assert moment.jobs(DEAD).jobs[0].job.undecodable == NOT_RECORDED


def test_the_end_does_not_wait_for_a_server_that_hangs(tmp_path: Path) -> None:
    made = Recorder(Nobody(), writer(tmp_path / "r"), MASKS)  # type: ignore[arg-type]
    began, goes_on = threading.Event(), threading.Event()

    def hang() -> list[Any]:
        began.set()
        goes_on.wait(60)
        return []

    made._reader.cron = hang  # type: ignore[method-assign]
    thread = threading.Thread(target=record, args=(made, overview(NOW_S)))
    thread.start()
    assert began.wait(60)
    made.close()
    assert thread.is_alive()
    goes_on.set()
    thread.join(60)
    made.close()


def test_a_recording_without_a_reading_says_so(tmp_path: Path) -> None:
    with recorder(tmp_path / "r") as made:
        assert made.recording.span is None
        assert made.recording.after(0) is None
        assert made.recording.before(10**11) is None
        with pytest.raises(InvalidOption, match="r has no readings yet"):
            made.recording.moment(NOW_S)


@pytest.mark.parametrize("readings", [1, 2, 119, 120, 121, 250])
def test_steps_visit_each_reading_once_in_both_directions(tmp_path: Path, readings: int) -> None:
    want = [NOW_S + 2.125 * n for n in range(readings)]
    with recorder(tmp_path / "r") as made:
        record(made, *map(overview, want))
        recording, at_s, found = made.recording, 0.0, []
        while (after := recording.after(at_s)) is not None:
            found.append(at_s := after)
        assert found == want
        at_s, back = 10.0**11, []
        while (before := recording.before(at_s)) is not None:
            back.append(at_s := before)
        assert back == want[::-1]


# Rates, points and marks.


def live_through(stage: ClientStage, look: Callable[[], None]) -> None:
    """Let a pool work for some minutes."""
    stage.redis.sadd(stage.keys.worker_pools, "p")
    for n in range(130):
        stage.clock.advance(2)
        now_s = stage.clock.now_s
        stage.redis.hset(
            stage.keys.pool("p"),
            mapping={"heartbeat_at": now_s, "done": n * n, "retried": 2 * n, "workkit": "1"},
        )
        ms = stage.clock.epoch_ms
        ran = Record(f"{n:024x}", "mail", now_s, ms - 9, ms - n % 5, "retry", 1, f"E: {n}")
        entry: Any = {"v": "1", "pool": "p", "host": "h", "n": 1, "r": pack([ran])}
        stage.redis.xadd(stage.keys.history, entry, id=f"{ms}-{n + 1}")
        stage.redis.set(stage.keys.history_head, f"{ms} {n + 1}")
        look()


def test_rates_of_a_moment_are_those_that_the_console_had(
    stage: ClientStage, tmp_path: Path
) -> None:
    observer = Observer(stage.client)
    stage.on_close(observer.close)
    with recorder(tmp_path / "r") as made:
        live_through(stage, lambda: made.record(*observer.read()))
        past, live = now(made.recording).trends, observer._trends
    assert past.done_per_s == live.done_per_s
    assert past.failed_per_s == live.failed_per_s
    assert past.executions_per_s == live.executions_per_s
    assert past.outcomes() == live.outcomes()
    assert past.flows() == live.flows()
    for name in ("done", "failed", "queued", "wait_ms", "run_ms"):
        assert list(getattr(past, name))[-100:] == list(getattr(live, name))[-100:], name
    assert list(past.failures)[:100] == list(live.failures)[:100]


def test_points_add_up_what_happened_and_tell_what_was_not_recorded(tmp_path: Path) -> None:
    with recorder(tmp_path / "r") as made:
        for n in range(60):
            beat = pool(1, NOW_S + 2 * n, done=10 * n, retried=n, died=n // 2)
            record(made, overview(NOW_S + 2.0 * n, beat))
        record(made, overview(NOW_S + 600, pool(1, NOW_S + 600, done=590, died=29, retried=59)))
        points = made.recording.points(NOW_S, NOW_S + 620, 31)
    assert [point.recorded_s > 0 for point in points] == [True] * 6 + [False] * 24 + [True]
    assert sum(point.done for point in points) == pytest.approx(590)
    assert sum(point.failed for point in points) == pytest.approx(59 + 29)
    assert sum(point.died for point in points) == pytest.approx(29)
    assert points[0].until_s == pytest.approx(points[1].from_s)


def test_marks_name_pools_deploys_pauses_and_acts(
    stage: ClientStage, recorded: Callable[[], Recording]
) -> None:
    def beat(pool_id: str, *, version: str = "0.1.0") -> None:
        fields = {"heartbeat_at": stage.clock.now_s, "host": pool_id, "pid": 7, "workkit": version}
        stage.redis.sadd(stage.keys.worker_pools, pool_id)
        stage.redis.hset(stage.keys.pool(pool_id), mapping=fields)

    def forget(pool_id: str) -> None:
        stage.redis.srem(stage.keys.worker_pools, pool_id)
        stage.redis.delete(stage.keys.pool(pool_id))

    def look(seconds: float = 10) -> None:
        stage.clock.advance(seconds)
        recorded()

    stage.queue("mail", raw_job("a" * 24))
    stage.lay("dead", {raw_job("b" * 24): NOW_S})
    beat("old")
    beat("dies")
    look(0)
    beat("old")
    beat("new", version="0.2.0")
    look()
    stage.client.pause("mail")
    beat("old")
    beat("new", version="0.2.0")
    look()
    stage.client.unpause("mail")
    plan = stage.client.actions.plan("delete", DEAD, "")
    assert plan is not None
    stage.client.actions.apply(plan, by="ann@web-1")
    forget("old")
    beat("new", version="0.2.0")
    look()
    forget("dies")
    beat("new", version="0.2.0")
    stage.clock.advance(2)
    recording = recorded()
    marks = [(mark.kind, mark.text) for mark in recording.marks(0, 10**11)]
    assert set(marks) == {
        ("begins", "recording begins"),
        ("came", "pool new:7 has started, workkit 0.2.0"),
        ("deploy", "workkit 0.2.0 runs jobs"),
        ("died", "pool dies:7 went silent"),
        ("paused", "queue 'mail' is paused"),
        ("resumed", "queue 'mail' is resumed"),
        ("act", "ann@web-1 deleted 1 job of the dead set"),
        ("left", "pool old:7 has stopped"),
    }


def test_an_outage_is_marked_once(tmp_path: Path) -> None:
    with recorder(tmp_path / "r") as made:
        record(made, overview(NOW_S))
        made.lost(NOW_S + 2, "no answer")
        made.lost(NOW_S + 4, "no answer")
        record(made, overview(NOW_S + 6))
        made.lost(NOW_S + 8, "refused")
        marks = made.recording.marks(NOW_S + 1, NOW_S + 99)
    assert [(mark.at_s, mark.kind, mark.text) for mark in marks] == [
        (NOW_S + 2, "lost", "no answer"), (NOW_S + 8, "lost", "refused"),
    ]  # fmt: skip
