"""Decisions of a supervisor, on a clock that the test sets; processes are numbers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workkit.core.entropy import Entropy
from workkit.tools.supervisor.policy import (
    KILLED,
    Action,
    End,
    Limits,
    Policy,
    Say,
    SendSignal,
    Start,
)

MIB: Final = 1 << 20
LONG_S: Final = 3_600.0


class SupervisorScene:
    """A policy, a clock, and the actions so far."""

    def __init__(self, processes: int = 1, seed: int = 1, **limits: int) -> None:
        explained = frozenset({2, 69, 70})
        self.policy = Policy(
            Limits(
                processes,
                limits.get("max_jobs"),
                limits.get("max_rss_bytes"),
                explained,
                frozenset({2}),
            ),
            Entropy(seed),
        )
        self.now_s = 1_000.0
        self.slots: dict[int, int] = {}
        self.alive: set[int] = set()
        self.sent: list[tuple[int, str]] = []
        self.said: list[str] = []
        self.errors: list[str] = []
        self.code: int | None = None
        self.tick()

    def take(self, actions: Iterable[Action]) -> None:
        for action in actions:
            assert self.code is None, "an action after the end"
            match action:
                case Start(child, slot):
                    assert child not in self.slots
                    self.slots[child] = slot
                    self.alive.add(child)
                    self.policy.spawned(child, 100 + child)
                case SendSignal(child, what):
                    assert child in self.alive
                    self.sent.append((child, what))
                case Say(level, text):
                    self.said.append(text)
                    if level >= logging.ERROR:
                        self.errors.append(text)
                case End(code):
                    assert not self.alive
                    self.code = code

    def tick(self) -> None:
        self.take(self.policy.tick(self.now_s))

    def wait(self, seconds: float) -> None:
        """Let time pass, waking the policy when it wants to be woken."""
        until_s = self.now_s + seconds
        while (due_s := self.policy.due_s) is not None and due_s <= until_s:
            self.now_s = max(due_s, self.now_s)
            self.tick()
            assert self.policy.due_s is None or self.policy.due_s > self.now_s
        self.now_s = until_s

    def ready(self, *children: int) -> None:
        for child in children:
            self.take(self.policy.ready(child, self.now_s))

    def exit(self, child: int, code: int = 0) -> None:
        self.alive.remove(child)
        self.take(self.policy.exited(child, code, self.now_s))

    def report(self, child: int, jobs: int = 0, rss_bytes: int = 0) -> None:
        self.take(self.policy.reported(child, jobs, rss_bytes, self.now_s))

    def stop(self, cause: str = "SIGTERM") -> None:
        self.take(self.policy.stop(cause, self.now_s))

    def edit(self) -> None:
        self.take(self.policy.edited("tasks.py has changed", self.now_s))

    def renew(self) -> None:
        self.take(self.policy.renew("SIGHUP", self.now_s))


def running(processes: int, **limits: int) -> SupervisorScene:
    """A stage on which all processes have run for long."""
    stage = SupervisorScene(processes, **limits)
    stage.ready(1)
    stage.ready(*range(2, processes + 1))
    stage.wait(LONG_S)
    assert sorted(stage.slots.values()) == list(range(1, processes + 1))
    return stage


# The start


def test_the_first_process_is_alone_until_it_is_ready() -> None:
    stage = SupervisorScene(3)
    stage.wait(LONG_S)
    assert stage.alive == {1}
    stage.ready(1)
    assert stage.slots == {1: 1, 2: 2, 3: 3}


@pytest.mark.parametrize("code", [2, 69, 70])
def test_a_first_process_that_says_why_it_does_not_start_is_the_only_one_to_speak(
    code: int,
) -> None:
    stage = SupervisorScene(3)
    stage.exit(1, code)
    assert (stage.code, stage.said) == (code, [])


@pytest.mark.parametrize(
    ("code", "ending", "shown"),
    [
        (3, 3, "ended with exit code 3"),
        (0, 1, "ended"),
        (-11, 139, "was ended by SIGSEGV"),
        (-40, 168, "was ended by signal 40"),
    ],
)
def test_a_first_process_that_ends_without_a_word_is_spoken_for(
    code: int, ending: int, shown: str
) -> None:
    stage = SupervisorScene(2)
    stage.exit(1, code)
    assert (stage.code, stage.said) == (
        ending,
        [f"process 1 (pid 101) {shown} before it was ready"],
    )


# Deaths


def test_what_dies_after_a_long_life_is_started_again_at_once() -> None:
    stage = running(2)
    stage.exit(2, -9)
    assert stage.slots[3] == 2
    assert stage.errors == [
        "process 2 (pid 102) was ended by SIGKILL, perhaps for lack of memory; starting another one"
    ]


def test_what_dies_quickly_is_started_again_after_growing_waits_that_have_a_bound() -> None:
    stage = running(1)
    stage.exit(1, 1)
    waits = []
    for child in range(2, 14):
        stage.ready(child)
        stage.exit(child, 1)
        assert not stage.alive
        due_s = stage.policy.due_s
        assert due_s is not None
        waits.append(due_s - stage.now_s)
        stage.wait(waits[-1])
        assert stage.alive == {child + 1}
    bounds = [1, 2, 4, 8, 16, *[30] * 7]
    assert all(bound / 2 <= wait <= bound for wait, bound in zip(waits, bounds, strict=True))
    assert len(set(waits)) == len(waits)
    assert f"starting another one in {waits[3]:.1f} s" in stage.errors[4]

    stage.ready(14)
    stage.wait(LONG_S)
    stage.exit(14, 1)
    assert stage.alive == {15}, "a long life is forgiven"


def test_one_that_dies_before_it_is_ready_is_tried_again_and_the_others_go_on() -> None:
    stage = running(2)
    stage.exit(2, -9)
    stage.exit(3, 2)
    assert "process 2 (pid 103) ended with exit code 2 before it was ready; " in stage.errors[1]
    stage.wait(1)
    assert stage.alive == {1, 4}
    assert stage.sent == []


# Replacing


def test_a_process_is_replaced_after_its_jobs_by_one_that_runs_already() -> None:
    stage = running(1, max_jobs=1_000)
    stage.report(1, jobs=999)
    assert stage.alive == {1}
    stage.report(1, jobs=1_101)
    stage.report(1, jobs=1_200)
    assert stage.alive == {1, 2}
    assert stage.sent == []
    stage.ready(2)
    assert stage.sent == [(1, "retire")]
    stage.exit(1)
    assert stage.said[1:] == [
        "process 1 (pid 101) has run 1,101 jobs and is to be replaced",
        "process 1 (pid 102) runs; process 1 (pid 101) takes no more jobs",
        "process 1 (pid 101) ended",
    ]
    stage.wait(LONG_S)
    assert stage.alive == {2}


def test_processes_are_replaced_after_different_numbers_of_jobs() -> None:
    stage = running(20, max_jobs=1_000)
    worn = set()
    for jobs in range(1_000, 1_101):
        for child in range(1, 21):
            said = len(stage.said)
            stage.report(child, jobs=jobs)
            if len(stage.said) > said:
                worn.add((child, jobs))
    assert len(worn) == 20
    assert len({jobs for _, jobs in worn}) > 10


def test_one_replacement_starts_at_a_time() -> None:
    stage = running(3, max_jobs=10)
    for child in (1, 2, 3):
        stage.report(child, jobs=100)
    assert stage.alive == {1, 2, 3, 4}
    stage.ready(4)
    assert stage.alive == {1, 2, 3, 4, 5}
    assert stage.sent == [(1, "retire")]
    stage.ready(5)
    stage.ready(6)
    assert stage.sent == [(1, "retire"), (2, "retire"), (3, "retire")]


def test_a_process_is_replaced_when_it_takes_too_much_memory() -> None:
    stage = running(1, max_rss_bytes=500 * MIB)
    stage.report(1, rss_bytes=500 * MIB)
    assert stage.alive == {1}
    stage.report(1, rss_bytes=501 * MIB)
    assert stage.alive == {1, 2}
    assert stage.said[-1] == "process 1 (pid 101) takes 501 MiB and is to be replaced"


def test_a_limit_that_is_too_low_for_the_application_is_named_and_does_not_replace_in_a_loop() -> (
    None
):
    stage = running(1, max_rss_bytes=10 * MIB)
    stage.exit(1)
    for child in range(2, 40):
        stage.wait(60)
        stage.ready(child)
        stage.report(child, rss_bytes=40 * MIB)
        assert "so soon; raise --max-rss" in stage.said[-1]
        stage.wait(0.4)
        assert child + 1 not in stage.slots
    due_s = stage.policy.due_s
    assert due_s is not None
    assert 14 < due_s - stage.now_s <= 30


def test_all_are_replaced_on_request_and_the_newest_as_well() -> None:
    stage = running(2)
    stage.renew()
    assert stage.alive == {1, 2, 3}
    stage.renew()
    stage.ready(3)
    assert stage.sent == [(1, "retire")]
    stage.ready(4)
    stage.ready(5)
    stage.wait(1)
    assert {child for child, _ in stage.sent} == {1, 2, 3}
    assert stage.alive - {1, 2, 3} == {4, 5}


def test_a_replacement_that_does_not_start_leaves_the_old_process_at_work() -> None:
    stage = running(2)
    stage.renew()
    stage.exit(3, 2)
    assert "process 1 (pid 103) ended with exit code 2 before it was ready" in stage.errors[0]
    assert stage.errors[0].endswith("; process 1 (pid 101) goes on")
    assert (stage.alive, stage.sent) == ({1, 2}, [])
    stage.wait(1)
    assert stage.alive == {1, 2, 4}


def test_where_the_old_process_dies_meanwhile_its_replacement_takes_its_place() -> None:
    stage = running(1)
    stage.renew()
    stage.exit(1, -9)
    assert stage.errors[0].endswith("; process 1 (pid 102) takes its place")
    assert stage.alive == {2}
    stage.ready(2)
    assert stage.sent == []
    stage.exit(2, 1)
    stage.wait(1)
    assert stage.alive == {3}


# Stopping


def test_one_request_stops_gracefully_and_the_next_ones_ever_harder() -> None:
    stage = running(2)
    stage.stop("SIGINT")
    assert stage.sent == [(1, "stop"), (2, "stop")]
    stage.exit(1)
    stage.stop("SIGTERM")
    assert stage.sent[2:] == [(2, "return")]
    stage.stop("SIGTERM")
    assert stage.sent[3:] == [(2, "kill")]
    stage.exit(2, -9)
    assert stage.code == KILLED
    assert stage.said[2:4] == ["stopping after SIGINT", "process 1 (pid 101) ended"]


def test_what_does_not_return_its_jobs_in_time_is_killed() -> None:
    stage = running(1)
    stage.stop()
    stage.wait(LONG_S)
    assert stage.sent == [(1, "stop")], "the first request leaves all the time that jobs may take"
    stage.stop()
    stage.wait(9)
    assert stage.sent[1:] == [(1, "return")]
    stage.wait(1)
    assert stage.sent[2:] == [(1, "kill")]


def test_stopping_reaches_what_starts_and_what_retires() -> None:
    stage = running(2)
    stage.renew()
    stage.ready(3)
    stage.stop()
    assert sorted(stage.sent[1:]) == [(1, "stop"), (2, "stop"), (3, "stop"), (4, "stop")]
    stage.ready(4)
    for child, code in ((1, 0), (2, 0), (3, 0), (4, -15)):
        stage.exit(child, code)
    assert (stage.code, stage.errors) == (0, [])


def test_while_it_waits_to_start_a_process_it_stops_at_once() -> None:
    stage = running(1)
    stage.exit(1, 1)
    stage.exit(2, 1)
    stage.stop()
    assert stage.code == 0


def test_stopping_before_anything_was_ready_is_no_failure() -> None:
    stage = SupervisorScene(3)
    stage.stop()
    stage.exit(1, -15)
    assert (stage.code, stage.errors) == (0, [])


# Edits


def watching(processes: int) -> SupervisorScene:
    """A stage on which all processes have run for long, and edits are noticed."""
    stage = SupervisorScene(processes)
    stage.policy.watching()
    stage.ready(1)
    stage.ready(*range(2, processes + 1))
    stage.wait(LONG_S)
    return stage


def test_an_edit_stops_all_and_starts_the_first_new_process_at_once() -> None:
    stage = watching(3)
    stage.edit()
    assert stage.sent == [(1, "stop"), (2, "stop"), (3, "stop")]
    assert stage.alive == {1, 2, 3, 4}
    stage.ready(4)
    assert {child: stage.slots[child] for child in (4, 5, 6)} == {4: 1, 5: 2, 6: 3}
    for child, code in ((1, 0), (2, -15), (3, 0)):
        stage.exit(child, code)
    stage.wait(LONG_S)
    assert (stage.alive, stage.errors) == ({4, 5, 6}, [])


def test_an_edit_reaches_what_starts_and_what_retires_once() -> None:
    stage = watching(1)
    stage.renew()
    stage.ready(2)
    stage.edit()
    stage.edit()
    assert stage.sent == [(1, "retire"), (1, "stop"), (2, "stop"), (3, "stop")]
    stage.ready(3)
    assert 4 in stage.alive
    stage.ready(4)
    assert stage.alive == {1, 2, 3, 4}, "what is ready too late stays retired"


def test_after_a_mistake_it_waits_for_the_next_edit_however_long() -> None:
    stage = watching(2)
    stage.edit()
    stage.policy.unloadable(3)
    stage.exit(3, 2)
    assert stage.policy.awaits_edit
    for child in (1, 2):
        stage.exit(child)
    stage.wait(LONG_S)
    assert (stage.alive, stage.errors, stage.code) == (set(), [], None)
    stage.edit()
    assert not stage.policy.awaits_edit
    stage.ready(4)
    assert stage.alive == {4, 5}


def test_a_start_that_fails_beside_old_processes_is_tried_once_more_without_them() -> None:
    stage = watching(2)
    stage.edit()
    stage.exit(3, 2)
    stage.exit(1)
    assert stage.alive == {2}
    stage.exit(2)
    assert stage.alive == {4}
    stage.exit(4, 2)
    assert stage.policy.awaits_edit
    stage.stop()
    assert stage.code == 0


def test_a_start_that_fails_for_another_reason_is_tried_again_without_an_edit() -> None:
    stage = watching(1)
    stage.edit()
    stage.exit(2, 69)
    assert not stage.policy.awaits_edit
    stage.wait(1)
    assert 3 in stage.alive


def test_an_edit_after_a_request_to_stop_changes_nothing() -> None:
    stage = watching(1)
    stage.stop()
    stage.edit()
    assert (stage.sent, stage.alive) == ([(1, "stop")], {1})


# Whatever happens

HAPPENINGS: Final[dict[str, Callable[[SupervisorScene, int, int], None]]] = {
    "ready": lambda stage, child, _: stage.ready(child),
    "exit": lambda stage, child, number: stage.exit(child, number % 4 - 2),
    "jobs": lambda stage, child, number: stage.report(child, jobs=number),
    "memory": lambda stage, child, number: stage.report(child, rss_bytes=number * MIB),
    "wait": lambda stage, _, number: stage.wait(number / 4),
    "renew": lambda stage, _, __: stage.renew(),
}
happenings = st.lists(
    st.tuples(st.sampled_from(sorted(HAPPENINGS)), st.integers(0, 99), st.integers(0, 200)),
    max_size=80,
)


@given(processes=st.integers(1, 4), seed=st.integers(0, 9), happenings=happenings)
def test_whatever_happens_there_are_enough_processes_never_too_many_and_all_can_be_stopped(
    processes: int, seed: int, happenings: list[tuple[str, int, int]]
) -> None:
    stage = SupervisorScene(processes, seed, max_jobs=50, max_rss_bytes=150 * MIB)
    stage.ready(1)
    at_work: set[int] = {1}

    def check() -> None:
        retiring = {child for child, what in stage.sent if what == "retire"}
        active = stage.alive - retiring
        assert len(active) <= processes + 1
        assert len(stage.sent) == len(retiring), "a process is retired once"

    for what, which, number in happenings:
        if stage.alive:
            child = sorted(stage.alive)[which % len(stage.alive)]
        elif what == "wait":
            child = 0
        else:
            continue
        before = at_work & stage.alive
        retired = len(stage.sent)
        HAPPENINGS[what](stage, child, number)
        if what == "ready":
            at_work.add(child)
        for old, _ in stage.sent[retired:]:
            at_work.discard(old)
            assert {stage.slots[new] for new in at_work & stage.alive} >= {stage.slots[old]}
        assert before - {child} <= (at_work & stage.alive) | {old for old, _ in stage.sent}
        check()

    # When all goes well, every place is filled by one process.
    for _ in range(4 * processes + 4):
        retiring = {child for child, _ in stage.sent}
        stage.ready(*(stage.alive - retiring))
        stage.wait(60)
    retiring = {child for child, _ in stage.sent}
    assert sorted(stage.slots[child] for child in stage.alive - retiring) == [
        *range(1, processes + 1)
    ]

    stage.stop()
    for child in sorted(stage.alive):
        assert (child, "stop") in stage.sent
        stage.exit(child)
    assert stage.code == 0


EDITS: Final = HAPPENINGS | {
    "edit": lambda stage, _, __: stage.edit(),
    "mistake": lambda stage, child, _: (stage.policy.unloadable(child), stage.exit(child, 2)),
}


@given(
    processes=st.integers(1, 4),
    seed=st.integers(0, 9),
    happenings=st.lists(
        st.tuples(st.sampled_from(sorted(EDITS)), st.integers(0, 99), st.integers(0, 200)),
        max_size=80,
    ),
)
def test_whatever_happened_the_last_edit_fills_every_place_with_the_new_code(
    processes: int, seed: int, happenings: list[tuple[str, int, int]]
) -> None:
    stage = SupervisorScene(processes, seed, max_jobs=50, max_rss_bytes=150 * MIB)
    stage.policy.watching()
    for what, which, number in happenings:
        if stage.alive or what in {"wait", "edit", "renew"}:
            child = sorted(stage.alive)[which % len(stage.alive)] if stage.alive else 0
            EDITS[what](stage, child, number)
            assert stage.code is None, "only a request to stop ends it"

    before = set(stage.slots)
    stage.edit()
    for _ in range(4 * processes + 4):
        stage.ready(*(stage.alive - {child for child, _ in stage.sent}))
        stage.wait(60)
    told = {child for child, _ in stage.sent}
    assert before & stage.alive <= told, "what ran the old code was stopped"
    active = stage.alive - told
    assert sorted(stage.slots[child] for child in active) == [*range(1, processes + 1)]
    assert not active & before

    stage.stop()
    for child in sorted(stage.alive):
        stage.exit(child)
    assert stage.code == 0


# Processes that hang


def hear(stage: SupervisorScene, seconds: float, *children: int) -> None:
    """Let time pass in which processes say that they are alive."""
    for _ in range(int(seconds)):
        for child in children:
            stage.policy.heard(child, stage.now_s)
        stage.wait(1)


def test_a_process_that_gives_no_sign_of_life_any_more_is_killed_and_its_place_taken() -> None:
    stage = running(2)
    hear(stage, 100, 1, 2)
    assert stage.alive == {1, 2}
    hear(stage, 40, 2)
    assert (1, "kill") in stage.sent
    assert (2, "kill") not in stage.sent
    stage.exit(1, -9)
    assert stage.said[-1].startswith("process 1 (pid 101) gave no sign of life and was killed")
    assert stage.alive == {2, 3}


def test_a_machine_that_was_suspended_kills_no_process() -> None:
    stage = running(2)
    hear(stage, 10, 1, 2)
    stage.now_s += 100_000
    stage.tick()
    hear(stage, 100, 1, 2)
    assert stage.alive == {1, 2}
    assert not [what for _, what in stage.sent if what == "kill"]


def test_a_process_that_hangs_while_it_stops_is_killed() -> None:
    stage = running(1)
    hear(stage, 10, 1)
    stage.stop()
    stage.wait(40)
    assert stage.sent == [(1, "stop"), (1, "kill")]
    stage.exit(1, -9)
    assert stage.code is not None


# Counted restarts


def test_restarts_are_counted_by_their_reason() -> None:
    scene = running(1, max_jobs=10, max_rss_bytes=MIB)
    scene.exit(1, 75)
    scene.ready(2)
    scene.exit(2, -9)
    scene.wait(LONG_S)
    scene.ready(3)
    scene.report(3, jobs=50)
    scene.ready(4)
    scene.exit(3)
    scene.wait(LONG_S)
    scene.report(4, rss_bytes=2 * MIB)
    scene.ready(5)
    scene.exit(4)
    scene.renew()
    scene.ready(6)
    scene.exit(5)
    scene.edit()
    scene.ready(7)
    scene.exit(6)
    scene.stop()
    scene.exit(7)
    assert dict(scene.policy.restarts) == dict.fromkeys(
        ("exit", "signal", "max_jobs", "max_rss", "SIGHUP", "edit"), 1
    )
    assert scene.code == 0


def test_a_process_that_was_killed_for_its_silence_counts_as_hung() -> None:
    scene = running(1)
    scene.policy.heard(1, scene.now_s)
    scene.wait(60)
    assert scene.sent == [(1, "kill")]
    scene.exit(1, -9)
    assert scene.policy.restarts == {"hung": 1}
