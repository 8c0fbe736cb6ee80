"""Pictures: what they show is what the frame has, and text from Redis stays text."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import cbook
from matplotlib.dates import date2num
from matplotlib.patches import StepPatch
from matplotlib.text import Text

from tests.support.busy_day import BEGIN_S, busy_day
from tests.support.queueing import history_of, lognormal, queue
from workkit import InvalidOption, frames, plots
from workkit.frames import Gap
from workkit.frames.schema import empty
from workkit.plots.picture import distinct

Draw = Callable[[Any], Any]
OF_HISTORY: Final[dict[str, Draw]] = {
    "throughput": plots.throughput,
    "latency": plots.latency,
    "latency_histogram": plots.latency_histogram,
    "attempts": plots.attempts,
    "workers": plots.workers,
    "utilisation": plots.utilisation,
    "concurrency": plots.concurrency,
    "errors": plots.errors,
    "retry_ladder": plots.retry_ladder,
    "queue_depth": plots.queue_depth,
    "burn_rate": plots.burn_rate,
}
OVER_TIME: Final = sorted(OF_HISTORY.keys() - {"latency_histogram", "retry_ladder"})
#: A formula for matplotlib, markup, an escape, a change of direction, and a first underscore.
ODD: Final = " $\\frac{a}{b$ $^$ <b>[red]\x1b[31m\u202e 作業 _"


@cache
def day(odd: str = "") -> Any:
    return busy_day(odd=odd)


@cache
def fleet() -> Any:
    draw = np.random.default_rng(1)
    arrivals = np.cumsum(draw.exponential(0.05 / 0.7 / 8, 2_000))
    runs = lognormal(draw, 0.05, 1.5, 2_000)
    starts, _ = queue(arrivals, runs, 8)
    return history_of(arrivals, starts, runs)


def jobs(*rows: tuple[float, float, float], **columns: Any) -> Any:
    """History of jobs that were enqueued, started and finished at these seconds."""
    enqueued, started, finished = (
        np.array(column, dtype=float) for column in zip(*rows, strict=True)
    )
    given = {"worker_id": "w1", "host": "h1", "pool_id": "p1"} | columns
    return history_of(enqueued, started, finished - started, **given)


def words(picture: Any) -> list[str]:
    """Return all texts of a picture, as they are drawn."""
    picture._repr_png_()
    return [text.get_text() for text in picture.findobj(Text) if text.get_text()]


def time(seconds: float) -> float:
    return float(date2num(pd.Timestamp(seconds, unit="s").to_numpy()))


def axes_of(picture: Any) -> Any:
    return picture.axes


def values_of(steps: Any) -> Any:
    return steps.get_data()[0]


def legend_of(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


# All pictures


@pytest.mark.parametrize("name", OF_HISTORY)
def test_a_picture_has_a_title_and_units_at_the_width_of_a_notebook(name: str) -> None:
    picture = OF_HISTORY[name](day())
    png = picture._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert picture.get_size_inches()[0] * picture.dpi == 900
    axes = picture.axes[0]
    assert axes.get_title(loc="left")
    assert any(one.get_ylabel() for one in picture.axes) or picture._suptitle is not None


@pytest.mark.parametrize("name", OVER_TIME)
def test_a_time_axis_names_its_zone(name: str) -> None:
    draw: Any = OF_HISTORY[name]
    assert any("time (UTC)" in text for text in words(draw(day())))
    here = words(draw(day(), tz="Asia/Kolkata"))
    assert any("time (Asia/Kolkata)" in text for text in here)
    assert here != words(draw(day()))
    with pytest.raises(InvalidOption, match="unknown time zone 'Mars/Crater'"):
        draw(day(), tz="Mars/Crater")


@pytest.mark.parametrize("name", OF_HISTORY)
def test_text_from_redis_is_never_a_formula(name: str) -> None:
    frame = day(ODD)
    marks = plots.deploy_marks(frame)
    options = {"marks": marks} if name in OVER_TIME and name != "attempts" else {}
    draw: Any = OF_HISTORY[name]
    shown = words(draw(frame, **options))
    assert not [text for text in shown if cbook.is_math_text(text)]
    assert not [text for text in shown if "\x1b" in text or "\u202e" in text]
    if name != "retry_ladder":
        assert any(r"\$\frac{a" in text for text in shown)


def test_the_name_in_a_title_is_never_a_formula() -> None:
    picture = plots.retry_ladder(jobs((0, 0, 1), name="$x$"), name="$x$")
    assert r"Attempts of \$x\$, and how they ended" in words(picture)


def test_a_picture_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = plots.throughput(day())
    picture.savefig(tmp_path / "a.png", dpi=50)
    picture.savefig(str(tmp_path / "b"), format="svg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.svg"]
    before = (tmp_path / "a.png").read_bytes()
    assert before.startswith(b"\x89PNG")
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o644

    def full(_figure: Any, path: Any, **_options: Any) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    with pytest.raises(InvalidOption, match="a.png cannot be written: No space left"):
        picture.savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.svg"]


def test_a_formula_is_drawn_as_it_stands() -> None:
    frame = jobs((0, 0, 1), (1, 1, 2), name="$x^2$")
    picture: Any = plots.throughput(frame, by="name")
    (label,) = picture.axes[0].get_legend().get_texts()
    picture._repr_png_()
    assert label._preprocess_math(label.get_text()) == ("$x^2$", False)


def test_a_name_that_begins_with_an_underscore_has_its_place_in_the_legend() -> None:
    picture = plots.throughput(jobs((0, 0, 1), name="_private"), by="name")
    assert legend_of(axes_of(picture)[0]) == [" _private"]


@pytest.mark.parametrize("name", OF_HISTORY)
def test_a_frame_without_executions_gives_a_picture_that_says_so(name: str) -> None:
    none = empty("history")
    assert "no executions" in words(OF_HISTORY[name](none))
    none.attrs["read"] = (BEGIN_S, None)
    assert any("no executions from 2026-11-18" in text for text in words(OF_HISTORY[name](none)))


@pytest.mark.parametrize("name", OF_HISTORY)
def test_what_is_no_history_is_refused(name: str) -> None:
    with pytest.raises(InvalidOption, match="not a frame of history: it has no"):
        OF_HISTORY[name](pd.DataFrame({"x": [1]}))
    with pytest.raises(InvalidOption, match="a picture is made of a frame"):
        OF_HISTORY[name]([1, 2])


@pytest.mark.parametrize("name", OF_HISTORY)
def test_executions_that_never_started_or_were_joined_are_no_trouble(name: str) -> None:
    frame = jobs((0, 1, 2), (1, 2, 3))
    idle = frame.assign(started_at=pd.NaT, outcome="returned", worker_id=None, host=None)
    idle["started_at"] = pd.to_datetime(idle["started_at"], utc=True)
    for column in ("wait", "run"):
        idle[column] = idle[column].mask(idle[column].notna())
    OF_HISTORY[name](pd.concat([frame, idle]))._repr_png_()
    OF_HISTORY[name](idle)._repr_png_()


@pytest.mark.parametrize("name", OF_HISTORY)
def test_one_execution_at_one_moment_is_a_picture(name: str) -> None:
    OF_HISTORY[name](jobs((5, 5, 5)))._repr_png_()


@pytest.mark.parametrize("name", OF_HISTORY)
def test_jobs_of_go_programs_have_no_waits_and_are_drawn(name: str) -> None:
    frame = jobs((0, 1, 2), (1, 2, 3), (5, 5, 6))
    frame["wait"] = frame["wait"].mask(frame["wait"].notna())
    shown = " ".join(words(OF_HISTORY[name](frame)))
    if name in {"latency", "latency_histogram"}:
        assert "3 unknown" in shown


@pytest.mark.parametrize("name", ["throughput", "latency", "utilisation", "errors", "queue_depth"])
def test_a_record_with_a_wrong_clock_is_named_and_not_drawn(name: str) -> None:
    frame = jobs((0, 0, 1), (1_795_000_000, 1_795_000_000, 1_795_000_001), fingerprint="f",
                 outcome="dead")  # fmt: skip
    with pytest.raises(InvalidOption, match="from 1970.* the clock of a record is wrong"):
        OF_HISTORY[name](frame)


def test_pictures_need_no_list_of_open_figures() -> None:
    program = (
        "import json, sys, workkit.plots\nprint(json.dumps('matplotlib.pyplot' in sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(shown.stdout) is False


@pytest.mark.parametrize(
    "draw",
    [
        lambda frame: plots.throughput(frame, "often"),
        lambda frame: plots.throughput(frame, "1ms"),
        lambda frame: plots.throughput(frame, by="colour"),
        lambda frame: plots.throughput(frame, marks=["2.4.1"]),  # type: ignore[list-item]
        lambda frame: plots.latency(frame, quantiles=(99,)),
        lambda frame: plots.latency(frame, quantiles=()),
        lambda frame: plots.latency_histogram(frame, by="colour"),
        lambda frame: plots.attempts(frame, "nobody"),
        lambda frame: plots.retry_ladder(frame, name="nobody"),
        lambda frame: plots.workers(frame, most=0),
        lambda frame: plots.utilisation(frame, by="name"),
        lambda frame: plots.errors(frame, most=100),
        lambda frame: plots.burn_rate(frame, target=99),
        lambda frame: plots.burn_rate(frame, wait="soon"),
        plots.capacity,
    ],
)
def test_a_wrong_argument_is_refused(draw: Draw) -> None:
    with pytest.raises(InvalidOption):
        draw(day())


# Over time


def heights(axes: Any) -> list[list[float]]:
    return [[bar.get_height() for bar in bars] for bars in axes.containers]


def test_throughput_has_bars_without_height_where_nothing_ended() -> None:
    frame = jobs((0, 0, 1), (0, 0, 2), (0, 0, 31), outcome=["done", "done", "dead"])
    frame.attrs["read"] = (0.0, 60.0)
    axes = axes_of(plots.throughput(frame, "10s"))[0]
    assert heights(axes) == [[2, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0]]
    assert legend_of(axes) == ["done", "dead"]
    assert axes.get_xlim() == (time(0), time(60))
    assert axes.get_ylabel() == "executions per 10s"


def test_throughput_counts_every_execution_and_names_the_rest_others() -> None:
    axes = axes_of(plots.throughput(day()))[0]
    assert sum(map(sum, heights(axes))) == len(day())
    many = jobs(*[(n, n, n + 1) for n in range(40)], name=[f"n{n % 20}" for n in range(40)])
    axes = axes_of(plots.throughput(many, by="name"))[0]
    assert len(legend_of(axes)) == 8
    assert legend_of(axes)[-1] == "others"
    assert sum(heights(axes)[-1]) == 26


def test_history_that_is_missing_is_hatched() -> None:
    frame = jobs((0, 0, 1), (0, 0, 100))
    gaps = [Gap("20000-4", "50000-9", 5)]
    axes = axes_of(plots.throughput(frame, gaps=gaps))[0]
    (hatched,) = [patch for patch in axes.patches if patch.get_hatch()]
    assert (hatched.get_x(), hatched.get_x() + hatched.get_width()) == pytest.approx(
        (time(20), time(50))
    )
    assert "history is missing" in legend_of(axes)
    frame.attrs |= {"trimmed": 7, "read": (-50.0, None)}
    axes = axes_of(plots.throughput(frame))[0]
    (hatched,) = [patch for patch in axes.patches if patch.get_hatch()]
    assert hatched.get_x() == pytest.approx(time(-50))


def test_lines_of_latency_are_quantiles_and_break_where_nothing_ran() -> None:
    frame = jobs(*[(n, n + 2, n + 6) for n in range(10)], (100, 104, 105))
    waits, runs = axes_of(plots.latency(frame, "10s", quantiles=(0.5,)))
    values = waits.lines[0].get_ydata()
    assert values[0] == 2
    assert values[-1] == 4
    assert np.isnan(values[3:-1]).all()
    assert runs.lines[0].get_ydata()[0] == 4
    assert "p50" in legend_of(waits)


def test_concurrency_is_the_most_at_once_beside_its_limit() -> None:
    frame = jobs((0, 0, 10), (0, 2, 12), (0, 5, 8), (0, 20, 21), name=["mail"] * 3 + ["report"])
    mail, report = axes_of(plots.concurrency(frame, "5s", limits={"mail": 2}))
    (steps,) = mail.findobj(StepPatch)
    assert values_of(steps).tolist() == [2, 3, 1, 0, 0]
    (limit,) = [line for line in mail.lines if line.get_linestyle() == "--"]
    assert set(limit.get_ydata()) == {2}
    assert mail.get_title(loc="left") == "mail (limit 2)"
    (steps,) = report.findobj(StepPatch)
    assert values_of(steps).tolist() == [0, 0, 0, 0, 1]


def test_the_depth_of_a_queue_is_the_mean_of_what_waits() -> None:
    frame = jobs((0, 10, 11), (5, 15, 16))
    depth, flow = axes_of(plots.queue_depth(frame, "5s"))
    (steps,) = depth.findobj(StepPatch)
    assert values_of(steps) == pytest.approx([1, 2, 1, 0])
    came, started = flow.findobj(StepPatch)
    assert values_of(came) == pytest.approx([0.2, 0.2, 0, 0])
    assert values_of(started) == pytest.approx([0, 0, 0.2, 0.2])


def test_each_kind_of_error_has_a_mark_where_it_was_first_seen() -> None:
    frame = jobs(
        (0, 0, 5), (0, 0, 40), (0, 0, 60),
        outcome=["retry", "dead", "retry"],
        fingerprint=["a", "b", "a"], error=["A: x", "B: y", "A: z"],
    )  # fmt: skip
    axes = axes_of(plots.errors(frame))[0]
    seen = sorted(line.get_xdata()[0] for line in axes.lines if line.get_marker() == "v")
    assert seen == pytest.approx([time(5), time(40)])
    assert legend_of(axes) == ["A: x (2)", "B: y (1)", "first seen"]
    fine = jobs((0, 0, 1))
    assert "no failures" in words(plots.errors(fine))


def test_deploys_and_slots_are_marked() -> None:
    frame = day()
    (deploy,) = plots.deploy_marks(frame)
    assert (deploy.label, deploy.kind) == ("2.4.1", "deploy")
    slots = plots.cron_marks(frame, "cleanup")
    assert [slot.at for slot in slots] == [BEGIN_S + n * 1_800 for n in range(16)]
    assert plots.cron_marks(frame, "mail") == []
    axes = axes_of(plots.throughput(frame, marks=[deploy, *slots, plots.Mark(0, "long ago")]))[0]
    (line,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert line.get_xdata()[0] == pytest.approx(time(pd.Timestamp(deploy.at).timestamp()))
    (ticks,) = [line for line in axes.lines if line.get_marker() == "|" and len(line.get_xdata())]
    assert len(ticks.get_xdata()) == 16
    assert "long ago" not in " ".join(words(axes.figure))


def test_labels_of_marks_do_not_cover_each_other() -> None:
    releases = [plots.Mark(BEGIN_S + 60 * n, f"2026.11.30-rc1+build.{n}") for n in range(40)]
    far = plots.Mark(BEGIN_S + 7 * 3_600, "restart")
    picture: Any = plots.throughput(day(), marks=[far, *releases, far])
    picture._repr_png_()
    axes = picture.axes[0]
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not [
        (one, other)
        for at, one in enumerate(boxes)
        for other in boxes[:at]
        if one.padded(-1).overlaps(other.padded(-1))
    ]
    told = [text.get_text().strip() for text in axes.texts]
    assert told[0].endswith("build.0")
    assert told.count("restart") == 2
    assert len([line for line in axes.lines if line.get_linestyle() == ":"]) == 42


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        (["mail", "report"], ["mail", "report"]),
        (["x" * 30 + "1", "x" * 30 + "2"], ["xxxxx…xxxxxxxxxxxxx1", "xxxxx…xxxxxxxxxxxxx2"]),
        (["v" * 30 + "1" + "x" * 30, "v" * 90], ["vvvvv…1xxxxxxxxxxxx…", "vvvvv…vvvvvvvvvvvvv…"]),
        (["作業" * 20 + "a", "作業" * 20 + "b"], ["作業…業作業作業作業a", "作業…業作業作業作業b"]),
        (["KeyError: 'a'", "KeyError: 'a'"], ["KeyError: 'a'", "KeyError: 'a' #2"]),
        (["x", "x", "x #2"], ["x", "x #2", "x #2 #2"]),
        (["$" * 3], [r"\$\$\$"]),
        ([], []),
    ],
)
def test_labels_that_are_cut_still_differ(texts: list[str], shown: list[str]) -> None:
    assert distinct(texts, 20) == shown


@given(texts=st.lists(st.text(max_size=40), max_size=8), columns=st.integers(1, 30))
def test_no_two_labels_look_alike(texts: list[str], columns: int) -> None:
    shown = distinct(texts, columns)
    assert len(set(shown)) == len(shown) == len(texts)


@pytest.mark.parametrize("name", ["throughput", "latency_histogram", "concurrency", "queue_depth"])
def test_names_that_begin_alike_are_told_apart(name: str) -> None:
    frame = jobs(*[(n, n, n + 1) for n in range(6)], name=[
        f"reports.quarterly.invoices.customers.{kind}" for kind in ("send", "make", "print")
    ] * 2)  # fmt: skip
    draw: Any = OF_HISTORY[name]
    shown = words(draw(frame, **({"by": "name"} if name == "throughput" else {})))
    for kind in ("send", "make", "print"):
        assert any(text.endswith(f".{kind}") for text in shown)


@pytest.mark.parametrize("name", ["workers", "utilisation"])
def test_hosts_that_begin_alike_are_told_apart(name: str) -> None:
    hosts = [f"checkout-worker-7d9f8b6c5-{tail}" for tail in ("x2k4p", "q8zzt")]
    frame = jobs((0, 0, 1), (1, 1, 2), host=hosts, worker_id=["aa", "bb"])
    shown = " ".join(words(OF_HISTORY[name](frame)))
    assert "x2k4p" in shown
    assert "q8zzt" in shown


def test_kinds_of_errors_with_equal_texts_are_told_apart() -> None:
    frame = jobs((0, 0, 5), (0, 0, 6), outcome="dead", fingerprint=["a", "b"], error="A: x")
    assert legend_of(axes_of(plots.errors(frame))[0])[:2] == ["A: x (1)", "A: x #2 (1)"]


# Jobs, workers, spreads


def test_the_last_bar_of_a_long_time_is_inside_the_picture() -> None:
    axes = axes_of(plots.workers(jobs((0, 0, 1), (86_400, 86_400, 86_401))))[0]
    low, high = axes.get_xlim()
    assert low < time(0)
    assert high > time(86_401)


def test_bars_that_look_longer_than_they_are_are_confessed() -> None:
    short = jobs((0, 0, 1), (1, 1, 2), (70_000, 70_000, 70_001))
    label = axes_of(plots.workers(short))[0].get_xlabel()
    assert label == "time (UTC); bars are at least 1.67 min wide"
    assert axes_of(plots.workers(jobs((0, 0, 1), (1, 1, 2))))[0].get_xlabel() == "time (UTC)"


def test_a_ladder_without_retries_says_so() -> None:
    assert "no job was tried again" in words(plots.retry_ladder(jobs((0, 0, 1))))
    tried = jobs((0, 0, 1), (5, 5, 6), job_id="a", outcome=["retry", "done"], fails=1)
    assert "no job was tried again" not in words(plots.retry_ladder(tried))


def test_the_waterfall_of_a_job_shows_waits_runs_and_errors() -> None:
    frame = jobs(
        (0, 10, 20), (50, 50, 70),
        job_id="a", outcome=["retry", "done"], fails=[1, 1], error=["OSError: no", None],
    )  # fmt: skip
    axes = axes_of(plots.attempts(frame, "a"))[0]
    boxes = [path.get_extents() for one in axes.collections for path in one.get_paths()]
    assert [box.x0 for box in boxes[:2]] == pytest.approx([time(0), time(10)])
    assert [box.x1 for box in boxes[:2]] == pytest.approx([time(10), time(20)])
    told = [text.get_text() for text in axes.texts]
    assert told == ["ran 10 s, h1, OSError: no", "ran 20 s, h1"]
    assert axes_of(plots.attempts(frame))[0].get_title(loc="left") == "Attempts of a (mail)"


def test_what_stands_beside_an_attempt_stays_within_the_axes() -> None:
    for frame in (
        jobs((0, 10, 200), job_id="a", error="OSError: no"),
        jobs((0, 190, 200), job_id="a", error="OSError: no"),
        jobs((0, 1, 90), (90, 91, 200), job_id="a", error="OSError: no"),
        jobs(
            *[(at, at, at + 1) for at in range(0, 201, 10)],
            job_id="a",
            fails=1,
            outcome="retry",
            host="checkout-worker-7d9f8b6c5-x2k4p",
            error="ConnectionRefusedError: " + "w" * 90,
        ),
        jobs((0, 2, 3), (100, 100, 190), (198, 199, 200), job_id="a", error="W" * 90),
    ):
        picture = plots.attempts(frame)
        axes = axes_of(picture)[0]
        picture.draw_without_rendering()
        inside = axes.get_window_extent()
        for text in axes.texts:
            box = text.get_window_extent()
            assert inside.x0 <= box.x0 < box.x1 <= inside.x1


def test_a_worker_of_an_unknown_host_says_so() -> None:
    frame = jobs((0, 1, 5), host=None)
    assert [text.get_text() for text in axes_of(plots.workers(frame))[0].get_yticklabels()] == [
        "(none) w1"
    ]


@pytest.mark.parametrize("draw", [plots.retry_ladder, plots.throughput, plots.latency_histogram])
def test_few_executions_are_counted_in_whole_numbers(draw: Draw) -> None:
    axes = axes_of(draw(jobs((0, 1, 5))))[0]
    ticks = [tick for tick in axes.get_yticks() if 0 <= tick <= axes.get_ylim()[1]]
    assert ticks == [0, 1]


def test_each_execution_is_a_bar_of_its_worker() -> None:
    frame = jobs((0, 1, 5), (0, 6, 9), (0, 1, 3), worker_id=["w1", "w1", "w2"])
    axes = axes_of(plots.workers(frame))[0]
    boxes = [path.get_extents() for one in axes.collections for path in one.get_paths()]
    assert len(boxes) == 3
    assert sorted(round(box.y0 + 0.36) for box in boxes) == [0, 0, 1]
    assert min(box.x0 for box in boxes) == pytest.approx(time(1))
    few = axes_of(plots.workers(frame, most=1))[0]
    assert few.get_title(loc="left") == "What workers ran, the 1 busiest of 2"


def test_utilisation_is_the_busy_share_and_white_where_nobody_was() -> None:
    frame = jobs(
        (0, 0, 10), (0, 15, 20), (0, 30, 40), host=["h1", "h1", "h2"], worker_id=["a", "a", "b"]
    )
    (mesh,) = axes_of(plots.utilisation(frame, "10s"))[0].collections[:1]
    shares = mesh.get_array().reshape(2, 4)
    assert shares[0].tolist() == [100, 50, None, None]
    assert shares[1].tolist() == [None, None, None, 100]


def test_a_histogram_counts_every_execution_once() -> None:
    waits, runs = axes_of(plots.latency_histogram(day()))
    for axes in (waits, runs):
        assert sum(values_of(step).sum() for step in axes.findobj(StepPatch)) == len(day())
    frame = day().copy()
    frame["wait"] = frame["wait"].mask(frame.index < 100)
    title = axes_of(plots.latency_histogram(frame))[0].get_title(loc="left")
    assert title.endswith("by name; 100 unknown")


def test_the_ladder_counts_attempts_by_number_and_outcome() -> None:
    frame = jobs(
        (0, 0, 1), (0, 10, 11), (0, 0, 1),
        job_id=["a", "a", "b"], outcome=["retry", "done", "done"], fails=[1, 1, 0],
    )  # fmt: skip
    bars, delays = axes_of(plots.retry_ladder(frame))
    assert heights(bars) == [[1, 1], [1, 0]]
    assert legend_of(bars) == ["done", "retry"]
    assert delays.lines[0].get_xydata().tolist() == [[2, 9]]


def test_capacity_shows_the_model_its_bands_and_what_was_measured() -> None:
    estimate = frames.capacity(fleet(), workers=8)
    axes = axes_of(plots.capacity(estimate, measured=[fleet()], target="50ms"))[0]
    curve = axes.lines[1].get_xydata()
    rate, wait = curve[100]
    assert wait == pytest.approx(estimate.wait_s(rate, 0.95).value)
    dots = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert len(dots) == 3
    assert dots[1].get_xdata()[0] == pytest.approx(estimate.arrivals_per_s.value, rel=1e-3)
    assert dots[1].get_ydata()[0] == fleet()["wait"].quantile(0.95).total_seconds()
    assert "target 50 ms" in legend_of(axes)


def outage() -> Any:
    """Jobs of ten hours, one a minute; from the eighth hour on, all are late for half an hour."""
    starts = np.arange(600) * 60.0
    late = (starts >= 8 * 3_600) & (starts < 8.5 * 3_600)
    return history_of(starts - np.where(late, 9.0, 1.0), starts, np.zeros(600))


def test_burn_rates_end_with_those_of_the_table() -> None:
    told = frames.slo(outage(), wait="5s", target=0.9).set_index("window")
    rates, budget = axes_of(plots.burn_rate(outage(), wait="5s", target=0.9))
    six_hours, one_hour = (line.get_ydata() for line in rates.lines[0:6:3])
    assert six_hours[-1] == pytest.approx(told.loc["6h", "burn_rate"])
    assert one_hour[-1] == pytest.approx(told.loc["1h", "burn_rate"], abs=1e-9)
    assert max(one_hour) == pytest.approx(5, rel=0.05)
    left = budget.lines[0].get_ydata()
    assert left[0] == 100
    assert left[-1] == pytest.approx(told.loc["all", "budget_left"] * 100)
    assert budget.get_title(loc="left") == "Budget left: 50 %"
    assert rates.get_title(loc="left") == "Burn rate: 90 % of jobs wait at most 5 s"
    assert legend_of(rates)[:2] == ["6h; alert from 6 (and 30m)", "1h; alert from 14.4 (and 5m)"]


def test_a_burn_rate_is_thick_while_both_windows_alert() -> None:
    rates = axes_of(plots.burn_rate(outage(), wait="5s", target=0.99))[0]
    (when, rate) = rates.lines[4].get_data()
    alerting = when[np.isfinite(rate)]
    assert len(alerting)
    # An hour of which 14.4 % are late has 9 late jobs; five minutes later, none are late.
    assert alerting[0] == pytest.approx(time(8 * 3_600 + 8 * 60), abs=2 / 1_440)
    assert alerting[-1] == pytest.approx(time(8.5 * 3_600 + 4 * 60), abs=2 / 1_440)


def test_a_window_without_executions_interrupts_the_line() -> None:
    picture = plots.burn_rate(jobs((0, 0, 1), (30_000, 30_000, 30_001)))
    hour = axes_of(picture)[0].lines[3].get_ydata()
    assert np.isnan(hour[len(hour) // 2])
    assert hour[-1] == 0


def test_a_large_history_is_a_picture_of_bounded_size() -> None:
    count = 60_000
    starts = np.sort(np.random.default_rng(1).uniform(0, 3_600, count))
    frame = history_of(
        starts - 1, starts, np.full(count, 0.2), host="h", pool_id="p",
        worker_id=[f"w{n % 64}" for n in range(count)],
    )  # fmt: skip
    axes = axes_of(plots.workers(frame))[0]
    assert sum(len(one.get_paths()) for one in axes.collections) == 20_000
    assert "the 30 busiest of 64, the newest 20,000 executions" in axes.get_title(loc="left")


@pytest.mark.parametrize("spread", [(60, 180), (0.0301, 0.0302), (7, 7.1), (100_000, 200_000)])
def test_a_narrow_range_of_spans_has_round_ticks(spread: tuple[float, float]) -> None:
    low, high = spread
    frame = jobs(
        (0, 0, 1), (0, 1 + low, 2 + low), (0, 0, 1), (0, 1 + high, 2 + high),
        job_id=["a", "a", "b", "b"], outcome=["retry", "done"] * 2, fails=[1, 1, 1, 1],
    )  # fmt: skip
    picture: Any = plots.retry_ladder(frame)
    picture._repr_png_()
    delays = picture.axes[1]
    shown = [text.get_text() for text in delays.get_yticklabels()]
    assert len(shown) >= 2
    assert all(len(text.split()[0]) <= 3 for text in shown)
    assert delays.get_ylim()[0] <= low
    assert high <= delays.get_ylim()[1]
