"""Fixtures of the tests of the command line."""

from __future__ import annotations

import pytest

from tests.tools.cli.shell import Shell


@pytest.fixture
def shell(redis_url: str, namespace: str) -> Shell:
    """Commands on this test's namespace."""
    return Shell(redis_url, namespace)
