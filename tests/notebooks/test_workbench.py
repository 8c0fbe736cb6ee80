"""The view of dead jobs as a workbench: facets, frames, comparisons, throttles, and many jobs."""

from __future__ import annotations

import gc
import json
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from tests.notebooks.conftest import Morgue
from tests.notebooks.test_dead_jobs import ALL, SECRET, acting, button, numbers, parts, state, text
from workkit import Client, Enqueuer, HistoryOptions, Job, Place, Query, WorkerPool, frames
from workkit.admin.actions import Throttle
from workkit.errors import ServerUnavailable
from workkit_notebook import DeadJobs
from workkit_notebook.facets import Facets, with_term
from workkit_notebook.later import Later

pytestmark = pytest.mark.one_server


def lay(morgue: Morgue, *args: Any) -> None:
    """Put dead jobs with these args into the namespace."""
    redis: Any = __import__("redis").Redis.from_url(morgue.url)
    now_s = int(morgue.client.now_s())
    jobs = {
        json.dumps(
            {
                "name": "lay",
                "id": f"lay{n}",
                "t": now_s,
                "args": one,
                "fails": 1,
                "err": "ValueError: no",
            }
        ): now_s - n % 50
        for n, one in enumerate(args)
    }
    redis.zadd(f"{morgue.namespace}:dead", jobs)


def facet_buttons(view: DeadJobs) -> list[Any]:
    return parts(view._apart._facets, "Button")


# Facets


def test_what_is_more_frequent_is_offered_and_writes_the_query(morgue: Morgue) -> None:
    lay(morgue, *({"tenant": "acme" if n % 4 else "evans", "n": n} for n in range(40)))
    view = DeadJobs(morgue.client, query="queue:lay args.n:>3")
    offered = [b.description for b in facet_buttons(view)]
    assert offered[0] == "queue: lay"
    assert "tenant: acme" in offered
    assert "times as frequent as among the other dead jobs" in text(view)
    next(b for b in facet_buttons(view) if b.description == "tenant: acme").click()
    assert view.query == "queue:lay args.n:>3 args.tenant:acme"
    assert len(view.jobs) == 27
    assert {one.job.arg_str("tenant") for one in view.jobs} == {"acme"}


@pytest.mark.parametrize("query", ["args.n:<20", "args.n:>3", "args.n:3"])
def test_what_all_jobs_have_is_not_more_frequent_among_some(morgue: Morgue, query: str) -> None:
    view = DeadJobs(morgue.client, query=query)  # all are mails with the same note
    offered = [b.description for b in facet_buttons(view)]
    assert not [says for says in offered if not says.startswith("tenant: ")]
    assert "1.0 times" not in text(view)


def test_all_jobs_have_their_most_frequent_values(morgue: Morgue) -> None:
    view = DeadJobs(morgue.client)
    offered = [b.description for b in facet_buttons(view)]
    assert set(offered) == {"tenant: t0", "tenant: t1"}
    assert "most frequent values" in text(view)


ODD = ['a "b"', "back\\slash", "a:b,c", "x*", "ünï", "", "<b>", True, 1.5, 7, "or", ">5", "1..2"]


def test_the_term_of_a_facet_picks_exactly_its_jobs(morgue: Morgue) -> None:
    lay(morgue, *({"odd": {"value": one}, "n": n} for n, one in enumerate(ODD * 3)))
    records = [r for batch in morgue.client.walk(Place("dead")) for r in batch.jobs]
    chosen = [r for r in records if r.job.name == "lay"]
    found = [f for f in Facets(records).of(chosen, 50) if f.field == "args.odd.value"]
    assert len(found) == len(ODD)
    for facet in found:
        picked = list(Query(facet.term).pick(records, 0))
        assert len(picked) == facet.total == facet.count == 3, facet.term


def test_keys_that_the_query_language_cannot_name_are_no_facets(morgue: Morgue) -> None:
    lay(morgue, *({"a.b": 1, "c d": 1, "e": [1], "f": None, "g": {"h": "same"}} for _ in range(2)))
    records = [r for batch in morgue.client.walk(Place("dead")) for r in batch.jobs]
    chosen = [r for r in records if r.job.name == "lay"]
    assert {f.field for f in Facets(records).of(chosen, 50)} <= {"queue", "args.g.h"}


def test_ids_are_no_facets(morgue: Morgue) -> None:
    lay(morgue, *({"id": f"id{n % 700}", "n": n} for n in range(1_400)))
    records = [r for batch in morgue.client.walk(Place("dead")) for r in batch.jobs]
    chosen = [r for r in records if r.job.name == "lay"]
    assert {f.field for f in Facets(records).of(chosen, 50)} == {"queue"}


def test_a_term_is_added_to_the_whole_query() -> None:
    assert with_term(" ", "a:b") == "a:b"
    assert with_term("x:y", "a:b") == "x:y a:b"
    assert with_term("x:y or z", "a:b") == "(x:y or z) a:b"


def test_secrets_are_no_facets(morgue: Morgue) -> None:
    lay(morgue, *({"password": SECRET, "copy": f"{SECRET}!", "tenant": "acme"} for _ in range(9)))
    view = DeadJobs(morgue.client, query="queue:lay")
    assert "tenant: acme" in [b.description for b in facet_buttons(view)]
    assert SECRET not in state(view)
    open_view = DeadJobs(morgue.client, query="queue:lay", redact=())
    assert f"password: {SECRET}" in [b.description for b in facet_buttons(open_view)]


# Frames and comparisons


def test_the_matching_jobs_are_a_frame(morgue: Morgue) -> None:
    view = DeadJobs(morgue.client, query="error:answer")
    every = frames.dead_jobs(morgue.client)
    assert list(view.frame) == list(every)
    assert view.frame.dtypes.astype(str).to_dict() == every.dtypes.astype(str).to_dict()
    assert set(view.frame["job_id"]) == {one.job.id for one in view.jobs}
    view.query = "nothing:such"
    pd.testing.assert_frame_equal(view.frame, every.iloc[:0], check_categorical=False)


@pytest.fixture
def remembering(morgue: Morgue) -> Morgue:
    """A namespace whose history keeps args: orders of one tenant fail."""
    pool = WorkerPool(morgue.namespace, morgue.url, history=HistoryOptions(args=True))

    @pool.job("order", max_fails=1)
    def order(job: Job) -> None:
        if job.arg_str("tenant") == "dupont":
            raise ValueError("a decimal comma")

    names = ("anders", "bianchi", "dupont", "evans")
    jobs = [
        ("order", {"tenant": names[n % 4], "password": names[n % 4] + SECRET}) for n in range(120)
    ]
    Enqueuer(morgue.namespace, morgue.url).enqueue_many(jobs)
    with pool:
        assert pool.drain(20).complete
    return morgue


def test_what_differs_from_done_jobs_is_told(remembering: Morgue) -> None:
    view = DeadJobs(remembering.client, query="queue:order")
    found = view.differs()
    tenant = found[found["attribute"] == "args.tenant"].iloc[0]
    assert (tenant["value"], tenant["dead"], tenant["done"]) == ("dupont", 30, 0)
    assert tenant["significant"]
    button(view, "What differs").click()
    view._apart.later.wait(20)
    shown = view._apart._table.value
    assert "args.tenant" in shown
    assert "dupont" in shown
    assert "[redacted]" in shown
    assert SECRET not in state(view)
    view.query = "queue:mail"
    assert view._apart._table.value == ""


def test_it_is_said_when_nothing_differs(morgue: Morgue) -> None:
    view = DeadJobs(morgue.client)
    button(view, "What differs").click()
    view._apart.later.wait(20)
    assert "nothing differs beyond chance" in text(view)


# Throttle


def test_a_pace_retries_a_few_first(morgue: Morgue, monkeypatch: pytest.MonkeyPatch) -> None:
    view = DeadJobs(morgue.client, write=True, query="error:answer")
    actions, given = morgue.client.actions, []
    real = type(actions).apply

    def apply(self: Any, plan: Any, **options: Any) -> Any:
        given.append(options["throttle"])
        return real(self, plan, **options)

    monkeypatch.setattr(type(actions), "apply", apply)
    button(view, "Retry 3").click()
    pace = parts(view, "Dropdown")[0]
    assert pace.layout.display is None
    pace.value = 500
    button(view, "Retry 3 jobs").click()
    acting(view).wait(60)
    assert given == [Throttle(per_s=500)]
    assert "retried 3 jobs" in text(view)
    button(view, "Delete").click()
    assert pace.layout.display == "none"


# Many jobs


class Gate:
    """A client whose walk stops after its first batch until it may go on."""

    def __init__(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        self.fail: Exception | None = None
        real = client.walk

        def walk(*args: Any, **kwargs: Any) -> Iterator[Any]:
            for number, batch in enumerate(real(*args, size=5, **kwargs)):
                if number:
                    assert self.open.wait(60)
                    if self.fail is not None:
                        raise self.fail
                yield batch

        monkeypatch.setattr(client, "walk", walk)
        monkeypatch.setattr("workkit_notebook.dead_jobs._AT_ONCE", 3)


def test_many_jobs_are_read_while_the_kernel_is_free(
    morgue: Morgue, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(morgue.client, monkeypatch)
    view = DeadJobs(morgue.client, write=True)
    assert "reading dead jobs: 5 of 13 ..." in text(view)
    assert "Call wait()" in view._repr_mimebundle_()["text/html"]
    view.query = "error:answer"  # while they are read
    gate.open.set()
    assert numbers(view) == [7, 14, 28]
    assert len(view.selected()) == 3
    assert "<b>13 dead jobs</b>" in text(view)
    assert "TimeoutError" in view._repr_mimebundle_()["text/html"]
    view.query = ""
    assert numbers(view) == ALL


def test_a_server_that_is_lost_while_jobs_are_read_leaves_nothing_to_act_on(
    morgue: Morgue, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(morgue.client, monkeypatch)
    view = DeadJobs(morgue.client, write=True)
    gate.fail = ServerUnavailable("localhost does not answer")
    gate.open.set()
    assert view.selected() == []
    assert "localhost does not answer" in text(view)
    gate.fail = None
    button(view, "Read again").click()
    assert len(view.selected()) == len(ALL)


def test_a_view_can_be_closed_while_jobs_are_read(
    morgue: Morgue, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(morgue.client, monkeypatch)
    view = DeadJobs(morgue.client)
    view._closed = True
    gate.open.set()
    view.close()
    assert view.jobs == []
    assert not view._later.busy


def test_running_a_cell_again_takes_no_more_memory(
    morgue: Morgue, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(morgue, *({"tenant": f"t{n % 9}", "n": n} for n in range(3_000)))
    monkeypatch.setattr("workkit_notebook.cells._RUNS", {})
    monkeypatch.setattr("workkit_notebook.dead_jobs._AT_ONCE", 500)
    held = []
    tracemalloc.start()
    try:
        for run in range(11):
            here = ("cell", f"run {run}")
            monkeypatch.setattr("workkit_notebook.cells._here", lambda here=here: here)
            view = DeadJobs(morgue.client)
            view.query = "queue:lay"
            assert len(view.jobs) == 3_000
            view._repr_mimebundle_()
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert held[-1] <= 1.2 * held[0]


def test_only_the_newest_request_is_carried_out() -> None:
    later, began, go, ran = Later("test-later"), threading.Event(), threading.Event(), []

    def first() -> None:
        began.set()
        assert go.wait(60)
        ran.append(later.superseded)

    later.run(first)
    assert began.wait(60)
    for n in range(5):
        later.run(lambda n=n: ran.append(n))  # type: ignore[misc]
    go.set()
    later.wait(60)
    assert ran == [True, 4]
    assert not later.busy
