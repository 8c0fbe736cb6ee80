"""A stage for each test, empty or with history."""

from __future__ import annotations

from tests.support.staged import past, stage

__all__ = ["past", "stage"]
