"""Replies of a shared connection are given to the calls that they answer."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.striking import at_step, strike
from workkit.store.connections import conversation
from workkit.store.connections.conversation import (
    MOST_BYTES,
    SPREAD_BYTES,
    Call,
    Conversation,
    least_loaded,
    share_of,
)


class Sharing(RuleBasedStateMachine):
    """Calls come and leave, writes and replies come in any pieces, the connection breaks."""

    def __init__(self) -> None:
        super().__init__()
        self.talk: Conversation[Call] = Conversation()
        self.sent: deque[str] = deque()  # what the server has to answer
        self.arrived: deque[Any] = deque()
        self.wanted: dict[Call, list[str]] = {}
        self.count = 0

    @rule(commands=st.integers(1, 3))
    def call(self, commands: int) -> None:
        self.count += 1
        names = [f"{self.count}.{n}" for n in range(commands)]
        call = Call(" ".join(names).encode() + b" ", commands)
        self.wanted[call] = names
        self.talk.add(call)

    @rule()
    def write(self) -> None:
        self.sent.extend(self.talk.take(float(self.count)).decode().split())

    @rule(pieces=st.integers(1, 5))
    def reply(self, pieces: int) -> None:
        for _ in range(min(pieces, len(self.sent))):
            self.arrived.append(self.sent.popleft())
        self.talk.answer(self.arrived)
        assert not self.arrived

    @precondition(lambda self: self.wanted)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(list(self.wanted)))
        if not call.is_over:
            was_written = call.is_written
            self.talk.abandon(call)
            del self.wanted[call]
            assert was_written or call not in self.talk.unwritten

    @rule()
    def break_off(self) -> None:
        error = ConnectionError()
        lost = list(self.talk.unanswered)
        self.talk.lose(error)
        self.sent.clear()
        for call in lost:
            assert call.is_over
            if call in self.wanted:
                assert call.error is error
                del self.wanted[call]

    @invariant()
    def each_call_has_its_own_replies(self) -> None:
        for call, names in self.wanted.items():
            assert call.replies == names[: len(call.replies)]
            assert call.is_over == (len(call.replies) == len(names))

    @invariant()
    def the_load_is_that_of_the_calls(self) -> None:
        talk = self.talk
        assert talk.load == sum(call.size for call in (*talk.unwritten, *talk.unanswered))


TestSharing = Sharing.TestCase


def test_an_interrupt_between_any_two_steps_shifts_no_reply() -> None:
    step, struck = 0, True
    while struck:
        step += 1
        talk: Conversation[Call] = Conversation()
        calls = [Call(b"x", wanted) for wanted in (1, 2, 1)]
        for call in calls:
            talk.add(call)
        talk.take(0)
        replies: deque[Any] = deque(["1", "2.1", "2.2", "3"])
        struck = at_step(step, strike, partial(talk.answer, replies), within=conversation.__file__)
        talk.answer(replies)
        assert [call.replies for call in calls] == [["1"], ["2.1", "2.2"], ["3"]]
        assert all(call.is_over for call in calls)
        assert not talk.unanswered
    assert step > 20


def test_each_call_has_the_whole_time_for_its_reply() -> None:
    talk: Conversation[Call] = Conversation()
    early, late = Call(b"x", 1), Call(b"x", 1)
    talk.add(early)
    talk.take(0)
    talk.add(late)
    talk.take(4)
    talk.time_out(TimeoutError(), 5, 0, 5)
    assert (early.is_over, late.is_over) == (True, False)
    talk.answer(deque(["early", "late"]))
    assert late.replies == ["late"]
    assert late.error is None


class Line:
    """A connection with a load."""

    def __init__(self, load: int, *, takes_calls: bool = True) -> None:
        self.talk: Conversation[Any] = Conversation()
        self.talk.load = load
        self.takes_calls = takes_calls


def test_a_call_goes_where_least_is_before_it() -> None:
    busy, idle, closing = Line(10), Line(0), Line(0, takes_calls=False)
    assert least_loaded([closing, busy, idle], 100, may_open=True) == (idle, False)
    assert least_loaded([closing, busy], 100, may_open=True) == (busy, False)
    full = Line(SPREAD_BYTES)
    assert least_loaded([full], 100, may_open=True) == (None, True)
    assert least_loaded([full], 100, may_open=False) == (full, False)
    assert least_loaded([Line(MOST_BYTES)], 100, may_open=False) == (None, False)
    assert least_loaded([idle], 10 * MOST_BYTES, may_open=False) == (idle, False)


def test_both_kinds_of_connections_are_within_the_bound() -> None:
    assert share_of(4) == (2, 2)
    for most in range(2, 50):
        assert sum(share_of(most)) == most
    assert share_of(1) == (1, 1)
