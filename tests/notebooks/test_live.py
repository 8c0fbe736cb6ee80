"""The live view, driven without a page."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import WaitUntil
from tests.notebooks.conftest import Morgue
from tests.recording.made import MASKS
from workkit import InvalidOption, ServerUnavailable
from workkit.recording import Observer, Recorder, Recording, RecordingWriter
from workkit.snapshot import Snapshot, write_snapshot
from workkit_notebook import DeadJobs, Live

pytestmark = pytest.mark.one_server


def page(view: Live) -> str:
    text: str = view.children[0].value
    return text


def test_the_live_view_shows_sizes_latencies_queues_and_workers(
    morgue: Morgue, wait_until: WaitUntil
) -> None:
    # Pools say once a second what their workers run.
    wait_until(lambda: not any(each.is_busy for each in morgue.client.worker_observations()))
    view = Live(morgue.client)
    assert "0 queued, 0 running, 0 scheduled, 0 to retry, 13 dead" in page(view)
    assert "no worker is busy" in page(view)
    assert ">mail<" in page(view)
    assert "30" in page(view)


def test_executions_that_end_later_are_counted(morgue: Morgue) -> None:
    view = Live(morgue.client)
    morgue.kill(33)
    morgue.client.retry_all_dead_jobs()
    assert morgue.pool.drain(20).complete
    view.refresh()
    assert "1 failed since the view was opened" in page(view)
    assert 'aria-label="executions a second"' in page(view)
    assert ">45<" in page(view)  # 30 before, one that failed, 14 that were retried


def test_the_view_refreshes_while_shown_and_ends_with_its_cell(
    morgue: Morgue, wait_until: Callable[..., Any]
) -> None:
    view = Live(morgue.client, every_s=0.01)
    assert not view.running
    view._view_count = 1  # as the page says when it shows the widget
    assert view.running
    before = page(view)
    morgue.kill(33)
    wait_until(lambda: "1 failed" in page(view))
    assert page(view) != before
    view._view_count = 0  # and when the cell is cleared
    wait_until(lambda: not view.running)
    view._view_count = 2
    assert view.running
    view.close()
    wait_until(lambda: not view.running)


def test_a_lost_server_is_reported_until_it_is_back(
    morgue: Morgue, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = Live(morgue.client)
    with monkeypatch.context() as patch:

        def gone() -> Any:
            raise ServerUnavailable("localhost does not answer")

        patch.setattr(morgue.client, "overview", gone)
        view.refresh()
        assert "localhost does not answer" in page(view)
    view.refresh()
    assert "13 dead" in page(view)


def test_where_no_kernel_runs_it_is_a_page(morgue: Morgue) -> None:
    view = Live(morgue.client)
    assert view._repr_mimebundle_()["text/html"] == page(view)


def test_a_snapshot_is_shown_unchanged(morgue: Morgue, tmp_path: Path) -> None:
    write_snapshot(morgue.client, tmp_path / "s")
    assert "13 dead" in page(Live(Snapshot(tmp_path / "s")))


def test_a_moment_of_a_recording_is_shown_in_both_views(morgue: Morgue, tmp_path: Path) -> None:
    writer = RecordingWriter(
        tmp_path / "r", morgue.client.label, every_s=2, keep_s=3_600, most_bytes=10_000_000
    )
    made, observer = Recorder(morgue.client, writer, MASKS), Observer(morgue.client)
    made.record(*observer.read())
    made.close()
    observer.close()
    recording = Recording(tmp_path / "r")
    assert recording.span is not None
    moment = recording.moment(recording.span[1])
    assert "13 dead" in page(Live(moment))
    assert len(DeadJobs(moment).jobs) == 13
    with pytest.raises(InvalidOption):
        DeadJobs(moment, write=True)
    recording.close()


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_wrong_arguments_of_views_are_refused_by_name(morgue: Morgue, tmp_path: Path) -> None:
    wrong: Any
    for wrong in (0, -1, float("nan"), float("inf"), "2s", None, True):
        with pytest.raises(InvalidOption, match="every_s must be from 0.01 to 86,400 seconds, not"):
            Live(morgue.client, every_s=wrong)
    for name in ("write", "brush"):
        for wrong in ("no", 0, None):
            with pytest.raises(InvalidOption, match=f"{name} must be True or False, not"):
                DeadJobs(morgue.client, **{name: wrong})
    for wrong in (0, -1, "5", None, 1.5):
        with pytest.raises(InvalidOption, match="most must be a whole number from 1, not"):
            DeadJobs(morgue.client, most=wrong)
    for wrong in (None, 5, ["a"]):
        with pytest.raises(InvalidOption, match="query must be a text"):
            DeadJobs(morgue.client, query=wrong)
        for view in (Live, DeadJobs):
            with pytest.raises(InvalidOption, match="a source must be a Client, a snapshot or a"):
                view(wrong)
    wrong = [1]
    with pytest.raises(InvalidOption, match="a key to leave out must be a text, not 1"):
        DeadJobs(morgue.client, redact=wrong)
    gc.collect()  # a view that was refused is closed in silence
    write_snapshot(morgue.client, tmp_path / "s.snapshot")
    assert len(DeadJobs(tmp_path / "s.snapshot").jobs) == len(morgue.dead())
    assert Live(str(tmp_path / "s.snapshot")).running is False
