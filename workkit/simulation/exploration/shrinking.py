"""Leaves faults out of a failing world, as long as it still fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from workkit.simulation.exploration.playing import (
    Failure,
    PlayResult,
    PlaySettings,
    WorldCase,
    play,
)

__all__ = ["shrink"]

#: A world is played again at most this many times.
_MOST: Final = 200


def shrink(
    settings: PlaySettings,
    failure: Failure,
    play_again: Callable[[PlaySettings, WorldCase], PlayResult] = play,
) -> Failure:
    """Return the same failure with as few faults as possible.

    Halves are left out first, then quarters, and so on down to single faults ("delta debugging"). A
    world fails in the same way if it breaks the same rule.

    What many worlds break together needs all of them, so it stays as it is.
    """
    if failure.worlds > 1:
        return failure
    tried = 0

    def fails(only: tuple[int, ...]) -> Failure | None:
        nonlocal tried
        tried += 1
        found = play_again(settings, replace(failure.case, only=only)).failure
        return found if found is not None and found.rule == failure.rule else None

    best = failure
    kept = tuple(at for at, _ in failure.faults)
    without = fails(())
    if without is not None:
        return without
    size = max(len(kept) // 2, 1)
    while kept and tried < _MOST:
        shorter = False
        for start in range(0, len(kept), size):
            rest = kept[:start] + kept[start + size :]
            found = fails(rest) if rest else None
            if found is not None:
                best, kept, shorter = found, rest, True
                break
            if tried >= _MOST:
                break
        if not shorter:
            if size == 1:
                break
            size = max(size // 2, 1)
    return best
