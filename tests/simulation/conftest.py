"""Worlds for the tests of the simulator."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from workkit.simulation import Simulation


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "workkit")


@pytest.fixture
def sim() -> Iterator[Simulation]:
    """A world on fakeredis."""
    with Simulation(seed=7) as sim:
        yield sim
