"""A pool reacts to useless announcements a few times a second, and polls if there are too many."""

from __future__ import annotations

from typing import Any

from workkit.core.clock import Instant
from workkit.engine.noise import Noise


def at(seconds: float) -> Instant:
    return Instant(int(seconds * 1000), seconds)


def heard(noise: Noise, times: int, *, every_s: float, since_s: float = 0.0) -> float:
    """Let useless announcements come, and return when the last one came."""
    for n in range(times):
        noise.announced(at(since_s + n * every_s), gained=False)
    return since_s + (times - 1) * every_s


def answered(step: Any, tracked: int | None) -> list[Any]:
    """Carry out a step and return what it has sent."""
    sent = []
    info = None if tracked is None else f"# Stats\r\ntracking_total_keys:{tracked}\r\n".encode()
    try:
        exchange = next(step)
        while True:
            sent.append(exchange.commands)
            exchange = step.send([info])
    except StopIteration:
        return sent


def test_a_few_announcements_in_a_row_are_followed_at_once() -> None:
    noise = Noise(3)
    last_s = heard(noise, 10, every_s=0.001)
    assert noise.pause_s(at(last_s)) == 0
    assert not noise.is_loud


def test_many_that_lead_to_nothing_are_followed_ten_times_a_second() -> None:
    noise = Noise(3)
    last_s = heard(noise, 40, every_s=0.001)
    assert noise.is_loud
    assert noise.pause_s(at(last_s)) == 0.1
    assert noise.pause_s(at(last_s + 0.2)) == 0


def test_a_job_or_silence_ends_it() -> None:
    for gained, later_s in ((True, 0.001), (False, 1.5)):
        noise = Noise(3)
        last_s = heard(noise, 40, every_s=0.001)
        noise.announced(at(last_s + later_s), gained=gained)
        assert not noise.is_loud


def test_a_server_that_remembers_less_than_a_look_reads_is_not_listened_to_for_a_minute() -> None:
    noise = Noise(22)
    last_s = heard(noise, 40, every_s=0.001)
    assert noise.is_suspect(at(last_s))
    assert len(answered(noise.judge(at(last_s)), 1)) == 1
    assert noise.is_deaf(at(last_s + 59))
    assert not noise.is_deaf(at(last_s + 61))


def test_a_server_that_remembers_most_or_does_not_tell_is_listened_to_and_asked_once() -> None:
    for tracked in (20, 10_000, None):
        noise = Noise(22)
        last_s = heard(noise, 40, every_s=0.001)
        assert len(answered(noise.judge(at(last_s)), tracked)) == 1
        assert not noise.is_deaf(at(last_s))
        assert not noise.is_suspect(at(last_s + 59))
        heard(noise, 40, every_s=0.001, since_s=last_s + 61)
        assert noise.is_suspect(at(last_s + 61.1))
