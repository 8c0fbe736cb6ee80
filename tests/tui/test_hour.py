"""Series of an hour come from what the console remembers, or from a recording."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tui.pressing import App, P, remember
from tests.tui.stage import ConsoleStage, shown
from workkit.admin.trends import Digest, Sample, Trends
from workkit.core.masks import Masks
from workkit.core.records import Overview, Queue
from workkit.core.secrets import SECRETS
from workkit.recording import Recording, RecordingWriter
from workkit.recording.states import digest_event, overview_state
from workkit_tui.model.hour import MINUTES, Hours
from workkit_tui.widgets.spark import blocks, squeezed

POINTS = st.lists(st.none() | st.floats(0, 1e9), max_size=130)
START_S = 1_800_000_000


# Drawing


@given(POINTS, st.integers(1, 80))
def test_a_squeezed_series_keeps_its_peaks_and_its_end(
    points: list[float | None], columns: int
) -> None:
    found = squeezed(points, columns)
    assert len(found) <= columns
    known = [point for point in points if point is not None]
    assert max(known, default=None) == max((p for p in found if p is not None), default=None)
    if len(points) <= columns:
        assert found == points


@given(POINTS, st.integers(1, 80), st.integers(1, 3))
def test_unknown_points_stay_blank(points: list[float | None], columns: int, lines: int) -> None:
    drawn = blocks(points, columns, lines)
    assert [len(line) for line in drawn] == [columns] * lines
    shown_points = points[-columns:]
    for cell, point in zip(drawn[-1][-len(shown_points) :] if points else "", shown_points,
                           strict=True):  # fmt: skip
        assert (cell == " ") == (point is None)


# Reading


def overview(at_s: float, depth: int) -> Overview:
    """Return an overview of one queue."""
    return Overview(at_s, [Queue("mail", depth, 0)], [], 0, 0, 0, None, None, 0)


@pytest.fixture
def writer() -> Iterator[RecordingWriter]:
    made = RecordingWriter(None, "x", every_s=2, keep_s=7_200, most_bytes=16_000_000)
    yield made
    made.close()


def trends(depth: int) -> Trends:
    """Return the trends of a reading."""
    made = Trends()
    digest = Digest({"mail": 1}, wait_ms=depth, run_ms=2 * depth)
    made.add_sample(Sample(START_S, {}, {}, 0, {}, 0), digest)
    return made


def record(writer: RecordingWriter, readings: Sequence[tuple[float, int]]) -> None:
    for at_s, depth in readings:
        digest = Digest({"mail": 1}, wait_ms=depth, run_ms=2 * depth)
        event = digest_event(digest, Masks(SECRETS))
        state = overview_state(overview(at_s, depth))
        writer.write(round(at_s * 1_000), state, event, [], [])


def test_minutes_that_were_not_recorded_are_unknown(writer: RecordingWriter) -> None:
    record(writer, [(START_S + 2 * n, n) for n in range(60)])
    record(writer, [(START_S + 600 + 2 * n, 1_000 + n) for n in range(31)])
    seen = overview(START_S + 660, 1_030)
    hour = Hours(Recording(writer)).read(START_S + 660, seen, trends(1_030))
    assert len(hour.depths("mail")) == MINUTES
    known = [each for each in hour.depths("mail") if each is not None]
    assert known == [20, 50, 1_020, 1_030], "the last readings that were looked at"
    assert hour.depths("nobody")[-1] == 0
    assert hour.depths("mail")[-3] is None
    assert hour.queued == hour.depths("mail")
    assert [each for each in hour.wait_ms if each is not None] == known
    assert [each for each in hour.run_ms if each is not None] == [2 * each for each in known]


@given(
    # So far apart that each is looked at, wherever reading begins.
    st.lists(st.integers(0, 130).map(lambda n: 30 * n), min_size=1, max_size=80, unique=True),
    st.lists(st.integers(0, 4_000), min_size=1, max_size=6),
)
def test_what_was_kept_gives_the_same_as_reading_afresh(
    times_s: list[int], moments_s: list[int]
) -> None:
    writer = RecordingWriter(None, "x", every_s=2, keep_s=7_200, most_bytes=16_000_000)
    try:
        record(writer, [(START_S + at_s, at_s % 97) for at_s in sorted(times_s)])
        recording = Recording(writer)
        kept = Hours(recording)
        for moment_s in moments_s:
            at_s = START_S + moment_s
            args = at_s, overview(at_s, moment_s), trends(moment_s)
            assert kept.read(*args) == Hours(recording).read(*args)
    finally:
        writer.close()


# The console


@pytest.mark.one_server
def test_the_lists_and_the_overview_show_an_hour(stage: ConsoleStage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        for minute in range(5):
            stage.enqueuer.enqueue_many([("mail", {"n": n}) for n in range(10 * minute)])
            await remember(stage, pilot, app, 60)
        await stage.press(pilot, app, "2")
        await stage.until(pilot, lambda: not app.workers._workers)
        (head,) = [line for line in shown(app).splitlines() if "Last hour" in line]
        (mail,) = [line for line in shown(app).splitlines() if line.startswith(" mail")]
        at = head.index("Last hour")
        assert mail[at : at + 60].strip()[0] == "▁"
        assert "█" in mail[at : at + 60]
        await stage.press(pilot, app, "1")
        assert "Done 0/s" in shown(app)
        await stage.press(pilot, app, "s")
        assert "Done (1h)" in shown(app)
        assert "Waiting (1h)" in shown(app)
        await stage.press(pilot, app, "s")
        assert "(1h)" not in shown(app)

    stage.drive(play, size=(200, 40))


@pytest.mark.one_server
def test_an_hour_of_the_past_is_that_before_the_shown_time(stage: ConsoleStage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        for minute in range(3):
            stage.enqueuer.enqueue_many([("mail", {"n": n}) for n in range(10 + minute)])
            await remember(stage, pilot, app, 60)
        await stage.press(pilot, app, "2")
        await stage.until(pilot, lambda: app.hour is not None and not app.workers._workers)
        assert app.hour is not None
        assert app.hour.depths("mail")[-3:] == [22, 33, 45]
        await stage.press(pilot, app, "left_curly_bracket")
        await stage.until(pilot, lambda: not app.workers._workers)
        assert app.hour.depths("mail")[-2:] == [22, 33]

    stage.drive(play)


@pytest.mark.one_server
def test_without_a_memory_there_is_no_hour(stage: ConsoleStage) -> None:
    stage.busy()

    async def play(pilot: P, app: App) -> None:
        await stage.press(pilot, app, "2", "1", "s")
        assert app.hour is None
        said = [each.message for each in app._notifications]
        assert "Nothing is remembered of the last hour." in said

    stage.drive(play, look_back_s=0.0)
