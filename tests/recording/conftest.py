"""A stage for each test, empty or with a past."""

from __future__ import annotations

from tests.support.staged import past, stage

__all__ = ["past", "stage"]
