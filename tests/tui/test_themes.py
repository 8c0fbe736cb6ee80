"""The colours of the console: contrast, and differences that everybody sees."""

from __future__ import annotations

from itertools import combinations
from typing import TypeAlias

import pytest
from rich.color import Color as TerminalColor
from rich.color_triplet import ColorTriplet
from textual.color import Color
from textual.pilot import Pilot
from textual.theme import Theme

from tests.tui.stage import ConsoleStage
from workkit.errors import InvalidOption
from workkit_tui.app import Console
from workkit_tui.settings import Settings
from workkit_tui.tabs import TABS
from workkit_tui.themes import THEMES

pytestmark = pytest.mark.one_server

RGB: TypeAlias = tuple[int, int, int]

#: WCAG 2.2: success criterion 1.4.3 for text, 1.4.11 for graphics.
TEXT, GRAPHICS = 4.5, 3.0
#: Lines between parts are decoration, which has no least contrast.
LINES = ("\u2500", "\u257f")
#: Bars and plots.
FIRST_GRAPHIC, LAST_GRAPHIC, BRAILLE = "\u2580", "\u25ff", ("\u2800", "\u28ff")
#: Machado, Oliveira and Fernandes (2009), full severity, on linear RGB.
SEEN_BY = {
    "everybody": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
#: The least distance of two colours in CIELAB that nobody takes for the same.
APART = 20.0


def linear(rgb: RGB) -> list[float]:
    return [
        part / 12.92 if (part := value / 255) <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for value in rgb
    ]


def luminance(rgb: RGB) -> float:
    red, green, blue = linear(rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: RGB, other: RGB) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def lab(rgb: RGB, eyes: str) -> tuple[float, float, float]:
    """Return the colour that somebody sees, in CIELAB."""
    given = linear(rgb)
    red, green, blue = (
        min(max(sum(a * b for a, b in zip(row, given, strict=True)), 0.0), 1.0)
        for row in SEEN_BY[eyes]
    )
    xyz = (
        (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505,
        0.2126 * red + 0.7152 * green + 0.0722 * blue,
        (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089,
    )
    x, y, z = (each ** (1 / 3) if each > 0.008856 else 7.787 * each + 16 / 116 for each in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def is_graphic(text: str) -> bool:
    return all(
        FIRST_GRAPHIC <= sign <= LAST_GRAPHIC or BRAILLE[0] <= sign <= BRAILLE[1]
        for sign in text
        if not sign.isspace()
    )


def triplet(color: TerminalColor | None) -> ColorTriplet | None:
    return None if color is None or color.is_default else color.get_truecolor()


def faint(app: Console) -> set[tuple[str, str, str, float]]:
    """Return what is hard to read on the screen: text, colours, contrast."""
    found = set()
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            style, text = segment.style, segment.text.strip()
            if not text or style is None or all(LINES[0] <= sign <= LINES[1] for sign in text):
                continue
            fore, back = triplet(style.color), triplet(style.bgcolor)
            if style.reverse:
                fore, back = back, fore
            if fore is None or back is None:
                continue
            ratio = contrast(fore, back)
            if ratio < (GRAPHICS if is_graphic(text) else TEXT):
                found.add((text[:20], fore.hex, back.hex, round(ratio, 2)))
    return found


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
@pytest.mark.parametrize("state", ["busy", "broken"])
def test_everything_on_every_screen_can_be_read(
    stage: ConsoleStage, state: str, theme: Theme
) -> None:
    getattr(stage, state)()

    async def play(pilot: Pilot[None], app: Console) -> None:
        for tab in TABS:
            await stage.press(pilot, app, tab.key)
            await stage.until(pilot, lambda: not app.workers._workers)
            await pilot.press("down", "space", "down")
            await pilot.pause()
            assert faint(app) == set(), tab.name

    stage.drive(play, size=(160, 50), theme=theme.name)


@pytest.mark.parametrize(
    ("theme", "eyes"),
    [
        pytest.param(theme, eyes, id=f"{theme.name}-{eyes}")
        for theme in THEMES
        for eyes in SEEN_BY
        if eyes == "everybody" or "colour-blind" in theme.name
    ],
)
def test_good_doubtful_and_broken_are_told_apart(theme: Theme, eyes: str) -> None:
    colors = [theme.success, theme.warning, theme.error]
    for one, other in combinations(colors, 2):
        assert one is not None
        assert other is not None
        seen = [lab(Color.parse(each).rgb, eyes) for each in (one, other)]
        distance = sum((a - b) ** 2 for a, b in zip(*seen, strict=True)) ** 0.5
        assert distance > APART, (one, other, round(distance, 1))


def test_a_theme_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(InvalidOption, match="no theme 'wrkkit'; choose one of: workkit, .*nord"):
        Settings(theme="wrkkit")
