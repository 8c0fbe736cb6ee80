"""Fixtures of the tests of the supervisor."""

from __future__ import annotations

import pytest

from tests.tools.cli.shell import Shell


@pytest.fixture
def shell(redis_url: str, namespace: str) -> Shell:
    """Commands and workers on this test's namespace."""
    return Shell(redis_url, namespace)
