"""Audits: what is planted is named, and what is right is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.simulation.replay.pasts import START_MS, past_of
from workkit import HistoryOptions, InvalidOption, Job, frames
from workkit.core.entropy import Entropy
from workkit.frames.archive_files import files_of
from workkit.frames.auditing.records import Evidence, Records, Span
from workkit.frames.auditing.tries import check_losses, unfinished
from workkit.simulation import Faults, Simulation
from workkit.snapshot import Snapshot

START_S = START_MS / 1_000
#: Runs long after everything else, so that history goes on.
LATER = {"at": 9_000.0, "run": 1.0, "job_id": "later", "name": "other", "worker_id": "w9"}


def retried(job_id: str = "a", at: float = 100.0, fails: int = 1) -> dict[str, Any]:
    return {"at": at, "run": 1.0, "job_id": job_id, "outcome": "retry", "fails": fails,
            "error": "E: x"}  # fmt: skip


def done(job_id: str = "a", at: float = 160.0, fails: int = 1, **more: Any) -> dict[str, Any]:
    return {"at": at, "run": 1.0, "job_id": job_id, "fails": fails} | more


def found(rows: list[dict[str, Any]], **options: Any) -> list[tuple[str, str]]:
    """Return rule and job of what an audit finds."""
    return [(each.rule, each.job_id) for each in frames.audit(past_of(rows), **options).findings]


# What is right


def test_jobs_that_end_as_they_should_break_no_rule() -> None:
    rows = [
        retried(), done(),
        {"at": 1.0, "run": 1.0, "job_id": "b", "outcome": "dead", "fails": 1},
        {"at": 500.0, "run": 1.0, "job_id": "b"},  # an operator retried it
        {"at": 3.0, "run": 1.0, "job_id": "c", "outcome": "returned"},
        {"at": 3.0, "start": 9.0, "run": 1.0, "job_id": "c"},
        {"at": 20.0, "run": 5.0, "job_id": "d", "outcome": "fenced"},
        {"at": 22.0, "run": 5.0, "job_id": "d", "worker_id": "w2"},
        {"at": 30.0, "run": 1.0, "job_id": "e", "outcome": "postponed"},
        {"at": 90.0, "run": 1.0, "job_id": "e", "outcome": "discarded", "fails": 1},
        LATER,
    ]  # fmt: skip
    audit = frames.audit(past_of(rows))
    assert (audit.findings, audit.clean, audit.records, audit.jobs) == ([], True, 11, 6)
    assert (audit.first, audit.last) == (START_S + 2, START_S + 9_001)
    assert audit.notes == ["limits are not in history: give those that you have"]


def crowded(sim: Simulation) -> None:
    def work(job: Job) -> None:
        if job.arg_int("n") % 7 == 0 and job.fails < 2:
            raise OSError("no route")

    for _ in range(3):
        pool = sim.pool(concurrency=4, history=HistoryOptions(max_records=10**6))
        pool.job("work", work, takes=(0.2, 6), backoff=lambda job: 20, max_concurrency=5)
        pool.job("tick", lambda job: None, takes=1)
        pool.periodically_enqueue("CRON_TZ=UTC * * * * *", "tick")
    entropy = Entropy("crowded")
    for n in range(250):
        sim.at(entropy.uniform(1, 900), sim.enqueuer.enqueue, "work", {"n": n})


@pytest.mark.parametrize("seed", range(3))
def test_what_the_engine_does_breaks_no_rule_also_where_pools_stop_and_redis_is_away(
    seed: int,
) -> None:
    with Simulation(seed, faults=Faults(lose=20, away=4, within=900)) as sim:
        crowded(sim)
        sim.at(400, lambda: sim.pools[0].stop(1))
        sim.at(430, sim.pools[0].start)
        sim.run_for(minutes=30)
        audit = frames.audit(sim.client, backoff=20)
    assert audit.findings == []
    assert audit.records > 300


def test_an_empty_history_has_nothing_to_check() -> None:
    audit = frames.audit(past_of([LATER]).iloc[:0])
    assert (audit.records, audit.jobs, audit.first, audit.clean) == (0, 0, None, True)


# Lost


def test_a_job_that_never_came_back_is_lost() -> None:
    assert found([retried(), LATER]) == [("lost", "a")]
    recovered = done(fails=0) | {"outcome": "recovered", "reason": "pool died"}
    assert found([recovered, LATER]) == [("lost", "a")]
    (finding,) = frames.audit(past_of([retried(), LATER])).findings
    assert finding.what == (
        "failed (failure 1) and did not run again in the 2h 28m until history ends"
    )
    assert (finding.name, finding.at) == ("work", START_S + 100)


def test_a_job_that_may_still_come_back_is_not_lost() -> None:
    soon = LATER | {"at": 130.0}
    assert found([retried(), soon]) == []
    # Other jobs of its name came back after as long a time.
    late = [retried("b", 100), done("b", 8_000)]
    assert found([*late, retried("a", 3_000), LATER]) == []


def test_a_failure_that_is_missing_is_lost() -> None:
    rows = [retried(fails=1), done(at=400.0, fails=3), LATER]
    assert found(rows) == [("lost", "a")]
    first = [LATER | {"job_id": "first", "at": 0.0}, done(at=5_000.0, fails=2), LATER]
    assert found(first) == [("lost", "a")]
    # Its failures may be older than history.
    assert found([LATER | {"job_id": "first", "at": 0.0}, done(at=20.0, fails=1)]) == []


def test_go_pools_may_have_run_what_is_missing() -> None:
    rows = [retried(fails=1), done(at=400.0, fails=3), retried("b", 50), LATER]
    assert found(rows, go=True) == []
    assert any("Go pools write no history" in note for note in
               frames.audit(past_of(rows), go=True).notes)  # fmt: skip


def archived(tmp_path: Path) -> Path:
    with Simulation("archived") as sim:
        crowded(sim)
        sim.run_for(minutes=8)
        frames.archive(sim.client, tmp_path)
        sim.run_for(minutes=8)
        frames.archive(sim.client, tmp_path)
        sim.run_for(minutes=8)
        frames.archive(sim.client, tmp_path)
    assert frames.audit(tmp_path, limits={"work": 5}, backoff=20).findings == []
    return tmp_path


def rewrite(path: Path, change: Any) -> None:
    table = pq.read_table(path, partitioning=None)
    pq.write_table(change(table), path)


def test_an_archive_shows_a_record_that_is_gone_though_its_job_left_nothing_else(
    tmp_path: Path,
) -> None:
    file = files_of(archived(tmp_path))[1]
    rewrite(file.path, lambda table: pa.concat_tables([table.slice(0, 50), table.slice(51)]))
    findings = frames.audit(tmp_path).findings
    whole = next(each for each in findings if "were written to it" in each.what)
    assert whole.rule == "lost"
    assert file.path.name in whole.what


def test_an_archive_shows_a_file_that_is_gone_or_is_there_twice(tmp_path: Path) -> None:
    files = files_of(archived(tmp_path))
    kept = files[1].path.read_bytes()
    files[1].path.unlink()
    assert {"lost"} <= set(frames.audit(tmp_path).counts)
    said = [each.what for each in frames.audit(tmp_path).findings]
    assert any("a file is missing" in what for what in said)
    files[1].path.write_bytes(kept)
    twice = files[1].path.with_name(f"{files[0].path.stem.partition('.')[0]}.{files[1].last_id}"
                                    ".parquet")  # fmt: skip
    twice.write_bytes(kept)
    counts = frames.audit(tmp_path).counts
    assert counts["duplicate"] > 10


def test_what_is_missing_in_a_gap_is_not_lost(tmp_path: Path) -> None:
    with Simulation("gaps") as sim:
        pool = sim.pool(concurrency=2, history=HistoryOptions(max_records=40))
        pool.job("work", lambda job: 1 / job.fails, takes=1, backoff=lambda job: 200)
        for n in range(400):
            sim.at(n, sim.enqueuer.enqueue, "work")
        for minutes in (2, 4):
            sim.run_for(minutes=minutes)
            frames.archive(sim.client, tmp_path)
    audit = frames.audit(tmp_path)
    assert audit.findings == []
    assert any("gaps: records were trimmed" in note for note in audit.notes)


def test_a_gap_excuses_only_what_may_lie_in_it() -> None:
    between = [retried(fails=1), done(at=400.0, fails=3), LATER]
    first = [LATER | {"job_id": "first", "at": 0.0}, done(at=5_000.0, fails=2), LATER]
    for rows, at_s, excused in (
        (between, 200, True), (between, 2_000, False), (first, 4_950, True), (first, 6_000, False),
        ([retried(), LATER], 300, True), ([retried(), LATER], 50, False),
    ):  # fmt: skip
        records = Records(past_of(rows))
        gap = Span(START_MS + 1_000 * at_s, START_MS + 1_000 * at_s + 10_000)
        evidence = Evidence(gaps=[gap])
        hits = [*check_losses(records, evidence), unfinished(records, evidence, known_places=False)]
        assert any(len(each.rows) for each in hits) is not excused


@pytest.mark.parametrize("way", ["client", "snapshot"])
def test_a_server_shows_that_a_job_is_nowhere(way: str, tmp_path: Path) -> None:
    with Simulation("live") as sim:
        pool = sim.pool(concurrency=4)
        pool.job("work", lambda job: 1 / 0, takes=1, backoff=lambda job: 3_000)
        for _ in range(3):
            sim.enqueuer.enqueue("work")
        sim.run_for(60)
        source: Any = sim.client
        assert frames.audit(source).findings == []
        member = sim.redis.zrange(sim.keys.retry, 0, 0)[0]
        sim.redis.zrem(sim.keys.retry, member)
        if way == "snapshot":
            from workkit.snapshot import write_snapshot

            write_snapshot(sim.client, tmp_path / "s.snapshot")
            source = Snapshot(tmp_path / "s.snapshot")
        (finding,) = frames.audit(source).findings
    assert finding.rule == "lost"
    assert finding.job_id in member.decode()
    assert "it is in no queue and no set" in finding.what


# Twice


def test_a_job_that_runs_after_its_end_runs_twice() -> None:
    for outcome in ("done", "discarded"):
        rows = [done(at=1.0, fails=0) | {"outcome": outcome}, done(at=50.0, fails=0)]
        assert found(rows) == [("duplicate", "a")]
    slot = "periodic:work:CRON_TZ=UTC * * * * *:1800000060"
    assert found([done(slot, 61, 0), done(slot, 65, 0)]) == [("duplicate", slot)]


def test_a_job_that_runs_twice_at_once_is_named() -> None:
    rows = [retried(at=10.0) | {"run": 30.0}, done(at=20.0) | {"worker_id": "w2"}]
    assert ("duplicate", "a") in found(rows)


def test_a_record_that_is_there_twice_is_named_once() -> None:
    assert found([done(fails=0), done(fails=0)]) == [("duplicate", "a")]


# Retries


def test_failures_do_not_shrink() -> None:
    rows = [retried(fails=2), done(fails=1)]
    assert found(rows) == [("retry", "a")]


def test_a_retry_before_its_time_is_named_where_the_backoff_is_known() -> None:
    rows = [retried(at=100.0), done(at=108.0)]  # 7 s after the failure
    assert found(rows) == []
    assert found(rows, backoff="default") == [("retry", "a")]
    assert found(rows, backoff=10) == [("retry", "a")]
    assert found(rows, backoff=7) == []
    assert found(rows, backoff=lambda fails: 60 * fails) == [("retry", "a")]
    (finding,) = frames.audit(past_of(rows), backoff=10).findings
    assert finding.what == "was queued 7 s after failure 1, and not before 10 s"


# Cron


def slots(spec: str, times: list[int], **more: Any) -> list[dict[str, Any]]:
    return [
        {"at": at + 1, "run": 1.0, "job_id": f"periodic:tick:{spec}:{START_MS // 1_000 + at}",
         "name": "tick"} | more
        for at in times
    ]  # fmt: skip


BUSY = [{"at": 30.0 * n, "run": 1.0, "name": "busy", "worker_id": "w5"} for n in range(40)]


def test_a_slot_that_never_came_while_pools_were_at_work_is_named() -> None:
    rows = slots("CRON_TZ=UTC * * * * *", [60, 120, 240, 300])
    assert found([*rows, *BUSY]) == [
        ("cron", f"periodic:tick:CRON_TZ=UTC * * * * *:{START_MS // 1_000 + 180}")
    ]
    (finding,) = frames.audit(past_of([*rows, *BUSY])).findings
    assert "the slot of 'CRON_TZ=UTC * * * * *' at " in finding.what
    assert found([*slots("@every 60s", [60, 180]), *BUSY])[0][0] == "cron"


def test_a_slot_that_came_while_no_pool_was_at_work_or_by_another_zone_says_nothing() -> None:
    assert found(slots("CRON_TZ=UTC 0 * * * *", [0, 3_600, 10_800])) == []
    # Noon somewhere, and not in UTC.
    assert found([*slots("7 * * * *", [60, 180]), *BUSY]) == []
    assert found([*slots("not a spec", [60, 180]), *BUSY]) == []


def test_a_slot_that_ran_before_its_time_is_named() -> None:
    early = slots("@every 60s", [60])[0] | {"at": 40.0}
    assert found([early]) == [("cron", early["job_id"])]


# Limits


def test_more_jobs_at_once_than_a_limit_are_named() -> None:
    rows = [{"at": 0.1 * n, "run": 5.0, "job_id": f"{n}", "worker_id": f"w{n}"} for n in range(4)]
    assert found(rows, limits={"work": 2}) == [("limit", "2"), ("limit", "3")]
    assert found(rows, limits={"work": 4, "other": 1}) == []
    assert found(rows, limits={"work": 0}) == []
    after = [{"at": float(n), "run": 1.0, "worker_id": f"w{n}"} for n in range(4)]
    assert found(after, limits={"work": 1}) == []


def test_a_limit_of_a_job_that_history_does_not_have_says_nothing() -> None:
    audit = frames.audit(past_of([done()]), limits={"wrok": 1, "work": 2})
    (note,) = audit.notes
    assert note.startswith("the limit of 'wrok' says nothing: no job of that name")
    assert note.endswith("did you mean work?")


def test_clocks_of_two_hosts_may_differ() -> None:
    rows = [
        {"at": 0.0, "run": 5.0, "job_id": "a"},
        {"at": 4.0, "run": 5.0, "job_id": "b", "host": "h2", "worker_id": "w2"},
    ]
    assert found(rows, limits={"work": 1}) == []
    assert found(rows, limits={"work": 1}, slack_s=0.5) == [("limit", "b")]


def test_a_worker_that_runs_two_jobs_at_once_is_named_unless_the_first_was_abandoned() -> None:
    rows = [{"at": 0.0, "run": 5.0, "job_id": "a"}, {"at": 3.0, "run": 5.0, "job_id": "b"}]
    assert found(rows) == [("limit", "b")]
    abandoned = rows[0] | {"outcome": "dead", "reason": "timeout", "fails": 1}
    assert found([abandoned, rows[1]]) == []


def test_a_worker_runs_several_jobs_within_a_millisecond() -> None:
    rows = [
        {"at": 0.0, "run": 5.0, "job_id": "long"},
        {"at": 0.0, "run": 0.0, "job_id": "short"},
        {"at": 0.0, "run": 0.0, "job_id": "as short"},
    ]
    assert found(rows) == []
    assert found([*rows, {"at": 0.003, "run": 0.0, "job_id": "later"}]) == [("limit", "later")]


def test_a_server_knows_its_limits() -> None:
    with Simulation("limits") as sim:
        sim.pool(concurrency=4).job("work", lambda job: None, takes=5, max_concurrency=4)
        sim.enqueuer.enqueue_many([("work", None)] * 4)
        sim.run_for(60)
        assert frames.audit(sim.client).clean
        assert frames.audit(sim.client, limits={"work": 3}).counts == {"limit": 1}


# Order


def test_what_starts_before_it_is_queued_or_ends_before_it_starts_is_named() -> None:
    assert found([{"at": 10.0, "start": 5.0, "run": 1.0, "job_id": "a"}]) == [("order", "a")]
    assert found([{"at": 10.0, "start": 9.0, "run": 1.0, "job_id": "a"}]) == []
    assert found([{"at": 10.0, "run": -5.0, "job_id": "a"}]) == [("order", "a")]


def test_a_job_that_was_overtaken_in_its_queue_is_named() -> None:
    rows = [
        {"at": 0.0, "start": 60.0, "run": 1.0, "job_id": "a"},
        {"at": 20.0, "start": 30.0, "run": 1.0, "job_id": "b"},
        {"at": 20.0, "start": 35.0, "run": 1.0, "job_id": "c", "name": "other"},
    ]
    (finding,) = frames.audit(past_of(rows)).findings
    assert (finding.rule, finding.job_id) == ("order", "a")
    assert finding.what == "started 30s after a job of its queue that came later"
    # It had been given back, and so it may come late.
    returned = {"at": 0.0, "start": 1.0, "run": 1.0, "job_id": "a", "outcome": "returned"}
    assert found([returned, *rows]) == []


# How much is said, and mistakes


def test_all_findings_are_counted_and_some_are_shown() -> None:
    rows = [row for n in range(50) for row in (done(f"{n:03}", n, 0), done(f"{n:03}", n, 0))]
    audit = frames.audit(past_of(rows), most=3)
    assert audit.counts == {"duplicate": 50}
    assert [each.job_id for each in audit.findings] == ["000", "001", "002"]
    assert list(audit.counts) <= list(frames.RULES)


def test_a_part_of_history_is_checked_alone() -> None:
    rows = [done("a", 1.0, 0), done("a", 50.0, 0), done("b", 90.0, 0)]
    assert found(rows, since=START_S + 60) == []
    assert found(rows, until=START_S + 60) == [("duplicate", "a")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backoff": "soon"}, 'backoff must be "default", seconds, or a function'),
        ({"backoff": True}, 'backoff must be "default", seconds, or a function'),
        ({"limits": {"work": "2"}}, "the limit of 'work' must be a whole number from 0"),
        ({"slack_s": -1}, "slack_s must be a number of seconds from 0 on"),
        ({"slack_s": "2"}, "slack_s must be a number of seconds from 0 on"),
        ({"most": -1}, "most must be a whole number from 0"),
        ({"since": "at noon"}, "'at noon' is not a time"),
    ],
)
def test_a_mistake_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        frames.audit(past_of([LATER]), **options)


def test_a_source_must_have_history(tmp_path: Path) -> None:
    for source in (None, 7, pd.DataFrame({"a": [1]}), tmp_path / "nothing"):
        with pytest.raises(InvalidOption):
            frames.audit(source)
