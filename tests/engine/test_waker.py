"""A waker wakes the waiting thread, also in a process with very many open files."""

from __future__ import annotations

import fcntl
import os
import resource
import threading
from collections.abc import Iterator
from typing import Final

import pytest

from workkit.engine.process.waker import Waker

#: More than `select.select` takes.
_HIGH: Final = 1_500
_PATIENCE_S: Final = 20.0


@pytest.fixture
def high_descriptors(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have pipes made of descriptors above those that most processes ever have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * _HIGH
    if soft < wanted <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    elif hard < wanted:
        pytest.skip(f"this machine allows {hard} open files")
    pipe = os.pipe

    def high_pipe() -> tuple[int, int]:
        low = pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, _HIGH) for end in low]
        for end in low:
            os.close(end)
        return ends[0], ends[1]

    monkeypatch.setattr(os, "pipe", high_pipe)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("high_descriptors")
def test_it_waits_with_descriptors_of_any_number() -> None:
    waker, woken = Waker(), threading.Event()

    def wait() -> None:
        waker.arm()
        waker.wait(_PATIENCE_S)
        waker.disarm()
        woken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    while thread.is_alive() and not woken.wait(0.01):
        waker.wake()
    thread.join(_PATIENCE_S)
    assert woken.is_set()
    assert waker.fileno() >= _HIGH
    waker.close()


def test_what_was_raised_before_the_wait_ends_it_at_once() -> None:
    waker = Waker()
    waker.arm()
    waker.wake()
    waker.wait(_PATIENCE_S)
    waker.disarm()
    waker.close()
