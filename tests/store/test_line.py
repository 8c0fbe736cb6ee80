"""Replies are read from a socket, by looking for them where that pays and by sleeping elsewhere."""

from __future__ import annotations

import itertools
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from redis import exceptions as redis_errors

from workkit.store.connections.line import Transport, line_of


class Poll:
    """Stands in for `select.poll`: counts who looks, and says what the test says."""

    def __init__(self) -> None:
        self.looks = 0
        self.sees = False

    def register(self, *_: Any) -> None:
        """Note nothing."""

    def poll(self, _timeout: float) -> list[tuple[int, int]]:
        """Look."""
        self.looks += 1
        return [(0, select.POLLIN)] if self.sees else []


class Owner:
    """Whoever wants to hear of changes."""

    def hear(self, keys: list[bytes] | None) -> None:
        """Take an announcement."""


OWNER = Owner()


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def make_line(ours: socket.socket) -> Transport:
    parser = SimpleNamespace(parse_error=redis_errors.ResponseError)
    return line_of(SimpleNamespace(_sock=ours, _parser=parser), OWNER.hear)


@pytest.fixture
def poll(monkeypatch: pytest.MonkeyPatch) -> Poll:
    poll = Poll()
    monkeypatch.setattr(select, "poll", lambda: poll)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    return poll


def reader(ends: tuple[socket.socket, socket.socket], poll: Poll) -> Callable[[], int]:
    """Return what reads one reply and says how often it looked for it."""
    ours, theirs = ends
    line = make_line(ours)

    def read() -> int:
        before = poll.looks
        theirs.sendall(b"+PONG\r\n")
        assert line.read() in {b"PONG", "PONG"}
        return poll.looks - before

    return read


def test_a_reply_is_read_however_late_and_in_however_many_pieces_it_comes(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    line = make_line(ours)
    reply = b"*2\r\n$3\r\none\r\n:2\r\n"

    def send() -> None:
        theirs.sendall(reply[:7])
        threading.Timer(0.02, theirs.sendall, [reply[7:]]).start()

    threading.Timer(0.02, send).start()
    assert line.read() == [b"one", 2]


def test_a_reply_that_is_there_is_looked_for_once(
    ends: tuple[socket.socket, socket.socket], poll: Poll
) -> None:
    poll.sees = True
    read = reader(ends, poll)
    assert [read() for _ in range(3)] == [1, 1, 1]


def test_looking_rests_the_longer_the_more_replies_it_has_missed(
    ends: tuple[socket.socket, socket.socket], poll: Poll
) -> None:
    read = reader(ends, poll)
    looked = [read() > 0 for _ in range(200)]
    at = [i for i, each in enumerate(looked) if each]
    gaps = [b - a for a, b in itertools.pairwise(at)]
    assert gaps[:5] == [2, 4, 8, 16, 16]
    assert set(gaps[5:]) == {16}  # never given up


def test_looking_is_taken_up_again_where_replies_come_soon(
    ends: tuple[socket.socket, socket.socket], poll: Poll
) -> None:
    read = reader(ends, poll)
    for _ in range(100):
        read()
    poll.sees = True
    assert [read() for _ in range(40)][-20:] == [1] * 20


def test_on_a_single_core_nobody_looks(
    ends: tuple[socket.socket, socket.socket], poll: Poll, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    read = reader(ends, poll)
    assert [read() for _ in range(3)] == [0, 0, 0]


def test_the_end_of_the_stream_is_named(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    line = make_line(ours)
    theirs.close()
    with pytest.raises(redis_errors.ConnectionError, match="closed by server"):
        line.read()
