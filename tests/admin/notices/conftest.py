"""Fixtures: an empty namespace in which time stands still."""

from tests.support.staged import stage

__all__ = ["stage"]
