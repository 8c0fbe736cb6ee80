"""Observers of a pool, which its own loops call."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import pytest

from tests.engine.conftest import MakePool
from tests.engine.signals import PATIENCE_S
from workkit import Enqueuer
from workkit.engine.observing import Executed, PoolObserver
from workkit.errors import InvalidOption

pytestmark = pytest.mark.one_server


def test_an_observer_that_wants_to_end_the_process_ends_no_pool(
    make_pool: MakePool, enqueuer: Enqueuer
) -> None:
    pool = make_pool(concurrency=1)
    pool.job("work", lambda job: None)

    class Leaves(PoolObserver):
        def executed(self, executions: Sequence[Executed]) -> None:
            sys.exit(3)

    pool.observe(Leaves())
    with pool:
        enqueuer.enqueue_many([("work", None)] * 3)
        assert pool.drain(PATIENCE_S).complete
        assert pool.totals["done"] == 3
        assert pool.running


@pytest.mark.parametrize("wrong", [None, 5, "metrics", object(), PoolObserver, lambda jobs: None])
def test_what_is_no_observer_is_refused_where_it_is_given(make_pool: MakePool, wrong: Any) -> None:
    with pytest.raises(InvalidOption, match="an observer is an object of a subclass of"):
        make_pool().observe(wrong)
