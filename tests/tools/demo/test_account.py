"""The account at the end: the numbers that balance, and everything that does not balance."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from workkit import Client, DeadJob, Enqueuer, HistoryRecord, Job
from workkit.tools.demo.account import Account
from workkit.tools.demo.handlers import DemoState
from workkit.tools.demo.workload import SourceFile, Workload

NOWHERE = "unix:///nowhere/s.sock"
FILE = SourceFile("/r/p/a.py", "p/a.py", "p", 10)


def record(job_id: str, name: str, outcome: str = "done", **fields: Any) -> HistoryRecord:
    defaults = HistoryRecord(
        job_id, name, 1, 1_000, 1_010, outcome, 0, "", "", "worker", "", "pool", "host"
    )
    return replace(defaults, **fields)


def an_account(*, dead: int = 1, **changes: Any) -> Account:
    """One file parsed, one dead after a retry, one report, one cron job."""
    files = (FILE, replace(FILE, path="/r/p/b.py", name="p/b.py"))
    state = DemoState(files, Enqueuer("x", NOWHERE), Client("x", NOWHERE))
    names = {"f1": "parse_file", "f2": "parse_file", "r1": "package_report"}
    state.record([Job(name, job_id, 1, None) for job_id, name in names.items()])
    state.add_file("p", "/r/p/a.py", b"x = 1\ny = 2\n")
    state.sum_up("p")
    state.sum_up()
    whole = Account(
        workload=Workload(files, over_limit=1, over_size=0),
        state=state,
        history=[
            record("f1", "parse_file"),
            record("f2", "parse_file", "retry", error="SyntaxError: no"),
            record("f2", "parse_file", "dead", error="SyntaxError: no"),
            record("r1", "package_report", finished_ms=2_000),
            record("periodic:pulse:1", "pulse", finished_ms=9_000),
        ],
        trimmed=0,
        dead=[DeadJob(1, Job("parse_file", "f2", 1, {"name": "p/b.py"}))] * dead,
        pool_totals={"done": 3, "retry": 1, "dead": 1, "returned": 7},
        began_ms=1_000,
        complete=True,
    )
    return replace(whole, **changes)


def test_a_run_that_balances_has_no_problems() -> None:
    account = an_account()
    assert account.problems() == []
    assert account.counts() == {
        "enqueued": 4, "done": 3, "retried": 1, "dead": 1, "discarded": 0, "left": 0,
    }  # fmt: skip
    assert account.counts("pulse")["enqueued"] == 1  # it has no enqueuer, so it counts at its end


def test_the_time_ends_with_the_last_job_that_the_demo_enqueued() -> None:
    assert an_account().speed() == (3, 1.0)  # without the cron job, which the clock enqueues


def test_a_job_that_has_not_ended_is_a_problem() -> None:
    account = an_account(history=an_account().history[:3])
    (missing,) = (problem for problem in account.problems() if "never ended" in problem)
    assert missing == "1 package_report job never ended, such as r1"
    assert account.counts()["left"] == 1


def test_a_run_that_was_stopped_may_have_jobs_left() -> None:
    account = an_account(history=an_account().history[:3], complete=False, pool_totals={})
    assert account.problems() == []
    assert account.counts()["left"] == 1


@pytest.mark.parametrize("complete", [True, False])
def test_a_job_that_ended_twice_is_a_problem(complete: bool) -> None:
    history = [*an_account().history, record("f1", "parse_file")]
    problems = an_account(history=history, complete=complete).problems()
    assert "1 job ended more than once, such as f1" in problems


def test_executions_that_history_has_lost_are_a_problem() -> None:
    assert an_account(trimmed=4).problems() == ["history has lost 4 executions"]


def test_an_execution_that_only_the_pool_has_counted_is_a_problem() -> None:
    problems = an_account(pool_totals={"done": 4}).problems()
    assert problems == ["the pool counted 4 executions as done, history has 3"]


def test_a_dead_set_that_disagrees_with_history_is_a_problem() -> None:
    assert an_account(dead=2).problems() == ["2 jobs are in the dead set, but 1 job died"]


def test_a_file_that_the_package_reports_miss_is_a_problem() -> None:
    state = an_account().state
    state.add_file("p", "/r/p/late.py", b"")
    state.sum_up()
    assert an_account(state=state).problems() == [
        "1 file was parsed, but the reports count 1 and the summary 2"
    ]


def test_files_of_the_same_name_in_two_folders_count_as_two() -> None:
    account = an_account()
    account.state.add_file("p", "/other/p/a.py", b"\n")
    account.state.sum_up("p")
    assert account.state.reports["p"] == {"files": 2, "bytes": 13, "lines": 3}


def test_the_json_has_only_values_that_json_has() -> None:
    again = json.loads(json.dumps(an_account().as_json()))
    assert again["total"]["done"] == 3
    assert again["jobs"]["parse_file"]["dead"] == 1
    assert again["reports"] == {
        "p": {"files": 1, "bytes": 12, "lines": 2},
        "": {"files": 1, "bytes": 12, "lines": 2},
    }
