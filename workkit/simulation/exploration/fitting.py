"""Rules of chance that only many worlds together can break."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from workkit.simulation.checkers.chance import Tally
from workkit.simulation.exploration.playing import Failure, PlayResult

__all__ = ["Fit"]

#: Fewer draws than this are left to the rule itself, which looks at each world.
_FEWEST: Final = 200


class Fit:
    """Adds up what chance has decided in many worlds.

    A small fault of a distribution does not show in one world. Variants of a seed draw nearly the
    same numbers as the seed itself, so they do not count.
    """

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], Tally] = {}
        self._worlds = 0

    def judged(self, outcome: PlayResult) -> PlayResult:
        """Add a world; return its result, with a failure if all worlds together break a rule."""
        if outcome.failure is not None or outcome.case.variants:
            return outcome
        self._worlds += 1
        for subject, tally in outcome.tallies.items():
            summed = self._sums[subject] = self._sums.get(subject, Tally()).plus(tally)
            if summed.draws >= _FEWEST and summed.is_wrong:
                return replace(outcome, failure=self._failure(outcome, *subject, summed))
        return outcome

    def _failure(self, outcome: PlayResult, rule: str, subject: str, summed: Tally) -> Failure:
        seen, expected = summed.seen / summed.draws, summed.expected / summed.draws
        what = (
            f"{subject} is {seen:.3g} on average of {summed.draws:,} draws in {self._worlds} "
            f"worlds, and must be {expected:.3g}: it is off by {abs(summed.deviations):.1f} "
            "standard deviations"
        )
        return Failure(outcome.case, rule, what, "", (), "", worlds=self._worlds)
