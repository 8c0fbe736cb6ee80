"""Which queue is drawn next: by weight, among those that may have jobs."""

from __future__ import annotations

from collections import Counter
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workkit.core import job as wire
from workkit.core.entropy import Entropy
from workkit.core.options import JobOptions
from workkit.engine.dispatch.board import QueueBoard
from workkit.engine.handling.execution import Execution
from workkit.engine.handling.handlers import Chain, read_handler

DRAWS: Final = 100_000
#: The 99.9th percentile of chi-square, by degrees of freedom.
CHI_SQUARE_999: Final = {1: 10.83, 2: 13.82, 3: 16.27, 4: 18.47, 5: 20.52}

NAMES: Final = st.sampled_from("abcdef")


def board(
    priorities: dict[str, int], *, limits: dict[str, int] | None = None, seed: int = 1
) -> QueueBoard:
    return QueueBoard(priorities, limits or {}, Entropy(seed))


def has_resigned(tested: QueueBoard) -> bool:
    return tested.any_thought_empty


def has_hope(tested: QueueBoard) -> bool:
    return tested.may_have_jobs


def chi_square(seen: Counter[str], weights: dict[str, int]) -> float:
    total, drawn = sum(weights.values()), sum(seen.values())
    return sum(
        (seen[name] - drawn * weight / total) ** 2 / (drawn * weight / total)
        for name, weight in weights.items()
    )


# Weights


def test_each_queue_is_drawn_in_proportion_to_its_priority() -> None:
    weights = {"a": 1, "b": 2, "c": 10, "d": 100, "e": 1_000}
    seen = Counter(board(weights, seed=11).draw(DRAWS, 0))
    assert sum(seen.values()) == DRAWS
    assert chi_square(seen, weights) < CHI_SQUARE_999[4]


def test_one_draw_at_a_time_has_the_same_proportions_as_many_at_once() -> None:
    weights = {"a": 5, "b": 3, "c": 2}
    one = board(weights, seed=12)
    seen: Counter[str] = Counter()
    for _ in range(DRAWS):
        seen.update(one.draw(1, 0))
    assert chi_square(seen, weights) < CHI_SQUARE_999[2]


def test_queues_without_jobs_leave_the_proportions_of_the_others_as_they_were() -> None:
    weights = {"a": 1, "b": 2, "c": 10, "d": 4}
    some = board(weights, seed=13)
    some.mark_empty("c")
    seen = Counter(some.draw(DRAWS, 0))
    del weights["c"]
    assert seen["c"] == 0
    assert chi_square(seen, weights) < CHI_SQUARE_999[2]


def test_what_is_held_in_advance_is_drawn_by_weight_among_queues_without_a_limit() -> None:
    weights = {"a": 1, "b": 4, "limited": 50}
    seen = Counter(board(weights, limits={"limited": 9}, seed=14).draw(0, DRAWS))
    del weights["limited"]
    assert seen["limited"] == 0
    assert chi_square(seen, weights) < CHI_SQUARE_999[1]


# Limits


@given(st.sets(NAMES, min_size=1), st.sets(NAMES), st.integers(0, 50), st.integers(0, 50))
def test_a_queue_with_a_limit_is_never_drawn_in_advance(
    names: set[str], limited: set[str], free: int, ahead: int
) -> None:
    board = QueueBoard(dict.fromkeys(names, 1), dict.fromkeys(limited, 1), Entropy(1))
    drawn = board.draw(free, ahead)
    assert sum(count for name, count in drawn.items() if name in limited) <= free
    expected = free + (ahead if names - limited else 0)
    assert sum(drawn.values()) == expected
    assert all(count > 0 for count in drawn.values())


def test_a_queue_with_a_limit_is_drawn_for_free_workers() -> None:
    assert board({"a": 1}, limits={"a": 5}).draw(3, 9) == {"a": 3}


def test_a_board_knows_whether_a_draw_would_give_something() -> None:
    limited = board({"a": 1}, limits={"a": 5})
    assert [limited.may_give(1, 0), limited.may_give(0, 9), limited.may_give(0, 0)] == [
        True, False, False,
    ]  # fmt: skip
    assert board({"a": 1, "b": 1}, limits={"a": 5}).may_give(0, 1)
    assert not board({}).may_give(5, 5)


def ghost_of(queue: str) -> Execution:
    """A handler that still runs for a job that another pool has taken over."""
    handler = read_handler(repr, queue, has_context=False)
    raw = wire.encode(queue, "x", 1, b"null")
    return Execution(wire.read(raw), raw, queue, Chain(handler, (), None), JobOptions(), 1.0)


@pytest.mark.parametrize(
    ("ghosts", "ours", "claims", "capped"),
    [
        ("", "", {"a": 5, "b": 5}, {"a": 5, "b": 5}),
        ("", "aaa", {"a": 5}, {"a": 5}),  # the limit in Redis counts these
        ("a", "", {"a": 3}, {"a": 2}),
        ("aa", "", {"a": 3, "b": 5}, {"a": 1, "b": 5}),
        ("aaaa", "", {"a": 3, "b": 5}, {"b": 5}),
        ("a", "a", {"a": 3}, {"a": 1}),
        ("aa", "abb", {"a": 3, "b": 5}, {"b": 5}),
        ("aa", "", {"a": 1}, {"a": 1}),
        ("bb", "bb", {"b": 5}, {"b": 5}),
        ("a", "", {"b": 1}, {"b": 1}),
    ],
)
def test_handlers_of_jobs_that_were_taken_over_count_against_the_limit(
    ghosts: str, ours: str, claims: dict[str, int], capped: dict[str, int]
) -> None:
    both = board({"a": 1, "b": 1}, limits={"a": 3})
    running, held = ([ghost_of(queue) for queue in queues] for queues in (ghosts, ours))
    assert both.without_overrun(dict(claims), running, held) == capped
    given_up = set(claims) - set(capped)
    assert set(both.draw(100, 0)) == {"a", "b"} - given_up


def test_nothing_is_drawn_for_nobody() -> None:
    assert board({"a": 1, "b": 1}).draw(0, 0) == {}
    assert board({"a": 1}).draw(-1, -5) == {}
    assert board({}).draw(5, 5) == {}


# What may have jobs


def test_at_first_every_queue_may_have_jobs() -> None:
    fresh = board({"a": 1, "b": 1})
    assert has_hope(fresh)
    assert set(fresh.draw(100, 0)) == {"a", "b"}
    assert fresh.names == ["a", "b"]


def test_a_queue_that_was_given_up_is_drawn_again_once_there_is_hope() -> None:
    both = board({"a": 1, "b": 1})
    both.mark_empty("a")
    assert both.draw(10, 10) == {"b": 20}
    both.mark_empty("b")
    both.mark_empty("unknown")
    assert not has_hope(both)
    assert both.draw(10, 10) == {}
    both.mark_candidates(["a"])
    assert has_hope(both)
    assert both.draw(10, 10) == {"a": 20}


def test_a_look_at_all_queues_replaces_what_was_believed() -> None:
    three = board({"a": 1, "b": 1, "c": 1})
    three.mark_ready(["b"])
    assert three.draw(10, 0) == {"b": 10}
    three.leave_alone("c", until_s=30.0)
    three.mark_ready(["a", "c"])
    assert three.draw(10, 0) == {"a": 10}
    three.mark_ready([])
    assert not has_hope(three)
    three.recheck(30.0)
    assert three.draw(10, 0) == {"c": 10}


def test_a_queue_that_sleeps_is_left_alone_until_its_time() -> None:
    both = board({"a": 1, "b": 1})
    both.leave_alone("a", until_s=30.0)
    both.mark_candidates(["a"])
    both.recheck(29.9)
    assert both.draw(10, 0) == {"b": 10}
    both.recheck(30.0)
    assert set(both.draw(100, 0)) == {"a", "b"}


def test_a_queue_that_sleeps_longer_takes_its_newer_time() -> None:
    one = board({"a": 1})
    one.leave_alone("a", until_s=10.0)
    one.leave_alone("a", until_s=30.0)
    one.recheck(20.0)
    assert not has_hope(one)
    one.recheck(31.0)
    assert has_hope(one)
    one.mark_empty("a")
    one.recheck(99.0)
    assert not has_hope(one)


@given(st.lists(st.tuples(st.sampled_from(["hope", "give_up", "snooze", "wake"]), NAMES)))
def test_what_is_drawn_is_just_what_may_have_jobs(moves: list[tuple[str, str]]) -> None:
    names = set("abcdef")
    tested = board(dict.fromkeys(sorted(names), 1), limits={"a": 1, "b": 1}, seed=3)
    hopeful, asleep = set(names), set[str]()
    for move, name in moves:
        match move:
            case "hope":
                tested.mark_candidates([name])
                hopeful |= {name} - asleep
            case "give_up":
                tested.mark_empty(name)
                hopeful -= {name}
            case "snooze":
                tested.leave_alone(name, until_s=10.0)
                hopeful -= {name}
                asleep |= {name}
            case "wake":
                tested.recheck(10.0)
                hopeful |= asleep
                asleep.clear()
        assert has_hope(tested) is bool(hopeful)
        assert has_resigned(tested) is (hopeful != names)
        assert set(tested.draw(60, 0)) <= hopeful
        assert set(tested.draw(0, 60)) <= hopeful - {"a", "b"}
    assert set(tested.draw(600, 0)) == hopeful


def test_of_very_many_queues_some_give_several_jobs_each_and_all_get_their_share() -> None:
    names = [f"q{n}" for n in range(100)]
    many = board(dict.fromkeys(names[:50], 1) | dict.fromkeys(names[50:], 3))
    taken: Counter[str] = Counter()
    for _ in range(400):
        claims = many.draw(0, 140)
        assert len(claims) <= 20
        assert sum(claims.values()) == 140
        taken.update(claims)
    light = sum(taken[name] for name in names[:50])
    assert light == pytest.approx(400 * 140 / 4, rel=0.05)


def test_a_board_tells_which_queues_were_found_paused_or_full_until_it_sees_otherwise() -> None:
    board = QueueBoard({"a": 1, "b": 1, "c": 1}, {}, Entropy("blocked"))
    board.mark_empty("a", blocked=True)
    board.mark_empty("b")
    assert board.blocked == {"a"}
    board.mark_ready(["a"], ["c"])
    assert board.blocked == {"c"}


def test_a_board_tells_when_the_next_queue_is_tried_again() -> None:
    board = QueueBoard({"a": 1, "b": 1}, {}, Entropy("snoozed"))
    assert board.next_s == float("inf")
    board.leave_alone("a", 9.0)
    board.leave_alone("b", 7.0)
    assert board.next_s == 7.0
    board.recheck(8.0)
    assert board.next_s == 9.0
