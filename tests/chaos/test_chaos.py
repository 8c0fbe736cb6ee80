"""Every scenario at small size; `make chaos` runs them at full size."""

from __future__ import annotations

import pytest

from tests.chaos.scenarios import SCENARIOS
from tests.chaos.stage import SHORT, silent
from tests.chaos.verdict import Verdict, table

pytestmark = [pytest.mark.slow, pytest.mark.timeout(170)]


def check(verdict: Verdict) -> None:
    shown = "\n".join([table([verdict]), *verdict.notes])
    assert verdict.lost == 0, shown
    assert verdict.duplicates <= verdict.duplicates_at_most, shown
    assert verdict.counts, shown


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_accepted_job_is_lost_and_only_what_was_held_runs_twice(name: str) -> None:
    check(SCENARIOS[name](SHORT, silent))
