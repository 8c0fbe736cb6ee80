"""The trace and what tests claim about it."""

from __future__ import annotations

import json
import sys

import pytest

from tests.support.handlers import fail
from workkit import MissingExtra
from workkit.simulation import Simulation


@pytest.fixture
def busy(sim: Simulation) -> Simulation:
    """A world in which a job has failed twice."""
    sim.pool().job("work", fail, max_fails=2, backoff=lambda job: 30)
    sim.enqueuer.enqueue("work", {"n": 1})
    sim.run_for(minutes=1)
    return sim


def test_a_trace_tells_the_life_of_a_job(busy: Simulation) -> None:
    (job_id,) = {event.job_id for event in busy.trace.of(name="work")}
    kinds = [event.kind for event in busy.trace.of(job_id=job_id)]
    assert kinds == [
        "enqueued", "claimed", "started", "failed", "retried",
        "due", "claimed", "started", "failed", "died",
    ]  # fmt: skip


def test_a_trace_is_written_as_json_lines(busy: Simulation) -> None:
    records = [json.loads(line) for line in busy.trace.json_lines().splitlines()]
    assert records == busy.trace.records()
    assert records[0]["kind"] == "enqueued"
    assert records[0]["args"] == {"n": 1}


def test_a_timeline_can_be_read(busy: Simulation) -> None:
    timeline = busy.trace.timeline()
    assert "pool-1   failed     work" in timeline
    assert "error=ValueError: no" in timeline
    assert "earlier lines left out" in busy.trace.timeline(last=2)


def test_a_frame_without_pandas_names_the_extra(
    busy: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match=r"workkit\[pandas\]"):
        busy.trace.frame()


def test_claims_hold(busy: Simulation) -> None:
    busy.assert_enqueued("work", {"n": 1}, times=1)
    busy.assert_ran("work", times=2)
    busy.assert_ran("work", at=30)
    busy.assert_enqueued("other", times=0)


def test_a_claim_that_does_not_hold_shows_the_timeline(busy: Simulation) -> None:
    with pytest.raises(AssertionError, match=r"'work' ran 2 times, expected 3 times[\s\S]*died"):
        busy.assert_ran("work", times=3)
    with pytest.raises(AssertionError, match=r"'work' with \{'n': 2\} was enqueued never"):
        busy.assert_enqueued("work", {"n": 2})
    with pytest.raises(AssertionError, match="at 10 s"):
        busy.assert_ran("work", at=10)
