"""A slot that has run may start again only in a pool that was taken for dead with its claim."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from workkit.core.options import JobOptions
from workkit.simulation.checkers import HandlerRun, JobPlace, Move, PlacedJob, RedisChange
from workkit.simulation.checkers.claims import TakenSlots

SLOT = "periodic:tick:@every 20s:1800000000"
SCENE: Any = SimpleNamespace(host=lambda pool_id: pool_id.removesuffix("'"))
HERE, THERE = (JobPlace("in progress", "tick", each) for each in ("here", "there"))
QUEUED = JobPlace("queued", "tick")
RUN = HandlerRun("here", "tick", SLOT, None, 0, JobOptions(), 1)


def moved(command: str, pool: str, before: JobPlace, after: JobPlace | None) -> RedisChange:
    old, new = (each and PlacedJob(SLOT, b"{}", None, each) for each in (before, after))
    return RedisChange(command, pool, 0.0, (Move(old, new),), ())


CLAIM = moved("exchange", "here", QUEUED, HERE)
REAP = moved("reap", "there", HERE, QUEUED)
GO_REAP = moved("go_requeue", "", HERE, QUEUED)
RETURN = moved("exchange", "here", HERE, QUEUED)
ADOPT = moved("adopt", "here", HERE, JobPlace("in progress", "tick", "here'"))


@pytest.mark.parametrize(
    ("changes", "excused"),
    [
        pytest.param([CLAIM, REAP], True, id="reaped with its claim"),
        pytest.param([CLAIM, GO_REAP], True, id="reaped by a Go pool"),
        pytest.param([CLAIM, ADOPT, moved("reap", "there", THERE, QUEUED)], False, id="adopted"),
        pytest.param([CLAIM], False, id="not taken for dead"),
        pytest.param([CLAIM, RETURN], False, id="given back"),
        pytest.param([CLAIM, RETURN, REAP], False, id="given back before"),
        pytest.param([], False, id="never claimed"),
    ],
)
def test_a_pool_is_excused_only_if_its_claim_was_taken_from_it(
    changes: list[RedisChange], excused: bool
) -> None:
    taken = TakenSlots()
    for change in changes:
        taken.changed(SCENE, change, ())
    assert taken.excuse(RUN) is excused
    assert not taken.excuse(RUN)  # each claim excuses one start


def test_a_claim_of_a_slot_that_has_run_excuses_nothing() -> None:
    taken = TakenSlots()
    for change in (CLAIM, REAP):
        taken.changed(SCENE, change, {SLOT})
    assert not taken.excuse(RUN)


def test_a_crashed_pool_has_no_excuse() -> None:
    taken = TakenSlots()
    for change in (CLAIM, REAP):
        taken.changed(SCENE, change, ())
    taken.crashed("here")
    assert not taken.excuse(RUN)
