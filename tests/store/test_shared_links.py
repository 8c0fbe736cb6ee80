"""Threads that share connections to a server of the test's own, whose calls are interrupted."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import hiredis
import pytest
from redis import exceptions as redis_errors

from tests.support import striking
from workkit.core.clock import monotonic_s
from workkit.errors import ServerUnavailable
from workkit.store.connections.shared import SharedLinks
from workkit.store.connections.target import Target


class Echoing:
    """A server that answers each command with its second word, in pieces of a few bytes."""

    def __init__(self, piece: int) -> None:
        self._piece = piece
        self._threads: list[threading.Thread] = []
        self._cut: list[Callable[[], None]] = []

    def open(self, **_: Any) -> Any:
        """Make a connection as redis-py does."""
        ours, theirs = socket.socketpair()
        ours.settimeout(10)
        thread = threading.Thread(target=self._serve, args=(theirs,))
        thread.start()
        self._threads.append(thread)

        def disconnect() -> None:
            with suppress(OSError):
                ours.shutdown(socket.SHUT_RDWR)
            ours.close()

        self._cut.append(disconnect)
        return SimpleNamespace(
            _sock=ours,
            _parser=SimpleNamespace(parse_error=redis_errors.ResponseError),
            socket_timeout=10,
            connect=lambda: None,
            disconnect=disconnect,
        )

    def _serve(self, theirs: socket.socket) -> None:
        reader = hiredis.Reader()
        with theirs, suppress(OSError):
            while data := theirs.recv(65_536):
                reader.feed(data)
                answers = b""
                while command := reader.gets():
                    answers += b"$%d\r\n%b\r\n" % (len(command[1]), command[1])
                for at in range(0, len(answers), self._piece):
                    theirs.sendall(answers[at : at + self._piece])

    def join(self) -> None:
        """Wait until all is answered. An interrupt may have lost a connection that just opened."""
        for cut in self._cut:
            cut()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()


@contextmanager
def shared(piece: int = 7, most: int = 1) -> Iterator[SharedLinks]:
    server = Echoing(piece)
    target = SimpleNamespace(
        open=server.open, route=None, lacking=set(), label="here", most=100, is_tls=False
    )
    links = SharedLinks(cast("Target", target), most, monotonic_s)
    yield links
    links.close()
    server.join()


def echo(links: SharedLinks, words: int, *names: object) -> None:
    """Send some words, and see that they come back."""
    commands = [("ECHO", "-".join(map(str, (*names, n)))) for n in range(words)]
    assert links.send(commands) == [word.encode() for _, word in commands]


@pytest.mark.parametrize(("piece", "most"), [(1, 1), (7, 1), (7, 4), (100_000, 4)])
def test_each_thread_gets_its_own_replies(piece: int, most: int) -> None:
    with shared(piece, most) as links, ThreadPoolExecutor(12) as threads:

        def work(thread: int) -> None:
            for n in range(60):
                echo(links, 1 + (thread + n) % 3, thread, n)

        list(threads.map(work, range(12)))


at_step = partial(striking.at_step, within="/store/connections/", behind=striking.LOOKS)


@pytest.mark.slow
def test_an_interrupt_at_any_step_costs_others_no_reply_and_holds_nobody_up() -> None:
    for step in range(1, 120):
        with shared() as links, ThreadPoolExecutor(3) as threads:
            ends = threading.Event()

            def work(thread: int, links: SharedLinks = links, ends: Any = ends) -> None:
                n = 0
                while not ends.is_set() or n < 3:
                    n += 1
                    with suppress(ServerUnavailable):  # a write that was cut breaks it for all
                        echo(links, 2, "other", thread, n)

            others = [threads.submit(work, thread) for thread in range(3)]
            at_step(step, striking.strike, partial(echo, links, 2, "struck"))
            echo(links, 2, "after")
            ends.set()
            for other in others:
                other.result(timeout=20)


@pytest.mark.slow
def test_what_interrupts_a_call_may_itself_call() -> None:
    step, reached = 0, True
    while reached:
        step += 1
        with shared() as links:
            reached = at_step(
                step,
                partial(echo, links, 1, "handler of a signal"),
                partial(echo, links, 2, "interrupted"),
            )
            echo(links, 1, "after")
    assert step > 50
