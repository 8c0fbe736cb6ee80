"""A short soak: no check of a healthy worker fails under load, restarts and pauses."""

from __future__ import annotations

import pytest

from tests.system.alarms.soak import soak

pytestmark = [pytest.mark.slow, pytest.mark.one_server]


def test_no_health_check_fails_under_a_mixed_load() -> None:
    watched, enqueued = soak(8.0, every_s=0.2, disturb_s=3.0)
    assert [(each.name, each.alarms) for each in watched if each.alarms] == []
    assert all(each.asked["readyz"] and each.asked["livez"] for each in watched)
    assert enqueued
