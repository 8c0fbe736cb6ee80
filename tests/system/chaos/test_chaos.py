"""Every scenario at small size; `make chaos` runs them at full size."""

from __future__ import annotations

import pytest

from tests.system.chaos.scenarios import SCENARIOS
from tests.system.chaos.stage import SHORT, silent
from tests.system.chaos.verdict import Verdict, table

#: On a machine that is busy with other things slots may be idle when they should not.
ATTEMPTS = 3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def check(verdict: Verdict) -> None:
    shown = "\n".join([table([verdict]), *verdict.notes])
    assert verdict.lost == 0, shown
    assert verdict.duplicates <= verdict.duplicates_at_most, shown
    assert verdict.unmended == []


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_accepted_job_is_lost_and_only_what_was_held_runs_twice(name: str) -> None:
    for _ in range(ATTEMPTS):
        verdict = SCENARIOS[name](SHORT, silent)
        check(verdict)
        if verdict.counts:
            return
    pytest.fail(f"half the slots were idle at the faults, {ATTEMPTS} times")
