"""A pool uses the server's clock if its host's clock differs much from it."""

from __future__ import annotations

from typing import Any

import pytest

from workkit.core.clock import Instant
from workkit.engine.duties.clock_check import ServerClock
from workkit.errors import ServerRefused

SERVER_S = 1_800_000_000


class Host:
    """Two clocks that a test sets."""

    def __init__(self, ahead_s: float = 0.0) -> None:
        self.at_s, self.ahead_s = 50.0, ahead_s

    def read(self) -> Instant:
        """Read both clocks."""
        return Instant(int((SERVER_S + self.at_s + self.ahead_s) * 1000), self.at_s)


def ask(clock: ServerClock, host: Host, *, takes_s: float = 0.0) -> float:
    """Ask the server, which reads its clock in the middle."""
    step: Any = clock.ask()
    next(step)
    host.at_s += takes_s / 2
    reply = [b"%d" % (SERVER_S + host.at_s), b"%d" % (host.at_s % 1 * 1_000_000)]
    host.at_s += takes_s / 2
    with pytest.raises(StopIteration) as stop:
        step.send([reply])
    ahead: float = stop.value.value
    return ahead


def error_ms(clock: ServerClock, host: Host) -> int:
    """Return by how much the clock is ahead of the server's."""
    return clock.read().epoch_ms - int((SERVER_S + host.at_s) * 1000)


@pytest.mark.parametrize("ahead_s", [86_400, -86_400, 5, -5])
def test_a_wrong_clock_is_corrected_and_its_error_is_told(ahead_s: float) -> None:
    host = Host(ahead_s)
    clock = ServerClock(host)
    assert error_ms(clock, host) == ahead_s * 1000  # nobody was asked yet
    assert ask(clock, host) == pytest.approx(ahead_s, abs=0.01)
    host.at_s += 100
    assert error_ms(clock, host) == pytest.approx(0, abs=2)


def test_a_clock_that_jumps_later_is_corrected_at_once_and_believed_when_it_is_back() -> None:
    host = Host()
    clock = ServerClock(host)
    assert ask(clock, host) == 0
    host.ahead_s = 86_400
    assert error_ms(clock, host) == pytest.approx(0, abs=2)
    host.ahead_s = 0.7
    assert error_ms(clock, host) == pytest.approx(700, abs=2)


def test_a_slow_answer_corrects_no_right_clock_and_makes_nothing_early() -> None:
    host = Host()
    clock = ServerClock(host)
    assert ask(clock, host, takes_s=6.0) == 0
    assert error_ms(clock, host) == pytest.approx(0, abs=2)
    host.ahead_s = 3_600
    assert ask(clock, host, takes_s=6.0) > 3_000
    assert -3_100 <= error_ms(clock, host) <= 2


def test_where_the_server_does_not_tell_the_host_s_clock_counts() -> None:
    host = Host(3_600)
    clock = ServerClock(host)
    ask(clock, host)
    step: Any = clock.ask()
    next(step)
    with pytest.raises(StopIteration):
        step.send([ServerRefused("NOPERM", "no")])
    assert error_ms(clock, host) == 3_600_000
