"""The account at the end: what adds up, and that anything which does not is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workkit import DeadJob, HistoryExtent, HistoryRecord, Job, WorkerPoolHeartbeat
from workkit.tools.demo.report import (
    Evidence,
    Report,
    as_json,
    build_report,
    most_at_once,
    short_error,
)
from workkit.tools.demo.tally import Figures, Tally
from workkit.tools.demo.wording import facts, headline, left_out
from workkit.tools.demo.workload import SourceFile, Workload

FILE = SourceFile("/r/p/a.py", "p/a.py", "p", 10)


def record(job_id: str, name: str, outcome: str = "done", **fields: Any) -> HistoryRecord:
    defaults = HistoryRecord(
        job_id, name, 1, 1_000, 1_010, outcome, 0, "", "", "worker", "", "pool", "host"
    )
    return replace(defaults, **fields)


def failure(job_id: str, outcome: str, error: str) -> HistoryRecord:
    return record(job_id, "parse_file", outcome, error=error, fingerprint=error)


def evidence(*, dead: int = 1, **changes: Any) -> Evidence:
    """One file parsed, one dead after a retry, one report, one cron job."""
    tally = Tally()
    names = {"f1": "parse_file", "f2": "parse_file", "r1": "package_report"}
    tally.accept(Job(name, job_id, 1, None) for job_id, name in names.items())
    tally.enter("p", "p/a.py", Figures(10, 2, 1, 0))
    tally.report("p")
    tally.sum_up()
    history = [
        record("f1", "parse_file"),
        failure("f2", "retry", "SyntaxError: no (<unknown>, line 3)"),
        failure("f2", "dead", "SyntaxError: no (<unknown>, line 3)"),
        record("r1", "package_report", finished_ms=2_000),
        record("periodic:pulse:1", "pulse", finished_ms=9_000),
    ]
    whole = Evidence(
        workload=Workload(("/r",), (FILE, FILE), found=3, over_limit=1, over_size=0),
        tally=tally,
        history=history,
        extent=HistoryExtent(len(history), len(history)),
        dead=[DeadJob(1, Job("parse_file", "f2", 1, {"name": "p/b.py"}))] * dead,
        beat=WorkerPoolHeartbeat(
            "pool", 9, 1, [], 1, "h", 1, [], {"done": 3, "retried": 1, "died": 1, "discarded": 0}
        ),
        began_ms=1_000,
        complete=True,
    )
    return replace(whole, **changes)


def report_of(**changes: Any) -> Report:
    return build_report(evidence(**changes))


def test_a_run_that_adds_up_has_no_problems() -> None:
    report = report_of()
    assert report.problems == []
    total = report.total
    assert (total.accepted, total.done, total.retried, total.dead) == (4, 3, 1, 1)
    assert report.left == 0


def test_the_wall_time_ends_with_the_last_job_that_was_asked_for() -> None:
    report = report_of()
    assert report.wall_s == pytest.approx(1.0)  # the cron job went on, which is no work
    assert report.jobs_per_s == pytest.approx(3.0)


def test_equal_errors_are_one_row_with_an_example() -> None:
    (row,) = report_of().errors
    assert (row.error, row.failures, row.dead) == ("SyntaxError: no", 2, 1)
    assert row.example == "p/b.py"


def test_a_job_that_has_not_ended_is_missing() -> None:
    history = evidence().history[:3]
    report = report_of(history=history)
    assert any(
        "1 package_report job " in problem and "r1" in problem for problem in report.problems
    )
    assert report.left == 1


def test_an_interrupted_run_may_have_jobs_left() -> None:
    history = evidence().history[:3]
    report = report_of(history=history, complete=False, extent=HistoryExtent(3, 3), beat=None)
    assert report.problems == []
    assert report.left == 1


def test_a_job_that_ended_twice_is_a_problem() -> None:
    history = [*evidence().history, record("f1", "parse_file")]
    assert any("more than once: f1" in problem for problem in report_of(history=history).problems)


def test_an_execution_that_history_has_lost_is_a_problem() -> None:
    problems = report_of(extent=HistoryExtent(9, 5)).problems
    assert problems == ["history has lost 4 executions"]


def test_an_execution_that_only_the_pool_knows_is_a_problem() -> None:
    beat = evidence().beat
    assert beat is not None
    problems = report_of(beat=replace(beat, totals={"done": 4})).problems
    assert problems == ["the pool had counted 4 done, history has 3"]


def test_a_dead_set_that_disagrees_with_history_is_a_problem() -> None:
    assert report_of(dead=2).problems == ["2 jobs are in the dead set, 1 has died"]


def test_a_report_that_misses_a_file_is_a_problem() -> None:
    tally = evidence().tally
    tally.enter("p", "p/late.py", Figures(1, 1, 1, 1))
    tally.sum_up()
    assert report_of(tally=tally).problems == [
        "1 files were parsed, the package reports have 1 and the summary 2"
    ]


def test_a_limit_that_was_exceeded_is_a_problem() -> None:
    busy = [record(f"l{at}", "parse_large_file") for at in range(3)]
    tally = evidence().tally
    tally.accept(Job("parse_large_file", one.job_id, 1, None) for one in busy)
    problems = report_of(history=[*evidence().history, *busy], tally=tally).problems
    assert "parse_large_file ran 3 at once, 2 are allowed" in problems


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 9)), max_size=30))
def test_overlaps_are_counted_as_a_millisecond_at_a_time_would(
    spans: list[tuple[int, int]],
) -> None:
    records = [
        record(f"{at}", "x", started_ms=start, finished_ms=start + length)
        for at, (start, length) in enumerate(spans)
    ]
    expected = max(
        (sum(start <= ms < start + length for start, length in spans) for ms in range(60)),
        default=0,
    )
    assert most_at_once(records) == expected


@pytest.mark.parametrize(
    ("error", "short"),
    [
        ("SyntaxError: bad (<unknown>, line 12)", "SyntaxError: bad"),
        ("SyntaxError: bad (<unknown>, line 1)\n\nTraceback", "SyntaxError: bad"),
        ("ValueError: (<unknown>, line x) is kept", "ValueError: (<unknown>, line x) is kept"),
    ],
)
def test_the_place_that_says_nothing_is_left_out(error: str, short: str) -> None:
    assert short_error(error) == short


def test_a_python_without_wrong_source_is_told_so() -> None:
    assert "no errors" in dict(facts(report_of()))
    suspect = replace(FILE, name="test/badsyntax_x.py")
    workload = replace(evidence().workload, files=(suspect, FILE))
    assert "no errors" not in dict(facts(report_of(workload=workload)))


def test_what_is_left_out_is_said() -> None:
    workload = Workload(("/r",), (FILE,), found=1_300, over_limit=1_298, over_size=1)
    assert headline(workload).startswith("1 file of Python 3.")
    assert left_out(workload) == "left out: 1,298 files over the limit, 1 file larger than 256 KiB"
    assert left_out(Workload(("/r",), (FILE,), found=1, over_limit=0, over_size=0)) == ""


def test_the_json_has_only_values_that_json_has() -> None:
    import json

    again = json.loads(json.dumps(as_json(report_of())))
    assert again["left"] == 0
    assert again["total"]["done"] == 3
    assert again["packages"]["p"]["functions"] == 1
