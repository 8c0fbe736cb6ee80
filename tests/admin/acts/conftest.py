"""A stage for each test."""

from __future__ import annotations

from tests.support.staged import stage

__all__ = ["stage"]
