"""Which abstract states worlds have reached, and about how many nobody has seen yet.

A state is abstract: how a command moved a job, which phases the pools were in, and which faults
were under way. So two worlds reach the same state though their jobs and times differ.
"""

from __future__ import annotations

import zlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from workkit.core.job import PERIODIC
from workkit.errors import InvalidOption
from workkit.simulation.checkers import Checker, HandlerRun, Move, RedisChange

__all__ = ["Coverage", "Guide", "Seed", "StateWatch", "read_seed"]

#: This many worlds are chosen together, so that the choice does not depend on how many processes
#: play them.
ROUND: Final = 16
#: How many variants of a seed get a turn for each state that was new.
_TURNS: Final = 2
#: The most variants of one seed that wait for their turns.
_MOST_TURNS: Final = 8


class StateWatch(Checker):
    """Collects the abstract states that a world reaches; breaks no rule.

    Attributes:
        states: A number for each state.
    """

    rule = "states are counted"

    def __init__(self) -> None:
        self.states: set[int] = set()
        self._known: dict[tuple[object, ...], int] = {}

    def changed(self, change: RedisChange) -> None:
        """Record how a command moved jobs."""
        if change.moves:
            self._reach(frozenset(_kind(move, change.command) for move in change.moves))

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        """Record how a handler ended."""
        self._reach(("ended", type(error).__name__, run.fails > 0))

    def told(self, pool: str, event: str, arguments: Sequence[Any]) -> None:
        """Record a call of hooks."""
        del pool, arguments
        self._reach(("told", event))

    def crashed(self, pool: str) -> None:
        """Record a crash."""
        del pool
        self._reach(("crashed",))

    def _reach(self, event: object) -> None:
        conditions = self.scene.conditions
        state = event, conditions.phases(), conditions.faults()
        number = self._known.get(state)
        if number is None:
            # Not `hash`, which differs from process to process.
            text = repr((sorted(map(repr, event)) if isinstance(event, frozenset) else event,
                         *state[1:]))  # fmt: skip
            number = self._known[state] = zlib.crc32(text.encode())
            self.states.add(number)


def _kind(move: Move, command: str) -> tuple[object, ...]:
    before, after = move.before, move.after
    job = (after or before).job  # type: ignore[union-attr] # it was or is somewhere
    sort = "bytes" if job is None else "unique" if job.unique else "plain"
    return (
        command,
        before.place.kind if before else "",
        after.place.kind if after else "",
        "cron" if move.job_id.startswith(PERIODIC) else sort,
        job is not None and job.fails > 0,
    )


class Coverage:
    """The states that many worlds have reached.

    Attributes:
        last_new: The seed of the world that last reached a state that was new; "" before.
    """

    def __init__(self) -> None:
        self._worlds: Counter[int] = Counter()
        self.last_new = ""

    def add(self, seed: str, states: Iterable[int]) -> int:
        """Add the states of a world; return how many of them were new."""
        new = 0
        for state in states:
            self._worlds[state] += 1
            new += self._worlds[state] == 1
        if new:
            self.last_new = seed
        return new

    def __len__(self) -> int:
        return len(self._worlds)

    @property
    def unseen(self) -> int:
        """About how many more states could be reached.

        This is Chao's estimate (Chao1, corrected for bias), from the numbers of states that exactly
        one world and exactly two worlds have reached. It is a lower bound.
        """
        seen = Counter(self._worlds.values())
        return round(seen[1] * (seen[1] - 1) / (2 * (seen[2] + 1)))


class Seed(NamedTuple):
    """A seed, or a variant of one.

    Attributes:
        seed: The seed of all random choices.
        variants: Which changes of its drawn faults, one after the other.
    """

    seed: int
    variants: tuple[int, ...] = ()

    def __str__(self) -> str:
        return ".".join(map(str, (self.seed, *self.variants)))


def read_seed(seed: int | str) -> Seed:
    """Read a seed, such as 41, or a variant of one, such as "41.3".

    Raises:
        InvalidOption: It is neither.
    """
    try:
        first, *variants = map(int, str(seed).split("."))
    except ValueError:
        raise InvalidOption(
            f"{seed!r} is no seed; write a whole number, or a variant that a failure has named, "
            "such as '41.3'"
        ) from None
    return Seed(first, tuple(variants))


class Guide:
    """Chooses the worlds to play: seeds in their order, and variants of those that paid off.

    As many worlds are played as there are seeds. After the first round, every other turn belongs to
    a variant of a seed that has reached new states, as long as there are such; the last seeds then
    have no turn.

    Args:
        seeds: The seeds.
        coverage: The states that were reached.
        varies: Whether variants get turns.
    """

    def __init__(self, seeds: Sequence[Seed], coverage: Coverage, *, varies: bool) -> None:
        self._fresh = deque(seeds)
        self._left = len(seeds)
        self._coverage = coverage
        self._varies = varies and len(seeds) > ROUND
        self._waiting: deque[Seed] = deque()
        self._made: Counter[Seed] = Counter()

    def rounds(self) -> Iterator[list[Seed]]:
        """Give the worlds of one round after the other."""
        while self._left:
            chosen: list[Seed] = []
            while self._left and len(chosen) < ROUND:
                chosen.append(self._next(len(chosen)))
                self._left -= 1
            yield chosen

    def _next(self, turn: int) -> Seed:
        if self._waiting and (turn % 2 or not self._fresh):
            return self._waiting.popleft()
        return self._fresh.popleft()

    def learn(self, seed: Seed, states: Iterable[int]) -> None:
        """Record the states of a world; the worlds of a round in their order."""
        new = self._coverage.add(str(seed), states)
        if self._varies and new:
            for _ in range(min(_TURNS * new, _MOST_TURNS)):
                self._made[seed] += 1
                self._waiting.append(Seed(seed.seed, (*seed.variants, self._made[seed])))
