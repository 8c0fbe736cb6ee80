"""Histories that run again: as they were, and on other fleets."""

from __future__ import annotations

import datetime
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.simulation.replay.pasts import START_MS, arrivals, past_of, served, waits_s
from workkit import Discard, Fail, HistoryOptions, Job, Retry, frames
from workkit.core.entropy import Entropy
from workkit.errors import InvalidOption, PoolState
from workkit.simulation import Simulation
from workkit.simulation.checkers import all_checkers

TEN = [{"at": 0.0, "start": float(n), "run": 1.0} for n in range(10)]


def mixed(sim: Simulation, jobs: int, days: float) -> None:
    """Jobs of the demo's kind: most succeed, some fail once, some for good, and cron ticks."""

    def work(job: Job) -> None:
        kind = job.arg_int("n") % 50
        if kind == 0 and job.fails < 2:
            raise OSError(f"no route to host {kind}")
        if kind == 1:
            raise Fail("never")
        if kind == 2:
            raise Discard("gone")
        if kind == 3 and job.fails < 1:
            raise Retry("soon", in_s=30)
        if kind == 4 and not job.last_err:
            raise Retry("later", in_s=45, counts=False)

    for _ in range(2):
        pool = sim.pool(concurrency=3, history=HistoryOptions(max_records=10**6, args=True))
        pool.job("work", work, takes=(0.5, 8), backoff=lambda job: 90)
        pool.job("tick", lambda job: None, takes=2)
        pool.periodically_enqueue("CRON_TZ=UTC */10 * * * *", "tick")
    entropy = Entropy("mixed")
    for n in range(jobs):
        at_s = entropy.uniform(1, days * 86_400)
        sim.at(at_s, sim.enqueuer.enqueue, "work", {"n": n})


def production(jobs: int, days: float, to: Path) -> Any:
    """Let a fleet work, archive its history, and return it."""
    with Simulation("production") as sim:
        mixed(sim, jobs, days)
        sim.run_for(days=days)
        sim.run_for(minutes=10)
        frames.archive(sim.client, to)
        return frames.history(sim.client)


# As it was


@pytest.mark.slow
def test_a_day_from_an_archive_has_the_same_runs_again(tmp_path: Path) -> None:
    recorded = production(1_500, 1, tmp_path)
    with Simulation.from_history(tmp_path) as sim:
        again = sim.replay()
        assert [pool.spec.concurrency for pool in sim.pools] == [3, 3]
    assert len(again) == len(recorded) > 1_600
    columns = ["job_id", "name", "outcome", "fails", "error", "run", "args"]
    both = [
        frame[columns].sort_values(["job_id", "fails", "outcome"]).astype(str).to_numpy().tolist()
        for frame in (recorded, again)
    ]
    assert both[0] == both[1]
    assert set(recorded["outcome"].unique()) == {"done", "retry", "postponed", "dead", "discarded"}
    assert again.attrs["unfinished"] == again.attrs["left_out"] == 0
    # Arrivals, retries and cron slots come when they came: times can be compared.
    late = again.merge(recorded, on=["job_id", "fails", "outcome"], suffixes=("", "_then"))
    apart_s = (late["started_at"] - late["started_at_then"]).dt.total_seconds().abs()
    assert apart_s.quantile(0.95) < 2


def test_the_frame_of_a_replay_is_the_frame_of_production() -> None:
    recorded = past_of(TEN)
    with Simulation.from_history(recorded) as sim:
        again = sim.replay()
        assert sim.recorded.equals(recorded)
    assert again.attrs["workkit"] == recorded.attrs["workkit"]
    assert again.dtypes.astype(str).to_dict() == recorded.dtypes.astype(str).to_dict()
    both = pd.concat([recorded, again], ignore_index=True)
    assert frames.latency_quantiles(both, by=None)["executions"].tolist() == [20]


def test_failures_are_grouped_under_their_recorded_errors() -> None:
    errors = ["ValueError: 7 is odd", "http.client.BadStatusLine: 502", "no class: at all", ""]
    rows = [
        {"at": float(n), "run": 0.1, "outcome": "dead", "fails": 1, "error": error}
        for n, error in enumerate(errors)
    ]
    with Simulation.from_history(past_of(rows)) as sim:
        again = sim.replay()
    told = ["ValueError: 7 is odd", "http.client.BadStatusLine: 502"]
    assert again["error"].tolist()[:2] == told
    assert again["error"].tolist()[2:] == ["Exception: no class: at all", "Exception"]


def test_what_came_before_history_counts_as_it_did() -> None:
    rows = [
        {"at": 5.0, "run": 1.0, "job_id": "a", "outcome": "retry", "fails": 3, "error": "E: x"},
        {"at": 70.0, "run": 1.0, "job_id": "a", "outcome": "done", "fails": 3},
        # The retry of this one lies behind the end of history.
        {"at": 6.0, "run": 1.0, "job_id": "b", "outcome": "retry", "fails": 1, "error": "E: x"},
    ]
    with Simulation.from_history(past_of(rows)) as sim:
        again = sim.replay()
        (waiting,) = sim.client.retry_jobs().jobs
    assert again[["job_id", "outcome", "fails"]].to_numpy().tolist() == [
        ["a", "retry", 3],
        ["b", "retry", 1],
        ["a", "done", 3],
    ]
    assert waiting.job.id == "b"
    assert waiting.retry_at > START_MS / 1_000 + 10**8


def test_a_job_that_pools_gave_back_runs_once_and_the_rest_is_counted() -> None:
    rows = [
        {"at": 0.0, "run": 9.0, "job_id": "a", "outcome": "returned", "reason": "stopping"},
        {"at": 0.0, "start": 20.0, "run": 30.0, "job_id": "a"},
        {"at": 1.0, "run": 0.0, "job_id": "b", "outcome": "dead", "reason": "undecodable",
         "started_at": None, "wait": None},
    ]  # fmt: skip
    with Simulation.from_history(past_of(rows)) as sim:
        again = sim.replay()
    assert again["run"].dt.total_seconds().tolist() == [30.0]
    assert again["wait"].dt.total_seconds().tolist() == [0.0]  # it came at 0 s, not at 20 s
    assert again.attrs["left_out"] == 2


def test_an_arrival_of_which_only_the_second_is_known_is_put_in_its_middle() -> None:
    rows = [
        {"at": 10.0, "start": 10.9, "run": 1.0, "wait": None},
        {"at": 20.0, "start": 20.1, "run": 1.0, "wait": None},
    ]
    with Simulation.from_history(past_of(rows)) as sim:
        again = sim.replay()
    at_ms = again["enqueued_at"].astype("int64") - START_MS
    assert at_ms.tolist() == [10_500, 20_100]


def test_the_same_seed_gives_the_same_trace() -> None:
    jobs = arrivals(60, 4, 0.8)
    recorded = past_of({"at": at, "run": run} for at, run in jobs)
    traces = []
    for _ in range(2):
        with Simulation.from_history(recorded, seed=7, processes=2) as sim:
            sim.replay()
            traces.append(sim.trace.json_lines())
    assert traces[0] == traces[1]


def test_the_rules_hold_in_a_replay() -> None:
    rows = [{"at": n / 4, "run": 1.0, "worker_id": f"w{n % 3}"} for n in range(40)]
    with Simulation.from_history(
        past_of(rows), deploy="3s", outage=("6s", "5s"), checkers=all_checkers()
    ) as sim:
        assert len(sim.replay()) >= 40
        sim.check_at_rest()


# What if


@pytest.mark.parametrize("workers", [2, 4, 8])
def test_waits_on_another_fleet_are_those_of_theory(workers: int) -> None:
    jobs = arrivals(600, per_s=6, run_s=0.5)  # three workers would just do
    recorded = past_of(
        {"at": at, "start": at + wait, "run": run, "worker_id": f"w{worker}"}
        for (at, run), (wait, worker) in zip(jobs, served(jobs, 4), strict=True)
    )
    with Simulation.from_history(recorded, concurrency=workers) as sim:
        predicted = waits_s(sim.replay())
    known = [wait for wait, _ in served(jobs, workers)]
    for share in (0.5, 0.95):
        assert np.quantile(predicted, share) == pytest.approx(
            np.quantile(known, share), rel=0.02, abs=0.003
        )


def test_ten_jobs_on_one_two_and_twice_two_workers() -> None:
    recorded = past_of(TEN)
    cases: list[tuple[dict[str, Any], list[int]]] = [
        ({}, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"concurrency": 2}, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]),
        ({"concurrency": 2, "processes": 2}, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]),
    ]
    for changes, expected in cases:
        with Simulation.from_history(recorded, **changes) as sim:
            assert waits_s(sim.replay()) == pytest.approx(expected, abs=0.05)


def test_a_limit_holds_across_pools() -> None:
    with Simulation.from_history(
        past_of(TEN), concurrency=10, processes=2, limits={"work": 5}
    ) as sim:
        waits = waits_s(sim.replay())
    assert waits == pytest.approx([0] * 5 + [1] * 5, abs=0.2)


def test_a_priority_lets_one_queue_run_first() -> None:
    rows = [{"at": 0.0, "run": 1.0, "name": name} for name in ("mail", "report") for _ in range(40)]
    with Simulation.from_history(past_of(rows), priorities={"mail": 100}) as sim:
        waits = sim.replay().groupby("name", observed=True)["wait"].mean().dt.total_seconds()
    assert waits["mail"] < 25
    assert waits["report"] > 55


RETRIED = [
    {"at": 1.0, "run": 1.0, "job_id": "a", "outcome": "retry", "fails": 1, "error": "E: x"},
    {"at": 62.0, "run": 1.0, "job_id": "a", "outcome": "retry", "fails": 2, "error": "E: x"},
    {"at": 183.0, "run": 1.0, "job_id": "a", "fails": 2},
]


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        (None, [60, 120]),
        (5, [5, 5]),
        (lambda job: 10 * job.fails, [10, 20]),
        (lambda job, error: 30 if "x" in str(error) else 1, [30, 30]),
    ],
)
def test_a_backoff_is_the_recorded_one_or_another(backoff: Any, delays: list[float]) -> None:
    with Simulation.from_history(past_of(RETRIED), backoff=backoff) as sim:
        again = sim.replay()
    found = frames.retry_delays(again).dropna().dt.total_seconds().tolist()
    assert found == pytest.approx(delays, abs=1.1)


def test_the_default_backoff_is_the_engines_own() -> None:
    with Simulation.from_history(past_of(RETRIED), backoff="default") as sim:
        again = sim.replay()
    first, second = frames.retry_delays(again).dropna().dt.total_seconds()
    assert 15 <= first <= 75
    assert 30 <= second <= 120


def test_a_delay_that_the_handler_chose_stays_whatever_the_backoff() -> None:
    chosen = [row | {"reason": "Retry" if "error" in row else None} for row in RETRIED]
    with Simulation.from_history(past_of(chosen), backoff=1) as sim:
        again = sim.replay()
    found = frames.retry_delays(again).dropna().dt.total_seconds().tolist()
    assert found == pytest.approx([60, 120], abs=1.1)
    assert again["reason"].dropna().tolist() == ["Retry", "Retry"]


def test_jobs_that_come_in_an_outage_wait_for_its_end() -> None:
    recorded = past_of({"at": 10.0 + n, "run": 0.1} for n in range(30))
    start_s = START_MS / 1_000 + 10
    at = datetime.datetime.fromtimestamp(start_s + 10, datetime.UTC)
    with Simulation.from_history(recorded, outage=[(at, 8)]) as sim:
        waits = waits_s(sim.replay())
    assert max(waits[:10]) < 0.1
    assert waits[10] == pytest.approx(8, abs=2)
    assert max(waits[21:]) < 0.2


def test_a_deploy_replaces_one_pool_after_the_other_and_loses_nothing() -> None:
    rows = [
        {"at": n / 2, "run": 2.0, "pool_id": f"p{n % 2}", "worker_id": f"w{n % 2}{n % 3}"}
        for n in range(60)
    ]
    with Simulation.from_history(past_of(rows), deploy=[10.0]) as sim:
        again = sim.replay()
        starts = [(event.where, event.at) for event in sim.trace.of(kind="pool")
                  if event.detail["does"] == "start"]  # fmt: skip
        stops = [event.at for event in sim.trace.of(kind="pool") if event.detail["does"] == "stop"]
    assert again["outcome"].value_counts()["done"] == 60
    assert [where for where, _ in starts] == ["pool-1", "pool-2", "pool-1", "pool-2"]
    assert stops[0] == 10
    assert stops[1] >= starts[2][1] > 10  # the second stops when the first is back


def test_a_fleet_that_is_too_small_says_how_much_it_has_not_run() -> None:
    days_s = 86_400.0 * 2.1
    recorded = past_of([{"at": 0.0, "run": days_s}, {"at": 0.0, "run": days_s}])
    with Simulation.from_history(recorded, concurrency=1) as sim:
        assert sim.replay().attrs["unfinished"] == 1


def test_a_job_that_a_test_adds_runs_as_long_as_one_of_its_name_did() -> None:
    recorded = past_of({"at": float(n), "run": 3.0} for n in range(3))
    with Simulation.from_history(recorded) as sim:
        sim.at(1, sim.enqueuer.enqueue, "work", {"more": 1})
        again = sim.replay()
    assert again["run"].dt.total_seconds().tolist() == [3.0] * 4
    assert again.attrs["unfinished"] == 0


def test_the_failures_of_the_past_are_not_logged_again(caplog: pytest.LogCaptureFixture) -> None:
    level = logging.getLogger("workkit").level
    with caplog.at_level(logging.INFO), Simulation.from_history(past_of(RETRIED)) as sim:
        sim.replay()
    assert not [record for record in caplog.records if "failed" in record.message]
    assert logging.getLogger("workkit").level == level


def test_who_waits_is_told_of_the_progress() -> None:
    said: list[tuple[int, int]] = []
    with Simulation.from_history(past_of({"at": n / 10, "run": 0.1} for n in range(450))) as sim:
        sim.replay(told=lambda done, of: said.append((done, of)))
    assert said == [(200, 450), (400, 450)]


def test_what_a_real_pool_needs_between_jobs_counts_in_waits_and_not_in_run_times() -> None:
    # One worker needs 20 ms from the end of a job to the start of the next, and 7 ms to pick up.
    rows = [{"at": 0.0, "start": 0.007, "run": 0.1}]
    rows += [{"at": 0.0, "start": 0.007 + 0.12 * n, "run": 0.1} for n in range(1, 50)]
    with Simulation.from_history(past_of(rows)) as sim:
        again = sim.replay()
    assert waits_s(again) == pytest.approx([0.007 + 0.12 * n for n in range(50)], abs=0.02)
    assert set(again["run"].dt.total_seconds()) == {0.1}
    assert str(again["run"].dtype) == "timedelta64[ms]"
    assert str(again["finished_at"].dtype) == "datetime64[ms, UTC]"
    apart = again["finished_at"] - again["started_at"]
    assert set(apart.dt.total_seconds()) == {0.1}


# The fleet


def pools_of(rows: list[dict[str, Any]], **changes: Any) -> list[tuple[list[str], int]]:
    with Simulation.from_history(past_of(rows), **changes) as sim:
        return [(sorted(pool.spec.registrations), pool.spec.concurrency) for pool in sim.pools]


def seen(pool: str, name: str, at: float, workers: int) -> list[dict[str, Any]]:
    return [
        {"at": at, "run": 50.0, "pool_id": pool, "name": name, "worker_id": f"{pool}-{n}"}
        for n in range(workers)
    ]


def test_pools_that_share_a_job_are_one_group_and_others_stay_apart() -> None:
    rows = seen("a", "mail", 0, 2) + seen("b", "mail", 1, 2) + seen("b", "sms", 2, 1)
    rows += seen("c", "video", 3, 4)
    assert pools_of(rows) == [(["mail", "sms"], 2), (["mail", "sms"], 2), (["video"], 4)]
    assert pools_of(rows, concurrency=7, processes=1) == [(["mail", "sms"], 7), (["video"], 7)]


def test_pools_of_one_release_after_the_other_are_not_a_larger_fleet() -> None:
    rows = [
        row
        for at in (0, 100, 200)
        for pool in (f"a{at}", f"b{at}")
        for row in seen(pool, "work", at, 5)
    ]
    assert pools_of(rows) == [(["work"], 5), (["work"], 5)]


def test_a_server_knows_limits_and_how_many_workers_a_pool_has() -> None:
    with Simulation("live") as live:
        live.pool(concurrency=9).job("work", lambda job: None, takes=1, max_concurrency=2)
        live.enqueuer.enqueue("work")
        live.run_for(60)
        with Simulation.from_history(live.client) as sim:
            (pool,) = sim.pools
            registered = pool.spec.registrations["work"]
            assert (pool.spec.concurrency, registered.options.max_concurrency) == (9, 2)
        with Simulation.from_history(live.client, limits={}) as sim:
            assert sim.pools[0].spec.registrations["work"].options.max_concurrency == 0


# Mistakes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"concurrency": 0}, "concurrency must be a whole number from 1 to 10000, not 0"),
        ({"concurrency": "40"}, "concurrency must be a whole number"),
        ({"processes": 1.5}, "processes must be a whole number"),
        ({"limits": {"wrok": 1}}, "limits names 'wrok'.*did you mean work"),
        ({"limits": {"work": -1}}, "limits of 'work' must be a whole number from 0"),
        ({"limits": [("work", 1)]}, "limits must be a mapping"),
        ({"priorities": {"work": 0}}, "priorities of 'work' must be a whole number from 1"),
        ({"backoff": -1}, "backoff must be a number of seconds, a function"),
        ({"backoff": "never"}, "backoff must be a number of seconds, a function"),
        ({"outage": "3h"}, "outage must be pairs"),
        ({"outage": ("3h", 0)}, "the duration of outage must be seconds above 0"),
        ({"outage": ("soon", 5)}, "the time of outage must be like 3h"),
        ({"outage": (-5, 5)}, "the time of outage must be at or after the beginning"),
        ({"outage": ("9h", 5)}, "the time of outage, 9h 0m after the beginning, is too late"),
        ({"deploy": ["1s", "9h"]}, "the time of deploy, 9h 0m after the beginning, is too late"),
        ({"deploy": "2020-01-01T00:00Z"}, "the time of deploy must be at or after the beginning"),
        ({"deploy": datetime.datetime(2030, 1, 1)}, "has no time zone"),  # noqa: DTZ001
        ({"since": "2100-01-01T00:00Z"}, "history has no run to replay"),
        ({"until": "yesterday"}, "'yesterday' is not a time"),
    ],
)
def test_a_change_that_is_not_valid_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        Simulation.from_history(past_of(TEN), **changes)


def test_a_source_without_history_says_what_it_should_be(tmp_path: Path) -> None:
    for source, message in (
        (
            42,
            "history comes from a Client, a snapshot, an archive, a frame or its file, not from 42",
        ),
        (tmp_path / "nothing", "there is no file or directory"),
        (tmp_path, "is not an archive: it has no folders"),
        (pd.DataFrame({"job_id": ["a"]}), "this is not a frame of history: it has no name"),
    ):
        with pytest.raises(InvalidOption, match=message):
            Simulation.from_history(source)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 but not really")
    with pytest.raises(InvalidOption, match="broken.parquet cannot be read as parquet"):
        Simulation.from_history(broken)


def test_an_exported_file_is_a_source(tmp_path: Path) -> None:
    for suffix in ("parquet", "csv", "jsonl", "arrow"):
        file = tmp_path / f"history.{suffix}"
        frames.write(past_of(TEN), file, "history")
        with Simulation.from_history(file, until=START_MS / 1_000 + 5.5) as sim:
            assert len(sim.replay()) == 5


def test_a_world_without_a_past_says_so() -> None:
    with Simulation() as sim:
        with pytest.raises(PoolState, match="does not come from a history"):
            sim.replay()
        with pytest.raises(PoolState, match="does not come from a history"):
            _ = sim.recorded
