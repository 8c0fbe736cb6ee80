"""Traces as timelines: what is in them, as a page and for Perfetto."""

from __future__ import annotations

import itertools
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from workkit import Job
from workkit.simulation import Simulation
from workkit.simulation.trace import Trace
from workkit.simulation.viewing.spans import read_timeline

EVIL = '</script><img src=x onerror=alert(1)>{{data}}"'


def trace_of(*events: tuple[Any, ...]) -> Trace:
    """Make a trace of (seconds, kind, pool, name, job id, details)."""
    now = [0]
    trace = Trace(lambda: now[0])
    for at, kind, where, name, job_id, *detail in events:
        now[0] = round(at * 1_000_000)
        trace.add(kind, where, name, job_id, **(detail[0] if detail else {}))
    return trace


class _Page(HTMLParser):
    """Finds the scripts of a page, and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.words = ""
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in {"src", "href"}]
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data
        else:
            self.words += data


def data_of(page: str) -> Any:
    return json.loads(_Page(page).scripts[0])


# What a timeline has


def test_runs_get_rows_in_the_lane_of_their_pool_and_an_outcome() -> None:
    made = read_timeline(
        trace_of(
            (0, "started", "p1", "mail", "a"),
            (1, "started", "p1", "mail", "b"),
            (2, "succeeded", "p1", "mail", "a"),
            (2, "done", "p1", "mail", "a"),
            (3, "started", "p1", "sms", "c"),
            (4, "failed", "p1", "mail", "b", {"error": "E: x"}),
            (4, "retried", "p1", "mail", "b", {"in_s": 5}),
            (5, "failed", "p1", "sms", "c", {"error": "E: y"}),
            (5, "died", "p1", "sms", "c"),
            (6, "started", "p2", "sms", "d"),
            (9, "enqueued", "", "sms", "e"),
        )
    )
    assert (made.pools, made.rows, made.end_us) == (["p1", "p2"], [2, 1], 9_000_000)
    assert [(run.job_id, run.pool, run.row, run.outcome, run.detail) for run in made.runs] == [
        ("a", 0, 0, "succeeded", ""),
        ("b", 0, 1, "failed, retried", "error=E: x"),
        ("c", 0, 0, "failed, dead", "error=E: y"),
        ("d", 1, 0, "running", ""),
    ]
    assert made.runs[3].end_us == 9_000_000


def test_a_crash_ends_what_its_pool_runs_and_nothing_else() -> None:
    made = read_timeline(
        trace_of(
            (0, "started", "p1", "mail", "a"),
            (0, "started", "p2", "mail", "b"),
            (3, "fault", "p1", "", "", {"fault": "crash", "at": "exchange"}),
            (4, "fault", "", "", "", {"fault": "away", "for_s": 2.5}),
            (5, "pool", "p1", "", "", {"does": "start"}),
            (6, "started", "p1", "mail", "a"),
            (7, "succeeded", "p1", "mail", "a"),
            (8, "succeeded", "p2", "mail", "b"),
        )
    )
    assert [(run.job_id, run.pool, run.row, run.outcome) for run in made.runs] == [
        ("a", 0, 0, "crashed"),
        ("b", 1, 0, "succeeded"),
        ("a", 0, 0, "succeeded"),
    ]
    assert made.marks == [
        (3_000_000, 0, "fault", "crash at=exchange", 0),
        (4_000_000, -1, "fault", "away for_s=2.5", 2_500_000),
        (5_000_000, 0, "pool", "start", 0),
    ]


def test_jobs_that_wait_are_counted() -> None:
    made = read_timeline(
        trace_of(
            (1, "enqueued", "", "mail", "a"),
            (1, "enqueued", "", "mail", "b"),
            (2, "claimed", "p1", "mail", "a"),
            (3, "returned", "p1", "mail", "a"),
            (4, "claimed", "p1", "mail", "a"),
            (4, "claimed", "p1", "mail", "b"),
        )
    )
    assert made.waiting == [(1_000_000, 2), (2_000_000, 1), (3_000_000, 2), (4_000_000, 0)]


def test_every_run_of_a_world_is_in_its_timeline() -> None:
    with Simulation(3) as sim:
        for _ in range(2):
            sim.pool(concurrency=3).job("work", lambda job: 1 / job.fails, takes=(1, 9),
                                        backoff=lambda job: 5)  # fmt: skip
        for n in range(30):
            sim.at(n, sim.enqueuer.enqueue, "work")
        sim.at(20, sim.crash, sim.pools[0])
        sim.at(60, sim.pools[0].start)
        sim.run_until_idle()
        made = read_timeline(sim.trace)
        started = sim.trace.of(kind="started")
    assert len(made.runs) == len(started)
    assert {run.outcome for run in made.runs} == {"succeeded", "failed, retried", "crashed"}
    assert max(made.rows) <= 3
    for pool, rows in enumerate(made.rows):
        for row in range(rows):
            runs = [run for run in made.runs if (run.pool, run.row) == (pool, row)]
            assert all(a.end_us <= b.start_us for a, b in itertools.pairwise(runs))


# The page


def test_a_page_needs_nothing_else_and_holds_what_it_shows() -> None:
    trace = trace_of(
        (0, "started", "p1", "mail", "a"), (2, "failed", "p1", "mail", "a", {"error": "E: x"}),
        (1, "fault", "p1", "", "", {"fault": "freeze", "for_s": 3}),
    )  # fmt: skip
    page = trace.html("A <world>", note="rule: broken")
    found = _Page(page)
    assert found.loads == []
    assert not re.search(r"https?://|@import|url\(", page)
    assert found.words.count("A <world>") == 2
    assert "rule: broken" in found.words
    data = data_of(page)
    text = data["texts"]
    ((pool, row, name, job_id, start, end, outcome, detail),) = data["runs"]
    assert (data["pools"][pool], row, start, end) == ("p1", 0, 0, 2_000_000)
    assert [text[at] for at in (name, job_id, outcome, detail)] == [
        "mail", "a", "failed", "error=E: x",
    ]  # fmt: skip
    assert data["marks"] == [[1_000_000, 0, "fault", "freeze for_s=3", 3_000_000]]
    assert [text[event[1]] for event in data["events"]] == ["started", "failed"]


def test_nothing_that_a_page_shows_is_markup() -> None:
    trace = trace_of(
        (0, "started", EVIL, EVIL, EVIL), (2, "failed", EVIL, EVIL, EVIL, {"error": EVIL}),
        (2, "fault", EVIL, "", "", {"fault": EVIL}),
    )  # fmt: skip
    plain = _Page(trace_of((0, "started", "p", "n", "i")).html())
    found = _Page(trace.html(EVIL, note=EVIL))
    assert found.tags == plain.tags
    assert found.scripts[1] == plain.scripts[1]
    data = data_of(trace.html(EVIL, note=EVIL))
    assert data["pools"] == [EVIL]
    assert EVIL in data["texts"]


def test_text_that_utf8_cannot_hold_is_kept_as_escapes() -> None:
    trace = trace_of((0, "started", "p", "mail\udcff", "a"))
    trace.html().encode()
    trace.perfetto().encode()


@pytest.mark.slow
def test_a_page_of_fifty_thousand_events_is_small() -> None:
    events: list[tuple[Any, ...]] = []
    for n in range(12_500):
        job = (f"p{n % 5}", "mail", f"{n:024x}")
        events += [(n, "enqueued", "", *job[1:], {"args": {"n": n}}), (n, "claimed", *job),
                   (n, "started", *job), (n + 0.5, "succeeded", *job)]  # fmt: skip
    page = trace_of(*events).html()
    assert len(data_of(page)["runs"]) == 12_500
    assert len(page) < 4_000_000


def test_a_world_without_events_has_an_empty_page() -> None:
    data = data_of(trace_of().html())
    assert (data["runs"], data["pools"], data["end"]) == ([], [], 0)


# Perfetto


def test_perfetto_gets_a_process_for_each_pool_and_a_thread_for_each_row() -> None:
    trace = trace_of(
        (0, "enqueued", "", "mail", "a"),
        (0, "started", "p1", "mail", "a"), (1, "started", "p1", "mail", "b"),
        (2, "failed", "p1", "mail", "a", {"error": "E: x"}),
        (3, "fault", "p1", "", "", {"fault": "crash"}),
        (4, "fault", "", "", "", {"fault": "away", "for_s": 2}),
        (5, "fault", "", "", "", {"fault": "wipe"}),
    )  # fmt: skip
    made = json.loads(trace.perfetto())["traceEvents"]
    names = {
        (each["pid"], each["tid"]): each["args"]["name"]
        for each in made
        if each["name"] in {"process_name", "thread_name"}
    }
    assert names == {
        (0, 0): "queues and Redis", (1, 0): "p1", (1, 1): "worker 1", (1, 2): "worker 2",
    }  # fmt: skip
    runs = [each for each in made if each["ph"] == "X" and "args" in each]
    assert [(each["name"], each["tid"], each["ts"], each["dur"]) for each in runs] == [
        ("mail", 1, 0, 2_000_000),
        ("mail", 2, 1_000_000, 2_000_000),
    ]
    assert runs[0]["args"] == {"job": "a", "outcome": "failed", "detail": "error=E: x"}
    assert runs[1]["args"]["outcome"] == "crashed"
    marks = [(each["ph"], each["name"], each["pid"]) for each in made if each.get("cat") == "fault"]
    assert marks == [("i", "crash", 1), ("X", "away for_s=2", 0), ("i", "wipe", 0)]
    counts = [each["args"]["jobs"] for each in made if each["ph"] == "C"]
    assert counts == [1]


def test_a_scenario_and_a_replay_can_be_looked_at() -> None:
    def work(job: Job) -> None: ...

    with Simulation() as sim:
        sim.pool().job("work", work, takes=3)
        sim.enqueuer.enqueue("work")
        sim.run_until_idle()
        with Simulation.from_history(sim.client) as again:
            again.replay()
            assert len(data_of(again.trace.html("again"))["runs"]) == 1
