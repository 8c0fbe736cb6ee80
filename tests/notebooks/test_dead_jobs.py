"""The view of dead jobs, driven without a page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ipywidgets.widgets.widget import _instances

from tests.notebooks.conftest import Morgue
from workkit import Client, Enqueuer, InvalidOption, Job, ServerUnavailable, WorkerPool
from workkit.snapshot import Snapshot, write_snapshot
from workkit_notebook import DeadJobs, Live
from workkit_notebook.acting import Acting
from workkit_notebook.deadset import Buckets

pytestmark = pytest.mark.one_server


def numbers(view: DeadJobs) -> list[int]:
    return sorted(record.job.arg_int("n") for record in view.jobs)


def parts(view: Any, kind: str) -> list[Any]:
    """Return the widgets of a kind, from top to bottom."""
    found = [view] if type(view).__name__ == kind else []
    for child in getattr(view, "children", ()):
        found += parts(child, kind)
    return found


def button(view: DeadJobs, says: str) -> Any:
    return next(b for b in parts(view, "Button") if b.description.startswith(says))


def acting(view: DeadJobs) -> Acting:
    assert view._acting is not None
    return view._acting


def text(view: DeadJobs) -> str:
    return " ".join(part.value for part in parts(view, "HTML"))


def mark(view: DeadJobs, *rows: int) -> None:
    parts(view, "SelectMultiple")[0].index = rows


ALL = sorted({n for n in range(1, 31) if n % 3 == 0 or n % 7 == 0})


# Looking


def test_the_view_shows_groups_and_jobs(morgue: Morgue) -> None:
    view = DeadJobs(morgue.client)
    assert numbers(view) == ALL
    assert "<b>13 dead jobs</b>" in text(view)
    assert "ValueError: no luck with &lt;n&gt;" in text(view)
    assert "TimeoutError: db-&lt;n&gt; did not answer" in text(view)
    rows = parts(view, "SelectMultiple")[0].options
    assert len(rows) == len(ALL)


def test_the_query_language_filters(morgue: Morgue) -> None:
    view = DeadJobs(morgue.client, query="error:answer")
    assert numbers(view) == [7, 14, 28]
    view.query = "args.n:>20 -type:TimeoutError"
    assert numbers(view) == [21, 24, 27, 30]
    view.query = "nothing:such"
    assert "unknown field &#x27;nothing&#x27;" in text(view)
    assert numbers(view) == []
    view.query = ""
    assert numbers(view) == ALL
    assert "unknown field" not in text(view)


def test_choosing_groups_filters_jobs(morgue: Morgue) -> None:
    view = DeadJobs(morgue.client)
    parts(view, "Checkbox")[1].value = True
    assert numbers(view) == [7, 14, 28]
    parts(view, "Checkbox")[0].value = True
    assert numbers(view) == ALL
    view.query = "args.n:<10"
    assert numbers(view) == [3, 6, 7, 9]
    parts(view, "Checkbox")[0].value = False
    assert numbers(view) == [7]


@pytest.mark.parametrize("kind", ["_Part", "SelectionRangeSlider"])
def test_a_brush_or_a_slider_filters_by_time(morgue: Morgue, kind: str) -> None:
    raws = morgue.client.dead_jobs().jobs
    first = min(dead.died_at for dead in raws)
    redis: Any = __import__("redis").Redis.from_url(morgue.url)
    for dead in raws:  # ten minutes apart
        redis.zadd(f"{morgue.namespace}:dead", {dead.job.raw: first + 600 * dead.job.arg_int("n")})
    view = DeadJobs(morgue.client, brush=kind == "_Part")
    (brush,) = parts(view, kind)
    brush.index = (0, 30)
    half = numbers(view)
    assert 0 < len(half) < len(ALL)
    assert max(half) < 20
    brush.index = (30, 60)
    assert numbers(view) == sorted(set(ALL) - set(half))
    brush.index = (0, 60)
    assert numbers(view) == ALL


def test_a_bar_picks_the_jobs_that_it_counts(morgue: Morgue) -> None:
    raws = morgue.client.dead_jobs().jobs
    first = min(dead.died_at for dead in raws)
    redis: Any = __import__("redis").Redis.from_url(morgue.url)
    for at, dead in enumerate(raws):  # a bar is one second, and ends where the next one begins
        redis.zadd(f"{morgue.namespace}:dead", {dead.job.raw: first + (at if at < 12 else 59)})
    view = DeadJobs(morgue.client)
    (brush,) = parts(view, "_Part")
    counts = list(brush.counts)
    picked = []
    for at in range(60):
        brush.index = (at, at + 1)
        picked.append(len(view.jobs))
    assert picked == counts
    assert len(set(brush.labels)) == 60  # the last bar begins in the second in which it ends
    assert sum(counts) == len(ALL)
    assert max(counts) == 1


def test_the_histogram_counts_what_matches(morgue: Morgue) -> None:
    view = DeadJobs(morgue.client, query="error:answer")
    (brush,) = parts(view, "_Part")
    assert sum(brush.counts) == 3
    assert len(brush.labels) == len(brush.counts) + 1
    view.query = ""
    assert sum(brush.counts) == len(ALL)
    view.query = "nothing:such"
    assert sum(brush.counts) == 0


@pytest.mark.parametrize("index", [(-5, 900), (70, 20), (59, 59)])
def test_a_span_that_a_page_makes_up_is_one_of_the_histogram(
    morgue: Morgue, index: tuple[int, int]
) -> None:
    view = DeadJobs(morgue.client)
    (brush,) = parts(view, "_Part")
    brush.index = index
    assert "died" in text(view)
    assert set(numbers(view)) <= set(ALL)


def test_without_anywidget_there_is_a_slider(
    morgue: Morgue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workkit_notebook.brushes.anywidget", None)
    view = DeadJobs(morgue.client)
    assert len(parts(view, "SelectionRangeSlider")) == 1
    assert parts(view, "_Part") == []


def test_a_job_is_shown_in_full_with_escaped_texts(morgue: Morgue) -> None:
    view = DeadJobs(morgue.client, query="args.n:7")
    mark(view, 0)
    shown = text(view)
    assert view.jobs[0].job.id in shown
    assert "&lt;b&gt;odd&lt;/b&gt;" in shown
    assert "<b>odd</b>" not in shown
    assert "Traceback (innermost last):" in shown
    assert "in fetch" in shown
    mark(view)
    assert "Traceback" not in text(view)


def test_no_text_from_redis_moves_others_or_changes_their_direction(morgue: Morgue) -> None:
    odd = "\u202egpj\x1b[31m\x9bK\u2066"
    job = {
        "name": f"mail{odd}", "id": f"a{odd}", "t": 1_795_000_000, "args": {f"k{odd}": f"v{odd}"},
        "fails": 1, "failed_at": 1_795_000_000, "unique": True, "unique_key": f"u{odd}",
        "err": f"ValueError: no{odd}\n  second line{odd}",
    }  # fmt: skip
    redis: Any = __import__("redis").Redis.from_url(morgue.url)
    redis.zadd(f"{morgue.namespace}:dead", {json.dumps(job): 1_795_000_000})
    redis.lpush(f"{morgue.namespace}:jobs:mail{odd}", json.dumps(job))
    redis.sadd(f"{morgue.namespace}:known_jobs", f"mail{odd}")
    view = DeadJobs(morgue.client, query="error:second", write=True)
    mark(view, 0)
    button(view, "Retry").click()
    live = Live(morgue.client)
    pages = [page._repr_mimebundle_() for page in (view, live)]
    texts = [data["text/html"] for data in (p[0] if isinstance(p, tuple) else p for p in pages)]
    texts += [text(view), text(live), *parts(view, "SelectMultiple")[0].options]
    texts += [b.description + (b.tooltip or "") for b in parts(view, "Button")]
    assert all("mail" in shown for shown in texts[:5])
    assert not [shown for shown in texts if set(shown) & set("\u202e\x1b\x9b\u2066")]
    assert "\n  second line\\u202egpj" in text(view)


def test_junk_is_shown_with_its_reason(morgue: Morgue) -> None:
    redis: Any = __import__("redis").Redis.from_url(morgue.url)
    redis.zadd(f"{morgue.namespace}:dead", {b"{junk<b>": 17, b"\xff": float("inf")})
    view = DeadJobs(morgue.client, query="is:junk", write=True)
    assert len(view.jobs) == 2
    mark(view, 1)
    assert "malformed payload: not a job" in text(view)
    assert "[redacted: 8 bytes that are not a job]" in text(view)
    view = DeadJobs(morgue.client, query="is:junk", redact=())
    mark(view, 1)
    assert "{junk&lt;b&gt;" in text(view)


def test_the_view_says_that_there_are_no_dead_jobs(redis_url: str, namespace: str) -> None:
    view = DeadJobs(Client(namespace, redis_url), write=True)
    assert "<b>0 dead jobs</b>" in text(view)
    assert view.jobs == []
    assert button(view, "Retry").disabled
    assert "no dead jobs" in view._repr_mimebundle_()["text/html"]


def test_reading_again_keeps_the_filter(morgue: Morgue) -> None:
    view = DeadJobs(morgue.client, query="args.n:>29")
    morgue.kill(33)
    assert numbers(view) == [30]
    button(view, "Read again").click()
    assert numbers(view) == [30, 33]


def test_only_the_newest_jobs_are_read_if_there_are_too_many(morgue: Morgue) -> None:
    view = DeadJobs(morgue.client, most=5)
    assert len(view.jobs) == 5
    assert "shows the newest 5 of 13" in text(view)


def test_where_no_kernel_runs_it_is_a_page(morgue: Morgue) -> None:
    view = DeadJobs(morgue.client, query="args.n:7")
    bundle = view._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    page = bundle["text/html"]
    assert view.jobs[0].job.id in page
    assert "TimeoutError: db-7 did not answer" in page
    assert "<table" in page
    assert "<script" not in page


def test_a_page_says_what_it_was_filtered_by(morgue: Morgue) -> None:
    def page(query: str) -> str:
        return str(DeadJobs(morgue.client, query=query)._repr_mimebundle_()["text/html"])

    assert "filter: args.n:&lt;10" in page("args.n:<10")
    assert "filter:" not in page("")
    # Ages are counted from a time, which a reader of a saved page does not know otherwise.
    assert re.search(r", as of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC; read-only", page(""))
    assert "none of them matches" in page("args.n:99")
    assert "unknown field &#x27;nothing&#x27;" in page("nothing:such")
    for query in ("args.n:99", "nothing:such"):
        assert "<b>13 dead jobs</b>" in page(query)
        assert "no dead jobs" not in page(query)


def test_a_lost_server_is_reported_and_the_view_stays(
    morgue: Morgue, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = DeadJobs(morgue.client)

    def gone(*_: Any, **__: Any) -> Any:
        raise ServerUnavailable("localhost does not answer")

    monkeypatch.setattr(morgue.client, "walk", gone)
    button(view, "Read again").click()
    assert "localhost does not answer" in text(view)
    assert numbers(view) == ALL


def test_a_snapshot_is_shown_in_the_same_view(morgue: Morgue, tmp_path: Path) -> None:
    write_snapshot(morgue.client, tmp_path / "s")
    view = DeadJobs(Snapshot(tmp_path / "s"), query="error:answer")
    assert numbers(view) == [7, 14, 28]
    with pytest.raises(InvalidOption, match="is read-only; leave write=True out"):
        DeadJobs(Snapshot(tmp_path / "s"), write=True)


def test_the_times_of_malformed_members_do_not_stretch_the_histogram(morgue: Morgue) -> None:
    redis: Any = __import__("redis").Redis.from_url(morgue.url)
    redis.zadd(f"{morgue.namespace}:dead", {b"{junk": 0, b"{more": 17})
    view = DeadJobs(morgue.client)
    assert len(view.jobs) == len(ALL) + 2
    assert "1970" not in text(view)


def test_without_dead_jobs_there_are_no_times(redis_url: str, namespace: str) -> None:
    assert "1970" not in text(DeadJobs(Client(namespace, redis_url)))


SECRET = "hunter2-very-secret"  # noqa: S105 - of nothing


def kill_with_secret(morgue: Morgue) -> None:
    pool = WorkerPool(morgue.namespace, morgue.url)

    @pool.job("login", max_fails=1)
    def login(job: Job) -> None:
        raise ValueError(f"no entry with {job.args}")

    args = {"n": 99, "password": SECRET, "user": {"api-key": SECRET[::-1]}}
    Enqueuer(morgue.namespace, morgue.url).enqueue("login", args)
    with pool:
        assert pool.drain(20).complete


def state(view: Any) -> str:
    """Return all that a saved notebook keeps of a view."""
    parts = [str(view._repr_mimebundle_())]
    todo = [view]
    while todo:
        widget = todo.pop()
        parts.append(str(widget.get_state()))
        todo += getattr(widget, "children", ())
    return " ".join(parts)


def test_secrets_are_neither_shown_nor_saved(morgue: Morgue) -> None:
    kill_with_secret(morgue)
    view = DeadJobs(morgue.client, write=True, query="args.n:99")
    mark(view, 0)
    button(view, "Retry 1").click()
    assert "[redacted]" in state(view)
    assert SECRET not in state(view)
    assert SECRET[::-1] not in state(view)
    open_view = DeadJobs(morgue.client, query=f"args.password:{SECRET}", redact=())
    mark(open_view, 0)
    assert SECRET in state(open_view)


# A cell that runs again


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Tell views in which run of which cell they are made."""

    def here(cell: str, request: str) -> None:
        monkeypatch.setattr("workkit_notebook.cells._here", lambda: (cell, request))

    monkeypatch.setattr("workkit_notebook.cells._RUNS", {})
    return here


def test_a_view_ends_when_its_cell_runs_again(
    morgue: Morgue, cell: Callable[[str, str], None]
) -> None:
    cell("a", "1")
    first, second = DeadJobs(morgue.client), DeadJobs(morgue.client)
    cell("b", "2")
    other = DeadJobs(morgue.client)
    assert numbers(first) == numbers(second) == numbers(other) == ALL
    cell("a", "3")
    third = DeadJobs(morgue.client)
    assert first.jobs == second.jobs == []
    assert numbers(other) == numbers(third) == ALL
    held = len(_instances)
    for run in range(10):
        cell("a", f"more {run}")
        view = DeadJobs(morgue.client)
    assert numbers(view) == ALL
    assert len(_instances) == held


def test_filtering_leaves_no_widgets_behind(morgue: Morgue) -> None:
    view = DeadJobs(morgue.client)
    view.query = "args.n:>10"
    before = len(_instances)
    for n in range(11, 20):
        view.query = f"args.n:>{n}"
        view.query = "args.n:>10"
    assert len(_instances) == before
    view.close()
    assert all(part.comm is None for part in parts(view, "HTML"))


def test_a_later_view_can_undo_what_an_earlier_one_did(morgue: Morgue) -> None:
    view = DeadJobs(morgue.client, write=True, query="error:answer")
    button(view, "Delete 3").click()
    parts(view, "Text")[1].value = "3"
    button(view, "Delete 3 jobs").click()
    acting(view).wait(20)
    later = DeadJobs(morgue.client, write=True)
    button(later, "Undo delete of 3 jobs").click()
    acting(later).wait(20)
    assert morgue.numbers() == ALL


# Acting


@pytest.mark.parametrize("query", ["nothing:such", '"open'])
def test_nothing_can_be_done_while_the_filter_is_not_valid(morgue: Morgue, query: str) -> None:
    view = DeadJobs(morgue.client, write=True)
    view.query = query
    assert view.selected() == []
    assert button(view, "Retry").disabled
    assert button(view, "Delete").disabled
    view.query = ""
    assert not button(view, "Retry").disabled


def test_nothing_can_be_done_with_a_list_that_could_not_be_read_again(
    morgue: Morgue, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = DeadJobs(morgue.client, write=True)

    def gone(*_: Any, **__: Any) -> Any:
        raise ServerUnavailable("localhost does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(morgue.client, "walk", gone)
        button(view, "Read again").click()
    assert view.selected() == []
    assert button(view, "Retry").disabled
    view.query = "args.n:>20"  # an old list can be filtered, and is still said to be old
    assert numbers(view) == [21, 24, 27, 28, 30]
    assert "the list is old" in text(view)
    assert button(view, "What differs").disabled
    view.query = ""
    button(view, "Read again").click()
    assert len(view.selected()) == len(ALL)
    assert "the list is old" not in text(view)


def test_the_view_is_read_only_by_default(morgue: Morgue) -> None:
    view = DeadJobs(morgue.client)
    assert "read-only" in text(view)
    shown = [b.description for b in parts(view, "Button")]
    assert not [b for b in shown if b.startswith(("Retry", "Delete", "Undo"))]


def test_marked_jobs_are_retried_after_a_preview_and_run(morgue: Morgue) -> None:
    view = DeadJobs(morgue.client, write=True, query="error:answer")
    mark(view, 0, 2)
    chosen = {view.jobs[0].job.id, view.jobs[2].job.id}
    button(view, "Retry 2").click()
    assert "Retry 2 dead jobs: 2 mail" in text(view)
    assert len(morgue.dead()) == 13
    button(view, "Retry 2 jobs").click()
    acting(view).wait(20)
    assert morgue.pool.drain(20).complete
    assert set(morgue.ran) == chosen
    assert "retried 2 jobs" in text(view)
    assert len(view.jobs) == 1


def test_an_action_changes_exactly_the_jobs_of_its_preview(morgue: Morgue) -> None:
    view = DeadJobs(morgue.client, write=True, query="type:ValueError")
    button(view, "Delete 10").click()
    late = morgue.kill(33)
    gone = view.jobs[0]
    morgue.client.delete_dead_job(gone.at or 0, gone.job.id)
    confirm = button(view, "Delete 10 jobs")
    assert confirm.disabled
    typed = parts(view, "Text")[1]
    typed.value = "9"
    assert confirm.disabled
    typed.value = "10"
    assert not confirm.disabled
    confirm.click()
    acting(view).wait(20)
    assert "deleted 9 jobs; 1 were gone already" in text(view)
    assert morgue.numbers() == [7, 14, 28, 33]
    assert late.id in morgue.dead()


def test_deleted_jobs_can_be_brought_back(morgue: Morgue) -> None:
    view = DeadJobs(morgue.client, write=True, query="error:answer")
    before = morgue.dead()
    button(view, "Delete 3").click()
    parts(view, "Text")[1].value = "3"
    button(view, "Delete 3 jobs").click()
    acting(view).wait(20)
    assert len(morgue.dead()) == 10
    button(view, "Undo").click()
    acting(view).wait(20)
    assert morgue.dead() == before
    assert "brought back 3 jobs" in text(view)
    assert len(view.jobs) == 3


def test_cancel_and_another_selection_close_the_preview(morgue: Morgue) -> None:
    view = DeadJobs(morgue.client, write=True)
    for give_up in (button(view, "Cancel").click, lambda: mark(view, 1)):
        mark(view)
        button(view, "Retry 13").click()
        assert "Retry 13 dead jobs" in text(view)
        give_up()
        assert "Retry 13 dead jobs" not in text(view)
        acting(view).confirm()
    assert len(morgue.dead()) == 13


# Parts


def test_times_are_counted_in_buckets_of_equal_width() -> None:
    assert Buckets(0, 19, 2).counts([0, 1, 9, 10, 19, 20, -1]) == [3, 2]
    assert Buckets(0, 0, 3).counts([]) == [0, 0, 0]
    assert Buckets(5, 5, 4).counts([5, 5]) == [2, 0, 0, 0]
