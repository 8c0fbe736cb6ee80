"""Hypothesis works a world, and shrinks what breaks a rule to a few steps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.support.handlers import nothing
from workkit import Call, InvalidOption
from workkit.simulation import Checker, Violation
from workkit.simulation.redis.lua import Scripts
from workkit.simulation.stateful import WorkkitMachine

INVARIANTS = {"rules_hold", "pauses_seldom", "seed_is_that_of_the_options", "teardown"}
NUMBER = st.fixed_dictionaries({"n": st.integers(0, 3)})


class Limited(WorkkitMachine):
    args = {"work": NUMBER}  # noqa: RUF012 - as users write it

    def build(self) -> None:
        for _ in range(2):
            pool = self.sim.pool(concurrency=3)
            pool.job("work", nothing, takes=50, max_concurrency=2)


def play(machine: type[RuleBasedStateMachine], examples: int = 60) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=12, derandomize=True, database=None,
            deadline=None, print_blob=False, phases=(Phase.generate, Phase.shrink),
        ),
    )  # fmt: skip


def steps(error: BaseException) -> list[str]:
    """Return the names of the steps of a falsifying example, without those of invariants."""
    names = re.findall(r"^state\.(\w+)\(", "\n".join(error.__notes__), re.MULTILINE)
    return [name for name in names if name not in INVARIANTS]


def test_the_engine_keeps_its_rules_whatever_hypothesis_does() -> None:
    play(Limited, examples=15)


@pytest.mark.slow
def test_a_limit_that_is_exceeded_by_one_is_found_and_shrunk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Scripts.run
    right = b"if room < want then want, why = math.max(room, 0), 'limit' end"

    def overrun(self: Scripts, source: bytes, *rest: Any) -> Any:
        assert right in source or b"local room" not in source
        return run(self, source.replace(right, right.replace(b"room", b"room + 1")), *rest)

    monkeypatch.setattr(Scripts, "run", overrun)
    with pytest.raises(Violation, match="max_concurrency is never exceeded") as found:
        play(Limited)
    assert steps(found.value) == ["enqueue"] * 3


class Waiting(Checker):
    rule = "at most two jobs are scheduled"

    def changed(self, change: Any) -> None:
        if len(self.scene.standing("scheduled")) > 2:
            self.violated("one more")


class Counting(Limited):
    """Adds a rule, an invariant and a checker."""

    checkers: ClassVar[Sequence[Checker]] = (Waiting(),)
    options = {"seed": 5}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.pauses = 0

    @rule()
    def pause(self) -> None:
        self.sim.client.pause("work")
        self.pauses += 1

    @invariant()
    def pauses_seldom(self) -> None:
        assert self.pauses < 3, "too many pauses"


def test_checkers_of_ones_own_are_invariants() -> None:
    class Scheduling(Counting):
        @rule(n=st.integers(0, 9))
        def schedule(self, n: int) -> None:
            self.sim.enqueuer.enqueue_in("work", 60, {"n": n})

        def pause(self) -> None: ...

    with pytest.raises(Violation, match="at most two jobs are scheduled") as found:
        play(Scheduling)
    assert len(steps(found.value)) == 3


def test_rules_and_invariants_of_ones_own_are_shrunk_too() -> None:
    class Pausing(Counting):
        checkers: ClassVar[Sequence[Checker]] = ()

        @invariant()
        def seed_is_that_of_the_options(self) -> None:
            assert self.sim.seed == 5

    with pytest.raises(AssertionError, match="too many pauses") as found:
        play(Pausing)
    assert steps(found.value) == ["pause"] * 3


class Endless(Limited):
    settles_within_s = 7_200.0

    def build(self) -> None:
        self.sim.pool().job("work", lambda job: self.sim.enqueuer.enqueue("work"), takes=3_600)


def test_a_world_that_does_not_come_to_rest_fails_at_the_end() -> None:
    machine = Endless()
    machine.enqueue(Call("work"))
    with pytest.raises(AssertionError, match="the world is not at rest after 7200 s"):
        machine.teardown()


class Unnamed(Limited):
    args = {"wrok": NUMBER}  # noqa: RUF012


class Empty(Limited):
    args = {}  # noqa: RUF012

    def build(self) -> None:
        self.sim.pool()


@pytest.mark.parametrize(
    ("machine", "error", "message"),
    [
        (Unnamed, InvalidOption, "'wrok', and no pool has such a job; did you mean work"),
        (Empty, InvalidOption, r"Empty\.build has registered no job"),
        (WorkkitMachine, NotImplementedError, "needs a method build"),
    ],
)
def test_a_machine_that_lacks_something_says_what(
    machine: type[WorkkitMachine], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        machine()
