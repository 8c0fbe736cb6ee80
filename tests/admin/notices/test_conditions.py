"""The grammar of conditions: what is read, and where a mistake is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.house.sources import ROOT
from workkit.admin.notices.conditions import DEFAULTS, Condition, Subject, read_condition
from workkit.admin.notices.measures import MEASURES, Measure
from workkit.errors import InvalidQuery

_PERIODS_S = (1.0, 60.0, 3_600.0, 86_400.0)
_NUMBERS = st.one_of(st.integers(0, 10**9).map(float), st.decimals(0, 10**6, places=3).map(float))
_SUBJECTS = st.builds(Subject, st.text(min_size=1), st.just(value=True)) | st.builds(
    Subject, st.text(min_size=1).map(lambda text: f"{text}*"), st.just(value=False)
).filter(lambda s: '"' not in s.text and "]" not in s.text and s.text == s.text.strip(" \t"))


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    measure: Measure | None = draw(st.sampled_from([None, *MEASURES.values()]))
    hold_s = draw(st.just(0.0) | _NUMBERS)
    if measure is None:
        return Condition(None, hold_s=hold_s)
    return Condition(
        measure,
        draw(st.none() | _SUBJECTS) if measure.of else None,
        draw(st.sampled_from([">", ">=", "<", "<="])),
        draw(_NUMBERS),
        draw(st.sampled_from(_PERIODS_S)) if measure.unit == "jobs/period" else 0.0,
        hold_s,
    )


@given(conditions())
def test_a_condition_is_read_from_how_it_is_written(condition: Condition) -> None:
    assert read_condition(str(condition)) == condition


_PIECES = (
    *MEASURES, "attention", "[", "]", '"', "\\", "*", ">", ">=", "<", "5", "5m", "/min", "for", " ",
)  # fmt: skip


@given(st.text() | st.lists(st.sampled_from(_PIECES)).map("".join))
def test_any_text_is_read_or_refused_at_a_place_in_it(text: str) -> None:
    try:
        condition = read_condition(text)
    except InvalidQuery as refused:
        error = refused
    else:
        assert read_condition(str(condition)) == condition
        return
    assert 0 <= error.at <= len(text)
    assert error.reason


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("dead.rate>5/min", "dead.rate>5/min"),
        ("dead.rate > 5/m", "dead.rate>5/min"),
        ("dead.rate", "dead.rate>0/min"),
        ("queue.latency", "queue.latency>5m"),
        ("queue.latency[mail]>90 for 2m", "queue.latency[mail]>90s for 2m"),
        ("queue.count[mail*] >= 1000", "queue.count[mail*]>=1000"),
        ('queue.count["a]*\\""]>1', 'queue.count["a]*\\""]>1'),
        ("pools.alive", "pools.alive<1"),
        ("  attention  for 30s ", "attention for 30s"),
    ],
)
def test_short_forms_stand_for_the_defaults(text: str, written: str) -> None:
    assert str(read_condition(text)) == written


@pytest.mark.parametrize(
    ("text", "at", "reason"),
    [
        ("", 0, "a measure is missing; known are attention, dead.count"),
        ("ded.rate>5/min", 0, "unknown measure 'ded.rate'; did you mean dead.rate?"),
        ("dead.rate>5", 10, "'5' is not a rate; write it as in 'dead.rate>5/min'"),
        ("dead.rate[mail]>5/min", 9, "dead.rate is of the whole namespace"),
        ("queue.count", 11, "queue.count needs a threshold"),
        ("queue.count[mail>5", 18, "']' is missing"),
        ("queue.count[]>5", 11, "the name is missing"),
        ('queue.count["a]>5', 17, "the closing '\"' is missing"),
        ("queue.count>many", 12, "'many' is not a number"),
        ("queue.latency>5parsecs", 14, "'5parsecs' is not a span of time"),
        ("queue.latency=5m", 13, "only >, >=, < or <= with a threshold"),
        ("queue.latency>5m or more", 17, "only >, >=, < or <= with a threshold"),
        ("lock.drift for", 14, "a span of time is missing"),
    ],
)
def test_a_mistake_is_shown_at_its_place_with_the_remedy(text: str, at: int, reason: str) -> None:
    with pytest.raises(InvalidQuery) as caught:
        read_condition(text)
    assert caught.value.at == at
    assert caught.value.reason.startswith(reason)


def test_a_star_stands_for_any_characters_but_in_quotes() -> None:
    pattern = read_condition("queue.count[a*c]>1").subject
    name = read_condition('queue.count["a*c"]>1').subject
    assert pattern is not None
    assert name is not None
    assert [pattern.matches(text) for text in ("ac", "a\nc", "abcd", "a.c")] == [
        True, True, False, True,
    ]  # fmt: skip
    assert [name.matches(text) for text in ("ac", "a*c")] == [False, True]


def test_the_defaults_are_conditions() -> None:
    assert [str(read_condition(text)) for text in DEFAULTS] == [
        "attention", "cron.missed>1m", "lock.drift>0",
    ]  # fmt: skip


def test_the_manual_has_a_row_for_each_measure_with_its_default() -> None:
    manual = (ROOT / "docs" / "cli.md").read_text("utf-8")
    for name, measure in MEASURES.items():
        default = "none"
        if measure.default is not None:
            default = f"`{str(read_condition(name)).removeprefix(name)}`"
        subject = "[NAME]" if measure.of else ""
        assert f"| `{name}{subject}` | {measure.meaning} | {default} |" in manual
