"""Fixtures of the tests of the demo."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest


class Terminal(io.StringIO):
    """A stream that says it is a terminal, and keeps what was written."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture
def terminal() -> Callable[[], io.StringIO]:
    """Make terminals."""
    return Terminal
