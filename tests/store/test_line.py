"""Replies are read from a socket, asleep until they come."""

from __future__ import annotations

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
    """Stands in for `select.poll`: counts who looks."""

    def __init__(self) -> None:
        self.looks = 0

    def register(self, *_: Any) -> None:
        """Note nothing."""

    def poll(self, _timeout: float) -> list[tuple[int, int]]:
        """Look."""
        self.looks += 1
        return []


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


def test_a_reader_sleeps_until_its_reply_comes_and_takes_no_core_from_the_server(
    ends: tuple[socket.socket, socket.socket], poll: Poll
) -> None:
    read = reader(ends, poll)
    assert [read() for _ in range(3)] == [0, 0, 0]


def test_the_end_of_the_stream_is_named(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    line = make_line(ours)
    theirs.close()
    with pytest.raises(redis_errors.ConnectionError, match="closed by server"):
        line.read()
