"""The measurements run; their results are not judged here."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.system.endurance import long, many

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def test_an_hour_of_load_in_two_seconds(tmp_path: Path) -> None:
    options = ["--minutes", "0.03", "--every", "0.3", "--out", str(tmp_path)]
    shown = CliRunner().invoke(long.main, options, catch_exceptions=False)
    assert shown.exit_code == 0
    assert "process 2: file descriptors" in shown.output
    assert "| grow for two days |" in shown.output
    assert (tmp_path / "long.csv").read_text().count("\n") > 2


def test_a_few_pools_stand_for_fifty() -> None:
    options = ["--jobs", "400", "--idle", "0.2", "--slots", "2", "--largest", "2"]
    shown = CliRunner().invoke(many.main, options, catch_exceptions=False)
    assert shown.exit_code == 0
    assert "| 2 x 5 x 2 | 30 |" in shown.output
