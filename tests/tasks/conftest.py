"""The stage of the engine's tests, for tasks."""

from __future__ import annotations

from tests.engine.conftest import make_pool, stage

__all__ = ["make_pool", "stage"]
