"""Pictures in a page: the same words, values and places, and text from Redis stays text."""

from __future__ import annotations

import html
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Page, sync_playwright

from tests.notebooks.lab import need_chromium
from tests.plots.test_pictures import ODD, OF_HISTORY, OVER_TIME, day, fleet, jobs
from workkit import errors, frames, plots

pytestmark = pytest.mark.one_server


def texts_of(figure: Any) -> list[str]:
    """Return all texts of a figure, also those that a pointer shows, as a page gets them."""
    found: list[str] = []

    def look(part: Any, key: str) -> None:
        if isinstance(part, dict):
            for name, value in part.items():
                look(value, name)
        elif isinstance(part, list):
            for value in part:
                look(value, key)
        elif isinstance(part, str) and key in {"text", "name", "hovertext", "ticktext"}:
            found.append(part)

    known = json.loads(figure.to_json())
    look(known["data"], "")
    look({**known["layout"], "template": None}, "")
    return found


def legend_of(figure: Any) -> list[str]:
    return [trace.name for trace in figure.data if trace.showlegend]


def named(figure: Any, name: str, kind: str) -> Any:
    """Return what is drawn under a name of the legend."""
    (trace,) = [each for each in figure.data if each.name == name and each.type == kind]
    return trace


@pytest.mark.parametrize("name", OF_HISTORY)
def test_a_picture_in_a_page_has_the_words_and_the_height_of_the_picture(name: str) -> None:
    picture = OF_HISTORY[name](day())
    figure = picture.plotly()
    assert figure.layout.height == round(picture.get_size_inches()[1] * 100)
    assert figure.layout.width is None  # as wide as there is room
    shown = [html.unescape(text).replace("<br>", "\n") for text in texts_of(figure)]
    for axes in picture.axes:
        for word in (axes.get_title(loc="left"), axes.get_ylabel(), axes.get_xlabel()):
            assert not word or word in shown, word
        legend = axes.get_legend()
        for text in legend.get_texts() if legend is not None else ():
            assert text.get_text() in shown


@pytest.mark.parametrize("name", OF_HISTORY)
def test_text_from_redis_is_neither_a_tag_nor_a_formula_in_a_page(name: str) -> None:
    frame = day(ODD)
    options = {"marks": plots.deploy_marks(frame)} if name in OVER_TIME else {}
    draw: Any = OF_HISTORY[name]
    shown = texts_of(draw(frame, **options if name != "attempts" else {}).plotly())
    assert not [text for text in shown if "<" in text.replace("<br>", "")]
    assert not [text for text in shown if "$" in text or "\\$" in text]
    assert not [text for text in shown if "\x1b" in text or "\u202e" in text]
    if name != "retry_ladder":
        assert any(r"&#36;\frac{a" in text for text in shown)


def test_bars_have_the_counts_of_the_frame() -> None:
    figure = plots.throughput(day()).plotly()
    for outcome, count in day()["outcome"].astype(str).value_counts().items():
        bars = named(figure, outcome, "bar")
        assert sum(bars.y) == count
        assert list(bars.hovertext) == [f"{height:,.0f}" for height in bars.y]


def test_steps_and_lines_tell_values_with_their_units() -> None:
    ran = jobs(*[(at, at + 0.5, at + 2.5) for at in range(1_000, 1_300, 10)])
    figure = plots.latency(ran, "1min", quantiles=[0.5]).plotly()
    told = [
        text for trace in figure.data if trace.mode != "markers" for text in trace.hovertext or ()
    ]
    assert set(told) - {""} == {"500 ms", "2 s"}
    figure = plots.queue_depth(ran, "1min").plotly()
    waited = [
        float(text)
        for trace in figure.data
        if trace.name == "mail" and trace.hovertext
        for text in trace.hovertext
    ]
    assert sum(waited) * 60 == pytest.approx(30 * 0.5)


def test_each_worker_and_host_stands_where_the_picture_has_it() -> None:
    figure = plots.workers(day()).plotly()
    assert len(figure.layout.yaxis.ticktext) == 8
    assert {trace.name for trace in figure.data if trace.fill} == set(legend_of(figure))
    figure = plots.utilisation(day()).plotly()
    assert list(figure.layout.yaxis.ticktext) == ["web-1", "web-2"]
    (busy,) = figure.data
    assert np.nanmax(busy.z) <= 100
    assert len(busy.x) == len(busy.z[0])


def test_entries_of_a_legend_that_are_drawn_across_the_axes_are_shown_too() -> None:
    estimate = frames.capacity(fleet(), workers=8)
    figure = plots.capacity(estimate, measured=[fleet()], target="50ms").plotly()
    assert "target 50 ms" in legend_of(figure)
    assert len(figure.layout.shapes) == 3
    figure = plots.throughput(day(), marks=plots.cron_marks(day())).plotly()
    assert legend_of(figure)[-1] == "cron slot"
    assert len(figure.layout.shapes) == len(plots.cron_marks(day()))


def test_times_have_one_offset_from_utc_which_the_axis_tells() -> None:
    change = pd.Timestamp("2026-10-25T01:00Z").timestamp()  # an hour comes twice in Berlin
    ran = jobs(*[(change + at, change + at, change + at + 1) for at in range(-7_200, 7_200, 600)])
    figure = plots.throughput(ran, "10min", tz="Europe/Berlin").plotly()
    assert figure.layout.xaxis.title.text == "time (Europe/Berlin, UTC+2)"
    times = pd.to_datetime(pd.Series(named(figure, "done", "bar").x))
    assert times.is_monotonic_increasing
    assert times.iloc[0] == pd.Timestamp("2026-10-25T01:00")
    figure = plots.throughput(ran, tz="Asia/Kolkata").plotly()
    assert figure.layout.xaxis.title.text == "time (Asia/Kolkata, UTC+5:30)"


def test_a_picture_of_nothing_says_why_in_a_page() -> None:
    figure = plots.throughput(day()[:0]).plotly()
    assert any("no executions" in text for text in texts_of(figure))
    assert figure.layout.xaxis.visible is False


def test_without_plotly_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(errors.MissingExtra, match=r"run: pip install 'workkit\[plotly\]'"):
        plots.throughput(day()).plotly()


def opened(page: Page, figure: Any, path: Path) -> None:
    figure.write_html(path, include_plotlyjs=True, include_mathjax=False)
    page.goto(path.as_uri())
    page.locator(".gtitle, .annotation-text, .infolayer").first.wait_for(state="attached")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_browser_shows_the_texts_as_they_are_and_values_at_the_pointer(tmp_path: Path) -> None:
    chromium = need_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": 950, "height": 700})
            page.set_default_timeout(120_000)
            ran = jobs((0, 0, 1), (0, 0, 1), (100, 100, 101), name="<b>$x$</b>")
            opened(page, plots.throughput(ran, "10s", by="name").plotly(), tmp_path / "a.html")
            assert page.locator(".legendtext").all_text_contents() == ["<b>$x$</b>"]
            bar = page.locator(".bars .point path").first.bounding_box()
            assert bar is not None
            page.mouse.move(bar["x"] + bar["width"] / 2, bar["y"] + bar["height"] / 2)
            pointer = page.locator(".hoverlayer .hovertext")
            pointer.wait_for()
            assert (pointer.locator(".nums").text_content() or "").endswith("2")
            assert pointer.locator(".name").text_content() == "<b>$x$</b>"
        finally:
            browser.close()
