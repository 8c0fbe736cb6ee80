"""How the console writes numbers and times."""

from __future__ import annotations

import pytest

from workkit_tui.model.words import ago, brief


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, "-"), (0, "0ms"), (999, "999ms"), (1_000, "1.0s"), (9_940, "9.9s"), (12_300, "12s"),
        (99_999, "100s"), (100_000, "1.7m"), (5_999_999, "100m"), (6_000_000, "1.7h"),
        (172_799_999, "48h"), (172_800_000, "2d"), (864_000_000, "10d"),
    ],
)  # fmt: skip
def test_a_duration_takes_few_characters(ms: int | None, text: str) -> None:
    assert brief(ms) == text
    assert len(text) <= 5


def test_the_age_of_a_job_with_a_time_of_hundreds_of_digits_is_told() -> None:
    assert ago(10**400, 1.5) == "0s"
    assert ago(-(10**400), 1.5).endswith("d")
